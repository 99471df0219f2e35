"""Makes the package of the world model: safetensors, ONNX, an example with its answer, card, checksums.

    python -m scripts.aerial.world.deploy --gate reports/aerial/world/gate.json --model models/aerial/world/model \
        --onnx models/aerial/world/onnx --metrics reports/aerial/world/metrics.json ... --out dist/aerial/world

The folder is written beside its place and takes it in one step. Its files hold no times: the same inputs give the
same bytes.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from scripts.aerial.world.card import card
from scripts.aerial.world.dataset import load_dataset
from scripts.aerial.world.replay import EXAMPLE, RESULTS, answer_of
from scripts.aerial.world.runners import history_of, onnx_runner
from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import manifest, read_json, sha256_file, write_json, write_text
from scripts.lib.folders import new_folder
from scripts.lib.options.deploy import DeployOptions
from scripts.packaging.evidence import SCOPE_WORDS
from scripts.packaging.sums import write_sums

TOLD = ("gate", "metrics", "certificate", "training", "stats")


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--gate", type=Path, required=True, help="gate.json: which file is the default")
    stage.add_argument("--model", type=Path, required=True, help="folder of model.safetensors and config.json")
    stage.add_argument("--onnx", type=Path, required=True, help="folder of model-<name>.onnx files")
    stage.add_argument("--metrics", type=Path, required=True)
    stage.add_argument("--certificate", type=Path, required=True)
    stage.add_argument("--training", type=Path, required=True, help="training_metadata.json")
    stage.add_argument("--stats", type=Path, required=True, help="stats.json of the curated data")
    stage.add_argument("--input", type=Path, required=True, help="the folder that holds the sessions")
    stage.add_argument("--test", type=Path, required=True, help="test.jsonl, for the example")
    stage.add_argument("--preset", default="", help="name of the configuration, for the card")
    stage.add_argument("--scope", choices=tuple(SCOPE_WORDS), help="what its scores prove; else as metrics.json says")
    stage.add_argument("--out", type=Path, required=True, help="the package's folder; replaced as a whole")
    return stage


def main(args: argparse.Namespace) -> None:
    """Checks what is shipped, builds the folder and puts it in the place of the old one."""
    options = DeployOptions.parse(load_params(args.params))
    told = {name: read_json(getattr(args, name)) for name in TOLD}
    files = [args.model / "model.safetensors", *sorted(args.onnx.glob("model-*.onnx"))]
    refuse(told, files, args, options)
    with new_folder(args.out) as folder:
        for file in files:
            shutil.copyfile(file, folder / file.name)
        default = f"model-{told['gate']['variant']}.onnx"
        write_example(folder, default, args, told["metrics"]["threshold"])
        config = deployment_config(folder, default, files, told, args)
        write_json(folder / "config.json", read_json(args.model / "config.json"))
        write_json(folder / "deployment_config.json", config)
        write_text(folder / "README.md", card(config["name"], config, told))
        write_sums(folder)
    say(f"{args.out}: {len(list(args.out.iterdir()))} files, default {default}")
    if not told["gate"]["passed"]:
        say(f"marked: {told['gate']['why']}")


def refuse(told: dict[str, Any], files: list[Path], args: argparse.Namespace, options: DeployOptions) -> None:
    """Raises a `UserError` for a package that must not be written."""
    gate, certificate = told["gate"], told["certificate"]
    if not gate["passed"] and gate.get("on_miss") == "stop":
        raise UserError(
            f"{args.gate}: a quality limit is missed ({gate['why']}); train better, or set gate.on_miss: mark."
        )
    if not certificate.get("passed"):
        raise UserError(f"{args.certificate}: the certificate did not pass; export again, nothing ships.")
    known = {row["name"]: row["sha256"] for row in certificate["files"]}
    if f"model-{gate['variant']}.onnx" not in known:
        raise UserError(
            f"{args.gate}: ships {gate['variant']!r}, which the certificate does not have; run the gate again."
        )
    for file in files:
        if not file.is_file():
            raise UserError(f"{file}: no such file; train and export first.")
        due = known.get(file.name) if file.suffix == ".onnx" else certificate["model"]
        if sha256_file(file) != due:
            raise UserError(f"{file}: not as it was certified; export again.")
        if file.stat().st_size > options.size_limit_gb * 1e9:
            raise UserError(
                f"{file}: {file.stat().st_size / 1e9:.4g} GB is over deploy.size_limit_gb = {options.size_limit_gb:g}; "
                "lower model.width, model.channels, or raise the limit."
            )


def write_example(folder: Path, default: str, args: argparse.Namespace, threshold: float) -> None:
    """The history of the first test window, and what the default file says of it."""
    data = load_dataset(args.test, args.input)
    told = history_of(data.batch([0]), data.options.history)
    with (folder / EXAMPLE).open("wb") as stream:
        np.savez_compressed(stream, **told)
    answer = answer_of(onnx_runner(folder / default), told, threshold, data.options.classes.free)
    write_json(folder / RESULTS, {"file": default, "window": data.rows[0].id, "threshold": threshold, **answer})


def deployment_config(
    folder: Path, default: str, files: list[Path], told: dict[str, Any], args: argparse.Namespace
) -> dict[str, Any]:
    """What deployment_config.json holds."""
    model = read_json(args.model / "config.json")
    metrics, gate = told["metrics"], told["gate"]
    return {
        "name": f"{metrics['system']}/{metrics['run']}",
        "preset": args.preset,
        "scope": args.scope or metrics.get("scope") or "real",
        "default": default,
        "threshold": metrics["threshold"],
        "files": manifest(folder, [file.name for file in files]),
        "architecture": model["architecture"],
        "parameters": told["training"]["parameters"],
        "shape": shape_of(folder / EXAMPLE),
        "data": model["data"],
        "gate": {key: gate.get(key) for key in ("passed", "variant", "why", "checks")},
    }


def shape_of(example: Path) -> list[int]:
    """Cells of a grid, from the example itself."""
    with np.load(example, allow_pickle=False) as arrays:
        return list(arrays["grids"].shape[2:])


if __name__ == "__main__":
    run(parser, main)
