"""The coverage page: which tools and parameters the records exercise, at which difficulty, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scripts.lib.records import Record
from scripts.lib.split import SPLITS
from scripts.tools.schema import Tool

Seen = Counter[tuple[str, str, str]]  # (tool, parameter or "", difficulty)


def coverage_page(records: Mapping[str, Sequence[Record]], tools: Mapping[str, Tool]) -> str:
    """A Markdown page: gaps first, then a table a tool."""
    every = [record for side in SPLITS for record in records[side]]
    seen = count(every)
    levels = sorted({str(record.meta["difficulty"]) for record in every})
    missing = list(gaps(records, tools, seen, levels))
    lines = ["# Coverage", "", f"{len(every)} records, {len(tools)} tools. Numbers are calls.", "", "## Gaps", ""]
    lines += [f"- {gap}" for gap in missing] or ["None."]
    for name, tool in tools.items():
        lines += ["", f"## {name}", "", *table(tool, seen, levels)]
    return "\n".join(lines) + "\n"


def count(records: Sequence[Record]) -> Seen:
    """Calls by tool and difficulty, and how many of them give each parameter."""
    seen: Seen = Counter()
    for record in records:
        level = str(record.meta["difficulty"])
        for name, given in expected(record):
            seen[name, "", level] += 1
            for key in given:
                seen[name, key, level] += 1
    return seen


def expected(record: Record) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and arguments of every expected call."""
    for entry in record.expect:
        yield from map(tuple, entry["calls"])  # type: ignore[misc]


def table(tool: Tool, seen: Seen, levels: Sequence[str]) -> list[str]:
    """Rows for the tool and for each of its parameters, columns by difficulty."""
    rows = [f"| | {' | '.join(levels)} |", f"|---|{'---|' * len(levels)}"]
    for key in ("", *tool.parameters):
        label = f"`{key}`{'' if key in tool.required else ' (optional)'}" if key else "calls"
        rows.append(f"| {label} | {' | '.join(str(seen[tool.name, key, level]) for level in levels)} |")
    return rows


def gaps(
    records: Mapping[str, Sequence[Record]], tools: Mapping[str, Tool], seen: Seen, levels: Sequence[str]
) -> Iterator[str]:
    """What no record shows: a tool in a split, a tool at a difficulty, a parameter, a choice of a parameter."""
    used = {side: {name for record in records[side] for name, _ in expected(record)} for side in SPLITS}
    values: dict[tuple[str, str], set[Any]] = {}
    for record in (record for side in SPLITS for record in records[side]):
        for name, given in expected(record):
            for key, value in given.items():
                if isinstance(value, str | int | float | bool):
                    values.setdefault((name, key), set()).add(value)
    for name, tool in tools.items():
        yield from (f"{name}: never called in {side}" for side in SPLITS if name not in used[side])
        yield from (f"{name}: never called at {level}" for level in levels if not seen[name, "", level])
        for key, rule in tool.parameters.items():
            if not any(seen[name, key, level] for level in levels):
                yield f"{name}: `{key}` is never given"
            else:
                unused = [choice for choice in rule.get("enum", []) if choice not in values.get((name, key), set())]
                yield from (f"{name}: `{key}` is never {choice!r}" for choice in unused)
