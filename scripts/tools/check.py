"""Checks tool-call examples against a tool schema; prints a summary, or one JSON line per row.

Exit code 0: every example is valid under the schema (other JSON files may lie among them). 1: some are not; each is
reported with file, row and what to do. 2: there is nothing to check.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from scripts.lib.cli import StageParser, load_params, run, say
from scripts.tools.examples import NO_EXAMPLE, Fault, Reading, Source, find_files, read_examples
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
    """Checks all rows; returns 1 if any row has an error, else 0."""
    options = ToolsCheckOptions.parse(load_params(args.params))
    tools = load_schema(args.schema)
    reading = read_examples(find_files(args.paths), options.max_row_mb)
    invalid = {example.id: faults_of(example, tools) for example in reading.examples}
    unreadable = [fault for fault in reading.faults if fault.kind != NO_EXAMPLE]
    if args.json:
        for row in json_rows(reading, invalid):
            sys.stdout.write(orjson.dumps(row).decode() + "\n")
    else:
        print_summary(reading)
        print(f"{sum(map(bool, invalid.values())) + len(unreadable)} rows with errors")
    errors = [*unreadable, *(fault for faults in invalid.values() for fault in faults)]
    for fault in errors[: None if args.json else SHOWN]:
        say(f"error: {fault.source.file}, row {fault.source.row}: {fault.kind}: {fault.message}")
    if len(errors) > SHOWN and not args.json:
        say(f"... and {len(errors) - SHOWN} more; --json lists all.")
    return int(bool(errors))


def json_rows(reading: Reading, invalid: dict[str, list[Fault]]) -> list[dict[str, Any]]:
    """One row per example, then one per row that is not an example.

    Args:
        reading: all rows, as read.
        invalid: the schema errors of each example, by its id.
    """
    rows = []
    for example in reading.examples:
        calls = [{"tool": name, "parameters": arguments} for name, arguments in example.calls]
        labels = {"id": example.id, "kind": example.kind, "difficulty": example.difficulty, "calls": calls}
        rows.append(_json_row(example.source, labels, invalid[example.id]))
    return rows + [_json_row(fault.source, {}, [fault]) for fault in reading.faults]


def _json_row(source: Source, labels: dict[str, Any], faults: Sequence[Fault]) -> dict[str, Any]:
    problems = [{"kind": fault.kind, "message": fault.message} for fault in faults]
    return {"file": source.file, "row": source.row, **labels, "problems": problems}


def print_summary(reading: Reading) -> None:
    """Prints counts by tool and by kind, and the files that are not examples."""
    calls = Counter(name for example in reading.examples for name, _ in example.calls)
    for name, count in sorted(calls.items()):
        print(f"{name:<32} {count:>6} calls")
    kinds = Counter(example.kind for example in reading.examples)
    print(f"{len(reading.examples)} examples: {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}")
    others = [fault.source.file for fault in reading.faults if fault.kind == NO_EXAMPLE]
    if others:
        print(f"{len(others)} rows are no examples: {', '.join(others[:SHOWN])}{' ...' if len(others) > SHOWN else ''}")


if __name__ == "__main__":
    run(parser, main)
