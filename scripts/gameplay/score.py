"""Scores predictions of gameplay: the first action, every slot, every key, and whether the goal is reached.

Works on any predictions files. An answer that cannot be read fails: no slot of it is right, and it presses no key,
which is not the same as seven times ``none``. Beside metrics.json stands failures.jsonl.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.gameplay import baselines
from scripts.gameplay.answer import SLOTS, Actions, AnswerError, from_text, is_idle
from scripts.gameplay.cases import Case, cases_of
from scripts.gameplay.keys import KEYS
from scripts.lib.cli import StageParser, load_params, run
from scripts.lib.files import write_json, write_jsonl
from scripts.lib.metrics import Bootstrap, estimate_of, ratio_estimate, shown_estimate
from scripts.lib.options.predict import ScoreOptions
from scripts.lib.records import read_records
from scripts.lib.scoring import (
    NOT_TO_BE_QUOTED,
    Parts,
    add_arguments,
    overflow,
    paired,
    perplexity,
    predicted_cases,
    read_all_predictions,
    read_stats,
    speed,
)
from scripts.lib.tables import aligned

SHUFFLED, MISLED = "shuffled", "misled"  # another frame, another goal
Counts = dict[str, np.ndarray]
# metric: counts above and below the line
RATIOS = {
    "first_action": ("first", "one"),
    "slot_accuracy": ("slots", "all_slots"),
    "idle_precision": ("idle_hits", "idle_given"),
    "idle_recall": ("idle_hits", "idle_due"),
    "valid_json": ("valid", "one"),
}
METRICS = ("first_action", "slot_accuracy", "key_f1", "idle_precision", "idle_recall", "valid_json")
PAIRED_METRIC = "slot_accuracy"


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--records", type=Path, required=True, help="test.jsonl")
    add_arguments(stage)
    return stage


def main(args: argparse.Namespace) -> None:
    """Scores every predictions file and the baselines, writes metrics.json and failures.jsonl, prints the table."""
    options = ScoreOptions.parse(load_params(args.params))
    bootstrap = Bootstrap(options.resamples, options.confidence, options.seed)
    predictions = read_all_predictions(args.predictions)
    cases = predicted_cases(cases_of(read_records(args.records)), predictions, args.records)
    if len({case.record.messages[case.answer - 1].text for case in cases}) == 1:
        predictions.pop(MISLED, None)  # there was no other goal to tell
    read = {name: [read_answer(rows[case.key]["completion"]) for case in cases] for name, rows in predictions.items()}
    stats = {path.stem: read_stats(path) for path in args.predictions}
    trivial = baselines.answers(cases_of(read_records(args.train)), cases)
    metrics = {"system": "gameplay", "run": args.run, "scope": args.scope}
    metrics |= measure(cases, {name: [said for said, _ in rows] for name, rows in read.items()} | trivial, bootstrap)
    for name, row in metrics["variants"].items():
        row["perplexity"] = perplexity(stats[name])
    metrics["overflow"] = overflow(predictions)
    metrics["speed"] = {name: speed(stats[name]) for name in metrics["variants"]}
    write_jsonl(args.out.parent / "failures.jsonl", failures(cases, predictions, read))
    write_json(args.out, metrics)
    print(report(metrics))


def read_answer(completion: str) -> tuple[Actions | None, str]:
    """The actions of an answer, and why there are none."""
    try:
        return from_text(completion), ""
    except AnswerError as error:
        return None, str(error)


def measure(
    cases: Sequence[Case], said: Mapping[str, Sequence[Actions | None]], bootstrap: Bootstrap
) -> dict[str, Any]:
    """Scores of variants and baselines; other pictures and other goals stand among the baselines."""
    counts = {name: counted(cases, rows) for name, rows in said.items()}
    groups = [case.group for case in cases]
    scores = {name: estimates(row, groups, bootstrap) for name, row in counts.items()}
    trivial = {SHUFFLED, MISLED, "majority", "repeat_last"}
    variants = [name for name in said if name not in trivial]
    return {
        "cases": len(cases),
        "groups": len(set(groups)),
        "confidence": bootstrap.confidence,
        "variants": {name: scores[name] for name in variants},
        "baselines": {name: scores[name] for name in scores if name in trivial},
        "paired": paired(variants, PAIRED_METRIC, lambda name: parts(counts[name], PAIRED_METRIC), groups, bootstrap),
        "higher_is_better": dict.fromkeys(METRICS, True) | {"perplexity": False},
    }


def counted(cases: Sequence[Case], said: Sequence[Actions | None]) -> Counts:
    """Counts of every case, each [cases]."""
    rows = [count(case.due, actions) for case, actions in zip(cases, said, strict=True)]
    return {name: np.array([row[name] for row in rows], np.float64) for name in rows[0]}


def count(due: Actions, said: Actions | None) -> dict[str, float]:
    """The counts of one answer; those of a key are slots."""
    given = said or ()
    right = [a == b for a, b in zip(due, given, strict=False)]
    row = {
        "one": 1.0,
        "valid": float(said is not None),
        "first": float(bool(right) and right[0]),
        "slots": float(sum(right)),
        "all_slots": float(SLOTS),
        "idle_given": float(said is not None and is_idle(said)),
        "idle_due": float(is_idle(due)),
    }
    row["idle_hits"] = row["idle_given"] * row["idle_due"]
    for key in KEYS:
        row |= {
            f"hits:{key}": float(sum(key in a and key in b for a, b in zip(due, given, strict=False))),
            f"given:{key}": float(sum(key in keys for keys in given)),
            f"due:{key}": float(sum(key in keys for keys in due)),
        }
    return row


def parts(counts: Counts, metric: str) -> Parts:
    """A ratio's numerator and denominator, each [cases]."""
    above, below = RATIOS[metric]
    return counts[above], counts[below]


