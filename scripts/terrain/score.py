"""Scores predictions of terrain: heights in yards, textures, objects, liquids, holes.

Works on any predictions files. An answer that cannot be read fails: it has no texture, liquid and hole right, and of
the errors in heights and objects it gets the worst baseline's on that tile, so that silence never pays. Tiles of maps
in a style that no one trained on are scored apart (``unseen``). Beside metrics.json stands failures.jsonl.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scripts.lib import scoring
from scripts.lib.cli import StageParser, load_params, run
from scripts.lib.files import read_json
from scripts.lib.metrics import Bootstrap, f1_of, ratio_of, root_of
from scripts.lib.options.predict import ScoreOptions
from scripts.lib.records import read_records
from scripts.terrain import baselines
from scripts.terrain.answer import Ground
from scripts.terrain.grounds import Case, Said, cases_of, options_of, said_by
from scripts.terrain.system import SYSTEM

FORMULAS = {
    "valid_json": ratio_of("valid", "cases"),
    "height_rmse": root_of("squares", "cases"),
    "height_correlation": ratio_of("correlation", "cases"),
    "texture_f1": f1_of("texture_hits", "texture_given", "texture_due"),
    "object_error": ratio_of("object_error", "told"),
    "liquid_f1": f1_of("liquid_hits", "liquid_given", "liquid_due"),
    "hole_f1": f1_of("hole_hits", "hole_given", "hole_due"),
}
COLUMNS = {
    "height_rmse": "RMSE, yards",
    "height_correlation": "correlation",
    "valid_json": "valid",
    "texture_f1": "textures F1",
    "object_error": "objects off",
    "liquid_f1": "liquid F1",
    "hole_f1": "hole F1",
}


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    scoring.add_prediction_arguments(stage)
    return stage


def main(args: argparse.Namespace) -> None:
    """Scores every predictions file and the baselines, writes metrics.json and failures.jsonl, prints the table."""
    bootstrap = scoring.bootstrap_of(ScoreOptions.parse(load_params(args.params)))
    options = options_of(read_json(args.records.parent / "stats.json"))
    predictions = scoring.read_all_predictions(args.predictions)
    every = cases_of(read_records(args.records), args.records.parent, options)
    train = cases_of(read_records(args.train), args.train.parent, options)
    cases = scoring.predicted_cases(every, predictions, args.records)
    answers = {
        name: [said_by(rows[case.key]["completion"], options) for case in cases] for name, rows in predictions.items()
    }
    trivial = baselines.answers(train, cases)
    metric = scoring.checked_metric(FORMULAS, args.gate_metric, "height_correlation")
    seen = [at for at, case in enumerate(cases) if not case.unseen]
    unseen = [at for at, case in enumerate(cases) if case.unseen]
    metrics = scoring.labels(args, SYSTEM) | measure(cases, answers, trivial, seen, bootstrap, metric)
    if unseen:
        metrics["unseen"] = measure(cases, answers, trivial, unseen, bootstrap, metric)
    scoring.add_predict_stats(metrics, predictions, args.predictions)
    faults = {name: [{"why": row.why} if row.field is None else None for row in rows] for name, rows in answers.items()}
    scoring.write_scores(args, metrics, scoring.failure_rows(predictions, cases, faults), report(metrics))


def measure(
    cases: Sequence[Case],
    answers: Mapping[str, Sequence[Said]],
    trivial: Mapping[str, Sequence[Said]],
    places: Sequence[int],
    bootstrap: Bootstrap,
    metric: str,
) -> dict[str, Any]:
    """Scores of variants and baselines on the cases at ``places``."""
    chosen = [cases[at] for at in places]
    given = {name: [rows[at] for at in places] for name, rows in {**answers, **trivial}.items()}
    worst = worst_errors(chosen, {name: given[name] for name in trivial})
    counts = {name: counted(chosen, rows, worst) for name, rows in given.items()}
    scores = scoring.Scores(SYSTEM, counts, FORMULAS, [case.group for case in chosen], bootstrap, metric)
    return scores.measure(scores.language_pairs())


def worst_errors(cases: Sequence[Case], trivial: Mapping[str, Sequence[Said]]) -> dict[str, np.ndarray]:
    """Of each case the largest error that a baseline makes: what an answer that cannot be read is given.

    Returns:
        ``squares`` (square yards) and ``object_error``, each [cases].
    """
    squares = [[squared(case, rows[at]) for at, case in enumerate(cases)] for rows in trivial.values()]
    objects = [
        [object_error(case, rows[at].ground) for at, case in enumerate(cases)]
        for rows in trivial.values()
        if all(row.ground is not None for row in rows)
    ]
    return {"squares": np.max(squares, axis=0), "object_error": np.max(objects, axis=0)}


def squared(case: Case, said: Said) -> float:
    """The mean squared error of heights, square yards."""
    return float(np.mean(np.square(said.field - case.truth)))


def object_error(case: Case, ground: Ground | None) -> float:
    """By how many the number of objects is off."""
    return abs(baselines.count_of(ground) - baselines.count_of(case.ground)) if ground else 0.0


def correlation(truth: np.ndarray, field: np.ndarray) -> float:
    """Pearson's correlation of two height fields; 0 where one is flat."""
    one, other = truth - truth.mean(), field - field.mean()
    size = float(np.sqrt(np.square(one).sum() * np.square(other).sum()))
    return float((one * other).sum()) / size if size > 1e-9 else 0.0


