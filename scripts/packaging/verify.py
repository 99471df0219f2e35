"""Checks a package: every byte as published, and the model still answers as it did.

    python -m scripts.packaging.verify dist/dnd/dm

Exit code 0 when all holds, 1 when something does not, 2 when the folder is no package. An altered model file is
not loaded: the replay is skipped unless the sums hold. A system may have a command of its own (`System.verify`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.cli import UserError, run
from scripts.lib.files import json_object
from scripts.packaging import smoke
from scripts.packaging.verification import Verdict, verify, verify_parser
from scripts.systems import SYSTEMS


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    return verify_parser(__doc__, "dist/dnd/dm")


def main(args: argparse.Namespace) -> int:
    """Checks sums, replays the transcript, says what was found."""
    return verify(args, replayed)


def replayed(package: Path) -> list[Verdict]:
    """The transcript's prompts, answered again by the shipped model."""
    config = json_object(package / "deployment_config.json") or {}
    system = SYSTEMS.get(str(config.get("name", "")).partition("/")[0])
    if system and system.verify != "scripts.packaging.verify":
        raise UserError(f"{package}: a {system.family.name}; check it with `python -m {system.verify} {package}`.")
    transcript = smoke.read_transcript(package)
    try:
        with smoke.open_engine(package, transcript) as engine:
            return smoke.replay(engine, transcript, package)
    except ImportError as error:
        missing = f"{error.name or 'a package'} is not installed"
        raise UserError(f"{missing}; run `make setup`, or check the files alone with --sums-only.") from error


if __name__ == "__main__":
    run(parser, main)
