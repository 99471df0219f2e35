"""Makes the gameplay package: model files with the projector, the goals it was trained on, card, checksums.

    python -m scripts.gameplay.deploy --gate reports/gameplay/agent/gate.json ... --out dist/gameplay/agent

The folder is written beside its place and takes it in one step. Its files hold no times: the same inputs give the
same bytes.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from scripts.gameplay.question import CONFIG
from scripts.lib.cli import StageParser, run
from scripts.lib.files import write_json
from scripts.packaging.contents import add_language_arguments, gather
from scripts.packaging.publish import publish_language


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    add_language_arguments(stage)
    stage.add_argument("--size", type=int, nargs=2, required=True, help="width and height of the pictures")
    stage.add_argument("--loop", type=Path, help="loop.json, how often the agent reached its goal in the game")
    return stage


def main(args: argparse.Namespace) -> None:
    """Builds and publishes the package."""
    package = gather(args, args.system_prompt)

    def add_files(folder: Path) -> None:
        goals = package.stats["goals"]["train"]
        told = {"system_prompt": package.system_prompt, "frame_size": args.size, "goals": goals}
        write_json(folder / CONFIG, told)
        if args.loop:
            shutil.copyfile(args.loop, folder / "loop.json")

    publish_language(package, add_files)


if __name__ == "__main__":
    run(parser, main)
