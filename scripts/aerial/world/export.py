"""Writes the model as ONNX, float32 and int8, and certifies that onnxruntime says what PyTorch says.

    python -m scripts.aerial.world.export --input sessions --test data/curated/aerial/world/test.jsonl \
        --model models/aerial/world/model --out models/aerial/world/onnx

certificate.json names every file by its hash. The float32 graph must agree with PyTorch (an integrity limit: it stops
every run); what int8 loses is measured here on a few windows, and in IoU by `scripts.aerial.world.score`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from scripts.aerial.world.counts import count
from scripts.aerial.world.dataset import Dataset, load_dataset
from scripts.aerial.world.onnx_files import write_float, write_int8
from scripts.aerial.world.options import WorldExportOptions
from scripts.aerial.world.runners import Runner, decided, history_of, onnx_runner, torch_runner
from scripts.aerial.world.settings import add_config, section
from scripts.aerial.world.weights import load_model
from scripts.lib.cli import StageParser, UserError, run, say
from scripts.lib.files import manifest, sha256_file, write_json
from scripts.lib.metrics import ratio, shown

FLOAT, INT8 = "model-f32.onnx", "model-int8.onnx"
THRESHOLD = 0.5
NEARLY_ALL = 0.999  # a cell whose code flips at a tie differs wholly; they are counted by themselves


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    add_config(stage)
    stage.add_argument("--input", type=Path, required=True, help="the folder that holds the sessions")
    stage.add_argument("--test", type=Path, required=True, help="windows that both are run on (JSONL)")
    stage.add_argument("--model", type=Path, required=True, help="folder of model.safetensors and config.json")
    stage.add_argument("--out", type=Path, required=True, help="the ONNX files and certificate.json are written here")
    return stage


def main(args: argparse.Namespace) -> None:
    """Writes the files, compares, writes the certificate last.

    Raises:
        UserError: the float32 graph does not say what PyTorch says.
    """
    options: WorldExportOptions = section(args, "export")
    model = load_model(args.model)
    data = load_dataset(args.test, args.input).evenly(options.windows)
    (args.out / "certificate.json").unlink(missing_ok=True)
    write_float(model, history_of(data.batch([0]), data.options.history), args.out / FLOAT, options.opset)
    write_int8(args.out / FLOAT, args.out / INT8)
    names = [FLOAT, INT8]
    runners = {"torch": torch_runner(model)} | {name: onnx_runner(args.out / name) for name in names}
    found = compare(runners, data)
    certificate = {
        "passed": True,
        "checks": checks_of(found, options),
        "files": manifest(args.out, names),
        "model": sha256_file(args.model / "model.safetensors"),
        "windows": len(data),
        "measured": found,
    }
    certificate["passed"] = all(check["passed"] for check in certificate["checks"] if check["kind"] == "integrity")
    write_json(args.out / "certificate.json", certificate)
    for check in certificate["checks"]:
        say(f"{check['name']}: {check['detail']}")
    if not certificate["passed"]:
        raise UserError(
            f"{args.out / FLOAT}: does not say what PyTorch says; see certificate.json, and do not ship it."
        )


def compare(runners: dict[str, Runner], data: Dataset) -> dict[str, dict[str, float | None]]:
    """How far each file is from PyTorch on the windows, and the IoU without ground of all."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in runners}
    for at in range(len(data)):
        batch = data.batch([at])
        told, true = history_of(batch, data.options.history), batch["grids"][0, data.options.history :].numpy()
        said = {name: runner(told) for name, runner in runners.items()}
        for name, one in said.items():
            rows[name].append(difference(one, said["torch"], true, data))
    return {name: summed(found) for name, found in rows.items()}


def difference(
    one: tuple[np.ndarray, np.ndarray], reference: tuple[np.ndarray, np.ndarray], true: np.ndarray, data: Dataset
) -> dict[str, Any]:
    """Of one window: differences, flipped cells, and counts of cells."""
    classes = data.options.classes
    grids = [decided(said[0][0], THRESHOLD, classes.free) for said in (one, reference)]
    counts = sum(count(frame, answer, classes)[:, -1] for frame, answer in zip(true, grids[0], strict=True))
    return {
        "probability": float(np.quantile(np.abs(one[0] - reference[0]), NEARLY_ALL)),
        "steps": float(np.abs(one[1] - reference[1]).max()),
        "flipped": float(((grids[0] != classes.free) != (grids[1] != classes.free)).mean()),
        "counts": counts,
    }


def summed(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """The worst differences, the mean of flipped cells, and IoU without ground at probability 0.5."""
    both, true, said = np.sum([row["counts"] for row in rows], axis=0).tolist()
    return {
        "probability_difference": max(row["probability"] for row in rows),
        "steps_difference": max(row["steps"] for row in rows),
        "flipped": float(np.mean([row["flipped"] for row in rows])),
        "iou_no_ground": ratio(both, true + said - both),
    }


def checks_of(found: dict[str, dict[str, float | None]], options: WorldExportOptions) -> list[dict[str, Any]]:
    """The checks of the certificate: float32 must agree; of int8 the loss is stated."""
    limits = {
        "probability_difference": options.max_difference,
        "steps_difference": options.max_difference,
        "flipped": options.max_flipped,
    }
    checks = []
    for metric, limit in limits.items():
        value = found[FLOAT][metric]
        assert value is not None, "only a ratio can be undefined"
        name = f"parity:f32:{metric}"
        detail = f"{value:.2e} against PyTorch, at most {limit:g}"
        checks.append(
            {
                "name": name,
                "kind": "integrity",
                "passed": value <= limit,
                "value": value,
                "limit": limit,
                "detail": detail,
            }
        )
    ours, theirs = found[INT8]["iou_no_ground"], found["torch"]["iou_no_ground"]
    lost = None if ours is None or theirs is None else theirs - ours
    detail = f"IoU without ground {shown(ours)} against {shown(theirs)}: {shown(lost)} lost"
    told = {"name": "loss:int8", "kind": "quality", "passed": None, "value": lost, "limit": None, "detail": detail}
    return [*checks, told]


if __name__ == "__main__":
    run(parser, main)
