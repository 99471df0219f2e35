"""Steps of training as a small model likes them."""

from __future__ import annotations

import math
from typing import Any

from tqdm import tqdm

WARMUP = 60  # steps


def optimizer_of(parameters: Any) -> Any:
    """AdamW as small models like it."""
    import torch

    return torch.optim.AdamW(parameters, weight_decay=0.01, betas=(0.9, 0.98))


def turn(optimizer: Any, loss: Any, learning_rate: float, bar: tqdm) -> None:
    """One step of an optimizer, gradients clipped to a norm of 1."""
    import torch

    loss.backward()
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
        torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
    optimizer.step()
    optimizer.zero_grad()
    bar.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)
    bar.update()


def rate(step: int, steps: int) -> float:
    """The share of the full learning rate: a short rise, then half a cosine down to a twentieth."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 0.05 + 0.95 * (1 + math.cos(math.pi * min(1.0, (step - WARMUP) / max(1, steps - WARMUP)))) / 2
