"""A base model's card (base.json): made from the model's files, and checked against them before they are used."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError
from scripts.lib.files import inside, manifest, read_json, sha256_file
from scripts.model.tensors import DTYPE_NAMES, read_header, read_model, weight_files

CARD = "base.json"
WINDOW_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "seq_length")


def describe_base(
    folder: Path,
    *,
    name: str,
    source: str,
    licence: str,
    revision: str | None = None,
    template: str = "own",
    merge_onto: str | None = None,
) -> dict[str, Any]:
    """The card of the model in ``folder``: its origin, architecture, and every file with size and SHA-256.

    Its ``dtype`` is the type in which most bytes are stored: bfloat16, float16, float32, or safetensors' own name.

    Args:
        folder: weights, config and tokenizer; every file in it is listed.
        template: "own", or "fallback" where the model came without a chat template.

    Raises:
        UserError: config.json is missing, or the weights are cut short.
    """
    config = read_json(folder / "config.json")
    tensors = read_model(folder)
    sizes: Counter[str] = Counter()
    for tensor in tensors.values():
        sizes[tensor.dtype] += tensor.size
    dtype = max(sorted(sizes), key=lambda key: sizes[key])
    return {
        "name": name,
        "source": source,
        "revision": revision,
        "licence": licence,
        "dtype": DTYPE_NAMES.get(dtype, dtype.lower()),
        "architecture": (config.get("architectures") or [config.get("model_type", "unknown")])[0],
        "parameters": sum(math.prod(tensor.shape) for tensor in tensors.values()),
        "context_length": context_length(config),
        "chat_template": template,
        "merge_onto": merge_onto,
        "files": manifest(folder, [path.name for path in folder.iterdir() if path.is_file() and path.name != CARD]),
    }


def context_length(config: dict[str, Any]) -> int | None:
    """The model's context in tokens, None if unknown; a vision-language model keeps it in its `text_config`."""
    for part in (config, config.get("text_config") or {}):
        for key in WINDOW_KEYS:
            if part.get(key):
                return int(part[key])
    return None


def verify_base(folder: Path, *, hashes: bool = False) -> dict[str, Any]:
    """The card of a base model, after checking that the files it lists exist and are complete.

    Sizes and safetensors headers are always checked; SHA-256 of every file with ``hashes`` (0.7 s a GiB).

    Raises:
        UserError: the folder or its card is missing, or a file is missing, cut short or changed.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; build the base model first (snakemake {folder / CARD}).")
    card = read_json(folder / CARD)
    if not isinstance(card, dict) or not isinstance(card.get("files"), list):
        raise UserError(f"{folder / CARD}: not a base model's card; delete the folder and build the base model again.")
    again = f"delete {folder / CARD} and build the base model again."
    for entry in card["files"]:
        path = inside(folder, entry["name"])
        if not path.is_file():
            raise UserError(f"{path}: missing, though {CARD} names it; {again}")
        size = path.stat().st_size
        if size != entry["bytes"]:
            change = "truncated" if size < entry["bytes"] else "changed"
            raise UserError(f"{path}: {change}, {size:,} bytes where {CARD} says {entry['bytes']:,}; {again}")
        if hashes and sha256_file(path) != entry["sha256"]:
            raise UserError(f"{path}: its content is not what {CARD} recorded (SHA-256 differs); {again}")
    for name in weight_files(folder):
        read_header(folder / name)
    return card


def quantization_of(folder: Path) -> str | None:
    """The quantisation named in a model's config ("4-bit", "8-bit", or a method's name), None for a 16-bit model."""
    config = read_json(folder / "config.json")
    quantization = config.get("quantization_config") or (config.get("text_config") or {}).get("quantization_config")
    if not quantization:
        return None
    for bits in (4, 8):
        flags = (f"load_in_{bits}bit", f"_load_in_{bits}bit")
        if quantization.get("bits") == bits or any(quantization.get(flag) for flag in flags):
            return f"{bits}-bit"
    return str(quantization.get("quant_method", "quantised"))
