"""A published model: model.safetensors, and config.json with all that is needed to build the network again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.aerial.world.options import PARTS, WorldDataOptions, WorldModelOptions
from scripts.lib.cli import UserError
from scripts.lib.files import atomic_path, read_json, write_json

ARCHITECTURE = "TransVQVAE"


def save_model(
    folder: Path, weights: dict[str, Any], data: WorldDataOptions, model: WorldModelOptions, identity: str
) -> None:
    """Writes both files atomically, the config last."""
    from safetensors.torch import save_file

    with atomic_path(folder / "model.safetensors") as part:
        save_file({name: value.contiguous() for name, value in sorted(weights.items())}, part)
    config = {"architecture": ARCHITECTURE, "identity": identity}
    write_json(folder / "config.json", config | {"data": data.model_dump(), "model": model.model_dump()})


def load_model(folder: Path) -> Any:
    """The model of a folder, ready to predict.

    Raises:
        UserError: a file is missing, or `save_model` did not write it.
    """
    from scripts.aerial.world.model.pretrained import described, misfits, read_safetensors
    from scripts.aerial.world.model.transvqvae import TransVQVAE

    path, weights_path = folder / "config.json", folder / "model.safetensors"
    config = read_json(path)
    if not isinstance(config, dict) or config.get("architecture") != ARCHITECTURE:
        raise UserError(f"{path}: no config of a {ARCHITECTURE}; train the model first.")
    data = WorldDataOptions.parse(config.get("data", {}), str(path))
    options = WorldModelOptions.parse(config.get("model", {}), str(path))
    if not weights_path.is_file():
        raise UserError(f"{weights_path}: no such file; train the model first.")
    network, weights = TransVQVAE(data, options), read_safetensors(weights_path)
    if problems := misfits(network.state_dict(), weights, PARTS, set()):
        raise UserError(described(weights_path, PARTS, problems))
    network.load_state_dict(weights)
    return network.eval()
