"""Scores predicted occupancy and poses at each horizon, beside answers that need no model.

    python -m scripts.aerial.world.score --input sessions --test data/curated/aerial/world/test.jsonl \
        --val data/curated/aerial/world/val.jsonl --model models/aerial/world/model \
        --onnx f32=models/aerial/world/onnx/model-f32.onnx --out reports/aerial/world/metrics.json

A cell counts as occupied at a stated threshold of its probability. Metrics without a number are over all horizons,
``iou_3`` is at the third frame after the last history frame. ``shuffled`` is the model given another window's history:
what it still gets right does not depend on its input. Intervals resample squares of ground. Beside metrics.json stands
failures.jsonl: windows on which a variant lies below carrying the last frame along.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.aerial.system import SYSTEM
from scripts.aerial.world import baselines
from scripts.aerial.world.above import sentence
from scripts.aerial.world.counts import Tally, count, counts_of, formulas, things
from scripts.aerial.world.dataset import Dataset, Row, load_dataset
from scripts.aerial.world.options import WorldDataOptions, WorldScoreOptions
from scripts.aerial.world.poses import orientation_error, position_error, rollout
from scripts.aerial.world.runners import Runner, decided, history_of, onnx_runner, torch_runner
from scripts.aerial.world.settings import add_config, section
from scripts.aerial.world.weights import load_model
from scripts.lib import scoring
from scripts.lib.cli import StageParser, UserError, run, say
from scripts.lib.devices import pick_device
from scripts.lib.files import named_files
from scripts.lib.metrics import shown
from scripts.lib.process import keep_memory
from scripts.lib.tables import aligned

THRESHOLDS = np.linspace(0.05, 0.95, 19)
MODEL, SHUFFLED = "torch", "shuffled"
MAIN = "iou_no_ground"
AGAINST = ("copy_last", "ego_warped", "history_warped")
RIVAL = "ego_warped"  # a window on which the model lies below it is a failure
COLUMNS = {
    "iou_no_ground": "IoU no ground",
    "iou": "IoU",
    "miou_no_ground": "mIoU no ground",
    "miou": "mIoU",
    "precision": "precision",
    "recall": "recall",
    "position_error": "pose, m",
    "orientation_error": "pose, degrees",
}


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    add_config(stage)
    stage.add_argument("--input", type=Path, required=True, help="the folder that holds the sessions")
    stage.add_argument("--test", type=Path, required=True, help="windows to score (JSONL)")
    stage.add_argument("--val", type=Path, help="windows that the threshold is chosen on; needed for threshold: auto")
    stage.add_argument("--model", type=Path, required=True, help="folder of model.safetensors and config.json")
    stage.add_argument("--onnx", nargs="*", default=[], metavar="NAME=FILE", help="exported variants to score as well")
    scoring.add_arguments(stage)
    stage.set_defaults(run="world")
    return stage


def main(args: argparse.Namespace) -> None:
    """Predicts every test window with every variant, scores, writes metrics.json and failures.jsonl, prints tables.

    Raises:
        UserError: the model was trained for other grids, classes or frames than the windows have.
    """
    keep_memory()
    options: WorldScoreOptions = section(args, "score")
    model = load_model(args.model)
    data = load_dataset(args.test, args.input).evenly(options.max_windows)
    for key in ("grid", "classes", "history", "future"):
        if getattr(model.data, key) != getattr(data.options, key):
            raise UserError(
                f"{data.source}: data.{key} is not what the model was trained with; score its own test split."
            )
    runners = {MODEL: torch_runner(model, pick_device(options.device))}
    files = named_files("--onnx", args.onnx, "int8=model-int8.onnx", taken=(MODEL, SHUFFLED))
    runners |= {name: onnx_runner(path) for name, path in files.items()}
    threshold, chosen = pick_threshold(runners[MODEL], args, options)
    tallies = tally_all(runners, data, threshold, options.batch_size)

    classes, future = data.options.classes, data.options.future
    counts = {name: counts_of(tally, classes, future) for name, tally in tallies.items()}
    metric = scoring.checked_metric(every := formulas(classes, future), args.gate_metric, MAIN)
    groups = [row.group for row in data.rows]
    scores = scoring.Scores(SYSTEM, counts, every, groups, scoring.bootstrap_of(options), metric)
    metrics = scoring.labels(args, SYSTEM) | scores.measure(list(pairs_of(scores, future)))
    dt = float(np.mean([row.dt for row in data.rows]))
    metrics |= {"threshold": threshold, "threshold_from": chosen}
    metrics["horizons"] = [{"frame": at, "seconds": round(dt * at, 3)} for at in range(1, future + 1)]
    metrics["beats"] = beaten(metrics, future)
    scoring.write_scores(args, metrics, failures(counts, list(runners), data), report(metrics))
    if metrics["groups"] < 2:
        say("warning: one square of ground alone: no interval can be given; add sessions elsewhere.")


def pick_threshold(runner: Runner, args: argparse.Namespace, options: WorldScoreOptions) -> tuple[float, str]:
    """The threshold, and where it comes from.

    Raises:
        UserError: it is to be chosen, but there is no val split.
    """
    if options.threshold != "auto":
        return options.threshold, "score.threshold"
    if args.val is None:
        raise UserError("score.threshold: auto needs --val, the split it is chosen on; give it, or a number.")
    held = load_dataset(args.val, args.input).evenly(options.threshold_windows)
    sums = np.zeros((len(THRESHOLDS), 2))
    for at in range(len(held)):
        batch = held.batch([at])
        probabilities, _ = runner(history_of(batch, held.options.history))
        sums += threshold_counts(probabilities[0], batch["grids"][0, held.options.history :].numpy(), held.options)
    best = int(np.argmax(sums[:, 0] / np.maximum(sums[:, 1], 1)))
    return round(float(THRESHOLDS[best]), 2), f"best IoU without ground on {len(held)} windows of val"


def threshold_counts(probabilities: np.ndarray, true: np.ndarray, options: WorldDataOptions) -> np.ndarray:
    """Cells in both and in either at each threshold, without ground, [thresholds, 2]."""
    free = options.classes.free
    others = probabilities.copy()
    others[..., free] = -1
    wanted = np.isin(true, things(options.classes))
    candidate = np.isin(others.argmax(-1), things(options.classes))
    chance = 1 - probabilities[..., free]
    rows = []
    for threshold in THRESHOLDS:
        said = candidate & (chance >= threshold)
        rows.append([(said & wanted).sum(), (said | wanted).sum()])
    return np.array(rows, np.float64)


def tally_all(runners: dict[str, Runner], data: Dataset, threshold: float, batch_size: int) -> dict[str, Tally]:
    """Counts of every variant and baseline over all windows, in the windows' order."""
    from tqdm import tqdm

    tallies = {name: Tally() for name in (*runners, *baselines.NAMES, SHUFFLED)}
    starts = range(0, len(data), batch_size)
    for start in tqdm(starts, desc="score", unit="batch"):
        places = list(range(start, min(start + batch_size, len(data))))
        batch = data.batch(places)
        told = history_of(batch, data.options.history)
        for name, runner in runners.items():
            add_foretold(tallies[name], runner(told), data, places, batch["grids"].numpy(), threshold)
        # Another square's history with the window's own motion: the grids are swapped, the motion is not.
        other = data.batch([stranger(data, at) for at in places])
        swapped = told | {"grids": history_of(other, data.options.history)["grids"]}
        add_foretold(tallies[SHUFFLED], runners[MODEL](swapped), data, places, batch["grids"].numpy(), threshold)
        for at, place in enumerate(places):
            grids = batch["grids"][at].numpy()
            said = baselines.answers(grids[: data.options.history], data.rows[place], data.options)
            for name, one in said.items():
                add(tallies[name], one, grids[data.options.history :], data.rows[place], data.options)
    return tallies


