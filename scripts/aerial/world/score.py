"""Scores foretold occupancy and poses at each horizon, beside answers that need no model.

    python -m scripts.aerial.world.score --input sessions --test data/curated/aerial/world/test.jsonl \
        --val data/curated/aerial/world/val.jsonl --model models/aerial/world/model \
        --onnx f32=models/aerial/world/onnx/model-f32.onnx --out reports/aerial/world/metrics.json

A cell counts as occupied at a stated threshold of its probability. Metrics without a number are over all horizons,
``iou_3`` is at the third frame after the last one shown. ``shuffled`` is the model shown another window's history: what
it still gets right, it does not see. Intervals resample squares of ground.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.aerial.world import baselines
from scripts.aerial.world.above import sentence
from scripts.aerial.world.counts import HIGHER_IS_BETTER, Tally, count, estimates, parts, things
from scripts.aerial.world.dataset import Dataset, Row, load_dataset
from scripts.aerial.world.options import WorldDataOptions, WorldScoreOptions
from scripts.aerial.world.poses import orientation_error, position_error, rollout
from scripts.aerial.world.runners import Runner, decided, history_of, onnx_runner, torch_runner
from scripts.aerial.world.settings import add_config, section
from scripts.aerial.world.weights import load_model
from scripts.lib.cli import StageParser, UserError, run, say
from scripts.lib.devices import pick_device
from scripts.lib.files import write_json
from scripts.lib.metrics import Bootstrap, difference_estimate, shown, shown_estimate
from scripts.lib.scoring import NOT_TO_BE_QUOTED
from scripts.lib.system import keep_memory
from scripts.lib.tables import aligned

THRESHOLDS = np.linspace(0.05, 0.95, 19)
MODEL, SHUFFLED = "torch", "shuffled"
VARIANT_WORDS = {
    MODEL: "as trained, in PyTorch",
    "f32": "ONNX in 32 bits, in onnxruntime",
    "int8": "ONNX with weights in 8 bits, in onnxruntime",
}
PAIRED_METRIC = "iou_no_ground"
AGAINST = ("copy_last", "ego_warped", "history_warped")


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    add_config(stage)
    stage.add_argument("--input", type=Path, required=True, help="the folder that holds the sessions")
    stage.add_argument("--test", type=Path, required=True, help="windows to score (JSONL)")
    stage.add_argument("--val", type=Path, help="windows that the threshold is chosen on; needed for threshold: auto")
    stage.add_argument("--model", type=Path, required=True, help="folder of model.safetensors and config.json")
    stage.add_argument("--onnx", nargs="*", default=[], metavar="NAME=FILE", help="exported variants to score as well")
    stage.add_argument("--out", type=Path, required=True, help="metrics.json")
    stage.add_argument("--run", default="world", help="a label")
    stage.add_argument("--scope", choices=["road", "learning", "real"], help="what the scores prove")
    return stage


def main(args: argparse.Namespace) -> None:
    """Foretells every test window with every variant, scores, writes metrics.json and prints the table."""
    keep_memory()
    options: WorldScoreOptions = section(args, "score")
    model = load_model(args.model)
    data = load_dataset(args.test, args.input).evenly(options.max_windows)
    refuse_another_grid(model.data, data)
    runners = {MODEL: torch_runner(model, pick_device(options.device))}
    runners |= {name: onnx_runner(path) for name, path in named_files(args.onnx).items()}
    threshold, chosen = pick_threshold(runners[MODEL], args, options)
    tallies = tally_all(runners, data, threshold, options.batch_size)
    metrics = {"system": "aerial", "run": args.run, "scope": args.scope}
    metrics |= measured(tallies, list(runners), data, options)
    metrics |= {"threshold": threshold, "threshold_from": chosen, "horizons": horizons_of(data)}
    metrics["beats"] = beaten(metrics, data.options.future)
    write_json(args.out, metrics)
    print(report(metrics))


def named_files(arguments: Sequence[str]) -> dict[str, Path]:
    """``NAME=FILE`` arguments by name.

    Raises:
        UserError: an argument is of another form, or a name is taken.
    """
    found: dict[str, Path] = {}
    for argument in arguments:
        name, sign, file = argument.partition("=")
        if not (name and sign and file) or name in found or name in (MODEL, SHUFFLED):
            raise UserError(f"--onnx {argument}: write it as NAME=FILE, such as int8=model-int8.onnx, each name once.")
        found[name] = Path(file)
    return found


def refuse_another_grid(model: WorldDataOptions, data: Dataset) -> None:
    """Stops where the model was trained for other grids, classes or frames than the windows have.

    Raises:
        UserError: names what differs.
    """
    for key in ("grid", "classes", "history", "future"):
        if getattr(model, key) != getattr(data.options, key):
            raise UserError(
                f"{data.source}: data.{key} is not what the model was trained with; score its own test split."
            )


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

    tallies = {name: Tally() for name in (*runners, *baselines.names(), SHUFFLED)}
    starts = range(0, len(data), batch_size)
    for start in tqdm(starts, desc="score", unit="batch"):
        places = list(range(start, min(start + batch_size, len(data))))
        batch = data.batch(places)
        told = history_of(batch, data.options.history)
        for name, runner in runners.items():
            add_foretold(tallies[name], runner(told), data, places, batch["grids"].numpy(), threshold)
        # Another square's history with the window's own motion: what the model sees is swapped, not what it is told.
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


def measured(
    tallies: dict[str, Tally], variants: list[str], data: Dataset, options: WorldScoreOptions
) -> dict[str, Any]:
    """Scores with intervals in the shape that the report page and the gate read."""
    bootstrap = Bootstrap(options.resamples, options.confidence, options.seed)
    groups = [row.group for row in data.rows]
    classes, future = data.options.classes, data.options.future
    scores = {name: estimates(tally, classes, groups, bootstrap, future) for name, tally in tallies.items()}
    every = scores[MODEL]
    return {
        "cases": len(groups),
        "groups": len(set(groups)),
        "confidence": bootstrap.confidence,
        "variants": {name: scores[name] for name in variants},
        "baselines": {name: scores[name] for name in scores if name not in variants},
        "paired": differences(tallies, variants, groups, bootstrap),
        "higher_is_better": {name: HIGHER_IS_BETTER[plain(name)] for name in every},
        "oracles": list(baselines.ORACLES),
        "variant_words": {name: VARIANT_WORDS[name] for name in variants if name in VARIANT_WORDS},
        "baseline_words": baselines.WORDS | {SHUFFLED: "the model, shown another window's history"},
    }


def plain(metric: str) -> str:
    """The metric's name without its horizon."""
    stem, _, last = metric.rpartition("_")
    return stem if last.isdecimal() else metric


