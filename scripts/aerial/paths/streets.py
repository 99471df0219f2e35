"""A city's streets as a net of points, and a route along them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scripts.lib.cli import UserError
from scripts.lib.files import read_json

SPACING = 2.0  # metres between points


class Streets(NamedTuple):
    """Points in the middle of streets, and which ones follow each other.

    Attributes:
        points: float64 [n, 2], metres.
        widths: float64 [n], metres.
        next: for each point the points that it leads to.
    """

    points: np.ndarray
    widths: np.ndarray
    next: list[list[int]]


def read_streets(files: Sequence[Path]) -> Streets | None:
    """The streets of all files as one net; None where there are none.

    Raises:
        UserError: a file does not hold streets.
    """
    lines = [line for file in files for line in lines_of(file)]
    return net_of(lines) if lines else None


def lines_of(file: Path) -> list[tuple[float, np.ndarray]]:
    """Width and points [n, 2] of each street."""
    found = []
    try:
        for row in read_json(file):
            points = np.array(row["points"], np.float64)
            if points.ndim != 2 or len(points) < 2 or points.shape[1] < 2 or not np.isfinite(points).all():
                raise ValueError
            found.append((float(row["width"]), points[:, :2]))
    except (KeyError, TypeError, ValueError):
        where = f"street {len(found) + 1}"
        raise UserError(
            f"{file}: {where} has no width and points [[x, y, z], ...]; write it again, or remove the file."
        ) from None
    return found


def net_of(lines: Sequence[tuple[float, np.ndarray]]) -> Streets:
    """Streets joined where one comes nearer to another than half its width."""
    from scipy.spatial import cKDTree

    dense = [evenly(points) for _, points in lines]
    starts = np.cumsum([0, *map(len, dense)]).tolist()
    links: list[list[int]] = [[] for _ in range(starts[-1])]
    pairs = [(at, at + 1) for start, points in zip(starts, dense, strict=False) for at in line_of(start, points)]
    trees = [cKDTree(points) for points in dense]
    for one, other in itertools.combinations(range(len(lines)), 2):
        distances, nearest = trees[other].query(dense[one])
        at = int(distances.argmin())
        if distances[at] <= max(SPACING, lines[one][0] / 2):
            pairs.append((starts[one] + at, starts[other] + int(nearest[at])))
    for one, other in pairs:
        links[one].append(other)
        links[other].append(one)
    widths = np.repeat([width for width, _ in lines], [len(points) for points in dense])
    return Streets(np.concatenate(dense), widths, links)


def line_of(start: int, points: np.ndarray) -> range:
    """Numbers of all points of a street but its last."""
    return range(start, start + len(points) - 1)


def evenly(points: np.ndarray) -> np.ndarray:
    """The same line with a point about every two metres, [n, 2]."""
    run = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    steps = np.linspace(0, run[-1], max(2, int(run[-1] / SPACING) + 1))
    return np.column_stack([np.interp(steps, run, points[:, axis]) for axis in range(2)])


def route(streets: Streets, length: float, dice: np.random.Generator) -> np.ndarray:
    """float64 [n, 2]: a drive of about ``length`` metres, turning at crossings by chance and back only at ends.

    It keeps to one side of the middle, by a share of the width of its own.
    """
    at, before = int(dice.integers(len(streets.points))), -1
    found = [at]
    while len(found) < 4 or len(found) * SPACING < length:
        onward = [one for one in streets.next[at] if one != before]
        at, before = (int(dice.choice(onward)) if onward else before), at
        if at < 0:
            break
        found.append(at)
    return kept_aside(streets.points[found], dice.uniform(-0.2, 0.2) * streets.widths[found])


def kept_aside(points: np.ndarray, aside: np.ndarray) -> np.ndarray:
    """Points moved to the left of the way by metres."""
    ahead = np.gradient(points, axis=0)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    return points + aside[:, None] * np.column_stack([-ahead[:, 1], ahead[:, 0]])
