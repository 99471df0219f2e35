"""A city's streets as a graph of points, and a route along them."""

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
    """The streets of all files as one graph; None where there are none.

    A file is a JSON list of streets, ``{"width": 9.0, "points": [[x, y, z], ...]}``, metres.

    Raises:
        UserError: a file does not hold streets.
    """
    lines: list[tuple[float, np.ndarray]] = []
    for file in files:
        before = len(lines)
        try:
            for row in read_json(file):
                points = np.array(row["points"], np.float64)
                if points.ndim != 2 or len(points) < 2 or points.shape[1] < 2 or not np.isfinite(points).all():
                    raise ValueError
                lines.append((float(row["width"]), points[:, :2]))
        except (KeyError, TypeError, ValueError):
            number = len(lines) - before + 1
            raise UserError(
                f"{file}: street {number} has no width and points [[x, y, z], ...]; write it again, or remove the file."
            ) from None
    return net_of(lines) if lines else None


def net_of(lines: Sequence[tuple[float, np.ndarray]]) -> Streets:
    """The graph of streets given by width and points [n, 2], metres.

    Each street gets a point about every two metres. Two streets are joined at their nearest points where these are at
    most half a width apart.
    """
    from scipy.spatial import cKDTree

    dense = []
    for _, points in lines:
        run = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        steps = np.linspace(0, run[-1], max(2, int(run[-1] / SPACING) + 1))
        dense.append(np.column_stack([np.interp(steps, run, points[:, axis]) for axis in range(2)]))
    starts = np.cumsum([0, *map(len, dense)]).tolist()
    pairs = [pair for start, end in itertools.pairwise(starts) for pair in itertools.pairwise(range(start, end))]
    trees = [cKDTree(points) for points in dense]
    for first, second in itertools.combinations(range(len(lines)), 2):
        distances, nearest = trees[second].query(dense[first])
        at = int(distances.argmin())
        if distances[at] <= max(SPACING, lines[first][0] / 2):
            pairs.append((starts[first] + at, starts[second] + int(nearest[at])))
    links: list[list[int]] = [[] for _ in range(starts[-1])]
    for point, other in pairs:
        links[point].append(other)
        links[other].append(point)
    widths = np.repeat([width for width, _ in lines], [len(points) for points in dense])
    return Streets(np.concatenate(dense), widths, links)


def route(streets: Streets, length: float, rng: np.random.Generator) -> np.ndarray:
    """float64 [n, 2]: a drive of about ``length`` metres that turns at random at crossings, and back only at ends.

    It keeps to one side of the middle, at a random share of the street's width.
    """
    at, before = int(rng.integers(len(streets.points))), -1
    visited = [at]
    while len(visited) < 4 or len(visited) * SPACING < length:
        onward = [point for point in streets.next[at] if point != before]
        at, before = (int(rng.choice(onward)) if onward else before), at
        if at < 0:
            break
        visited.append(at)
    points, aside = streets.points[visited], rng.uniform(-0.2, 0.2) * streets.widths[visited]
    ahead = np.gradient(points, axis=0)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    return points + aside[:, None] * np.column_stack([-ahead[:, 1], ahead[:, 0]])
