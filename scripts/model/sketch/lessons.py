"""The course of `sketch-vl`: surfaces for the tower; for the text brightness, then single layers, then everything.

The tower is trained alone and for long. (Measured on towers that were then adapted to another kind of maps for one
pass, correlation of heights within an image: 0.23 for a tower trained alone for 104 steps and then together with the
text, 0.52 for one trained alone for 700 steps at twice the rate.)

Questions come before the image, and grids first in an answer: a digit's distance from the image then determines its
cell.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scripts.model.sketch.pictures import HEIGHTS, Sketch, brightness, draw, layer
from scripts.model.sketch.surface import COLUMNS, as_picture, cell_means, lit, places
from scripts.model.sketch.training import Course

BATCH = 8
LESSONS = (0.12, 0.45)  # shares of the text's steps after which layers follow brightness, and everything follows layers
KEPT = 0.4  # share of layers in everything, so that they are not forgotten


def seen(rng: np.random.Generator, rows: int) -> tuple[list[np.ndarray], Any]:
    """A batch of surfaces: images, and for each cell its height, its colours, and its row and column as one-hot.

    The truth is float32 [cells of all images, 4 + 8 + 8].
    """
    import torch

    place, pictures, truth = places(rows, COLUMNS, max(HEIGHTS)), [], []
    for _ in range(BATCH):
        values, heights = lit(rng, rows)
        picture = as_picture(values)[..., ::-1]
        known = np.concatenate([cell_means(heights)[..., None], cell_means(picture / 255)], axis=-1)
        pictures.append(picture)
        # Twice: heights and colours vary less than places do, and matter more.
        truth.append(np.concatenate([2 * known.reshape(-1, 4), place], axis=1))
    return pictures, torch.from_numpy(np.concatenate(truth)).float()


def questions(rng: np.random.Generator, done: float, step: int) -> list[Sketch]:
    """A batch of questions when a share of the text's steps is done."""
    sketches = []
    for _ in range(BATCH):
        kind = None  # everything
        if done < LESSONS[0]:
            kind = brightness
        elif done < LESSONS[1] or rng.random() < KEPT:
            kind = layer
        sketches.append(draw(rng, HEIGHTS[step % len(HEIGHTS)], kind))
    return sketches


COURSE = Course(
    tower_share=0.6,
    tower_rate=3e-3,
    text_rate=1.5e-3,
    outputs=4 + max(HEIGHTS) + COLUMNS,
    tower_batch=lambda rng, step: seen(rng, HEIGHTS[step % len(HEIGHTS)]),
    tower_loss=lambda output, truth: (output - truth).square().mean(),
    text_batch=questions,
)
