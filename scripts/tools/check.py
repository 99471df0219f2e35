"""Checks tool-call examples against a tool schema, as a summary or as one JSON line a row.

Exit code 0: every example keeps the schema (files that are no examples may lie among them). 1: some do not, each told
with file, row and what to do. 2: there is nothing to check.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from scripts.lib.cli import StageParser, load_params, run, say
from scripts.tools.examples import NO_EXAMPLE, Fault, Reading, find_files, read_examples
from scripts.tools.options import ToolsCheckOptions
from scripts.tools.schema import load_schema
from scripts.tools.validate import faults_of

SHOWN = 20


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("paths", nargs="+", type=Path, help="example files, or folders searched for *.json and *.jsonl")
    result.add_argument("--schema", type=Path, required=True, help="the tool schema")
    result.add_argument("--json", action="store_true", help="one JSON line a row on stdout")
    return result


def main(args: argparse.Namespace) -> int:
    """Checks all rows; 1 if any is wrong."""
    options = ToolsCheckOptions.parse(load_params(args.params))
    tools = load_schema(args.schema)
    reading = read_examples(find_files(args.paths), options.max_row_mb)
    found = {example.id: faults_of(example, tools) for example in reading.examples}
    if args.json:
        for row in json_rows(reading, found):
            sys.stdout.write(orjson.dumps(row).decode() + "\n")
    else:
        print_summary(reading, found)
    wrong = [*_errors(reading), *(fault for faults in found.values() for fault in faults)]
    for fault in wrong[: None if args.json else SHOWN]:
        say(f"error: {fault.source.file}, row {fault.source.row}: {fault.kind}: {fault.message}")
    if len(wrong) > SHOWN and not args.json:
        say(f"... and {len(wrong) - SHOWN} more; --json lists all.")
    return int(bool(wrong))


def _errors(reading: Reading) -> list[Fault]:
    return [fault for fault in reading.faults if fault.kind != NO_EXAMPLE]


def json_rows(reading: Reading, found: dict[str, list[Fault]]) -> list[dict[str, Any]]:
    """A row for each example, then one for each row that is none."""
    rows = [
        {
            "file": example.source.file,
            "row": example.source.row,
            "id": example.id,
            "kind": example.kind,
            "difficulty": example.difficulty,
            "calls": [{"tool": name, "parameters": given} for name, given in example.calls],
            "problems": [{"kind": fault.kind, "message": fault.message} for fault in found[example.id]],
        }
        for example in reading.examples
    ]
    return rows + [
        {
            "file": fault.source.file,
            "row": fault.source.row,
            "problems": [{"kind": fault.kind, "message": fault.message}],
        }
        for fault in reading.faults
    ]


def print_summary(reading: Reading, found: dict[str, list[Fault]]) -> None:
    """Counts by tool, by kind and by problem, and the files that are no examples."""
    calls = Counter(name for example in reading.examples for name, _ in example.calls)
    for name, count in sorted(calls.items()):
        print(f"{name:<32} {count:>6} calls")
    kinds = Counter(example.kind for example in reading.examples)
    print(f"{len(reading.examples)} examples: {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}")
    others = [fault.source.file for fault in reading.faults if fault.kind == NO_EXAMPLE]
    if others:
        print(f"{len(others)} rows are no examples: {', '.join(others[:SHOWN])}{' ...' if len(others) > SHOWN else ''}")
    bad = sum(bool(faults) for faults in found.values()) + len(_errors(reading))
    print(f"{bad} rows with errors")


if __name__ == "__main__":
    run(parser, main)
