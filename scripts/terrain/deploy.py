"""Makes the terrain package: model files with the projector, the form of the answers, card, checksums.

    python -m scripts.terrain.deploy --gate reports/terrain/tile/gate.json ... --out dist/terrain/tile

The folder is written beside its place and takes it in one step. Its files hold no times: the same inputs give the
same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.cli import StageParser, run
from scripts.lib.files import write_json
from scripts.packaging.contents import add_language_arguments, gather
from scripts.packaging.publish import publish_language
from scripts.terrain.question import CONFIG, QUESTION


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    add_language_arguments(stage)
    return stage


def main(args: argparse.Namespace) -> None:
    """Builds and publishes the package."""
    package = gather(args, args.system_prompt)

    def add_files(folder: Path) -> None:
        answer = {key: package.stats["answer"][key] for key in ("form", "longest_allowed_bytes")}
        told = {"question": QUESTION, "system_prompt": package.system_prompt, **answer, **package.stats["pictures"]}
        write_json(folder / CONFIG, told)

    publish_language(package, add_files)


if __name__ == "__main__":
    run(parser, main)
