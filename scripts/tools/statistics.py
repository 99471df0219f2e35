"""What stats.json says of curated tool-call examples: counts in and out with reasons, splits, leakage, balance."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.lib.leakage import Pair
from scripts.lib.records import Record
from scripts.lib.split import SPLITS, draw
from scripts.tools.examples import NO_EXAMPLE, Example
from scripts.tools.options import ToolsCurateOptions
from scripts.tools.pool import Pool
from scripts.tools.schema import Tool
from scripts.tools.valid import Valid


@dataclass(frozen=True)
class Facts:
    """What the figures are made of.

    Attributes:
        valid: examples that keep the schema, before repeats fell, and why the others stayed out.
        pairs: near pairs of masked texts.
        sides, groups: split and group of each example of the pool.
        chosen: the examples of the pool that concern the run.
        records: the run's records by split.
        shown: the tools that its prompts show.
    """

    valid: Valid
    pool: Pool
    pairs: Sequence[Pair]
    groups: Mapping[str, str]
    sides: Mapping[str, str]
    chosen: Mapping[str, Example]
    records: Mapping[str, Sequence[Record]]
    shown: Mapping[str, Tool]


def collect(facts: Facts, options: ToolsCurateOptions, leakage: Mapping[str, int]) -> dict[str, Any]:
    """All figures, as stats.json holds them."""
    return {
        **rows_in_and_out(facts),
        "records": {side: len(facts.records[side]) for side in SPLITS},
        "calls": {side: sum(len(calls_of(record)) for record in facts.records[side]) for side in SPLITS},
        "by_tool": by_tool(facts),
        "by_difficulty": by_label(facts, "difficulty"),
        "by_kind": by_label(facts, "kind"),
        "templates": templates(facts),
        "groups": groups(facts),
        "leakage": {**leakage, **naive_split(facts, options), "threshold": options.near_threshold},
        "split": {"seed": options.seed, "val_share": options.val_share, "test_share": options.test_share},
        "tools_shown": list(facts.shown),
    }


def rows_in_and_out(facts: Facts) -> dict[str, Any]:
    """Rows read, distinct ones, repeats, and what stayed out by reason."""
    reasons = Counter(fault.kind for fault in facts.valid.faults)
    others = [fault.source.file for fault in facts.valid.faults if fault.kind == NO_EXAMPLE]
    return {
        "rows_in": facts.valid.rows_in,
        "valid": len(facts.valid.examples),
        "distinct": len(facts.pool.examples),
        "duplicates": len(facts.pool.duplicates),
        "near_duplicates": len(facts.pool.near_duplicates),
        "dropped": dict(sorted(reasons.items())),
        "not_examples": others[:100],
        "of_other_specialists": len(facts.pool.examples) - len(facts.chosen),
    }


def calls_of(record: Record) -> list[list[Any]]:
    """All calls that a record expects, [name, arguments] each."""
    return [call for entry in record.expect for call in entry["calls"]]


def by_tool(facts: Facts) -> dict[str, dict[str, int]]:
    """Expected calls a tool and split, every shown tool among them."""
    counts = {side: Counter(call[0] for record in facts.records[side] for call in calls_of(record)) for side in SPLITS}
    return {name: {side: counts[side][name] for side in SPLITS} for name in facts.shown}


def by_label(facts: Facts, label: str) -> dict[str, dict[str, int]]:
    """Records by a label of theirs and by split."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for side in SPLITS:
        for record in facts.records[side]:
            found[str(record.meta[label])][side] += 1
    return {value: {side: found[value][side] for side in SPLITS} for value in sorted(found)}


def templates(facts: Facts) -> dict[str, Any]:
    """How many templates phrased the run's records, and the largest one's share; masked text where none is said."""
    counts = Counter(one.template or facts.pool.masked[name] for name, one in facts.chosen.items())
    largest = counts.most_common(1)
    share = largest[0][1] / len(facts.chosen) if largest else 0.0
    return {"number": len(counts), "largest_share": round(share, 4), "largest": largest[0][0] if largest else None}


def groups(facts: Facts) -> dict[str, Any]:
    """How many groups the pool falls into, and the largest one's share of it."""
    counts = Counter(facts.groups.values())
    return {"number": len(counts), "largest_share": round(max(counts.values()) / len(facts.groups), 4)}


def naive_split(facts: Facts, options: ToolsCurateOptions) -> dict[str, int]:
    """Of all valid rows, repeats included, how many test rows a plain random split by row would have leaked.

    Leaked is a test row whose content stands in another split too (exact), whose masked text or a near one does
    (near), or whose group does: the same template in other words (group).
    """
    tested, trained = [], []
    for row in facts.valid.examples:
        out = draw(options.seed, row.example.id) < options.test_share
        (tested if out else trained).append(row)
    contents = {row.content for row in trained}
    texts = {row.masked for row in trained}
    groups = {facts.groups[row.example.id] for row in trained if row.example.id in facts.groups}
    near = neighbours(facts.pairs)
    return {
        "naive_split_exact": sum(row.content in contents for row in tested),
        "naive_split_near": sum(not texts.isdisjoint({row.masked, *near.get(row.masked, ())}) for row in tested),
        "naive_split_group": sum(facts.groups.get(row.example.id) in groups for row in tested),
        "naive_split_rows": len(tested),
    }


def neighbours(pairs: Iterable[Pair]) -> dict[str, set[str]]:
    """The near texts of each text."""
    found: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        found[pair.first].add(pair.second)
        found[pair.second].add(pair.first)
    return found
