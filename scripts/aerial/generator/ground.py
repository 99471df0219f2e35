"""The ground: a bent grid whose lines follow the streets' kerbs, so that street and block never share a face."""

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
    ends = [streets[0].kerbs[0] - APRON, *(kerb for street in streets for kerb in street.kerbs)]
    ends.append(streets[-1].kerbs[1] + APRON)
    lines, street = [ends[0]], []
    for number, (low, high) in enumerate(itertools.pairwise(ends)):
        parts = max(1, int(np.ceil((high - low) / MESH)))
        lines += [low + (high - low) * (part + 1) / parts for part in range(parts)]
        street += [number % 2 == 1] * parts
    return np.array(lines), np.array(street)


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
    """The streets' middles in the world, a point about every ten metres, and their widths, metres."""
    return [
        {"width": street.width, "points": line(plan, street, across, along_u)}
        for streets, across, along_u in ((plan.along_u, plan.along_v, True), (plan.along_v, plan.along_u, False))
        for street in streets
    ]


def line(plan: Plan, street: Street, across: list[Street], along_u: bool) -> list[list[float]]:
    """x, y, z along a street, from its first to its last crossing."""
    first, last = across[0].middle, across[-1].middle
    steps = np.linspace(first, last, max(2, int((last - first) / 10)))
    places = plan.place(street.middle, steps) if along_u else plan.place(steps, street.middle)
    return np.round(np.column_stack([places, plan.ground(places)]), 3).tolist()
