"""Batches whose examples begin alike (a system prompt, tool definitions) read that beginning once.

The examples of a batch become one row: the shared beginning, then what each has of its own. An attention mask hides
the examples from each other and positions count on from the beginning, so that every answer token has the logits it
would have in a row of its own: the loss is the same, the work is less, and there is no padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from scripts.model.dataset import IGNORED, PadRight

MOST_TOKENS = 0.8  # of those of padded rows: below it the other kernel of masked attention is paid for
MOST_ATTENTION = 2.0  # times the area of padded rows


@dataclass
class ShareBeginnings:
    """Collates as `PadRight`, or into one row with a mask [1, 1, T, T] and ``position_ids`` [1, T] where that saves."""

    pad: PadRight

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        shared = shared_length(rows)
        return one_row(rows, shared) if saves(rows, shared) else self.pad(rows)


def shared_length(rows: Sequence[dict[str, Any]]) -> int:
    """How many tokens all rows begin with.

    One row's own part at least begins with a token that carries no loss: the beginning cannot foretell it for all.
    A row without loss has its end there.
    """
    same = takewhile(lambda column: len(set(column)) == 1, zip(*(row["input_ids"] for row in rows), strict=False))
    first_answers = [
        next((at for at, label in enumerate(row["labels"]) if label != IGNORED), len(row["labels"])) for row in rows
    ]
    return max(0, min(sum(1 for _ in same), min(first_answers) - 1))


def saves(rows: Sequence[dict[str, Any]], shared: int) -> bool:
    """Whether one row is clearly less work than padded rows."""
    lengths = [len(row["input_ids"]) for row in rows]
    padded, packed = len(rows) * max(lengths), sum(lengths) - shared * (len(rows) - 1)
    return packed <= MOST_TOKENS * padded and packed**2 <= MOST_ATTENTION * len(rows) * max(lengths) ** 2


def one_row(rows: Sequence[dict[str, Any]], shared: int) -> dict[str, Any]:
    """The batch as one row: ``input_ids``, ``labels`` and ``position_ids`` [1, T], ``attention_mask`` [1, 1, T, T]."""
    import torch

    ids, labels = rows[0]["input_ids"][:shared], rows[0]["labels"][:shared]
    positions, owner = list(range(shared)), [0] * shared
    for number, row in enumerate(rows, start=1):
        own = row["input_ids"][shared:]
        ids, labels = ids + own, labels + row["labels"][shared:]
        positions += range(shared, shared + len(own))
        owner += [number] * len(own)
    owners = torch.tensor(owner)
    seen = (owners[None, :] == owners[:, None]) | (owners[None, :] == 0)
    return {
        "input_ids": torch.tensor([ids]),
        "labels": torch.tensor([labels]),
        "position_ids": torch.tensor([positions]),
        "attention_mask": torch.tril(seen)[None, None],
    }
