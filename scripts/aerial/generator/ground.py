"""The ground: a bent grid whose lines follow the streets' kerbs, so that no face lies in both a street and a block."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from scripts.aerial.generator.plan import Plan, Street
from scripts.aerial.generator.shells import Shell

MESH = 9.0  # metres; at most about so far apart lie the ground's vertices
APRON = 25.0  # metres of ground beyond the outermost streets


def grid_lines(streets: list[Street]) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the grid's lines, ascending, and for each gap between two whether it is part of a street."""
    kerbs = [kerb for street in streets for kerb in street.kerbs]
    ends = [kerbs[0] - APRON, *kerbs, kerbs[-1] + APRON]
    lines, in_street = [ends[0]], []
    for number, (low, high) in enumerate(itertools.pairwise(ends)):
        parts = max(1, int(np.ceil((high - low) / MESH)))
        lines += [low + (high - low) * (part + 1) / parts for part in range(parts)]
        in_street += [number % 2 == 1] * parts
    return np.array(lines), np.array(in_street)


def ground_of(plan: Plan) -> dict[str, Shell]:
    """Open surfaces: ``road`` and ``ground``, two triangles a cell of the grid, on the same vertices."""
    (u, street_u), (v, street_v) = grid_lines(plan.along_u), grid_lines(plan.along_v)
    places = plan.place(*np.meshgrid(u, v, indexing="ij"))
    vertices = np.concatenate([places, plan.ground(places)[..., None]], axis=-1).reshape(-1, 3)
    corner = (np.arange(len(u) - 1)[:, None] * len(v) + np.arange(len(v) - 1)).reshape(-1)
    squares = np.stack([corner, corner + len(v), corner + len(v) + 1, corner + 1], axis=1)
    halves = np.concatenate([squares[:, :3], squares[:, [0, 2, 3]]], axis=1).reshape(-1, 3)
    road = np.repeat((street_u[:, None] | street_v).reshape(-1), 2)
    return {"road": Shell(vertices, halves[road].tolist()), "ground": Shell(vertices, halves[~road].tolist())}


def centre_lines(plan: Plan) -> list[dict[str, Any]]:
    """The streets' widths and centre lines x, y, z from the first to the last crossing, metres, every ten metres."""
    rows = []
    for streets, across, along_u in ((plan.along_u, plan.along_v, True), (plan.along_v, plan.along_u, False)):
        first, last = across[0].middle, across[-1].middle
        steps = np.linspace(first, last, max(2, int((last - first) / 10)))
        for street in streets:
            places = plan.place(street.middle, steps) if along_u else plan.place(steps, street.middle)
            points = np.round(np.column_stack([places, plan.ground(places)]), 3).tolist()
            rows.append({"width": street.width, "points": points})
    return rows
