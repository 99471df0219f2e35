"""Writes an adapter as a small GGUF of its own, which llama.cpp adds to a base's GGUF while it answers.

The scale of each pair (alpha over rank, rsLoRA, patterns) goes into its B, so that llama.cpp's own factor is 1. What
an adapter GGUF cannot hold (DoRA, trained copies of whole modules, embeddings) is refused: merge such an adapter.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from scripts.lib.cli import StageParser, UserError, run, say
from scripts.lib.files import atomic_path, read_json
from scripts.model import adapter_shim
from scripts.model.convert import converter_dir, converter_environment, reason
from scripts.model.lora import Factors, load_adapter
from scripts.model.merge_plan import EMBEDDINGS, Planned, plan
from scripts.model.tensors import read_model


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__, params=False)
    stage.add_argument("--base", type=Path, required=True, help="folder of the 16-bit base model")
    stage.add_argument("--adapter", type=Path, required=True, help="folder of the adapter (PEFT's format)")
    stage.add_argument("--out", type=Path, required=True, help="the GGUF file to write")
    stage.add_argument("--converter", type=Path, default=converter_dir(), help="folder of the converter")
    return stage


def main(args: argparse.Namespace) -> None:
    """Runs the stage."""
    count = convert_adapter(args.base, args.adapter, args.out, args.converter)
    say(f"{args.out}: {count} pairs, {args.out.stat().st_size / 1e6:,.1f} MB")


def convert_adapter(base: Path, adapter: Path, out: Path, converter: Path) -> int:
    """Writes ``out`` atomically; returns the number of pairs in it.

    Raises:
        UserError: the adapter holds what its own GGUF cannot, does not fit the base, or the converter fails.
    """
    rows = adapted(base, adapter)
    config = read_json(base / "config.json")
    with tempfile.TemporaryDirectory(dir=_made(out.parent), prefix=f".{out.name}.") as folder, atomic_path(out) as part:
        pairs, log = Path(folder) / "pairs.safetensors", Path(folder) / "converter.log"
        _write_pairs(rows, pairs)
        facts = {
            "architecture": config["architectures"][0],
            "name": config.get("model_type", "model"),
            "alpha": 0,  # llama.cpp then takes A and B as they are
            "weights": {row.name: not row.update.by_row for row in rows if row.update},
        }
        pairs.with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")
        command = [
            sys.executable,
            "-P",
            "-m",
            adapter_shim.__name__,
            *map(str, (base.resolve(), pairs.resolve(), part)),
        ]
        with log.open("wb") as stream:
            environment = converter_environment(converter)
            done = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, env=environment)
        if done.returncode or not part.stat().st_size:
            raise UserError(f"{adapter}: cannot be written as GGUF ({reason(log)}); merge this adapter instead.")
    return len(rows)


def adapted(base: Path, adapter: Path) -> list[Planned]:
    """The base's weights that the adapter changes, each with its update.

    Raises:
        UserError: one of them cannot stand in an adapter GGUF.
    """
    loaded = load_adapter(adapter)
    rows = [row for row in plan(read_model(base), loaded, read_json(base / "config.json"))[0] if row.update]
    what = {
        "DoRA's magnitudes": any(row.update and row.update.magnitude for row in rows),
        "trained copies of whole modules": bool(loaded.replacements or loaded.base_layers),
        "embeddings": any(row.name.endswith(EMBEDDINGS) for row in rows),
    }
    held = [name for name, there in what.items() if there]
    if held:
        raise UserError(f"{adapter}: an adapter GGUF cannot hold {' and '.join(held)}; merge this adapter instead.")
    return rows


def scaled_pair(factors: Factors) -> tuple[np.ndarray, np.ndarray]:
    """A [r, in] and B [out, r] in float32, the scale in B."""
    left, right = (factors.left, factors.right) if factors.by_row else (factors.right.T, factors.left.T)
    return np.ascontiguousarray(right), np.ascontiguousarray(left * np.float32(factors.scaling))


def _write_pairs(rows: list[Planned], path: Path) -> None:
    from safetensors.numpy import save_file

    tensors = {}
    for row in rows:
        assert row.update is not None
        a, b = scaled_pair(row.update.load())
        if max(np.abs(a).max(), np.abs(b).max()) > np.finfo(np.float16).max:
            raise UserError(f"{row.update.up.file}: {row.name} is too large for 16 bits; train with a lower rate.")
        tensors |= {f"{row.name}.a": a, f"{row.name}.b": b}
    save_file(tensors, path)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    run(parser, main)
