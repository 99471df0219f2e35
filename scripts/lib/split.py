"""Train, val and test by group: the same division for the same groups, whatever their order, names or machine.

Idea: each group draws a number in [0, 1) from the SHA-256 of the seed and its content. Below ``test_share`` the group
goes to test, below ``test_share + val_share`` to val, else to train. So a group that is added or removed moves no other
one. Only where a stratum of three or more groups would have no group in a split, the group that drew nearest moves.

Example: with val_share 0.1 and test_share 0.25, draws of 0.31, 0.62 and 0.88 are val, train and train. Test is empty:
the group of 0.62 moves there, because train has more than one group, and 0.62 is its draw nearest to test.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.lib.cli import UserError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Group:
    """What goes to one split whole: a content hash (any text that changes with it) and the stratum it counts in."""

    content: str
    stratum: str


def draw(seed: int, content: str) -> float:
    """A number in [0, 1) that depends on the seed and the content only."""
    digest = hashlib.sha256(f"{seed}\n{content}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_groups(groups: Mapping[str, Group], val_share: float, test_share: float, seed: int) -> dict[str, str]:
    """The split of each group by its key, sorted by key.

    Every stratum of three or more groups, and all groups together, have at least one group in each split.

    Raises:
        UserError: there are fewer than three groups, too few for three splits.
    """
    if len(groups) < len(SPLITS):
        raise UserError(
            f"{len(groups)} independent groups cannot fill train, val and test; add data until there are three or more."
        )
    drawn = {key: draw(seed, group.content) for key, group in groups.items()}
    order = sorted(groups, key=lambda key: (drawn[key], key))
    sides = {
        key: "test" if drawn[key] < test_share else "val" if drawn[key] < test_share + val_share else "train"
        for key in order
    }
    for stratum in sorted({group.stratum for group in groups.values()}):
        fill_empty_splits([key for key in order if groups[key].stratum == stratum], sides)
    fill_empty_splits(order, sides)
    return {key: sides[key] for key in sorted(sides)}


def fill_empty_splits(order: Sequence[str], sides: dict[str, str]) -> None:
    """Moves one group into each empty split, in place: from the split with most groups, the group that drew nearest.

    Of splits with equally many groups train gives first, then val. Fewer than three groups are left as they are.

    Args:
        order: keys of the groups, from the smallest draw to the largest. Test lies at the small end, train at the
            large end, and val between them.
        sides: the split of each key; it may have other keys too.
    """
    if len(order) < len(SPLITS):
        return
    for empty in ("test", "val", "train"):
        keys = {side: [key for key in order if sides[key] == side] for side in SPLITS}
        if not keys[empty]:
            giver = max(SPLITS, key=lambda side: len(keys[side]))
            sides[keys[giver][-1 if empty == "train" or giver == "test" else 0]] = empty


def counts_of(sides: Mapping[str, str]) -> dict[str, int]:
    """How many groups each split has."""
    counts = Counter(sides.values())
    return {side: counts[side] for side in SPLITS}
