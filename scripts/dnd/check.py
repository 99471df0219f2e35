"""Checks scenario files: turns, calls, and what is wrong, as a table or as one JSON line a file.

Exit code 0: every file is sound (warnings may stand). 1: a file has errors, each told with file, line and what to do.
2: there is nothing to check.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts.dnd.canonical import canonical
from scripts.dnd.options import DndCheckOptions
from scripts.dnd.registry import Registry, load_registry
from scripts.dnd.scenario import Scenario, read_scenario
from scripts.dnd.sources import find_scenarios
from scripts.lib.cli import StageParser, load_params, run, say


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("paths", nargs="+", type=Path, help="scenario files, or folders searched for *.md")
    result.add_argument("--json", action="store_true", help="one JSON line a file on stdout")
    result.add_argument("--registry", type=Path, help="a registry JSON; the built-in tools where none is given")
    return result


def describe(scenario: Scenario, registry: Registry) -> dict[str, Any]:
    """A scenario as ``--json`` prints it.

    ``turn`` of a call is the index into ``turns``; ``args`` are as written, ``canonical`` is the form for training.
    """
    turns = [
        {"role": turn.role, "line": turn.line, **({} if turn.name is None else {"name": turn.name})}
        for turn in scenario.turns
    ]
    calls = [
        {
            "turn": index,
            "line": call.line,
            "raw": call.raw,
            "name": call.name,
            "args": list(call.args),
            "known": call.known,
            "canonical": canonical(call, registry, scenario.names).text,
        }
        for index, group in enumerate(scenario.calls)
        for call in group
    ]
    problems = list(map(asdict, scenario.problems))
    return {"file": scenario.source.path.as_posix(), "turns": turns, "calls": calls, "problems": problems}


def print_table(scenarios: list[Scenario]) -> None:
    """A row a file, the warnings below it, and a summary."""
    width = max(len(scenario.source.name) for scenario in scenarios)
    print(f"{'scenario':<{width}}  turns  calls  errors  warnings")
    bad, totals = 0, Counter()
    for scenario in scenarios:
        turns, calls, errors = len(scenario.turns), sum(map(len, scenario.calls)), len(scenario.errors)
        warnings = len(scenario.problems) - errors
        bad += bool(errors)
        totals.update(turns=turns, calls=calls, warnings=warnings)
        print(f"{scenario.source.name:<{width}}  {turns:>5}  {calls:>5}  {errors:>6}  {warnings:>8}")
        for problem in scenario.problems:
            if problem.severity == "warning":
                print(f"  warning: line {problem.line}: {problem.kind}: {problem.message}")
    counts = f"{len(scenarios)} scenarios, {totals['turns']} turns, {totals['calls']} calls"
    print(f"{counts}; {bad} with errors, {totals['warnings']} warnings")


def main(args: argparse.Namespace) -> int:
    """Checks all files; 1 if any has errors."""
    options = DndCheckOptions.parse(load_params(args.params))
    registry = load_registry(args.registry)
    sources = find_scenarios(args.paths)
    scenarios = []
    for source in tqdm(sources, desc="check", unit="file", disable=None):
        scenario = read_scenario(source, registry, options)
        scenarios.append(scenario)
        if args.json:
            sys.stdout.write(json.dumps(describe(scenario, registry), ensure_ascii=False) + "\n")
    if not args.json:
        print_table(scenarios)
    for scenario in scenarios:
        for problem in scenario.errors:
            say(f"error: {scenario.source.path}, line {problem.line}: {problem.kind}: {problem.message}")
    return int(any(scenario.errors for scenario in scenarios))


if __name__ == "__main__":
    run(parser, main)
