"""Writes an adapter as a small GGUF of its own, which llama.cpp applies to a base's GGUF at run time.

B is multiplied by the scale of its pair (alpha over rank, rsLoRA, patterns), so that llama.cpp's own factor is 1. An
adapter GGUF cannot hold DoRA, trained copies of whole modules or embeddings; such an adapter is refused and must be
merged.
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
from scripts.model.lora import Update, load_adapter
from scripts.model.merge_plan import EMBEDDINGS, plan
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
    """Converts the adapter and says how many pairs it holds."""
    count = convert_adapter(args.base, args.adapter, args.out, args.converter)
    say(f"{args.out}: {count} pairs, {args.out.stat().st_size / 1e6:,.1f} MB")


def convert_adapter(base: Path, adapter: Path, out: Path, converter: Path) -> int:
    """Writes ``out`` atomically; returns the number of pairs in it.

    Raises:
        UserError: the adapter holds what an adapter GGUF cannot, does not fit the base, or the converter fails.
    """
    from safetensors.numpy import save_file

    updates = adapted(base, adapter)
    config = read_json(base / "config.json")
    facts = {
        "architecture": config["architectures"][0],
        "name": config.get("model_type", "model"),
        "weights": {name: not update.by_row for name, update in updates.items()},
    }
    tensors = {}
    for name, update in updates.items():
        a, b = scaled_pair(update)
        if max(np.abs(a).max(), np.abs(b).max()) > np.finfo(np.float16).max:
            raise UserError(f"{update.up.file}: {name} is too large for 16 bits; train with a lower rate.")
        tensors |= {f"{name}.a": a, f"{name}.b": b}
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder, atomic_path(out) as part:
        pairs, log = Path(folder) / "pairs.safetensors", Path(folder) / "converter.log"
        save_file(tensors, pairs)
        pairs.with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")
        command = [sys.executable, "-P", "-m", adapter_shim.__name__]
        command += map(str, (base.resolve(), pairs.resolve(), part.resolve()))
        with log.open("wb") as stream:
            environment = converter_environment(converter)
            process = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, env=environment)
        if process.returncode or not part.stat().st_size:
            raise UserError(f"{adapter}: cannot be written as GGUF ({reason(log)}); merge this adapter instead.")
    return len(updates)


def adapted(base: Path, adapter: Path) -> dict[str, Update]:
    """The base's weights that the adapter changes, by name, each with its update.

    Raises:
        UserError: an adapter GGUF cannot hold one of them.
    """
    loaded = load_adapter(adapter)
    rows, _ = plan(read_model(base), loaded, read_json(base / "config.json"))
    updates = {row.name: row.update for row in rows if row.update}
    present = {
        "DoRA's magnitudes": any(update.magnitude for update in updates.values()),
        "trained copies of whole modules": bool(loaded.replacements or loaded.base_layers),
        "embeddings": any(name.endswith(EMBEDDINGS) for name in updates),
    }
    refused = [kind for kind, is_present in present.items() if is_present]
    if refused:
        raise UserError(f"{adapter}: an adapter GGUF cannot hold {' and '.join(refused)}; merge this adapter instead.")
    return updates


def scaled_pair(update: Update) -> tuple[np.ndarray, np.ndarray]:
    """A [r, in] and B [out, r] in float32, B multiplied by the scale."""
    factors = update.load()
    left, right = (factors.left, factors.right) if factors.by_row else (factors.right.T, factors.left.T)
    return np.ascontiguousarray(right), np.ascontiguousarray(left * np.float32(factors.scaling))


if __name__ == "__main__":
    run(parser, main)
