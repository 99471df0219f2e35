"""What stats.json says of curated scenarios: counts in and out with reasons, calls, tokens, leakage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.dnd.canonical import canonical
from scripts.dnd.options import DndCurateOptions
from scripts.dnd.registry import Registry
from scripts.dnd.scenario import Scenario
from scripts.lib.chat import Rendered
from scripts.lib.leakage import near_pairs
from scripts.lib.records import Record
from scripts.lib.split import SPLITS, draw


@dataclass(frozen=True)
class Facts:
    """What the figures are made of; ``sides`` gives the split of each record, ``read`` the number of files."""

    scenarios: Sequence[Scenario]
    records: Mapping[str, Record]
    rendered: Mapping[str, Rendered]
    sides: Mapping[str, str]
    dropped: Sequence[Mapping[str, Any]]
    registry: Registry
    read: int

    def of(self, side: str) -> list[Record]:
        """The records of a split, by id."""
        return [record for key, record in sorted(self.records.items()) if self.sides[key] == side]


def collect(
    facts: Facts, options: DndCurateOptions, leakage: Mapping[str, int], joined: Mapping[str, Any], preamble: str
) -> dict[str, Any]:
    """All figures, as stats.json holds them."""
    return {
        "scenarios": scenarios_in_and_out(facts),
        "records": {side: len(facts.of(side)) for side in SPLITS},
        "categories": categories(facts),
        "turns": turns(facts),
        "calls": calls(facts),
        "tokens": tokens(facts, options.max_tokens),
        "supervised_share": supervised(facts),
        "leakage": {**leakage, **naive_split(facts, options), "threshold": options.near_threshold},
        "near_clusters": {name: list(members) for name, members in sorted(joined.items())},
        "split": {"seed": options.seed, "val_share": options.val_share, "test_share": options.test_share},
        "system_preamble": preamble,
    }


def scenarios_in_and_out(facts: Facts) -> dict[str, Any]:
    """Files in and out, dropped ones by reason, and warnings of those that are used."""
    reasons = Counter(f"{row['reason']} ({row['what']})" for row in facts.dropped)
    warnings = Counter(problem.kind for scenario in facts.scenarios for problem in scenario.problems)
    return {
        "in": facts.read,
        "out": len(facts.scenarios),
        "dropped": dict(sorted(reasons.items())),
        "quarantined": [dict(row) for row in facts.dropped],
        "warnings": dict(sorted(warnings.items())),
    }


def categories(facts: Facts) -> dict[str, dict[str, int]]:
    """Scenarios a category and split."""
    found: dict[str, Counter[str]] = {}
    for scenario in facts.scenarios:
        name = scenario.source.name
        side = next(facts.sides[key] for key, record in facts.records.items() if record.meta["file"] == name)
        found.setdefault(scenario.source.category, Counter())[side] += 1
    return {category: {side: found[category][side] for side in SPLITS} for category in sorted(found)}


def turns(facts: Facts) -> dict[str, Any]:
    """Scored turns a split (an answer each), and those of them where no call is due."""
    expected = {side: [entry for record in facts.of(side) for entry in record.expect] for side in SPLITS}
    return {
        "scored": {side: len(rows) for side, rows in expected.items()},
        "without_call": {side: sum(not row["calls"] for row in rows) for side, rows in expected.items()},
        "too_long": sum(row["reason"] == "too_long" and row["what"] == "turn" for row in facts.dropped),
    }


def calls(facts: Facts) -> dict[str, Any]:
    """Calls of the scored turns a tool and split; how many were rewritten, or do not fill their tool's form."""
    by_tool: dict[str, Counter[str]] = {}
    for side in SPLITS:
        for record in facts.of(side):
            for name, _ in (call for entry in record.expect for call in entry["calls"]):
                by_tool.setdefault(name, Counter())[side] += 1
    rewritten = odd = elsewhere = 0
    for scenario in facts.scenarios:
        for turn, made in zip(scenario.turns, scenario.calls, strict=True):
            forms = [(call, canonical(call, facts.registry, scenario.names)) for call in made]
            rewritten += sum(call.raw != form.text for call, form in forms if turn.role != "system")
            odd += sum(not form.standard for _, form in forms if turn.role == "dm")
            elsewhere += len(made) if turn.role in ("user", "character") else 0
    return {
        "by_tool": {name: {side: by_tool[name][side] for side in SPLITS} for name in sorted(by_tool)},
        "rewritten": rewritten,
        "not_the_full_form": odd,
        "outside_dm_turns": elsewhere,
    }


def tokens(facts: Facts, limit: int) -> dict[str, Any]:
    """Lengths of the rendered records in tokens, against the window; scenarios that had to be split."""
    lengths = sorted(len(rendered.ids) for rendered in facts.rendered.values())
    split = {record.meta["file"] for record in facts.records.values() if "parts" in record.meta}
    return {
        "limit": limit,
        "max": lengths[-1],
        "p50": quantile(lengths, 0.5),
        "p95": quantile(lengths, 0.95),
        "total": sum(lengths),
        "split_scenarios": len(split),
    }


def quantile(ordered: Sequence[int], share: float) -> int:
    """The smallest value that at least ``share`` of the values do not exceed."""
    return ordered[max(0, -(-int(share * 100) * len(ordered) // 100) - 1)]


def supervised(facts: Facts) -> dict[str, float]:
    """The share of tokens that carry loss: over all, and of the record with the least."""
    masks = [rendered.mask for rendered in facts.rendered.values()]
    shares = [sum(mask) / max(1, len(mask)) for mask in masks]
    whole = sum(map(sum, masks)) / max(1, sum(map(len, masks)))
    return {"all": round(whole, 4), "least": round(min(shares), 4)}


def naive_split(facts: Facts, options: DndCurateOptions) -> dict[str, int]:
    """What a plain random split by turn would have leaked.

    A row is an answer with all that was said before it. ``naive_split_near`` counts the held-out rows that have a near
    duplicate among the training rows of their own group, of ``naive_split_rows`` held-out rows in all.
    """
    held_out = leaked = 0
    rows: dict[str, dict[str, str]] = {}
    for key, record in sorted(facts.records.items()):
        for index in record.answers:
            said = [message.text for message in record.messages[: index + 1] if message.role != "system"]
            rows.setdefault(record.group, {})[f"{key}, message {index}"] = "\n".join(said)
    for texts in rows.values():
        out = {key for key in texts if draw(options.seed, key) < options.val_share + options.test_share}
        pairs = near_pairs(texts, options.near_threshold)
        near = {key for pair in pairs for key in pair[:2] if len({pair.first, pair.second} & out) == 1}
        held_out += len(out)
        leaked += len(near & out)
    return {"naive_split_near": leaked, "naive_split_rows": held_out}
