"""An adapter in PEFT's format: its tensors sorted by what they do, its options checked, its pairs as factors.

LoRA (arXiv:2106.09685) adds s * B A to a weight, s = alpha / r, or alpha / sqrt(r) for rsLoRA (arXiv:2312.03732). DoRA
(arXiv:2402.09353) then rescales each output feature to a learnt length. Trained copies of whole modules
(`modules_to_save`) replace the base's. A LoRA pair is read as ``left @ right`` in the weight's own orientation.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.cli import UserError
from scripts.lib.files import read_json
from scripts.model.tensors import Tensor, read_float, read_header

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
PREFIX = "base_model.model."
PART = re.compile(r"(?P<module>.+)\.lora_(?P<part>A|B|embedding_A|embedding_B|magnitude_vector)(\.weight)?")
# Options of PEFT's LoRA that change the arithmetic in ways not implemented here.
UNSUPPORTED = (
    "target_parameters",
    "trainable_token_indices",
    "lora_bias",
    "use_qalora",
    "use_bdlora",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
    "velora_config",
    "alora_invocation_tokens",
    "layer_replication",
    "megatron_config",
)
RESIDUAL_INITS = ("pissa", "olora", "corda", "loftq", "lora_ga")  # they change the base weights before training


@dataclass(frozen=True)
class Factors:
    """``scaling * left @ right`` (rows x r, r x columns, float32), to be added to a weight of rows x columns.

    Attributes:
        magnitude: DoRA's learnt length of each output feature, or None.
        by_row: whether output features are rows (Linear) or columns (Conv1D, embeddings) of the stored weight.
    """

    left: np.ndarray
    right: np.ndarray
    scaling: float
    magnitude: np.ndarray | None
    by_row: bool


@dataclass(frozen=True)
class Update:
    """A LoRA pair, not read yet: ``down`` is r x inputs, ``up`` outputs x r."""

    down: Tensor
    up: Tensor
    scaling: float
    magnitude: Tensor | None
    by_row: bool

    def load(self) -> Factors:
        """Reads the pair, turned as the stored weight is.

        Raises:
            UserError: it holds numbers that are not finite.
        """
        down, up = finite_float(self.down), finite_float(self.up)
        left, right = (up, down) if self.by_row else (np.ascontiguousarray(down.T), np.ascontiguousarray(up.T))
        magnitude = None if self.magnitude is None else finite_float(self.magnitude).reshape(-1)
        return Factors(left, right, self.scaling, magnitude, self.by_row)

    def same(self, other: Update | None) -> bool:
        """Whether another update adds exactly the same (of a tied embedding and its head)."""
        if other is None or self.scaling != other.scaling or self.magnitude or other.magnitude:
            return False
        one, two = self.load(), other.load()
        return np.array_equal(one.left, two.left) and np.array_equal(one.right, two.right)


@dataclass
class Adapter:
    """An adapter's config and tensors, sorted by what they do; ``used`` grows as they find their place.

    Attributes:
        pairs: module to its LoRA matrices and magnitude.
        base_layers: weights and biases below an adapted module; of a tied embedding the head uses them as well.
        replacements: trained copies of whole weights (`modules_to_save`) and biases. A tied embedding's trained copy is
            the embedding's alone: PEFT leaves the head on the old weight.
    """

    folder: Path
    config: dict[str, Any]
    pairs: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    base_layers: dict[str, Tensor] = field(default_factory=dict)
    replacements: dict[str, Tensor] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    @property
    def tensors(self) -> list[Tensor]:
        """All of them."""
        paired = [tensor for parts in self.pairs.values() for tensor in parts.values()]
        return paired + list(self.base_layers.values()) + list(self.replacements.values())


def load_adapter(folder: Path) -> Adapter:
    """Reads an adapter's config and the names of its tensors.

    Raises:
        UserError: it is missing or damaged, or uses what cannot be merged here.
    """
    config = read_json(folder / CONFIG)
    refuse_unsupported(config, folder / CONFIG)
    adapter = Adapter(folder, config)
    for key, tensor in read_header(folder / WEIGHTS).items():
        name = key.removeprefix(PREFIX)
        match = PART.fullmatch(name)
        if match:
            adapter.pairs.setdefault(match["module"], {})[match["part"]] = tensor
        elif ".lora_" in name or "trainable_tokens" in name:
            raise UserError(f"{folder / WEIGHTS}: {key} is of a kind that cannot be merged here; train plain LoRA.")
        elif ".base_layer." in name:
            adapter.base_layers[name.replace(".base_layer.", ".")] = tensor
        else:
            adapter.replacements[name] = tensor
    return adapter


def refuse_unsupported(config: dict[str, Any], path: Path) -> None:
    """Stops where the adapter would be merged wrongly.

    Raises:
        UserError: names the option.
    """
    if config.get("peft_type") != "LORA":
        raise UserError(f"{path}: peft_type is {config.get('peft_type')!r}; only LORA adapters can be merged.")
    for key in UNSUPPORTED:
        if config.get(key):
            raise UserError(
                f"{path}: {key} is set, which cannot be merged here; train without it, or use PEFT's merge."
            )
    init = config.get("init_lora_weights")
    if isinstance(init, str) and init.startswith(RESIDUAL_INITS):
        raise UserError(
            f"{path}: init_lora_weights {init!r} changed the base weights before training; save the adapter converted "
            "to plain LoRA (PEFT's path_initial_model_for_weight_conversion) and merge that."
        )


def finite_float(tensor: Tensor) -> np.ndarray:
    """An adapter's tensor in float32.

    Raises:
        UserError: it holds infinities or NaN.
    """
    values = read_float(tensor)
    if not np.isfinite(values).all():
        raise UserError(
            f"{tensor.file}: {tensor.name} holds numbers that are not finite; train again with a lower learning rate."
        )
    return values


def scaling_of(module: str, config: dict[str, Any]) -> tuple[int, float]:
    """Rank and factor of a module; patterns are regular expressions that match the end of its path, as in PEFT."""

    def by_pattern(patterns: dict[str, Any] | None, default: Any) -> Any:
        matches = (value for key, value in (patterns or {}).items() if re.match(rf"(.*\.)?({key})$", module))
        return next(matches, default)

    rank = int(by_pattern(config.get("rank_pattern"), config["r"]))
    alpha = float(by_pattern(config.get("alpha_pattern"), config["lora_alpha"]))
    return rank, alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
