"""Scores predictions of dnd answers: the right tool, the right arguments, the right form, and none where none is due.

Works on any predictions files, whatever wrote them. Beside metrics.json it writes failures.jsonl: each answer whose
calls are not those that were due, with what led to it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.dnd import baselines
from scripts.dnd.canonical import Canonical
from scripts.dnd.matching import COUNTS, Turn, answered_calls, comparable, count, expected_calls, turns_of
from scripts.dnd.registry import Registry, load_registry
from scripts.lib.cli import StageParser, load_params, run
from scripts.lib.files import write_json, write_jsonl
from scripts.lib.metrics import Bootstrap, f1_parts, ratio_estimate, shown, shown_estimate
from scripts.lib.options.predict import ScoreOptions
from scripts.lib.records import read_records
from scripts.lib.scoring import (
    NOT_TO_BE_QUOTED,
    Parts,
    Rows,
    overflow,
    paired,
    perplexity,
    predicted_cases,
    read_all_predictions,
    read_stats,
    speed,
)
from scripts.lib.tables import aligned

Counts = dict[str, np.ndarray]
Answers = list[tuple[list[Canonical], int]]  # of each turn: its calls, and how many more are broken
# metric: counts above and below the line, what `n` counts, and whether more is better
RATIOS: dict[str, tuple[str, str, str, bool]] = {
    "call_precision": ("hits", "written", "written", True),
    "call_recall": ("hits", "due", "due", True),
    "call_f1": ("hits", "f1", "turns", True),
    "tool_precision": ("tool_hits", "written", "written", True),
    "tool_recall": ("tool_hits", "due", "due", True),
    "tool_f1": ("tool_hits", "f1", "turns", True),
    "well_formed": ("well_formed", "brackets", "brackets", True),
    "false_call_rate": ("false_calls", "idle", "idle", False),
    "stranger_rate": ("strangers", "addressed", "addressed", False),
}
HIGHER_IS_BETTER = {name: better for name, (_, _, _, better) in RATIOS.items()} | {"perplexity": False}
PAIRED_METRIC = "call_f1"
PROMPT_TAIL = 600  # characters


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--records", type=Path, required=True, help="test.jsonl")
    stage.add_argument("--train", type=Path, required=True, help="train.jsonl, for the baselines")
    stage.add_argument("--registry", type=Path, help="registry.json; the six tools of the format if not given")
    stage.add_argument("--predictions", type=Path, nargs="+", required=True, help="<variant>.jsonl files")
    stage.add_argument("--out", type=Path, required=True, help="metrics.json")
    stage.add_argument("--system", default="dnd", help="a label")
    stage.add_argument("--run", default="dm", help="a label")
    stage.add_argument("--scope", choices=["road", "learning", "real"], help="what the scores prove")
    return stage


def main(args: argparse.Namespace) -> None:
    """Scores every predictions file and the baselines, writes metrics.json and failures.jsonl, prints the table."""
    options = ScoreOptions.parse(load_params(args.params))
    registry = load_registry(args.registry)
    predictions = read_all_predictions(args.predictions)
    turns = predicted_cases(turns_of(read_records(args.records)), predictions, args.records)
    train = turns_of(read_records(args.train))
    stats = {path.stem: read_stats(path) for path in args.predictions}
    answers = {name: parsed(rows, turns, registry) for name, rows in predictions.items()}
    metrics = {
        "system": args.system,
        "run": args.run,
        "scope": args.scope,
        **measure(turns, answers, train, registry, options),
    }
    for name, row in metrics["variants"].items():
        row["perplexity"] = perplexity(stats[name])
    metrics["overflow"] = overflow(predictions)
    metrics["speed"] = {name: speed(stats[name]) for name in predictions}
    write_jsonl(args.out.parent / "failures.jsonl", failures(turns, predictions, answers, registry))
    write_json(args.out, metrics)
    print(report(metrics))


def parsed(rows: Rows, turns: Sequence[Turn], registry: Registry) -> Answers:
    """Each turn's calls and broken ones, as `answered_calls` gives them."""
    return [answered_calls(rows[turn.key]["completion"], turn, registry) for turn in turns]


def counted(answers: Answers, turns: Sequence[Turn], registry: Registry) -> Counts:
    """Counts of every turn, each [turns]."""
    rows = [count(calls, broken, turn, registry) for (calls, broken), turn in zip(answers, turns, strict=True)]
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in COUNTS}


