"""Distributed sampling: which records a process reads, so that a step takes the same records with any number of them.

The order of an epoch is the same in every process. With B records a batch and P processes, row r of the order is P
batches side by side, and the process of rank p takes the p-th:

    batch(r, p) = order[(r P + p) B : (r P + p + 1) B]

Example: order 7 0 3 5 1, B = 1, P = 2. Rank 0 reads 7, 3, 1; rank 1 reads 0, 5 and then, since the last row has no
batch for it, record 7 without labels (`Silenced`): all processes take equally many steps.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import Dataset, Sampler

from scripts.lib.options.train import TrainOptions
from scripts.model.dataset import IGNORED

PRIME = 1_000_003  # two seeds have no random numbers in common for as many batches


def deal(options: TrainOptions) -> tuple[int, int]:
    """Records a batch and batches a step of each process: fewer batches first, then smaller ones."""
    common = math.gcd(options.gradient_accumulation, options.processes)
    return options.batch_size // (options.processes // common), options.gradient_accumulation // common


class EpochOrder(Sampler[int]):
    """The order of an epoch, drawn by ``drawn`` from torch's global random state.

    ``began`` is that state as the epoch started; a checkpoint inside an epoch holds it. Given as ``again`` it makes the
    next epoch draw the same order, so that a resumed run reads the rest of it.
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
    """Batch sampler for one rank: the rank's batch of each row of the order."""

    def __init__(self, order: Sampler[int], size: int, rank: int, processes: int) -> None:
        self.order, self.size, self.rank, self.processes = order, size, rank, processes
        self.records = len(order)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return math.ceil(self.records / (self.size * self.processes))

    def __iter__(self) -> Iterator[list[int]]:
        order = list(self.order)
        for row in range(len(self)):
            start = (row * self.processes + self.rank) * self.size
            yield order[start : start + self.size] or [self.records + order[0]]

    def held(self, row: int) -> int:
        """How many records the batch of a row holds; 0 for one without labels."""
        start = (row * self.processes + self.rank) * self.size
        return max(0, min(self.size, self.records - start))

    def set_epoch(self, epoch: int) -> None:
        """Passes the number of the epoch to an order that is drawn by it."""
        if hasattr(self.order, "set_epoch"):
            self.order.set_epoch(epoch)


class Silenced(Dataset[dict[str, Any]]):
    """The rows, and after them each row once more with masked labels."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> dict[str, Any]:
        row = self.rows[at % len(self)]
        return row if at < len(self) else row | {"labels": [IGNORED] * len(row["labels"])}


@contextlib.contextmanager
def draws_of(seed: int, batch: int) -> Iterator[None]:
    """Inside, random numbers follow from the seed and the batch's number; afterwards torch's state is as before."""
    with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
        torch.manual_seed(seed * PRIME + batch)
        yield
