"""Checking a package: every byte as published, then its recorded answers again. What answers is the package's kind."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.lib.cli import StageParser, say
from scripts.lib.files import write_json
from scripts.packaging.sums import Problem, check_sums, read_sums


@dataclass(frozen=True)
class Verdict:
    """How one replayed answer compares: same, near (another machine may round so) or differs."""

    id: str
    outcome: str
    detail: str


def verify_parser(told: str | None, example: str) -> argparse.ArgumentParser:
    """The arguments of a command that checks packages such as ``example``."""
    stage = StageParser(told, params=False)
    stage.add_argument("package", type=Path, help=f"a folder such as {example}")
    stage.add_argument("--sums-only", action="store_true", help="do not load the model")
    stage.add_argument("--out", type=Path, help="also write the result as JSON")
    return stage


def verify(args: argparse.Namespace, replayed: Callable[[Path], list[Verdict]]) -> int:
    """Checks sums, replays, says what was found; 1 where something does not hold. An altered file is never loaded."""
    problems = check_sums(args.package)
    for problem in problems:
        print(f"{problem.kind}: {problem.name}: {problem.detail}")
    if not problems:
        print(f"{args.package}: {len(read_sums(args.package))} files, all as published")
    verdicts = [] if problems or args.sums_only else replayed(args.package)
    for verdict in verdicts:
        print(f"{verdict.outcome}: {verdict.id}: {verdict.detail}")
    if problems and not args.sums_only:
        say("nothing is answered again: files that are not as published are not loaded.")
    result = summary(problems, verdicts)
    print("verified" if result["passed"] else "NOT verified")
    if args.out:
        write_json(args.out, result)
    return 0 if result["passed"] else 1


def summary(problems: list[Problem], verdicts: list[Verdict]) -> dict[str, Any]:
    """The result as JSON."""
    return {
        "passed": not problems and all(verdict.outcome != "differs" for verdict in verdicts),
        "files": [vars(problem) for problem in problems],
        "replay": [vars(verdict) for verdict in verdicts],
    }
