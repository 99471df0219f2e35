"""Tool-call examples to train, val and test of one specialist: valid, without repeats, without leakage.

All examples are read, validated and split together, so that no specialist trains on an example that another is tested
on. Then those of the specialist are written: calls of its tools, and requests that it has to decline or ask back.
Without ``--focus`` all examples are written, with every tool.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scripts.lib.cli import StageParser, UserError, load_params, run
from scripts.lib.curation import keys_by_split, quarantined, write_curated
from scripts.lib.files import write_jsonl, write_text
from scripts.lib.leakage import Pair
from scripts.lib.process import uncollected
from scripts.lib.records import Record, text_message
from scripts.lib.split import SPLITS
from scripts.lib.workers import Workers
from scripts.tools.coverage import coverage_page
from scripts.tools.examples import Example, find_files
from scripts.tools.options import ToolsCheckOptions, ToolsCurateOptions
from scripts.tools.pool import Pool, group, make_pool, prove, split
from scripts.tools.schema import Tool, load_schema
from scripts.tools.statistics import Facts, collect
from scripts.tools.valid import Valid, read_valid

MANY = 4 << 20  # bytes of examples; with more, helper processes are worth their start


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("--schema", type=Path, required=True, help="the tool schema")
    result.add_argument("--examples", nargs="+", type=Path, required=True, help="example files, or folders of them")
    result.add_argument("--out", type=Path, required=True, help="folder for the splits, stats.json, coverage.md")
    result.add_argument("--run", default="", help="the specialist's name, as examples say it")
    result.add_argument("--focus", nargs="*", default=[], help="its tools; every tool where none is named")
    result.add_argument("--owned", nargs="*", default=[], help="tools of all specialists, each tool of the schema once")
    result.add_argument("--system-prompt", default="", help="the specialist's prompt, in front of every record")
    result.add_argument("--check", default="{}", help="options for reading examples as JSON, or @file.json")
    return result


def main(args: argparse.Namespace) -> None:
    """Reads, validates, splits, checks the split, and writes the specialist's part."""
    options = ToolsCurateOptions.parse(load_params(args.params))
    check = ToolsCheckOptions.parse(load_params(args.check), "--check")
    tools = load_schema(args.schema)
    shown = focus_tools(tools, args.focus, args.owned, args.schema)
    with uncollected():
        divided = divide(find_files(args.examples), tools, options, check)
    pool = divided.pool
    chosen = {name: example for name, example in pool.examples.items() if concerns(example, args.run, shown)}
    sides = {name: divided.sides[name] for name in chosen}
    definitions = [tool.definition() for tool in shown.values()]
    records = {
        side: [make_record(chosen[name], divided.groups[name], definitions, args.system_prompt) for name in names]
        for side, names in keys_by_split(sides, options.max_per_split).items()
    }
    for side in SPLITS:
        if not records[side]:
            whose = args.run or "any tool"
            raise UserError(f"{args.out}: no example of {whose} fell into {side}; add examples of its tools.")
    facts = Facts(divided.valid, pool, divided.pairs, divided.groups, divided.sides, chosen, records, shown)
    stats = collect(facts, options, divided.leakage)
    faults = [*divided.valid.faults, *pool.duplicates, *pool.near_duplicates]
    for side in SPLITS:
        write_jsonl(args.out / f"{side}.openai.jsonl", map(openai_row, records[side]))
    write_text(args.out / "coverage.md", coverage_page(records, shown))
    aside = [quarantined(*fault.source, fault.kind, fault.message) for fault in faults]
    summary = f"{stats['rows_in']} rows in, {stats['distinct']} distinct"
    write_curated(args.out, records, aside, stats, summary)


class Divided(NamedTuple):
    """All examples of a build, those set aside, and the checked splits; the fields are those of `Facts`."""

    valid: Valid
    pool: Pool
    pairs: list[Pair]
    groups: dict[str, str]
    sides: dict[str, str]
    leakage: dict[str, int]


def divide(
    files: Sequence[Path], tools: Mapping[str, Tool], options: ToolsCurateOptions, check: ToolsCheckOptions
) -> Divided:
    """From the files to checked splits.

    Raises:
        UserError: too many bad rows, too few groups, or a pair that lies across splits.
    """
    with Workers(sum(file.stat().st_size for file in files) > MANY) as workers:
        valid = read_valid(files, tools, check.max_row_mb, check.max_bad_share, workers)
        pool, pairs = make_pool(valid.examples, options, workers)
        groups = group(pool, pairs)
        sides = split(pool, groups, options)
        leakage = prove(pool, sides, options.near_threshold, workers)
    return Divided(valid, pool, pairs, groups, sides, leakage)


def focus_tools(tools: Mapping[str, Tool], focus: Sequence[str], owned: Sequence[str], schema: Path) -> dict[str, Tool]:
    """The tools that the specialist's prompts show, in the schema's order.

    Raises:
        UserError: a tool that the schema does not define, or one of the schema's that no specialist owns.
    """
    for name in [*focus, *owned]:
        if name not in tools:
            raise UserError(f"focus: no tool {name!r} in {schema}; known: {', '.join(tools)}.")
    orphans = [name for name in tools if owned and name not in owned]
    if orphans:
        raise UserError(f"{schema}: no specialist owns {', '.join(orphans)}; add each to the `focus` of a run.")
    return {name: tool for name, tool in tools.items() if not focus or name in focus}


def concerns(example: Example, name: str, shown: Mapping[str, Tool]) -> bool:
    """Whether an example trains a specialist: it owns all the tools called, or it has to decline or ask back."""
    if example.calls:
        return all(tool in shown for tool, _ in example.calls)
    return not name or example.owner in (None, name)


def make_record(example: Example, group_name: str, definitions: list[dict[str, Any]], prompt: str) -> Record:
    """The example in the one record shape.

    ``expect`` holds for each answer its calls and its kind: ``calls``, ``decline``, ``ask``, or ``report`` after calls.
    """
    messages = [text_message("system", prompt)] if prompt else []
    expect = []
    for step in example.steps:
        # Arguments stay objects, so that a chat template encodes them once.
        calls = [{"type": "function", "function": {"name": name, "arguments": given}} for name, given in step.calls]
        message = text_message(step.role, step.text)
        messages.append(message.model_copy(update={"tool_calls": calls or None}))
        if step.role == "assistant":
            kind = "calls" if step.calls else "report" if example.calls else example.kind
            expect.append({"calls": [list(call) for call in step.calls], "kind": kind})
    return Record(
        id=example.id,
        group=group_name,
        messages=messages,
        tools=definitions,
        expect=expect,
        meta={
            "file": example.source.file,
            "row": example.source.row,
            "kind": example.kind,
            "difficulty": example.difficulty,
            "template": example.template,
        },
    )


def openai_row(record: Record) -> dict[str, Any]:
    """The record in OpenAI's function-calling form: arguments as JSON strings, results tied to calls by id."""
    messages, waiting = [], []
    for at, message in enumerate(record.messages):
        row: dict[str, Any] = {"role": message.role, "content": message.text}
        if message.tool_calls:
            calls = [call["function"] for call in message.tool_calls]
            waiting = [f"call_{at}_{number}" for number in range(len(calls))]
            row["tool_calls"] = [
                {
                    "id": name,
                    "type": "function",
                    "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
                }
                for name, call in zip(waiting, calls, strict=True)
            ]
        elif message.role == "tool":
            row["tool_call_id"] = waiting.pop(0) if waiting else "call"
        messages.append(row)
    return {"messages": messages, "tools": record.tools, "metadata": {"id": record.id, **record.meta}}


if __name__ == "__main__":
    run(parser, main)
