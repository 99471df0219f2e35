"""Scores predictions of terrain: heights in yards, textures, objects, liquids, holes.

Works on any predictions files. An answer that cannot be read fails: it has no texture, liquid and hole right, and of
the errors in heights and objects it gets the worst baseline's on that tile, so that silence never pays. Tiles of maps
in a style that no one trained on are scored apart (``unseen``). Beside metrics.json stands failures.jsonl.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.cli import StageParser, load_params, run
from scripts.lib.files import read_json, write_json, write_jsonl
from scripts.lib.metrics import Bootstrap, Estimate, f1_parts, ratio_estimate, shown, shown_estimate
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
from scripts.terrain import baselines
from scripts.terrain.answer import Ground
from scripts.terrain.grounds import Case, Said, cases_of, options_of, said_by

SHUFFLED = "shuffled"
Counts = dict[str, np.ndarray]
# metric: counts above and below the line, and whether more is better
RATIOS: dict[str, tuple[str, str, bool]] = {
    "valid_json": ("valid", "one", True),
    "height_rmse": ("squares", "one", False),
    "height_correlation": ("correlation", "one", True),
    "texture_f1": ("texture_hits", "f1:texture", True),
    "object_error": ("object_error", "told", False),
    "liquid_f1": ("liquid_hits", "f1:liquid", True),
    "hole_f1": ("hole_hits", "f1:hole", True),
}
ROOTS = frozenset({"height_rmse"})  # the ratio is a mean of squares
HIGHER_IS_BETTER = {name: better for name, (_, _, better) in RATIOS.items()} | {"perplexity": False}
PAIRED_METRIC = "height_correlation"


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--records", type=Path, required=True, help="test.jsonl, with stats.json beside it")
    add_arguments(stage)
    return stage


def main(args: argparse.Namespace) -> None:
    """Scores every predictions file and the baselines, writes metrics.json and failures.jsonl, prints the table."""
    bootstrap = bootstrap_of(ScoreOptions.parse(load_params(args.params)))
    options = options_of(read_json(args.records.parent / "stats.json"))
    predictions = read_all_predictions(args.predictions)
    every = cases_of(read_records(args.records), args.records.parent, options)
    train = cases_of(read_records(args.train), args.train.parent, options)
    cases = predicted_cases(every, predictions, args.records)
    said = {
        name: [said_by(rows[case.key]["completion"], options) for case in cases] for name, rows in predictions.items()
    }
    stats = {path.stem: read_stats(path) for path in args.predictions}
    trivial = baselines.answers(train, cases)
    seen = [at for at, case in enumerate(cases) if not case.unseen]
    unseen = [at for at, case in enumerate(cases) if case.unseen]
    metrics = {"system": "terrain", "run": args.run, "scope": args.scope}
    metrics |= measure(cases, said, trivial, seen, bootstrap)
    if unseen:
        metrics["unseen"] = measure(cases, said, trivial, unseen, bootstrap)
    for name, row in metrics["variants"].items():
        row["perplexity"] = perplexity(stats[name])
    metrics["overflow"] = overflow(predictions)
    metrics["speed"] = {name: speed(stats[name]) for name in metrics["variants"]}
    write_jsonl(args.out.parent / "failures.jsonl", failures(cases, predictions, said))
    write_json(args.out, metrics)
    print(report(metrics))


def bootstrap_of(options: ScoreOptions) -> Bootstrap:
    """How intervals are made."""
    return Bootstrap(options.resamples, options.confidence, options.seed)


def measure(
    cases: Sequence[Case],
    said: Mapping[str, Sequence[Said]],
    trivial: Mapping[str, Sequence[Said]],
    places: Sequence[int],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """Scores of variants and baselines on the cases at ``places``; shuffled pictures stand among the baselines."""
    chosen = [cases[at] for at in places]
    worst = worst_errors(chosen, {name: [rows[at] for at in places] for name, rows in trivial.items()})
    counts = {name: counted(chosen, [rows[at] for at in places], worst) for name, rows in {**said, **trivial}.items()}
    groups = [case.group for case in chosen]
    scores = {name: estimates(row, groups, bootstrap) for name, row in counts.items()}
    variants = [name for name in said if name != SHUFFLED]
    return {
        "cases": len(chosen),
        "groups": len(set(groups)),
        "confidence": bootstrap.confidence,
        "variants": {name: scores[name] for name in variants},
        "baselines": {name: scores[name] for name in scores if name not in variants},
        "paired": paired(variants, PAIRED_METRIC, lambda name: parts(counts[name], PAIRED_METRIC), groups, bootstrap),
        "higher_is_better": HIGHER_IS_BETTER,
    }


def worst_errors(cases: Sequence[Case], trivial: Mapping[str, Sequence[Said]]) -> Counts:
    """Of each case the largest error that a baseline makes: what an answer that cannot be read is given."""
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


def counted(cases: Sequence[Case], said: Sequence[Said], worst: Counts) -> Counts:
    """Counts of every case, each [cases]; what nothing is said of counts nowhere."""
    rows = [count(case, one, worst, at) for at, (case, one) in enumerate(zip(cases, said, strict=True))]
    return {name: np.array([row[name] for row in rows], np.float64) for name in rows[0]}


def count(case: Case, said: Said, worst: Counts, at: int) -> dict[str, float]:
    """The counts of one answer."""
    failed = said.field is None
    row = {
        "one": 1.0,
        "valid": float(not failed),
        "squares": float(worst["squares"][at]) if failed else squared(case, said),
        "correlation": 0.0 if failed else correlation(case.truth, said.field),
        "object_error": float(worst["object_error"][at]) if failed else object_error(case, said.ground),
    }
    silent = not failed and said.ground is None  # a baseline that only says heights
    row["told"] = float(not silent)
    for kind, items in (("texture", textures), ("liquid", liquids), ("hole", holes)):
        due, given = items(case.ground), items(said.ground) if said.ground else set()
        row |= {
            f"{kind}_hits": float(len(due & given)),
            f"{kind}_given": float(len(given)),
            f"{kind}_due": 0.0 if silent else float(len(due)),
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


def parts(counts: Counts, metric: str) -> Parts:
    """A metric's numerator and denominator, each [cases]."""
    above, below, _ = RATIOS[metric]
    if below.startswith("f1:"):
        kind = below.removeprefix("f1:")
        return f1_parts(counts[above], counts[f"{kind}_given"], counts[f"{kind}_due"])
    return counts[above], counts[below]


