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
from scripts.lib.cli import StageParser, UserError, load_params, run
from scripts.lib.files import read_json, read_jsonl, write_json, write_jsonl
from scripts.lib.metrics import (
    Bootstrap,
    Estimate,
    difference_estimate,
    f1_parts,
    ratio_estimate,
    shown,
    shown_estimate,
)
from scripts.lib.options.predict import ScoreOptions
from scripts.lib.records import read_records
from scripts.lib.tables import aligned

Counts = dict[str, np.ndarray]
Rows = dict[tuple[str, int], dict[str, Any]]  # predictions by record id and message index
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
NOT_TO_BE_QUOTED = "scope road: these scores prove that the road works, nothing about the model; do not quote them."


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
    predictions = {path.stem: read_predictions(path) for path in args.predictions}
    if len(predictions) < len(args.predictions):
        raise UserError("--predictions: two files have the same name, and a variant is named by its file; rename one.")
    turns = scored_turns(turns_of(read_records(args.records)), predictions, args.records)
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
    metrics["overflow"] = {
        name: sum(row["finish"] == "overflow" for row in rows.values()) for name, rows in predictions.items()
    }
    metrics["speed"] = {name: speed(stats[name]) for name in predictions}
    write_jsonl(args.out.parent / "failures.jsonl", failures(turns, predictions, answers, registry))
    write_json(args.out, metrics)
    print(report(metrics))


def read_predictions(path: Path) -> Rows:
    """Rows of a predictions file by (record id, message index).

    Raises:
        UserError: a row lacks a key or stands twice, or there is none.
    """
    rows: Rows = {}
    for number, row in read_jsonl(path):
        kinds = {"id": str, "answer": int, "completion": str, "finish": str}
        wrong = [key for key, kind in kinds.items() if not isinstance(row, dict) or not isinstance(row.get(key), kind)]
        if wrong:
            raise UserError(f"{path}, line {number}: {wrong[0]!r} is missing or of another type; predict again.")
        key = (row["id"], row["answer"])
        if key in rows:
            raise UserError(f"{path}, line {number}: answer {key[1]} of {key[0]!r} stands twice; predict again.")
        rows[key] = row
    if not rows:
        raise UserError(f"{path}: no predictions; run scripts.model.predict again.")
    return rows


def read_stats(path: Path) -> dict[str, Any]:
    """What predict measured, from the file beside its predictions; empty where there is none."""
    beside = path.with_suffix(".stats.json")
    return read_json(beside) if beside.is_file() else {}


def scored_turns(turns: Sequence[Turn], predictions: dict[str, Rows], records: Path) -> list[Turn]:
    """The turns that were predicted; every variant must have predicted the same ones.

    Raises:
        UserError: a prediction is of no turn of the records, or variants differ in what they predicted.
    """
    names = list(predictions)
    wanted = set(predictions[names[0]])
    for name in names[1:]:
        if difference := wanted ^ set(predictions[name]):
            odd = min(difference)
            raise UserError(
                f"variants {names[0]} and {name} answered different turns (such as {odd[1]} of {odd[0]!r}); "
                "predict both from the same records with the same max_records."
            )
    if strays := wanted - {turn.key for turn in turns}:
        odd = min(strays)
        raise UserError(f"{records}: has no answer {odd[1]} of {odd[0]!r}, which was predicted; predict again.")
    return [turn for turn in turns if turn.key in wanted]


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
    return {
        "cases": len(turns),
        "groups": len(set(groups)),
        "calls_due": int(some["due"].sum()),
        "turns_without_call": int(some["idle"].sum()),
        "confidence": options.confidence,
        "resamples": options.resamples,
        "variants": {name: estimates(row, groups, bootstrap) for name, row in counts.items()},
        "baselines": {name: estimates(row, groups, bootstrap) for name, row in trivial.items()},
        "paired": paired(counts, groups, bootstrap),
        "higher_is_better": HIGHER_IS_BETTER,
    }


def paired(counts: dict[str, Counts], groups: Sequence[str], bootstrap: Bootstrap) -> list[dict[str, Any]]:
    """Differences between variants over the same turns: training's gain, then what each later step costs."""
    pairs = [("tuned", "base"), ("f16", "tuned")]
    pairs += [(name, "f16") for name in counts if name not in ("base", "tuned", "f16")]
    rows = []
    for name, against in pairs:
        if name in counts and against in counts:
            ours, theirs = parts(counts[name], PAIRED_METRIC), parts(counts[against], PAIRED_METRIC)
            difference = difference_estimate(ours, theirs, groups, bootstrap).to_json()
            rows.append({"metric": PAIRED_METRIC, "variant": name, "against": against, **difference})
    return rows


def perplexity(stats: dict[str, Any]) -> dict[str, Any]:
    """The measured perplexity as an estimate without an interval; ``n`` is tokens."""
    measured = stats.get("perplexity") or {}
    return Estimate(measured.get("value"), None, None, measured.get("tokens", 0)).to_json()


def speed(stats: dict[str, Any]) -> dict[str, Any]:
    """Tokens a second and peak memory, None where they were not measured."""
    return {key: stats.get(key) for key in ("tokens_per_second", "peak_memory_bytes")}


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
