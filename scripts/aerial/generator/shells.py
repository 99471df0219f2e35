"""Closed shells, of which buildings and trees are made; faces are seen anticlockwise from outside, with any corners."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np


class Shell(NamedTuple):
    """Vertices, float64 [n, 3], metres, and faces as lists of vertex indices from 0."""

    vertices: np.ndarray
    faces: list[list[int]]


def joined(shells: Iterable[Shell]) -> Shell:
    """Several shells as one."""
    vertices, faces, start = [], [], 0
    for shell in shells:
        vertices.append(shell.vertices)
        faces += [[corner + start for corner in face] for face in shell.faces]
        start += len(shell.vertices)
    return Shell(np.concatenate(vertices) if vertices else np.zeros((0, 3)), faces)


def placed(shell: Shell, at: Sequence[float], turn: float, height: float) -> Shell:
    """A shell turned (radians about +z) and moved to x, y and height."""
    cos, sin = np.cos(turn), np.sin(turn)
    x, y, z = shell.vertices.T
    vertices = np.stack([cos * x - sin * y + at[0], sin * x + cos * y + at[1], z + height], axis=1)
    return Shell(vertices, shell.faces)


def prism(outline: np.ndarray, low: float, high: float) -> Shell:
    """A floor, walls and a flat roof over an outline [n, 2] that runs anticlockwise."""
    return loft([outline, outline], [low, high])


def loft(outlines: Sequence[np.ndarray], heights: Sequence[float]) -> Shell:
    """Rings [n, 2] of equally many corners one above the other, with walls between them, a floor and a roof."""
    count, rings = len(outlines[0]), len(outlines)
    vertices = [np.column_stack([outline, np.full(count, z)]) for outline, z in zip(outlines, heights, strict=True)]
    corners = np.arange(rings * count).reshape(rings, count)
    after = np.roll(corners, -1, axis=1)
    walls = np.stack([corners[:-1], after[:-1], after[1:], corners[1:]], axis=-1).reshape(-1, 4)
    return Shell(np.concatenate(vertices), [corners[0, ::-1].tolist(), *walls.tolist(), corners[-1].tolist()])


def rectangle(wide: float, deep: float, at: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """[4, 2], anticlockwise around ``at``."""
    x, y = wide / 2, deep / 2
    return np.array([[-x, -y], [x, -y], [x, y], [-x, y]]) + at


def ring(radius: float, count: int, phase: float = 0.0) -> np.ndarray:
    """[count, 2], anticlockwise."""
    angle = phase + 2 * np.pi * np.arange(count) / count
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def ridged(wide: float, deep: float, low: float, eaves: float, top: float, hip: float) -> Shell:
    """A house with a ridge along its longer side x: a gable roof for ``hip`` 0, hipped by so many metres else."""
    base = rectangle(wide, deep)
    ends = np.array([[-wide / 2 + hip, 0.0], [wide / 2 - hip, 0.0]])
    vertices = np.concatenate(
        [np.column_stack([base, np.full(4, z)]) for z in (low, eaves)] + [np.column_stack([ends, [top, top]])]
    )
    walls = [[at, (at + 1) % 4, 4 + (at + 1) % 4, 4 + at] for at in range(4)]
    roof = [[4, 5, 9, 8], [5, 6, 9], [6, 7, 8, 9], [7, 4, 8]]
    return Shell(vertices, [[3, 2, 1, 0], *walls, *roof])


def leaning(wide: float, deep: float, low: float, eaves: float, top: float) -> Shell:
    """A house with a roof that rises along y."""
    base = rectangle(wide, deep)
    heights = [eaves, eaves, top, top]
    vertices = np.concatenate([np.column_stack([base, np.full(4, low)]), np.column_stack([base, heights])])
    walls = [[at, (at + 1) % 4, 4 + (at + 1) % 4, 4 + at] for at in range(4)]
    return Shell(vertices, [[3, 2, 1, 0], *walls, [4, 5, 6, 7]])


def spired(outline: np.ndarray, low: float, eaves: float, top: float) -> Shell:
    """Walls over an outline [n, 2], and a pointed roof over its middle."""
    walls = prism(outline, low, eaves)
    count = len(outline)
    tip = np.append(outline.mean(axis=0), top)
    roof = [[count + at, count + (at + 1) % count, 2 * count] for at in range(count)]
    return Shell(np.concatenate([walls.vertices, tip[None]]), [*walls.faces[:-1], *roof])
