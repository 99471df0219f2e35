"""Checks a package: every byte as published, and the model still answers as it did.

    python -m scripts.model.verify dist/dnd/dm

Exit code 0 when all holds, 1 when something does not, 2 when the folder is no package. An altered model file is
not loaded: the replay is skipped unless the sums hold.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from scripts.lib.cli import StageParser, UserError, run, say
from scripts.lib.files import write_json
from scripts.packaging import smoke
from scripts.packaging.sums import Problem, check_sums, read_sums


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    stage = StageParser(__doc__, params=False)
    stage.add_argument("package", type=Path, help="a folder such as dist/dnd/dm")
    stage.add_argument("--sums-only", action="store_true", help="do not load the model")
    stage.add_argument("--out", type=Path, help="also write the result as JSON")
    return stage


def main(args: argparse.Namespace) -> int:
    """Checks sums, replays the transcript, says what was found."""
    problems = check_sums(args.package)
    for problem in problems:
        print(f"{problem.kind}: {problem.name}: {problem.detail}")
    if not problems:
        print(f"{args.package}: {len(read_sums(args.package))} files, all as published")
    verdicts = [] if problems or args.sums_only else replayed(args.package)
    for verdict in verdicts:
        print(f"{verdict.outcome}: {verdict.id}: {verdict.detail}")
    if problems and not args.sums_only:
        say("the transcript is not replayed: files that are not as published are not loaded.")
    result = summary(problems, verdicts)
    print("verified" if result["passed"] else "NOT verified")
    if args.out:
        write_json(args.out, result)
    return 0 if result["passed"] else 1


def replayed(package: Path) -> list[smoke.Verdict]:
    """The transcript's prompts, answered again by the shipped model."""
    transcript = smoke.read_transcript(package)
    try:
        with smoke.open_engine(package, transcript) as engine:
            return smoke.replay(engine, transcript, package)
    except ImportError as error:
        missing = f"{error.name or 'a package'} is not installed"
        raise UserError(f"{missing}; run `make setup`, or check the files alone with --sums-only.") from error


def summary(problems: list[Problem], verdicts: list[smoke.Verdict]) -> dict[str, Any]:
    """The result as JSON."""
    return {
        "passed": not problems and all(verdict.outcome != "differs" for verdict in verdicts),
        "files": [vars(problem) for problem in problems],
        "replay": [vars(verdict) for verdict in verdicts],
    }


if __name__ == "__main__":
    run(parser, main)
