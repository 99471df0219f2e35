"""The figures of curated scenarios in stats.json: counts in and out with reasons, calls, tokens, leakage."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.dnd.canonical import canonical
from scripts.dnd.options import DndCurateOptions
from scripts.dnd.registry import Registry
from scripts.dnd.scenario import Scenario
from scripts.lib.chat import Rendered
from scripts.lib.curation import Row, thinned_out
from scripts.lib.leakage import near_pairs
from scripts.lib.records import Record
from scripts.lib.split import SPLITS, draw


@dataclass(frozen=True)
class Facts:
    """What the figures are computed from.

    Attributes:
        scenarios: those that are used.
        records: all of them, by id.
        splits: the records that are written, by split.
        rendered: of the records that are written.
        sides: split of each record by id.
        groups: group of each scenario.
        aside: rows of quarantine.jsonl.
        files: scenario files that were read.
    """

    scenarios: Sequence[Scenario]
    records: Mapping[str, Record]
    splits: Mapping[str, Sequence[Record]]
    rendered: Sequence[Rendered]
    sides: Mapping[str, str]
    groups: Mapping[str, str]
    aside: Sequence[Row]
    registry: Registry
    files: int


def collect(facts: Facts, options: DndCurateOptions, leakage: Mapping[str, int], preamble: str) -> dict[str, Any]:
    """All figures, as stats.json holds them."""
    reasons = Counter(f"{row['reason']} ({row['what']})" for row in facts.aside)
    warnings = Counter(problem.kind for scenario in facts.scenarios for problem in scenario.problems)
    expected = {side: [entry for record in facts.splits[side] for entry in record.expect] for side in SPLITS}
    members: dict[str, list[str]] = defaultdict(list)
    for scenario, group in facts.groups.items():
        members[group].append(scenario)
    masks = [rendered.mask for rendered in facts.rendered]
    supervised = sum(map(sum, masks)) / max(1, sum(map(len, masks)))
    return {
        "scenarios": {
            "in": facts.files,
            "out": len(facts.scenarios),
            "dropped": dict(sorted(reasons.items())),
            "quarantined": list(facts.aside),
            "warnings": dict(sorted(warnings.items())),
        },
        "records": {side: len(facts.splits[side]) for side in SPLITS},
        "thinned_out": thinned_out(facts.sides, facts.splits),
        "categories": categories(facts),
        "turns": {
            "scored": {side: len(rows) for side, rows in expected.items()},
            "without_call": {side: sum(not row["calls"] for row in rows) for side, rows in expected.items()},
            "too_long": sum(row["reason"] == "too_long" and row["what"] == "turn" for row in facts.aside),
        },
        "calls": calls(facts),
        "tokens": tokens(facts, options.max_tokens),
        "supervised_share": {
            "all": round(supervised, 4),
            "least": round(min(sum(mask) / max(1, len(mask)) for mask in masks), 4),
        },
        "leakage": {**leakage, **naive_split(facts, options), "threshold": options.near_threshold},
        "near_clusters": {group: names for group, names in sorted(members.items()) if len(names) > 1},
        "split": {"seed": options.seed, "val_share": options.val_share, "test_share": options.test_share},
        "system_preamble": preamble,
    }


def categories(facts: Facts) -> dict[str, dict[str, int]]:
    """Scenarios by category and split."""
    side_of = {record.meta["file"]: facts.sides[key] for key, record in facts.records.items()}
    counts = Counter((scenario.source.category, side_of[scenario.source.name]) for scenario in facts.scenarios)
    return {name: {side: counts[name, side] for side in SPLITS} for name in sorted({name for name, _ in counts})}


def calls(facts: Facts) -> dict[str, Any]:
    """Calls of the scored turns by tool and split; calls that were rewritten, or do not have their tool's full form."""
    by_tool = Counter(
        (call[0], side)
        for side in SPLITS
        for record in facts.splits[side]
        for entry in record.expect
        for call in entry["calls"]
    )
    rewritten = odd = elsewhere = 0
    for scenario in facts.scenarios:
        for turn, made in zip(scenario.turns, scenario.calls, strict=True):
            forms = [(call, canonical(call, facts.registry, scenario.names)) for call in made]
            rewritten += sum(call.raw != form.text for call, form in forms if turn.role != "system")
            odd += sum(not form.standard for _, form in forms if turn.role == "dm")
            elsewhere += len(made) if turn.role in ("user", "character") else 0
    return {
        "by_tool": {
            name: {side: by_tool[name, side] for side in SPLITS} for name in sorted({tool for tool, _ in by_tool})
        },
        "rewritten": rewritten,
        "not_the_full_form": odd,
        "outside_dm_turns": elsewhere,
    }


def tokens(facts: Facts, limit: int) -> dict[str, Any]:
    """Lengths of the rendered records in tokens, the limit, and the scenarios that had to be split."""
    lengths = sorted(len(rendered.ids) for rendered in facts.rendered)

    def quantile(percent: int) -> int:
        """The smallest length that at least so many percent of the records do not exceed."""
        return lengths[max(0, -(-percent * len(lengths) // 100) - 1)]

    return {
        "limit": limit,
        "max": lengths[-1],
        "p50": quantile(50),
        "p95": quantile(95),
        "total": sum(lengths),
        "split_scenarios": len({record.meta["file"] for record in facts.records.values() if "parts" in record.meta}),
    }


def naive_split(facts: Facts, options: DndCurateOptions) -> dict[str, int]:
    """What a plain random split by turn would have leaked.

    A row is an answer with all messages before it. ``naive_split_near`` counts the held-out rows that have a near
    duplicate among the training rows of their own group, of ``naive_split_rows`` held-out rows in all.
    """
    held_out = leaked = 0
    rows: dict[str, dict[str, str]] = defaultdict(dict)
    for key, record in sorted(facts.records.items()):
        for index in record.answers:
            past = [message.text for message in record.messages[: index + 1] if message.role != "system"]
            rows[record.group][f"{key}, message {index}"] = "\n".join(past)
    for texts in rows.values():
        out = {key for key in texts if draw(options.seed, key) < options.val_share + options.test_share}
        pairs = near_pairs(texts, options.near_threshold)
        near = {key for pair in pairs for key in pair[:2] if len({pair.first, pair.second} & out) == 1}
        held_out += len(out)
        leaked += len(near & out)
    return {"naive_split_near": leaked, "naive_split_rows": held_out}