def differences(
    tallies: dict[str, Tally], variants: list[str], groups: list[str], bootstrap: Bootstrap
) -> list[dict[str, Any]]:
    """The model minus what it has to beat, at each horizon and over all; then the exported variants minus that, over
    all, which the gate reads, and what each of them loses."""
    horizons = [None, *range(len(tallies[MODEL].cells[0]))]
    exported = [name for name in variants if name != MODEL]
    pairs = [(MODEL, other, horizon) for other in AGAINST for horizon in horizons]
    pairs += [(name, other, None) for name in exported for other in (*AGAINST, SHUFFLED, MODEL)]
    rows = []
    for name, other, horizon in pairs:
        one, two = (parts(tallies[which], PAIRED_METRIC, horizon) for which in (name, other))
        metric = PAIRED_METRIC if horizon is None else f"{PAIRED_METRIC}_{horizon + 1}"
        told = {"metric": metric, "variant": name, "against": other}
        rows.append(told | difference_estimate(one, two, groups, bootstrap).to_json())
    return rows


def horizons_of(data: Dataset) -> list[dict[str, float]]:
    """Each horizon's frames and mean seconds ahead."""
    dt = float(np.mean([row.dt for row in data.rows]))
    return [{"frame": at + 1, "seconds": round(dt * (at + 1), 3)} for at in range(data.options.future)]


def beaten(metrics: dict[str, Any], future: int) -> dict[str, list[int]]:
    """Horizons at which the model's IoU without ground is above each baseline's."""
    ours, found = metrics["variants"][MODEL], {}
    for name in AGAINST:
        theirs = metrics["baselines"][name]
        keys = {at: f"{PAIRED_METRIC}_{at}" for at in range(1, future + 1)}
        found[name] = [at for at, key in keys.items() if (ours[key]["value"] or 0) > (theirs[key]["value"] or 0)]
    return found


def report(metrics: dict[str, Any]) -> str:
    """The tables for a terminal: over all horizons, then IoU without ground by horizon."""
    said = [
        f"{metrics['cases']} windows, {metrics['groups']} squares of ground; intervals {metrics['confidence']:.0%}; "
        f"occupied at {metrics['threshold']:g} or more ({metrics['threshold_from']}).",
        aligned(overall_rows(metrics)),
        "IoU without ground by horizon:",
        aligned(horizon_rows(metrics)),
    ]
    said += [sentence(metrics, name) for name in metrics["beats"]]
    if metrics["groups"] < 2:
        say("warning: one square of ground alone: no interval can be given; add sessions elsewhere.")
    return "\n".join(said + ([NOT_TO_BE_QUOTED] if metrics["scope"] == "road" else []))


def named_rows(metrics: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Variants, then baselines in round brackets."""
    found = [(name, row) for name, row in metrics["variants"].items()]
    return found + [(f"({name})", row) for name, row in metrics["baselines"].items()]


def overall_rows(metrics: dict[str, Any]) -> list[list[str]]:
    """A row a variant, over all horizons."""
    wide = ("iou_no_ground", "iou")
    rest = ("miou_no_ground", "miou", "precision", "recall", "position_error", "orientation_error")
    rows = [["", "IoU no ground", "IoU", "mIoU no ground", "mIoU", "precision", "recall", "pose, m", "pose, degrees"]]
    for name, row in named_rows(metrics):
        cells = [shown_estimate(row[key]) if key in row else "n/a" for key in wide]
        rows.append([name, *cells, *(shown(row[key]["value"]) if key in row else "n/a" for key in rest)])
    return rows


def horizon_rows(metrics: dict[str, Any]) -> list[list[str]]:
    """A row a variant, a column a horizon."""
    frames = [row["frame"] for row in metrics["horizons"]]
    rows = [["", *(f"+{row['frame']} ({row['seconds']:g} s)" for row in metrics["horizons"])]]
    for name, row in named_rows(metrics):
        keys = [f"{PAIRED_METRIC}_{at}" for at in frames]
        if keys[0] in row:
            rows.append([name, *(shown(row[key]["value"]) for key in keys)])
    return rows


if __name__ == "__main__":
    run(parser, main)
