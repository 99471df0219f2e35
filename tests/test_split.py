"""Splits by group: the same for the same data, stable when data is added, nothing left empty."""

from __future__ import annotations

import pytest

from scripts.lib.cli import UserError
from scripts.lib.split import SPLITS, Group, counts_of, draw, fill_empty_splits, split_groups


def groups(count: int, strata: int = 1) -> dict[str, Group]:
    return {f"g{number:03}": Group(f"content {number}", f"s{number % strata}") for number in range(count)}


def test_shares_come_out_near_what_was_asked() -> None:
    counts = counts_of(split_groups(groups(2000), 0.1, 0.25, seed=7))
    assert 160 < counts["val"] < 240 and 440 < counts["test"] < 560


def test_the_lowest_draws_are_tested_the_next_validate() -> None:
    rows = groups(200)
    sides = split_groups(rows, 0.1, 0.25, seed=7)
    for key, group in rows.items():
        drawn = draw(7, group.content)
        assert sides[key] == ("test" if drawn < 0.25 else "val" if drawn < 0.35 else "train"), drawn


def test_order_and_names_do_not_matter_but_the_seed_does() -> None:
    rows = groups(100, 3)
    sides = split_groups(rows, 0.1, 0.25, seed=7)
    assert list(sides) == sorted(sides)
    assert split_groups(dict(reversed(rows.items())), 0.1, 0.25, seed=7) == sides
    renamed = {f"x{key}": group for key, group in rows.items()}
    assert [side for _, side in sorted(split_groups(renamed, 0.1, 0.25, seed=7).items())] == list(sides.values())
    assert split_groups(rows, 0.1, 0.25, seed=8) != sides


def test_an_added_group_moves_no_other() -> None:
    before = split_groups(groups(100, 2), 0.1, 0.25, seed=7)
    after = split_groups(groups(130, 2), 0.1, 0.25, seed=7)
    assert {key: after[key] for key in before} == before


@pytest.mark.parametrize("seed", range(20))
def test_small_strata_fill_every_split(seed: int) -> None:
    rows = groups(20, 4)
    sides = split_groups(rows, 0.1, 0.25, seed=seed)
    for stratum in range(4):
        own = {key: side for key, side in sides.items() if rows[key].stratum == f"s{stratum}"}
        assert all(counts_of(own)[side] for side in SPLITS)


@pytest.mark.parametrize("seed", range(20))
def test_three_groups_of_three_strata_are_enough(seed: int) -> None:
    assert sorted(split_groups(groups(3, 3), 0.1, 0.25, seed=seed).values()) == sorted(SPLITS)


def test_two_groups_are_refused() -> None:
    with pytest.raises(UserError, match="2 independent groups"):
        split_groups(groups(2), 0.1, 0.25, seed=7)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # The split with most groups gives: to test and val its smallest draw, to train its largest.
        ("vvtttt", "vvettt"),
        ("eettttt", "eevtttt"),
        ("eevvvv", "eevvvt"),
        ("eeeevv", "eeetvv"),  # test lies at the small end: its largest draw is nearest to val and train
        ("eeeeett", "eeeevtt"),
        ("tttttvv", "ettttvv"),
        # The smallest giver is not asked, nor the second largest.
        ("vvvtt", "evvtt"),
        ("vvttt", "vvett"),
        ("evvv", "evvt"),
        ("eeev", "eetv"),
        # Equally many: train gives first, then val.
        ("vvtt", "vvet"),
        ("eett", "eevt"),
        ("eevv", "eevt"),
        # Two empty splits are filled in the order test, val, train.
        ("ttt", "evt"),
        ("vvv", "evt"),
        ("eee", "etv"),
        ("tttt", "evtt"),
        ("vvvv", "evvt"),
        ("eeee", "eetv"),
        # Nothing is empty, or there are too few groups.
        ("tev", "tev"),
        ("tt", "tt"),
        ("", ""),
    ],
)
def test_which_group_moves_into_an_empty_split(before: str, after: str) -> None:
    names = {"e": "test", "v": "val", "t": "train"}
    order = [f"g{place}" for place in range(len(before))]
    sides = {key: names[letter] for key, letter in zip(order, before, strict=True)} | {"other": "val"}
    fill_empty_splits(order, sides)
    assert sides.pop("other") == "val"
    assert sides == {key: names[letter] for key, letter in zip(order, after, strict=True)}


def test_the_group_that_drew_nearest_moves() -> None:
    rows = groups(12)
    order = sorted(rows, key=lambda key: draw(7, rows[key].content))
    sides = split_groups(rows, 1e-9, 1e-9, seed=7)
    assert {key: side for key, side in sides.items() if side != "train"} == {order[0]: "test", order[1]: "val"}
    sides = split_groups(rows, 1e-9, 1 - 1e-8, seed=7)
    assert {key: side for key, side in sides.items() if side != "test"} == {order[-1]: "val", order[-2]: "train"}
    sides = split_groups(rows, 1 - 1e-8, 1e-9, seed=7)
    assert {key: side for key, side in sides.items() if side != "val"} == {order[0]: "test", order[-1]: "train"}
