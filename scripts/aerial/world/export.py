"""Writes the model as ONNX, float32 and int8, and certifies that onnxruntime computes what PyTorch computes.

    python -m scripts.aerial.world.export --input sessions --test data/curated/aerial/world/test.jsonl \
        --model models/aerial/world/model --out models/aerial/world/onnx

certificate.json lists every file with its hash. The float32 graph must agree with PyTorch (an integrity limit: it stops
every run). The loss of int8 is measured here on a few windows, and on the test split by `scripts.aerial.world.score`.
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
NEARLY_ALL = 0.999  # quantile; a cell whose code flips at a tie differs entirely, and is counted as flipped


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
        UserError: the float32 graph does not agree with PyTorch.
    """
    options: WorldExportOptions = section(args, "export")
    model = load_model(args.model)
    data = load_dataset(args.test, args.input).evenly(options.windows)
    (args.out / "certificate.json").unlink(missing_ok=True)
    write_float(model, history_of(data.batch([0]), data.options.history), args.out / FLOAT, options.opset)
    write_int8(args.out / FLOAT, args.out / INT8)
    names = [FLOAT, INT8]
    measured = compare({"torch": torch_runner(model)} | {name: onnx_runner(args.out / name) for name in names}, data)
    checks = checks_of(measured, options)
    passed = all(check["passed"] for check in checks if check["kind"] == "integrity")
    certificate = {
        "passed": passed,
        "checks": checks,
        "files": manifest(args.out, names),
        "model": sha256_file(args.model / "model.safetensors"),
        "windows": len(data),
        "measured": measured,
    }
    write_json(args.out / "certificate.json", certificate)
    for check in checks:
        say(f"{check['name']}: {check['detail']}")
    if not passed:
        raise UserError(
            f"{args.out / FLOAT}: does not say what PyTorch says; see certificate.json, and do not ship it."
        )


def compare(runners: dict[str, Runner], data: Dataset) -> dict[str, dict[str, float | None]]:
    """How far each runner is from ``torch`` on the windows: worst differences, mean rate of flipped cells, and its IoU.

    The difference of probabilities is that of all but a thousandth of the cells; the IoU is without ground, at
    probability 0.5.
    """
    classes = data.options.classes
    rows: dict[str, list[list[float]]] = {name: [] for name in runners}
    for window in range(len(data)):
        batch = data.batch([window])
        history, true = history_of(batch, data.options.history), batch["grids"][0, data.options.history :].numpy()
        outputs = {name: runner(history) for name, runner in runners.items()}
        grids = {name: decided(output[0][0], THRESHOLD, classes.free) for name, output in outputs.items()}
        for name, (probabilities, steps) in outputs.items():
            cells = sum(count(frame, answer, classes)[:, -1] for frame, answer in zip(true, grids[name], strict=True))
            differences = [
                np.quantile(np.abs(probabilities - outputs["torch"][0]), NEARLY_ALL),
                np.abs(steps - outputs["torch"][1]).max(),
                ((grids[name] != classes.free) != (grids["torch"] != classes.free)).mean(),
            ]
            rows[name].append([*differences, *cells])
    measured = {}
    for name, values in rows.items():
        probability, step, flipped, *cells = np.array(values, float).T
        both, due, predicted = (float(column.sum()) for column in cells)
        measured[name] = {
            "probability_difference": float(probability.max()),
            "steps_difference": float(step.max()),
            "flipped": float(flipped.mean()),
            "iou_no_ground": ratio(both, due + predicted - both),
        }
    return measured


def checks_of(measured: dict[str, dict[str, float | None]], options: WorldExportOptions) -> list[dict[str, Any]]:
    """The checks of the certificate: float32 must agree; the loss of int8 is stated."""

    def check(name: str, kind: str, value: float | None, limit: float | None, detail: str) -> dict[str, Any]:
        passed = None if limit is None or value is None else value <= limit
        return {"name": name, "kind": kind, "passed": passed, "value": value, "limit": limit, "detail": detail}

    limits = {
        "probability_difference": options.max_difference,
        "steps_difference": options.max_difference,
        "flipped": options.max_flipped,
    }
    checks = []
    for metric, limit in limits.items():
        value = measured[FLOAT][metric]
        detail = f"{value:.2e} against PyTorch, at most {limit:g}"
        checks.append(check(f"parity:f32:{metric}", "integrity", value, limit, detail))
    ours, theirs = measured[INT8]["iou_no_ground"], measured["torch"]["iou_no_ground"]
    lost = None if ours is None or theirs is None else theirs - ours
    detail = f"IoU without ground {shown(ours)} against {shown(theirs)}: {shown(lost)} lost"
    return [*checks, check("loss:int8", "quality", lost, None, detail)]


if __name__ == "__main__":
    run(parser, main)