def parts(counts: Counts, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """A metric's numerator and denominator, each [turns]."""
    above, below, _, _ = RATIOS[metric]
    if below == "f1":
        return f1_parts(counts[above], counts["written"], counts["due"])
    return counts[above], counts[below]


def estimates(counts: Counts, groups: Sequence[str], bootstrap: Bootstrap) -> dict[str, dict[str, Any]]:
    """Every ratio with its interval; ``n`` is turns for F1, else what stands below the line."""
    return {
        metric: ratio_estimate(*parts(counts, metric), groups, bootstrap, n=int(counts[cases].sum())).to_json()
        for metric, (_, _, cases, _) in RATIOS.items()
    }


def measure(
    turns: Sequence[Turn],
    answers: dict[str, Answers],
    train: Sequence[Turn],
    registry: Registry,
    options: ScoreOptions,
) -> dict[str, Any]:
    """Scores of variants and baselines, and paired differences between variants."""
    bootstrap = Bootstrap(options.resamples, options.confidence, options.seed)
    groups = [turn.group for turn in turns]
    counts = {name: counted(rows, turns, registry) for name, rows in answers.items()}
    trivial = {
        name: counted([(calls, 0) for calls in rows], turns, registry)
        for name, rows in baselines.answers(train, turns, registry).items()
    }
    some = next(iter(counts.values()))

    def of_variant(name: str) -> Parts:
        return parts(counts[name], PAIRED_METRIC)

    return {
        "cases": len(turns),
        "groups": len(set(groups)),
        "calls_due": int(some["due"].sum()),
        "turns_without_call": int(some["idle"].sum()),
        "confidence": options.confidence,
        "resamples": options.resamples,
        "variants": {name: estimates(row, groups, bootstrap) for name, row in counts.items()},
        "baselines": {name: estimates(row, groups, bootstrap) for name, row in trivial.items()},
        "paired": paired(
            list(counts), PAIRED_METRIC, lambda name: parts(counts[name], PAIRED_METRIC), groups, bootstrap
        ),
        "higher_is_better": HIGHER_IS_BETTER,
    }


def failures(
    turns: Sequence[Turn],
    predictions: dict[str, Rows],
    answers: dict[str, Answers],
    registry: Registry,
) -> list[dict[str, Any]]:
    """Every answer whose calls are not exactly those due, or are broken, by variant."""
    rows = []
    for name in predictions:
        for turn, (calls, broken) in zip(turns, answers[name], strict=True):
            due = expected_calls(turn, registry)
            ours, theirs = (sorted(comparable(call.name, call.args) for call in side) for side in (calls, due))
            if ours != theirs or broken:
                rows.append(
                    {
                        "variant": name,
                        "id": turn.id,
                        "answer": turn.answer,
                        "prompt_tail": turn.said[-PROMPT_TAIL:],
                        "expected": [call.text for call in due],
                        "answered": [call.text for call in calls],
                        "broken": broken,
                        "completion": predictions[name][turn.key]["completion"],
                        "finish": predictions[name][turn.key]["finish"],
                    }
                )
    return rows


def report(metrics: dict[str, Any]) -> str:
    """The table for a terminal: variants, then baselines in round brackets."""
    header = ["", "call F1", "tool F1", "call P", "call R", "well formed", "false calls", "strangers"]
    header += ["perplexity", "tokens/s", "peak MB"]
    rows = [header]
    rows += [_table_row(name, row, metrics["speed"][name]) for name, row in metrics["variants"].items()]
    rows += [_table_row(f"({name})", row, {}) for name, row in metrics["baselines"].items()]
    said = [
        f"{metrics['cases']} turns of {metrics['groups']} scenarios: {metrics['calls_due']} calls due, "
        f"{metrics['turns_without_call']} turns without one; intervals {metrics['confidence']:.0%}.",
        aligned(rows),
    ]
    said += [
        f"{row['variant']} minus {row['against']}, {row['metric']}: {shown_estimate(row)}" for row in metrics["paired"]
    ]
    said += [
        f"{name}: {number} prompts did not fit into the context and count as empty answers"
        for name, number in metrics["overflow"].items()
        if number
    ]
    return "\n".join(said + ([NOT_TO_BE_QUOTED] if metrics["scope"] == "road" else []))


def _table_row(name: str, row: dict[str, Any], speed: dict[str, Any]) -> list[str]:
    cells = [name, *(shown_estimate(row[metric], 2) for metric in ("call_f1", "tool_f1"))]
    plain = ("call_precision", "call_recall", "well_formed", "false_call_rate", "stranger_rate")
    cells += [shown(row[metric]["value"], 2) for metric in plain]
    cells.append(shown(row.get("perplexity", {"value": None})["value"], 2))
    memory = speed.get("peak_memory_bytes")
    return [*cells, shown(speed.get("tokens_per_second"), 1), shown(memory and memory / 1e6, 0)]


if __name__ == "__main__":
    run(parser, main)
