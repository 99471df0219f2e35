"""Scores predictions of gameplay: the first action, every slot, every key, and whether the goal is reached.

Works on any predictions files. An answer that cannot be read fails: no slot of it is right, and it presses no key,
which is not the same as seven times ``none``. Beside metrics.json stands failures.jsonl.
"""

from __future__ import annotations

import argparse

import numpy as np

from scripts.gameplay import baselines
from scripts.gameplay.answer import SLOTS, Actions, AnswerError, from_text, is_idle
from scripts.gameplay.cases import cases_of
from scripts.gameplay.keys import KEYS
from scripts.gameplay.system import SYSTEM
from scripts.lib import scoring
from scripts.lib.cli import StageParser, load_params, run
from scripts.lib.metrics import Formula, divide, ratio_of
from scripts.lib.options.predict import ScoreOptions
from scripts.lib.records import read_records

SWAPPED = "misled"
COLUMNS = {
    "first_action": "first action",
    "slot_accuracy": "slots",
    "key_f1": "keys F1",
    "idle_precision": "goal reached P",
    "idle_recall": "R",
    "valid_json": "valid",
}


def macro_f1(totals: np.ndarray) -> np.ndarray:
    """The mean F1 of the keys in use, [draws], from their hits, given and due slots, [3 · keys, draws].

    A key that is neither given nor due counts nowhere; where that is so of all, there is no mean (NaN).
    """
    hits, given, due = totals.reshape(3, len(KEYS), -1)
    used = given + due > 0
    each = np.divide(2 * hits, given + due, out=np.zeros_like(hits, np.float64), where=used)
    return divide(each.sum(axis=0), used.sum(axis=0).astype(np.float64))


FORMULAS = {
    "first_action": ratio_of("first", "cases"),
    "slot_accuracy": ratio_of("slots", "all_slots"),
    "key_f1": Formula(tuple(f"{kind}:{key}" for kind in ("hits", "given", "due") for key in KEYS), macro_f1),
    "idle_precision": ratio_of("idle_hits", "idle_given"),
    "idle_recall": ratio_of("idle_hits", "idle_due"),
    "valid_json": ratio_of("valid", "cases"),
}


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    scoring.add_prediction_arguments(stage)
    return stage


def main(args: argparse.Namespace) -> None:
    """Scores every predictions file and the baselines, writes metrics.json and failures.jsonl, prints the table."""
    options = ScoreOptions.parse(load_params(args.params))
    predictions = scoring.read_all_predictions(args.predictions)
    cases = scoring.predicted_cases(cases_of(read_records(args.records)), predictions, args.records)
    not_applicable = {}
    if len({case.record.messages[case.answer - 1].text for case in cases}) == 1:
        predictions.pop(SWAPPED, None)
        not_applicable[SWAPPED] = "the test cases have one goal, so that there is no other one to give"
    answers = {
        name: [read_answer(rows[case.key]["completion"]) for case in cases] for name, rows in predictions.items()
    }
    every: dict[str, list[Actions | None]] = {name: [actions for actions, _ in rows] for name, rows in answers.items()}
    every |= baselines.answers(cases_of(read_records(args.train)), cases)
    counts = {
        name: scoring.tabulate(count(case.due, actions) for case, actions in zip(cases, rows, strict=True))
        for name, rows in every.items()
    }
    metric = scoring.checked_metric(FORMULAS, args.gate_metric, "slot_accuracy")
    groups = [case.group for case in cases]
    bootstrap = scoring.bootstrap_of(options)
    scores = scoring.Scores(SYSTEM, counts, FORMULAS, groups, bootstrap, metric, not_applicable)
    metrics = scoring.labels(args, SYSTEM) | scores.measure(scores.language_pairs())
    scoring.add_predict_stats(metrics, predictions, args.predictions)
    faults = {
        name: [None if actions is not None else {"why": why} for actions, why in rows] for name, rows in answers.items()
    }
    report = [
        f"{metrics['cases']} frames of {metrics['groups']} recordings; intervals {metrics['confidence']:.0%}.",
        scoring.score_table(metrics, COLUMNS, tuple(COLUMNS)),
        *scoring.difference_lines(metrics),
    ]
    scoring.write_scores(args, metrics, scoring.failure_rows(predictions, cases, faults), report)


def read_answer(completion: str) -> tuple[Actions | None, str]:
    """The actions of an answer, and why there are none."""
    try:
        return from_text(completion), ""
    except AnswerError as error:
        return None, str(error)


def count(due: Actions, actions: Actions | None) -> dict[str, float]:
    """The counts of one answer; those of a key are slots."""
    given = actions or ()
    right = [a == b for a, b in zip(due, given, strict=False)]
    row = {
        "cases": 1.0,
        "valid": float(actions is not None),
        "first": float(bool(right) and right[0]),
        "slots": float(sum(right)),
        "all_slots": float(SLOTS),
        "idle_given": float(actions is not None and is_idle(actions)),
        "idle_due": float(is_idle(due)),
    }
    row["idle_hits"] = row["idle_given"] * row["idle_due"]
    for key in KEYS:
        row[f"hits:{key}"] = float(sum(key in a and key in b for a, b in zip(due, given, strict=False)))
        row[f"given:{key}"] = float(sum(key in keys for keys in given))
        row[f"due:{key}"] = float(sum(key in keys for keys in due))
    return row


if __name__ == "__main__":
    run(parser, main)
