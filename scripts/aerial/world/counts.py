"""Counts of cells that every score is made of: one row a window and horizon, summed later over blocks of ground."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from scripts.aerial.world.options import WorldClassOptions
from scripts.lib.metrics import Bootstrap, Estimate, estimate_of, ratio_estimate

Parts = tuple[np.ndarray, np.ndarray]
OCCUPANCY = ("iou", "iou_no_ground", "precision", "recall")
MEANS = ("miou", "miou_no_ground")
POSES = ("position_error", "orientation_error")
HIGHER_IS_BETTER = dict.fromkeys((*OCCUPANCY, *MEANS), True) | dict.fromkeys(POSES, False)


def count(true: np.ndarray, said: np.ndarray, classes: WorldClassOptions) -> np.ndarray:
    """Cells by class that are in both, in the truth, and in the answer; int64 [3, classes + 2].

    The last two columns count all classes but free as one, with ground and without. Arrays are class numbers [x, y, z].
    """
    number = len(classes.names)
    together = np.bincount(true.reshape(-1).astype(np.int64) * number + said.reshape(-1), minlength=number**2)
    table = together.reshape(number, number)
    rows = np.stack([np.diagonal(table), table.sum(1), table.sum(0)])
    merged = [merged_count(table, members) for members in (solid(classes), things(classes))]
    return np.concatenate([rows, np.stack(merged, 1)], 1)


def solid(classes: WorldClassOptions) -> list[int]:
    """Every class but free."""
    return [number for number in range(len(classes.names)) if number != classes.free]


def things(classes: WorldClassOptions) -> list[int]:
    """Every class but free and ground."""
    return [number for number in solid(classes) if number not in classes.ground]


def merged_count(table: np.ndarray, members: list[int]) -> np.ndarray:
    """Both, truth and answer where ``members`` count as one class, [3]."""
    inside = table[np.ix_(members, members)].sum()
    return np.array([inside, table[members].sum(), table[:, members].sum()])


@dataclass
class Tally:
    """Counts of one variant or baseline.

    Attributes:
        cells: of each window [horizons, 3, classes + 2].
        position, orientation: errors of each window [horizons], metres and degrees; empty where no pose is said.
    """

    cells: list[np.ndarray] = field(default_factory=list)
    position: list[np.ndarray] = field(default_factory=list)
    orientation: list[np.ndarray] = field(default_factory=list)


def parts(tally: Tally, metric: str, horizon: int | None) -> Parts:
    """A ratio's numerator and denominator by window; ``horizon`` counts from 0, None: all of them together."""
    if metric in POSES:
        errors = np.stack(tally.position if metric == "position_error" else tally.orientation)
        return (
            (errors.sum(1), np.full(len(errors), errors.shape[1])) if horizon is None else at_horizon(errors, horizon)
        )
    cells = pooled(tally, horizon)
    both, true, said = (cells[:, row, -1 if metric == "iou_no_ground" else -2] for row in range(3))
    if metric == "precision":
        return both, said
    if metric == "recall":
        return both, true
    return both, true + said - both


def at_horizon(errors: np.ndarray, horizon: int) -> Parts:
    """One horizon's errors, and as many ones."""
    return errors[:, horizon], np.ones(len(errors))


def pooled(tally: Tally, horizon: int | None) -> np.ndarray:
    """Counts by window at a horizon, or summed over all, [windows, 3, classes + 2]."""
    cells = np.stack(tally.cells)
    return cells.sum(1) if horizon is None else cells[:, horizon]


def mean_iou(
    tally: Tally, members: list[int], horizon: int | None, groups: list[str], bootstrap: Bootstrap
) -> Estimate:
    """Mean IoU over the classes that are in the truth or the answer; None where none is."""
    cells = pooled(tally, horizon)
    sums = [cells[:, row, number] for number in members for row in range(3)]

    def statistic(totals: np.ndarray) -> np.ndarray:
        both, true, said = totals.reshape(len(members), 3, -1).swapaxes(0, 1)
        union = true + said - both
        ious = np.divide(both, union, out=np.full(both.shape, np.nan), where=union > 0)
        defined = np.isfinite(ious).sum(0)
        return np.divide(np.nansum(ious, 0), defined, out=np.full(defined.shape, np.nan), where=defined > 0)

    return estimate_of(sums, statistic, groups, bootstrap)


def estimates(
    tally: Tally, classes: WorldClassOptions, groups: list[str], bootstrap: Bootstrap, horizons: int
) -> dict[str, dict[str, object]]:
    """Every metric over all horizons, then by horizon as ``iou_1``; undefined where a baseline says nothing of it."""
    found: dict[str, dict[str, object]] = {}
    for horizon in (None, *range(horizons)):
        suffix = "" if horizon is None else f"_{horizon + 1}"
        for metric in OCCUPANCY if tally.cells else ():
            one = ratio_estimate(*parts(tally, metric, horizon), groups, bootstrap, n=len(groups))
            found[metric + suffix] = one.to_json()
        for metric, members in zip(MEANS, (solid(classes), things(classes)), strict=True) if tally.cells else ():
            found[metric + suffix] = mean_iou(tally, members, horizon, groups, bootstrap).to_json()
        for metric in POSES if tally.position else ():
            one = ratio_estimate(*parts(tally, metric, horizon), groups, bootstrap, n=len(groups))
            found[metric + suffix] = one.to_json()
    return found