def estimates(counts: Counts, groups: Sequence[str], bootstrap: Bootstrap) -> dict[str, dict[str, Any]]:
    """Every metric with its interval; ``n`` is cases."""
    found = {name: ratio_estimate(*parts(counts, name), groups, bootstrap, n=len(groups)) for name in RATIOS}
    sums = [counts[f"{kind}:{key}"] for kind in ("hits", "given", "due") for key in KEYS]
    found["key_f1"] = estimate_of(sums, macro_f1, groups, bootstrap)
    return {name: found[name].to_json() for name in METRICS}


def macro_f1(totals: np.ndarray) -> np.ndarray:
    """The mean F1 of the keys in use, [draws], from their hits, given and due slots, [3 · keys, draws].

    A key that is neither given nor due counts nowhere; where that is so of all, there is no mean (NaN).
    """
    hits, given, due = totals.reshape(3, len(KEYS), -1)
    used = given + due > 0
    each = np.divide(2 * hits, given + due, out=np.zeros_like(hits, np.float64), where=used)
    count = used.sum(axis=0)
    return np.where(count > 0, each.sum(axis=0) / np.maximum(count, 1), np.nan)


def failures(
    cases: Sequence[Case],
    predictions: Mapping[str, Mapping[Any, Any]],
    read: Mapping[str, Sequence[tuple[Actions | None, str]]],
) -> list[dict[str, Any]]:
    """Every answer that could not be read, and why."""
    return [
        {
            "variant": name,
            "id": case.record.id,
            "answer": case.answer,
            "why": why,
            "completion": predictions[name][case.key]["completion"],
        }
        for name, rows in read.items()
        for case, (said, why) in zip(cases, rows, strict=True)
        if said is None
    ]


def report(metrics: dict[str, Any]) -> str:
    """The table for a terminal: variants, then baselines in round brackets."""
    rows = [["", "first action", "slots", "keys F1", "goal reached P", "R", "valid"]]
    rows += [_table_row(name, row) for name, row in metrics["variants"].items()]
    rows += [_table_row(f"({name})", row) for name, row in metrics["baselines"].items()]
    said = [f"{metrics['cases']} frames of {metrics['groups']} recordings; intervals {metrics['confidence']:.0%}."]
    said += [aligned(rows)]
    said += [
        f"{row['variant']} minus {row['against']}, {row['metric']}: {shown_estimate(row)}" for row in metrics["paired"]
    ]
    return "\n".join(said + ([NOT_TO_BE_QUOTED] if metrics["scope"] == "road" else []))


def _table_row(name: str, row: dict[str, Any]) -> list[str]:
    return [name, *(shown_estimate(row[metric], 2) for metric in METRICS)]


if __name__ == "__main__":
    run(parser, main)
