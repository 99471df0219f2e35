"""Train, val and test by group, the same for the same groups whatever their order, names or machine.

Each group draws a number in [0, 1) from the SHA-256 of the seed and its content. Below ``test_share`` it goes to test,
then to val, then to train: a group that is added or taken away moves no other one. Only where a stratum of three or
more groups would be left without test or val rows, its nearest group is moved there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.lib.cli import UserError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Group:
    """What goes to one side whole: a content hash (any text that changes with it) and the stratum it counts in."""

    content: str
    stratum: str


def draw(seed: int, content: str) -> float:
    """A number in [0, 1) that depends on the seed and the content only."""
    digest = hashlib.sha256(f"{seed}\n{content}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_groups(groups: Mapping[str, Group], val_share: float, test_share: float, seed: int) -> dict[str, str]:
    """The split of each group by its key, sorted by key.

    Every stratum of three or more groups, and the whole where it has three or more, gets at least one group in each
    split.

    Raises:
        UserError: fewer than three groups, from which no three splits can be made.
    """
    if len(groups) < len(SPLITS):
        raise UserError(
            f"{len(groups)} independent groups cannot fill train, val and test; add data until there are three or more."
        )
    drawn = {key: draw(seed, group.content) for key, group in groups.items()}
    order = sorted(groups, key=lambda key: (drawn[key], key))
    sides = {key: _side(drawn[key], val_share, test_share) for key in order}
    strata = sorted({group.stratum for group in groups.values()})
    for stratum in strata:
        _fill([key for key in order if groups[key].stratum == stratum], sides)
    _fill(order, sides)
    return {key: sides[key] for key in sorted(sides)}


def _side(value: float, val_share: float, test_share: float) -> str:
    if value < test_share:
        return "test"
    return "val" if value < test_share + val_share else "train"


def _fill(order: Sequence[str], sides: dict[str, str]) -> None:
    """Moves the group that drew nearest into each empty split, from a split that has more than one."""
    if len(order) < len(SPLITS):
        return
    for wanted in ("test", "val", "train"):
        counts = {side: [key for key in order if sides[key] == side] for side in SPLITS}
        if counts[wanted]:
            continue
        # Test lies at the low end of the draw and train at the high end; val takes what is nearest to test.
        giver = max(("train", "val", "test"), key=lambda side: len(counts[side]))
        moved = counts[giver][-1 if wanted == "train" or giver == "test" else 0]
        sides[moved] = wanted


def counts_of(sides: Mapping[str, str]) -> dict[str, int]:
    """How many groups each split has."""
    return {side: sum(value == side for value in sides.values()) for side in SPLITS}