def stranger(data: Dataset, at: int) -> int:
    """A window of another square of ground, half the list away or the next such; the same where there is only one."""
    count = len(data)
    places = [(at + count // 2 + step) % count for step in range(count)]
    return next((place for place in places if data.rows[place].group != data.rows[at].group), places[0])


def add_foretold(
    tally: Tally,
    told: tuple[np.ndarray, np.ndarray],
    data: Dataset,
    places: Sequence[int],
    grids: np.ndarray,
    threshold: float,
) -> None:
    """Adds a batch that a runner foretold."""
    probabilities, steps = told
    options = data.options
    for at, place in enumerate(places):
        row = data.rows[place]
        poses = rollout(row.poses[options.history - 1], steps[at].astype(np.float64), row.dt)
        said = baselines.Said(decided(probabilities[at], threshold, options.classes.free), poses)
        add(tally, said, grids[at][options.history :], row, options)


def add(tally: Tally, said: baselines.Said, true: np.ndarray, row: Row, options: WorldDataOptions) -> None:
    """Adds one window's answer."""
    if said.grids is not None:
        pairs = zip(true, said.grids, strict=True)
        tally.cells.append(np.stack([count(one, other, options.classes) for one, other in pairs]))
    if said.poses is not None:
        future = row.poses[options.history :]
        tally.position.append(position_error(future, said.poses))
        tally.orientation.append(orientation_error(future, said.poses))


def pairs_of(scores: scoring.Scores, future: int) -> Iterator[tuple[str, str, str]]:
    """The model minus what it has to beat, over all horizons and at each; what the gate may ask of the exported files;
    what each of them loses."""
    for other in AGAINST:
        yield from ((f"{MAIN}{suffix}", MODEL, other) for suffix in ("", *(f"_{at}" for at in range(1, future + 1))))
    exported = [name for name in scores.variants if name != MODEL]
    yield from scores.gate_pairs(exported, [MODEL])


def beaten(metrics: dict[str, Any], future: int) -> dict[str, list[int]]:
    """Horizons at which the model's IoU without ground is above each baseline's."""
    ours, found = metrics["variants"][MODEL], {}
    for name in AGAINST:
        theirs = metrics["baselines"][name]
        keys = {at: f"{MAIN}_{at}" for at in range(1, future + 1)}
        found[name] = [at for at, key in keys.items() if (ours[key]["value"] or 0) > (theirs[key]["value"] or 0)]
    return found


def failures(
    counts: Mapping[str, Mapping[str, np.ndarray]], variants: Sequence[str], data: Dataset
) -> Iterator[dict[str, Any]]:
    """Windows on which a variant's IoU without ground, over all horizons, is below that of `RIVAL`."""
    iou = {name: window_iou(counts[name]) for name in (*variants, RIVAL)}
    for name in variants:
        for at, row in enumerate(data.rows):
            if iou[name][at] < iou[RIVAL][at]:
                values = {MAIN: round(float(iou[name][at]), 4), RIVAL: round(float(iou[RIVAL][at]), 4)}
                yield {"variant": name, "id": row.id, "group": row.group, **values}


def window_iou(counts: Mapping[str, np.ndarray]) -> np.ndarray:
    """IoU without ground of each window over all horizons, [windows]; 0 where neither side has a cell."""
    both, true, predicted = (counts[f"{side}:things"] for side in ("both", "true", "predicted"))
    return both / np.maximum(true + predicted - both, 1)


def report(metrics: dict[str, Any]) -> list[str]:
    """The tables for a terminal: over all horizons, then IoU without ground by horizon."""
    rows = [["", *(f"+{row['frame']} ({row['seconds']:g} s)" for row in metrics["horizons"])]]
    bracketed = {f"({name})": row for name, row in metrics["baselines"].items()}
    for name, row in {**metrics["variants"], **bracketed}.items():
        keys = [f"{MAIN}_{horizon['frame']}" for horizon in metrics["horizons"]]
        if keys[0] in row:
            rows.append([name, *(shown(row[key]["value"]) for key in keys)])
    return [
        f"{metrics['cases']} windows, {metrics['groups']} squares of ground; intervals {metrics['confidence']:.0%}; "
        f"occupied at {metrics['threshold']:g} or more ({metrics['threshold_from']}).",
        scoring.score_table(metrics, COLUMNS, ("iou_no_ground", "iou")),
        "IoU without ground by horizon:",
        aligned(rows),
        *(sentence(metrics, name) for name in metrics["beats"]),
    ]


if __name__ == "__main__":
    run(parser, main)
