"""Smooth surfaces from above, coloured like maps, in light and shade."""

from __future__ import annotations

import cv2
import numpy as np

CELL = 32  # pixels a side: one feature of the text model's input
COLUMNS = 8
ELEVATION = ((120, 80, 30), (90, 160, 70), (110, 190, 200), (80, 110, 150), (245, 245, 245))  # as in atlases


def lit(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """A surface: its image, float32 [32 · rows, 256, 3], blue first, and its heights from 0 to 1, [32 · rows, 256].

    Light comes from the upper edge: from below, a hollow would look like a hill, without any other hint.
    """
    heights = smooth(rng, (CELL * rows, CELL * COLUMNS), float(rng.uniform(40, 220)))
    painted = palette(rng)[np.rint(heights * 255).astype(np.uint8)]
    angle, steepness = rng.uniform(0.15, 0.85) * np.pi, rng.uniform(12, 60)  # from the upper right to the upper left
    down, right = np.gradient(heights * steepness)
    light = np.clip(0.85 + np.cos(angle) * right + np.sin(angle) * down, 0.25, 1.5)
    return painted * light[..., None] + grain(rng, rows, float(rng.uniform(2, 10))), heights


def palette(rng: np.random.Generator) -> np.ndarray:
    """A colour for each of 256 heights, float32 [256, 3].

    Half are those of an atlas, shifted; most of the others are brighter at greater heights. So colours mostly determine
    the heights; elsewhere light and shade do.
    """
    stops = np.sort(np.concatenate([[0, 1], rng.random(3)]))
    kind = rng.random()
    if kind < 0.5:
        colours = np.clip(np.array(ELEVATION) + rng.normal(0, 15, (5, 3)) + rng.normal(0, 15), 20, 250)
    else:
        colours = rng.integers(30, 230, (5, 3)).astype(float)
        if kind < 0.9:
            colours = colours[np.argsort(colours.sum(axis=1))]
    if rng.random() < 0.4:  # muted, so that light and shade carry more than colours
        colours = colours.mean(axis=0) + 0.4 * (colours - colours.mean(axis=0))
    table = [np.interp(np.linspace(0, 1, 256), stops, colour) for colour in colours.T]
    return np.stack(table, axis=-1).astype(np.float32)


def smooth(rng: np.random.Generator, size: tuple[int, int], width: float) -> np.ndarray:
    """A field of a size [h, w] from 0 to 1 without features smaller than about ``width`` pixels."""
    coarse = [int(np.ceil(side / width)) + 3 for side in size]
    field = cv2.resize(rng.random(coarse, np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)
    return (field - field.min()) / (field.max() - field.min())


def grain(rng: np.random.Generator, rows: int, strength: float) -> np.ndarray:
    """Noise of each pixel, float32 [32 · rows, 256, 1]."""
    return rng.standard_normal((CELL * rows, CELL * COLUMNS, 1), np.float32) * np.float32(strength)


def cell_means(field: np.ndarray) -> np.ndarray:
    """Means of a field [32 · rows, 32 · columns, ...] over its cells: [rows, columns, ...]."""
    rows, columns = (side // CELL for side in field.shape[:2])
    return field.reshape(rows, CELL, columns, CELL, *field.shape[2:]).mean(axis=(1, 3))


def as_picture(values: np.ndarray) -> np.ndarray:
    """Values as uint8."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def places(rows: int, columns: int, most: int) -> np.ndarray:
    """Each cell's row, of ``most``, and column, of ``columns``, as one-hot: [cells, most + columns]."""
    return np.hstack([np.repeat(np.eye(most)[:rows], columns, axis=0), np.tile(np.eye(columns), (rows, 1))])
