"""Checks a package: every byte as published, and the model still answers as it did.

    python -m scripts.packaging.verify dist/dnd/dm

Exit code 0 when all holds, 1 when something does not, 2 when the folder is no package. An altered model file is
not loaded: the replay is skipped unless the sums hold. A package of a world model is `scripts.aerial.world.replay`'s.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.cli import UserError, run
from scripts.packaging import smoke
from scripts.packaging.verification import Verdict, verify, verify_parser


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    return verify_parser(__doc__, "dist/dnd/dm")


def main(args: argparse.Namespace) -> int:
    """Checks sums, replays the transcript, says what was found."""
    return verify(args, replayed)


def replayed(package: Path) -> list[Verdict]:
    """The transcript's prompts, answered again by the shipped model."""
    if (package / "example.npz").is_file():
        raise UserError(f"{package}: a world model; check it with `python -m scripts.aerial.world.replay {package}`.")
    transcript = smoke.read_transcript(package)
    try:
        with smoke.open_engine(package, transcript) as engine:
            return smoke.replay(engine, transcript, package)
    except ImportError as error:
        missing = f"{error.name or 'a package'} is not installed"
        raise UserError(f"{missing}; run `make setup`, or check the files alone with --sums-only.") from error


if __name__ == "__main__":
    run(parser, main)
