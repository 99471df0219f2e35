"""Makes the package of the world model: safetensors, ONNX, an example with its answer, card, checksums.

    python -m scripts.aerial.world.deploy --gate reports/aerial/world/gate.json --model models/aerial/world/model \
        --onnx models/aerial/world/onnx --metrics reports/aerial/world/metrics.json ... --out dist/aerial/world
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.aerial.world.above import METRIC, sentence
from scripts.aerial.world.dataset import load_dataset
from scripts.aerial.world.replay import EXAMPLE, RESULTS, answer_of
from scripts.aerial.world.runners import history_of, onnx_runner
from scripts.lib.cli import StageParser, UserError, run
from scripts.lib.files import read_json, sha256_file, write_json
from scripts.packaging.contents import Package, add_package_arguments, common_fields, refuse_files
from scripts.packaging.evidence import score_rows, share
from scripts.packaging.publish import publish

TEMPLATE = Path(__file__).parent / "templates" / "world_model.md.j2"


@dataclass(frozen=True)
class WorldPackage(Package):
    """The package of a world model.

    Attributes:
        model: folder of model.safetensors and config.json.
        onnx: folder of model-<variant>.onnx files.
        root: the folder that holds the sessions.
        test: test.jsonl, for the example.
    """

    model: Path
    onnx: Path
    root: Path
    test: Path

    @property
    def default_file(self) -> str:
        """Name of the ONNX file that the gate chose."""
        return f"model-{self.gate['variant']}.onnx"

    @property
    def model_files(self) -> list[Path]:
        """Weights as trained, and what a device runs."""
        return [self.model / "model.safetensors", *sorted(self.onnx.glob("model-*.onnx"))]

    def card(self, folder: Path) -> tuple[Path, dict[str, Any]]:
        """The template of world models: how to run it, what goes in and out, IoU by horizon."""
        frames = self.metrics["horizons"]
        lines = [
            (row.name, [share(row.scores[f"{METRIC}_{frame['frame']}"]["value"]) for frame in frames])
            for row in score_rows(self.metrics, self.gate["variant"])
            if f"{METRIC}_{frames[0]['frame']}" in row.scores
        ]
        return TEMPLATE, {
            "verify": self.system.verify,
            "seconds": [frame["seconds"] for frame in frames],
            "horizon_lines": lines,
            "sentences": [sentence(self.metrics, name) for name in self.metrics["beats"]],
        }


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    add_package_arguments(stage)
    stage.add_argument("--model", type=Path, required=True, help="folder of model.safetensors and config.json")
    stage.add_argument("--onnx", type=Path, required=True, help="folder of model-<name>.onnx files")
    stage.add_argument("--input", type=Path, required=True, help="the folder that holds the sessions")
    stage.add_argument("--test", type=Path, required=True, help="test.jsonl, for the example")
    return stage


def main(args: argparse.Namespace) -> None:
    """Checks what is shipped and publishes it.

    Raises:
        UserError: a file is missing, too large, or not as it was certified.
    """
    folders = {"model": args.model, "onnx": args.onnx, "root": args.input, "test": args.test}
    package = WorldPackage(**common_fields(args), **folders)
    certified = {row["name"]: row["sha256"] for row in package.certificate["files"]}
    if package.default_file not in certified:
        raise UserError(
            f"{args.gate}: ships {package.gate['variant']!r}, which the certificate does not have; run the gate again."
        )
    refuse_files(package.model_files, package.options, "lower model.width, model.channels")
    for file in package.model_files:
        due = certified.get(file.name) if file.suffix == ".onnx" else package.certificate["model"]
        if sha256_file(file) != due:
            raise UserError(f"{file}: not as it was certified; export again.")
    model = read_json(args.model / "config.json")

    def write_files(folder: Path) -> None:
        shutil.copyfile(args.model / "config.json", folder / "config.json")
        write_example(folder, package)

    def facts(folder: Path) -> dict[str, Any]:
        with np.load(folder / EXAMPLE, allow_pickle=False) as arrays:
            shape = list(arrays["grids"].shape[2:])
        return {
            "threshold": package.metrics["threshold"],
            "architecture": model["architecture"],
            "parameters": package.training["parameters"],
            "shape": shape,
            "data": model["data"],
        }

    publish(package, write_files, facts)


def write_example(folder: Path, package: WorldPackage) -> None:
    """The history of the first test window, and the default file's answer to it."""
    data = load_dataset(package.test, package.root)
    history = history_of(data.batch([0]), data.options.history)
    with (folder / EXAMPLE).open("wb") as stream:
        np.savez_compressed(stream, **history)
    threshold, free = package.metrics["threshold"], data.options.classes.free
    answer = answer_of(onnx_runner(folder / package.default_file), history, threshold, free)
    shown = {"file": package.default_file, "window": data.rows[0].id, "threshold": threshold}
    write_json(folder / RESULTS, shown | answer)


if __name__ == "__main__":
    run(parser, main)
