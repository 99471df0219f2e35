"""Scores predictions of dnd answers: the right tool, the right arguments, the right form, and none where none is due.

Works on any predictions files, whatever wrote them. Beside metrics.json it writes failures.jsonl: each answer whose
calls are not those that were due, with what led to it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.dnd import baselines
from scripts.dnd.canonical import Canonical
from scripts.dnd.matching import Turn, answered_calls, comparable, count, expected_calls, turns_of
from scripts.dnd.registry import Registry, load_registry
from scripts.dnd.system import SYSTEM
from scripts.lib import scoring
from scripts.lib.cli import StageParser, load_params, run
from scripts.lib.metrics import f1_of, ratio_of
from scripts.lib.options.predict import ScoreOptions
from scripts.lib.records import read_records

Answer = tuple[list[Canonical], int]  # the calls of a turn, and how many more are broken
FORMULAS = {
    "call_precision": ratio_of("hits", "written", "written"),
    "call_recall": ratio_of("hits", "due", "due"),
    "call_f1": f1_of("hits", "written", "due", "turns"),
    "tool_precision": ratio_of("tool_hits", "written", "written"),
    "tool_recall": ratio_of("tool_hits", "due", "due"),
    "tool_f1": f1_of("tool_hits", "written", "due", "turns"),
    "well_formed": ratio_of("well_formed", "brackets", "brackets"),
    "false_call_rate": ratio_of("false_calls", "idle", "idle"),
    "stranger_rate": ratio_of("strangers", "addressed", "addressed"),
}
COLUMNS = {
    "call_f1": "call F1",
    "tool_f1": "tool F1",
    "call_precision": "call P",
    "call_recall": "call R",
    "well_formed": "well formed",
    "false_call_rate": "false calls",
    "stranger_rate": "strangers",
    "perplexity": "perplexity",
    "tokens_per_second": "tokens/s",
    "peak_memory_bytes": "peak MB",
}
PROMPT_TAIL = 600  # characters


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    scoring.add_prediction_arguments(stage)
    stage.add_argument("--registry", type=Path, help="registry.json; the six tools of the format if not given")
    return stage


def main(args: argparse.Namespace) -> None:
    """Scores every predictions file and the baselines, writes metrics.json and failures.jsonl, prints the table."""
    options = ScoreOptions.parse(load_params(args.params))
    registry = load_registry(args.registry)
    predictions = scoring.read_all_predictions(args.predictions)
    turns = scoring.predicted_cases(turns_of(read_records(args.records)), predictions, args.records)
    answers: dict[str, list[Answer]] = {
        name: [answered_calls(rows[turn.key]["completion"], turn, registry) for turn in turns]
        for name, rows in predictions.items()
    }
    trivial = baselines.answers(turns_of(read_records(args.train)), turns, registry)
    every = answers | {name: [(calls, 0) for calls in rows] for name, rows in trivial.items()}
    counts = {
        name: scoring.tabulate(count(*answer, turn, registry) for answer, turn in zip(rows, turns, strict=True))
        for name, rows in every.items()
    }
    metric = scoring.checked_metric(FORMULAS, args.gate_metric, "call_f1")
    groups = [turn.group for turn in turns]
    scores = scoring.Scores(SYSTEM, counts, FORMULAS, groups, scoring.bootstrap_of(options), metric)
    metrics = scoring.labels(args, SYSTEM) | scores.measure(scores.language_pairs())
    metrics["calls_due"] = int(counts["none"]["due"].sum())
    metrics["turns_without_call"] = int(counts["none"]["idle"].sum())
    scoring.add_predict_stats(metrics, predictions, args.predictions)
    faults = {name: [fault(*pair, registry) for pair in zip(turns, answers[name], strict=True)] for name in answers}
    scoring.write_scores(args, metrics, scoring.failure_rows(predictions, turns, faults), report(metrics))


def fault(turn: Turn, answer: Answer, registry: Registry) -> dict[str, Any] | None:
    """What is wrong with an answer whose calls are not exactly those due, or are broken; None where nothing is."""
    (calls, broken), due = answer, expected_calls(turn, registry)
    given, wanted = (sorted(comparable(call.name, call.args) for call in side) for side in (calls, due))
    if given == wanted and not broken:
        return None
    return {
        "prompt_tail": turn.said[-PROMPT_TAIL:],
        "expected": [call.text for call in due],
        "answered": [call.text for call in calls],
        "broken": broken,
    }


def report(metrics: dict[str, Any]) -> Sequence[str]:
    """The lines for a terminal."""
    return [
        f"{metrics['cases']} turns of {metrics['groups']} scenarios: {metrics['calls_due']} calls due, "
        f"{metrics['turns_without_call']} turns without one; intervals {metrics['confidence']:.0%}.",
        scoring.score_table(metrics, COLUMNS, ("call_f1", "tool_f1")),
        *scoring.difference_lines(metrics),
        *scoring.overflow_lines(metrics),
    ]


if __name__ == "__main__":
    run(parser, main)
