"""Full precision where 16 bits are not enough: positions, distances to codes, motions."""

from __future__ import annotations

import contextlib
from typing import Any

import torch


def in_full(tensor: torch.Tensor) -> Any:
    """A context without autocast: products are taken in the precision of their operands.

    bfloat16 has 8 significant bits: 40 m would be rounded to 0.16 m, nearly half a voxel.
    """
    if tensor.device.type == "meta":  # autocast does not accept it
        return contextlib.nullcontext()
    return torch.autocast(tensor.device.type, enabled=False)
