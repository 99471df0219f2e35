"""Sums and means over all windows of a step, whichever of the P processes read them.

Dice, mean matching and the moving averages of the codes are not means over windows: with the average of the processes'
own losses, as DDP gives it, the result would depend on P. Here every process computes the loss of the whole step

    L(s_1 + ... + s_P),    s_p: sums over the windows of process p, summed by all_reduce,

and passes gradients through its own part alone, L' ds_p. The loop multiplies the loss by P, and DDP's average over the
processes is then L' (ds_1 + ... + ds_P): the gradient of one process with all windows.

Example: P = 2, one window with errors 1, 2, 3 and one with error 6. `mean` is 3 in both, not 2 and 6. A process without
a window in a short last step reads any window inside `without_weight`: it takes part and adds nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import distributed

weightless = False


@contextlib.contextmanager
def without_weight(active: bool) -> Iterator[None]:
    """Inside, where ``active``, this process adds nothing to sums and means."""
    global weightless
    weightless = active
    try:
        yield
    finally:
        weightless = False


def shared() -> bool:
    """Whether several processes take the steps."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


class AllReduce(torch.autograd.Function):
    """The sum over the processes; its gradient is that of this process's own part."""

    @staticmethod
    def forward(ctx: Any, part: Any) -> Any:
        total = part.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return gradient


def total(part: torch.Tensor) -> torch.Tensor:
    """The sum of every process's ``part``, of any shape."""
    if not shared():
        return part
    return AllReduce.apply(part * 0 if weightless else part)


def mean(own: torch.Tensor, count: int) -> torch.Tensor:
    """The mean over all processes from this one's own mean, a scalar, of ``count`` values."""
    if not shared():
        return own
    sums = total(torch.stack([own.float() * count, torch.tensor(float(count), device=own.device)]))
    return sums[0] / sums[1]


def rows(own: torch.Tensor) -> tuple[int, int]:
    """How many rows of all processes' [rows, width] stand before this one's, and how many there are in all."""
    count = 0 if weightless else len(own)
    if not shared():
        return 0, count
    counts = torch.zeros(distributed.get_world_size(), dtype=torch.long, device=own.device)
    counts[distributed.get_rank()] = count
    distributed.all_reduce(counts)
    return int(counts[: distributed.get_rank()].sum()), int(counts.sum())