def estimates(counts: Counts, groups: Sequence[str], bootstrap: Bootstrap) -> dict[str, dict[str, Any]]:
    """Every metric with its interval; ``n`` is cases."""
    found = {metric: ratio_estimate(*parts(counts, metric), groups, bootstrap, n=len(groups)) for metric in RATIOS}
    return {name: (rooted(one) if name in ROOTS else one).to_json() for name, one in found.items()}


def rooted(estimate: Estimate) -> Estimate:
    """The root of a mean of squares; percentiles of the root are the roots of percentiles."""
    low, value, high = (None if one is None else one**0.5 for one in (estimate.low, estimate.value, estimate.high))
    return Estimate(value, low, high, estimate.n)


def failures(
    cases: Sequence[Case], predictions: Mapping[str, Mapping[Any, Any]], said: Mapping[str, Sequence[Said]]
) -> list[dict[str, Any]]:
    """Every answer that could not be read, and why."""
    return [
        {
            "variant": name,
            "id": case.record.id,
            "answer": case.answer,
            "why": one.why,
            "completion": predictions[name][case.key]["completion"],
        }
        for name, rows in said.items()
        for case, one in zip(cases, rows, strict=True)
        if one.field is None
    ]


def report(metrics: dict[str, Any]) -> str:
    """The table for a terminal: variants, then baselines in round brackets; a second one for unseen maps."""
    said = [*tables(metrics, "tiles")]
    said += [
        f"{row['variant']} minus {row['against']}, {row['metric']}: {shown_estimate(row)}" for row in metrics["paired"]
    ]
    if "unseen" in metrics:
        said += tables(metrics["unseen"], "tiles of maps in a style that no one trained on")
    return "\n".join(said + ([NOT_TO_BE_QUOTED] if metrics["scope"] == "road" else []))


def tables(metrics: dict[str, Any], what: str) -> list[str]:
    """How many cases there are, and the table."""
    rows = [["", "RMSE, yards", "correlation", "valid", "textures F1", "objects off", "liquid F1", "hole F1"]]
    rows += [_table_row(name, row) for name, row in metrics["variants"].items()]
    rows += [_table_row(f"({name})", row) for name, row in metrics["baselines"].items()]
    return [
        f"{metrics['cases']} {what}, {metrics['groups']} blocks; intervals {metrics['confidence']:.0%}.",
        aligned(rows),
    ]


def _table_row(name: str, row: dict[str, Any]) -> list[str]:
    wide = [shown_estimate(row["height_rmse"], 1), shown_estimate(row["height_correlation"], 2)]
    rest = ("valid_json", "texture_f1", "object_error", "liquid_f1", "hole_f1")
    return [name, *wide, *(shown(row[metric]["value"], 2) for metric in rest)]


if __name__ == "__main__":
    run(parser, main)
