"""Tool-call examples to train, val and test of one specialist: valid, without repeats, without leakage.

All examples are read, validated and split together, so that no specialist trains on what another is tested on; then
those that concern the specialist are written: its tools' calls, and what it has to decline or ask back. Without
``--focus`` every example is, with every tool.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import write_json, write_jsonl, write_text
from scripts.lib.leakage import Pair
from scripts.lib.process import uncollected
from scripts.lib.records import Message, Part, Record, write_records
from scripts.lib.sampling import spread
from scripts.lib.split import SPLITS
from scripts.lib.workers import Workers
from scripts.tools.coverage import coverage_page
from scripts.tools.examples import Example, Fault, Step, find_files
from scripts.tools.options import ToolsCheckOptions, ToolsCurateOptions
from scripts.tools.pool import Pool, group, make_pool, prove, split
from scripts.tools.schema import Tool, load_schema
from scripts.tools.statistics import Facts, collect
from scripts.tools.valid import Valid, read_valid

MANY = 4 << 20  # bytes of examples from which on helper processes are worth their start


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
    """Reads, validates, splits, proves, and writes the specialist's part."""
    options = ToolsCurateOptions.parse(load_params(args.params))
    check = ToolsCheckOptions.parse(load_params(args.check), "--check")
    tools = load_schema(args.schema)
    shown = focus_tools(tools, args.focus, args.owned, args.schema)
    with uncollected():
        found = divide(find_files(args.examples), tools, options, check)
    pool, groups, sides = found.pool, found.groups, found.sides
    chosen = {name: one for name, one in pool.examples.items() if concerns(one, args.run, shown)}
    records = {side: side_records(chosen, sides, side, groups, shown, args, options) for side in SPLITS}
    facts = Facts(found.valid, pool, found.pairs, groups, sides, chosen, records, shown)
    stats = collect(facts, options, found.leakage)
    aside = [*found.valid.faults, *pool.duplicates, *pool.near_duplicates]
    write(args.out, records, stats, aside, shown)
    counts = ", ".join(f"{side} {len(records[side])}" for side in SPLITS)
    said = f"{stats['rows_in']} rows in, {stats['distinct']} distinct"
    said += f", {len(aside)} set aside (quarantine.jsonl says why)" if aside else ""
    say(f"{args.out}: {said}; {counts}; no leakage")


class Divided(NamedTuple):
    """All examples of a build, what fell, and the proven splits; the fields are those of `Facts`."""

    valid: Valid
    pool: Pool
    pairs: list[Pair]
    groups: dict[str, str]
    sides: dict[str, str]
    leakage: dict[str, int]


def divide(
    files: Sequence[Path], tools: Mapping[str, Tool], options: ToolsCurateOptions, check: ToolsCheckOptions
) -> Divided:
    """From the files to proven splits.

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
    """Whether a specialist learns from an example: it has all the tools called, or must itself decline or ask."""
    if example.calls:
        return all(tool in shown for tool, _ in example.calls)
    return not name or example.owner in (None, name)


def side_records(
    chosen: Mapping[str, Example],
    sides: Mapping[str, str],
    side: str,
    groups: Mapping[str, str],
    shown: Mapping[str, Tool],
    args: argparse.Namespace,
    options: ToolsCurateOptions,
) -> list[Record]:
    """The records of one split, in the order of their ids.

    Raises:
        UserError: there is none.
    """
    names = [name for name in sorted(chosen) if sides[name] == side]
    if not names:
        raise UserError(
            f"{args.out}: no example of {args.run or 'any tool'} fell into {side}; add examples of its tools."
        )
    if side != "train":
        names = spread(names, options.max_per_split)
    definitions = [tool.definition() for tool in shown.values()]
    return [make_record(chosen[name], groups[name], definitions, args.system_prompt) for name in names]


def make_record(example: Example, group_name: str, definitions: list[dict[str, Any]], prompt: str) -> Record:
    """The example in the one record shape; ``expect`` holds each answer's calls, and its kind."""
    system = [Message(role="system", content=[Part(type="text", text=prompt)])] if prompt else []
    answers = [step for step in example.steps if step.role == "assistant"]
    return Record(
        id=example.id,
        group=group_name,
        messages=[*system, *(as_message(step) for step in example.steps)],
        tools=definitions,
        expect=[{"calls": [list(call) for call in step.calls], "kind": kind_of(step, example)} for step in answers],
        meta={
            "file": example.source.file,
            "row": example.source.row,
            "kind": example.kind,
            "difficulty": example.difficulty,
            "template": example.template,
        },
    )


def kind_of(step: Step, example: Example) -> str:
    """What an answer is: ``calls``, ``decline``, ``ask``, or ``report`` after calls."""
    if step.calls:
        return "calls"
    return "report" if example.calls else example.kind


def as_message(step: Step) -> Message:
    """A step as a message; arguments stay objects, so that a template encodes them once."""
    calls = [{"type": "function", "function": {"name": name, "arguments": given}} for name, given in step.calls]
    content = [Part(type="text", text=step.text)]
    return Message(role=step.role, content=content, tool_calls=calls or None)  # type: ignore[arg-type]


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


def write(
    out: Path,
    records: Mapping[str, list[Record]],
    stats: dict[str, Any],
    faults: Sequence[Fault],
    shown: dict[str, Tool],
) -> None:
    """All outputs of the stage."""
    for side in SPLITS:
        write_records(out / f"{side}.jsonl", records[side])
        write_jsonl(out / f"{side}.openai.jsonl", map(openai_row, records[side]))
    write_jsonl(out / "quarantine.jsonl", (fault.to_json() for fault in faults))
    write_text(out / "coverage.md", coverage_page(records, shown))
    write_json(out / "stats.json", stats)


if __name__ == "__main__":
    run(parser, main)
