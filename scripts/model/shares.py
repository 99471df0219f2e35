"""Which records a training process reads: the batches of a step, dealt out to the processes that share it.

The order of an epoch and what a step sees do not depend on the number of processes: of the same list of records each
process takes its part.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sized
from typing import Any

import torch
from torch.utils.data import Dataset, Sampler

from scripts.lib.options.train import TrainOptions
from scripts.model.dataset import IGNORED

PRIME = 1_000_003  # keeps the draws of two seeds apart for as many batches


def deal(options: TrainOptions) -> tuple[int, int]:
    """Records a batch and batches a step of each process: fewer batches first, then smaller ones."""
    common = math.gcd(options.gradient_accumulation, options.processes)
    return options.batch_size // (options.processes // common), options.gradient_accumulation // common


class EpochOrder(Sampler[int]):
    """The order that ``drawn`` draws from torch's global state at the beginning of an epoch.

    ``began`` is that state. Put into ``again`` it has the next epoch drawn once more: a checkpoint inside an epoch
    holds it, so that what is left of the epoch is what it would have been.
    """

    def __init__(self, drawn: Sampler[int], again: torch.Tensor | None = None) -> None:
        self.drawn, self.again, self.began = drawn, again, torch.get_rng_state()

    def __len__(self) -> int:
        return len(self.drawn)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[int]:
        if self.again is not None:
            torch.set_rng_state(self.again)
            self.again = None
        self.began = torch.get_rng_state()
        yield from self.drawn


class OwnBatches(Sampler[list[int]]):
    """Of all batches of an epoch those of one process: one out of each row of as many batches as there are processes.

    Where the last row is too short for all, who has none reads a record without loss (`Silenced`): all take as many
    steps.
    """

    def __init__(self, order: Sampler[int], size: int, rank: int, processes: int) -> None:
        self.order, self.size, self.rank, self.processes = order, size, rank, processes
        self.records = len(order)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return math.ceil(self.records / (self.size * self.processes))

    def __iter__(self) -> Iterator[list[int]]:
        order = list(self.order)
        silent = [self.records + order[0]]
        for row in range(len(self)):
            at = self.begin(row)
            yield order[at : at + self.size] or silent

    def begin(self, row: int) -> int:
        """The place in the order at which this process's batch of a row begins."""
        return (row * self.processes + self.rank) * self.size

    def held(self, row: int) -> int:
        """How many records that batch holds; 0 where it carries no loss."""
        return max(0, min(self.size, self.records - self.begin(row)))

    def set_epoch(self, epoch: int) -> None:
        """Tells an order that is drawn by the number of its epoch."""
        if hasattr(self.order, "set_epoch"):
            self.order.set_epoch(epoch)


class Silenced(Dataset[dict[str, Any]]):
    """Training rows, and past the last one each of them once more with no label that carries loss."""

    def __init__(self, rows: Any) -> None:
        self.rows: Sized | Any = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> dict[str, Any]:
        row = self.rows[at % len(self)]
        return row if at < len(self) else row | {"labels": [IGNORED] * len(row["labels"])}


@contextlib.contextmanager
def draws_of(seed: int, batch: int) -> Iterator[None]:
    """Inside, draws follow from the seed and a batch's number alone; after it torch's global state is as it was."""
    on_gpu = torch.cuda.is_available()
    with torch.random.fork_rng([torch.cuda.current_device()] if on_gpu else []):
        torch.manual_seed(seed * PRIME + batch)
        yield
