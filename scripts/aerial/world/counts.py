"""Counts of cells that every score is made of: numbers a window and horizon, summed later over blocks of ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from scripts.aerial.world.options import WorldClassOptions
from scripts.lib.metrics import Formula, divide, ratio_of

OCCUPANCY = ("iou", "iou_no_ground", "precision", "recall")
MEANS = ("miou", "miou_no_ground")
POSES = ("position_error", "orientation_error")
SIDES = ("both", "true", "predicted")
SOLID, THINGS = "solid", "things"  # all classes but free as one; the same without ground


def count(true: np.ndarray, predicted: np.ndarray, classes: WorldClassOptions) -> np.ndarray:
    """Cells by class that are in both, in the truth, and in the answer; int64 [3, classes + 2].

    The last two columns count all classes but free as one, with ground and without. Arrays are class numbers [x, y, z].
    """
    number = len(classes.names)
    together = np.bincount(true.reshape(-1).astype(np.int64) * number + predicted.reshape(-1), minlength=number**2)
    table = together.reshape(number, number)
    rows = np.stack([np.diagonal(table), table.sum(1), table.sum(0)])
    merged = [
        [table[np.ix_(members, members)].sum(), table[members].sum(), table[:, members].sum()]
        for members in (solid(classes), things(classes))
    ]
    return np.concatenate([rows, np.array(merged).T], 1)


def solid(classes: WorldClassOptions) -> list[int]:
    """Every class but free."""
    return [number for number in range(len(classes.names)) if number != classes.free]


def things(classes: WorldClassOptions) -> list[int]:
    """Every class but free and ground."""
    return [number for number in solid(classes) if number not in classes.ground]


@dataclass
class Tally:
    """Counts of one variant or baseline.

    Attributes:
        cells: of each window [horizons, 3, classes + 2].
        position, orientation: errors of each window [horizons], metres and degrees; empty where no pose is predicted.
    """

    cells: list[np.ndarray] = field(default_factory=list)
    position: list[np.ndarray] = field(default_factory=list)
    orientation: list[np.ndarray] = field(default_factory=list)


def suffixes(horizons: int) -> list[str]:
    """What follows the name of a metric: nothing over all horizons, ``_1`` at the first one."""
    return ["", *(f"_{horizon + 1}" for horizon in range(horizons))]


def counts_of(tally: Tally, classes: WorldClassOptions, horizons: int) -> dict[str, np.ndarray]:
    """The tally as named counts, each [windows]: ``both:things_2`` are cells of the second frame."""
    counts: dict[str, np.ndarray] = {}
    if tally.cells:
        cells = np.stack(tally.cells)
        for horizon, suffix in enumerate(suffixes(horizons), start=-1):
            pooled = cells.sum(1) if horizon < 0 else cells[:, horizon]
            for column, kind in enumerate([*map(str, range(len(classes.names))), SOLID, THINGS]):
                for row, side in enumerate(SIDES):
                    counts[f"{side}:{kind}{suffix}"] = pooled[:, row, column]
    for name, rows in zip(POSES, (tally.position, tally.orientation), strict=True):
        if rows:
            errors = np.stack(rows)
            for horizon, suffix in enumerate(suffixes(horizons), start=-1):
                chosen = errors if horizon < 0 else errors[:, horizon : horizon + 1]
                counts[name + suffix] = chosen.sum(1)
                counts[f"frames{suffix}"] = np.full(len(errors), float(chosen.shape[1]))
    return counts


def formulas(classes: WorldClassOptions, horizons: int) -> dict[str, Formula]:
    """Every metric over all horizons, then by horizon as ``iou_1``."""
    found: dict[str, Formula] = {}
    for suffix in suffixes(horizons):
        found[f"iou{suffix}"] = iou_of([SOLID], suffix)
        found[f"iou_no_ground{suffix}"] = iou_of([THINGS], suffix)
        found[f"precision{suffix}"] = ratio_of(f"both:{SOLID}{suffix}", f"predicted:{SOLID}{suffix}")
        found[f"recall{suffix}"] = ratio_of(f"both:{SOLID}{suffix}", f"true:{SOLID}{suffix}")
        found[f"miou{suffix}"] = iou_of(list(map(str, solid(classes))), suffix)
        found[f"miou_no_ground{suffix}"] = iou_of(list(map(str, things(classes))), suffix)
        for name in POSES:
            found[name + suffix] = ratio_of(name + suffix, f"frames{suffix}")
    return found


def iou_of(kinds: Sequence[str], suffix: str) -> Formula:
    """Intersection over union, its mean over several classes: those that are in the truth or the answer."""

    def mean_iou(totals: np.ndarray) -> np.ndarray:
        both, true, predicted = totals.reshape(len(kinds), len(SIDES), -1).swapaxes(0, 1)
        ious = divide(both, true + predicted - both)
        return divide(np.nansum(ious, 0), np.isfinite(ious).sum(0).astype(np.float64))

    return Formula(tuple(f"{side}:{kind}{suffix}" for kind in kinds for side in SIDES), mean_iou)