def counted(cases: Sequence[Case], answers: Sequence[Said], worst: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Counts of every case, each [cases]; what a baseline does not answer counts nowhere."""
    rows = enumerate(zip(cases, answers, strict=True))
    return scoring.tabulate(count(case, said, worst, at) for at, (case, said) in rows)


def count(case: Case, said: Said, worst: Mapping[str, np.ndarray], at: int) -> dict[str, float]:
    """The counts of one answer."""
    failed = said.field is None
    row = {
        "cases": 1.0,
        "valid": float(not failed),
        "squares": float(worst["squares"][at]) if failed else squared(case, said),
        "correlation": 0.0 if failed else correlation(case.truth, said.field),
        "object_error": float(worst["object_error"][at]) if failed else object_error(case, said.ground),
    }
    heights_only = not failed and said.ground is None  # a baseline
    row["told"] = float(not heights_only)
    for kind, items in (("texture", textures), ("liquid", liquids), ("hole", holes)):
        due, given = items(case.ground), items(said.ground) if said.ground else set()
        row |= {
            f"{kind}_hits": float(len(due & given)),
            f"{kind}_given": float(len(given)),
            f"{kind}_due": 0.0 if heights_only else float(len(due)),
        }
    return row


def textures(ground: Ground) -> set[Any]:
    """The names of its textures."""
    return set(ground.textures)


def liquids(ground: Ground) -> set[Any]:
    """Every cell of every type of liquid."""
    return {(name, *cell) for name, mask in ground.liquids.items() for cell in np.argwhere(mask).tolist()}


def holes(ground: Ground) -> set[Any]:
    """Every cell with a hole."""
    return {tuple(cell) for cell in np.argwhere(ground.holes).tolist()}


def report(metrics: dict[str, Any]) -> list[str]:
    """The lines for a terminal: all tiles, then those of unseen maps."""
    lines = [*table(metrics, "tiles"), *scoring.difference_lines(metrics)]
    if "unseen" in metrics:
        lines += table(metrics["unseen"], "tiles of maps in a style that no one trained on")
    return lines


def table(metrics: dict[str, Any], noun: str) -> list[str]:
    """How many cases there are, and the table."""
    return [
        f"{metrics['cases']} {noun}, {metrics['groups']} blocks; intervals {metrics['confidence']:.0%}.",
        scoring.score_table(metrics, COLUMNS, ("height_rmse", "height_correlation"), {"height_rmse": 1}),
    ]


if __name__ == "__main__":
    run(parser, main)
