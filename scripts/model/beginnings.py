"""Prefix sharing: a batch whose examples begin alike (a system prompt, tool definitions) reads that prefix once.

The examples of a batch become one row of T tokens: the shared prefix, then the rest of each example. A mask hides the
rests from each other, and each rest's positions continue from the prefix. Token t of example e may attend to token s if

    s <= t  and  (s is in the prefix, or s is in the rest of e).

So every answer token has the logits it would have in a row of its own: the loss is the same, no token is padding, and
the prefix is computed once. Example: the rows ``a b c d`` and ``a b e``, prefix ``a b``, become

    ids        a b c d e
    positions  0 1 2 3 2
    owner      0 0 1 1 2        0: the prefix
    attends    e attends to a, b and e, not to c and d
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from scripts.model.dataset import IGNORED, PadRight

MOST_TOKENS = 0.8  # of the padded tokens; only below it the slower kernel for a mask of pairs pays off
MOST_ATTENTION = 2.0  # times the pairs of tokens of padded rows


@dataclass
class ShareBeginnings:
    """Collates as `PadRight` does, or into one row with a mask of pairs where that saves work."""

    pad: PadRight

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        shared = shared_length(rows)
        return one_row(rows, shared) if saves(rows, shared) else self.pad(rows)


def shared_length(rows: Sequence[dict[str, Any]]) -> int:
    """The length of the prefix that all rows share, in tokens.

    It ends at least one token before the first answer token of any row (before the last token of a row without one):
    one prefix position cannot predict several different next tokens.
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
        rest = row["input_ids"][shared:]
        ids, labels = ids + rest, labels + row["labels"][shared:]
        positions += range(shared, shared + len(rest))
        owner += [number] * len(rest)
    owners = torch.tensor(owner)
    visible = (owners[None, :] == owners[:, None]) | (owners[None, :] == 0)
    return {
        "input_ids": torch.tensor([ids]),
        "labels": torch.tensor([labels]),
        "position_ids": torch.tensor([positions]),
        "attention_mask": torch.tril(visible)[None, None],
    }
