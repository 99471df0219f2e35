"""Pretrained weights: OccWorld's .pth, or a model of this project, taken part by part, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from scripts.aerial.world.model.transvqvae import TransVQVAE, part_of
from scripts.aerial.world.options import PARTS
from scripts.lib.cli import UserError

WRAPPER = "module."  # DistributedDataParallel puts it before OccWorld's names
PARTS_OF_NAMES = ("vae.", "transformer.", "pose_encoder.", "pose_decoder.", "join.")
PARTS_OF_VAE = ("encoder", "decoder", "class_embeds", "vqvae")
# Not in OccWorld's files: the state of our moving averages. They start from the codes that were read.
OWN = ("vae.vqvae.counts", "vae.vqvae.sums", "vae.vqvae.updates")
SHOWN = 12


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Tensors by name of a .safetensors or a .pth file; the latter only as data, never as code.

    Raises:
        UserError: the file is missing, or holds anything but tensors.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; check train.pretrained.")
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch raise many kinds
        raise UserError(
            f"{path}: cannot be read as weights alone ({str(error).splitlines()[0]}); it was cut short, or holds "
            "objects other than tensors: save its state_dict again, and nothing else."
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not any(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise UserError(f"{path}: holds no state_dict; give a checkpoint of OccWorld, or a model.safetensors.")
    return {key: value for key, value in loaded.items() if isinstance(value, torch.Tensor)}


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a .safetensors file by name."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path}: not a whole safetensors file ({error}); get it again.") from error


def our_name(name: str) -> str | None:
    """The name here of a tensor of OccWorld, or None where this model has no such part."""
    name = name.removeprefix(WRAPPER)
    if name.startswith(PARTS_OF_NAMES):
        return name
    # A checkpoint of the VQ-VAE stage alone has its names without `vae.`.
    return f"vae.{name}" if name.split(".")[0] in PARTS_OF_VAE else None


def load_pretrained(model: TransVQVAE, path: Path, parts: Sequence[str]) -> dict[str, int]:
    """Puts weights into the model; each named part must fit name by name and shape by shape.

    Returns:
        How many tensors each part took, and how many of the file are left over (``left``).

    Raises:
        UserError: lists what is missing, what has another shape, and what the model has no place for.
    """
    given = {our_name(key) or key: value for key, value in read_weights(path).items()}
    wanted = {name: value for name, value in model.state_dict().items() if part_of(name) in parts}
    optional = set() if any(name in given for name in OWN) else set(OWN)
    problems = misfits(wanted, given, parts, optional)
    if problems:
        raise UserError(described(path, parts, problems))
    fitting = {name: given[name].to(value.dtype) for name, value in wanted.items() if name in given}
    model.load_state_dict(fitting, strict=False)
    if "vae" in parts and optional:
        # As if every code had been chosen once.
        quantizer = model.vae.vqvae
        quantizer.counts.fill_(1.0)
        quantizer.sums.copy_(quantizer.embedding.weight)
        quantizer.updates.zero_()
    taken = {part: sum(part_of(name) == part for name in fitting) for part in PARTS if part in parts}
    return taken | {"left": len(given) - len(fitting)}


def misfits(
    wanted: dict[str, torch.Tensor], given: dict[str, torch.Tensor], parts: Sequence[str], optional: set[str]
) -> list[str]:
    """Every tensor that does not fit, as a clause; ``optional`` ones may be missing."""
    missing = [
        f"missing: {name} {list(value.shape)}"
        for name, value in wanted.items()
        if name not in given and name not in optional
    ]
    other = [
        f"another shape: {name} is {list(given[name].shape)}, the model needs {list(value.shape)}"
        for name, value in wanted.items()
        if name in given and given[name].shape != value.shape
    ]
    strange = [
        f"no place for: {name} {list(value.shape)}"
        for name, value in given.items()
        if name not in wanted and our_name(name) and part_of(our_name(name) or "") in parts
    ]
    return other + missing + strange


def described(path: Path, parts: Sequence[str], problems: Sequence[str]) -> str:
    """The problems as one message, one line each."""
    rest = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    rows = "\n  ".join(problems[:SHOWN])
    return (
        f"{path}: {len(problems)} tensors do not fit the model's {', '.join(parts)}:\n  {rows}{rest}\n"
        "Set model.* and data.classes to what the file was trained with, or take fewer train.pretrained_parts."
    )
