"""The figures of curated tool-call examples in stats.json: counts in and out with reasons, splits, leakage, balance."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.lib.curation import thinned_out
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
    """What the figures are computed from.

    Attributes:
        valid: examples that keep the schema, repeats included, and why the others stayed out.
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
    pool, faults = facts.pool, facts.valid.faults
    calls = {side: Counter(name for record in facts.records[side] for name in called(record)) for side in SPLITS}
    # How many templates phrased the run's records; the masked text stands for the template where none is named.
    templates = Counter(example.template or pool.masked[name] for name, example in facts.chosen.items())
    groups = Counter(facts.groups.values())
    largest, count = (templates.most_common(1) or [(None, 0)])[0]
    return {
        "rows_in": len(facts.valid.examples) + len(faults),
        "valid": len(facts.valid.examples),
        "distinct": len(pool.examples),
        "duplicates": len(pool.duplicates),
        "near_duplicates": len(pool.near_duplicates),
        "dropped": dict(sorted(Counter(fault.kind for fault in faults).items())),
        "not_examples": [fault.source.file for fault in faults if fault.kind == NO_EXAMPLE][:100],
        "of_other_specialists": len(pool.examples) - len(facts.chosen),
        "thinned_out": thinned_out({name: facts.sides[name] for name in facts.chosen}, facts.records),
        "records": {side: len(facts.records[side]) for side in SPLITS},
        "calls": {side: calls[side].total() for side in SPLITS},
        "by_tool": {name: {side: calls[side][name] for side in SPLITS} for name in facts.shown},
        "by_difficulty": by_label(facts, "difficulty"),
        "by_kind": by_label(facts, "kind"),
        "templates": {
            "number": len(templates),
            "largest_share": round(count / max(1, len(facts.chosen)), 4),
            "largest": largest,
        },
        "groups": {"number": len(groups), "largest_share": round(max(groups.values()) / len(facts.groups), 4)},
        "leakage": {**leakage, **naive_split(facts, options), "threshold": options.near_threshold},
        "split": {"seed": options.seed, "val_share": options.val_share, "test_share": options.test_share},
        "tools_shown": list(facts.shown),
    }


def called(record: Record) -> list[str]:
    """The tools of all calls that a record expects."""
    return [name for entry in record.expect for name, _ in entry["calls"]]


def by_label(facts: Facts, label: str) -> dict[str, dict[str, int]]:
    """Records by a label of their ``meta`` and by split."""
    counts = Counter((str(record.meta[label]), side) for side in SPLITS for record in facts.records[side])
    return {value: {side: counts[value, side] for side in SPLITS} for value in sorted({value for value, _ in counts})}


def naive_split(facts: Facts, options: ToolsCurateOptions) -> dict[str, int]:
    """Of all valid rows, repeats included, how many test rows a plain random split by row would have leaked.

    A test row is leaked whose content is in another split too (exact), whose masked text or a near one is (near), or
    whose group is: the same template in other words (group).
    """
    tested, trained = [], []
    for row in facts.valid.examples:
        out = draw(options.seed, row.example.id) < options.test_share
        (tested if out else trained).append(row)
    contents = {row.content for row in trained}
    texts = {row.masked for row in trained}
    groups = {facts.groups[row.example.id] for row in trained if row.example.id in facts.groups}
    near: dict[str, set[str]] = defaultdict(set)
    for pair in facts.pairs:
        near[pair.first].add(pair.second)
        near[pair.second].add(pair.first)
    return {
        "naive_split_exact": sum(row.content in contents for row in tested),
        "naive_split_near": sum(not texts.isdisjoint({row.masked, *near.get(row.masked, ())}) for row in tested),
        "naive_split_group": sum(facts.groups.get(row.example.id) in groups for row in tested),
        "naive_split_rows": len(tested),
    }
