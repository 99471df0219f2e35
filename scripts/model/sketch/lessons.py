"""What the stand-in is taught, in the order in which it learns fastest: to see, to find a cell, then everything.

All at once from the start, text is learnt and pictures are not: writing likely digits lowers the loss long before
looking does. So the vision tower comes first, alone and for long, until all that it hands on tells, linearly, what is
where and how high; then the text, which only has to read that, while the tower stays as it is. (Measured, towers that
were adapted to another kind of maps for one pass, correlation of heights within a picture: 0.23 for one that was taught
alone for 104 steps and along with the text after that, 0.52 for one taught alone for 700 at twice the rate.)

Questions come before the picture, and grids first in an answer: a digit's distance from the picture then always tells
its cell.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from tqdm import tqdm

from scripts.model.sketch.pictures import HEIGHTS, Kind, brightness, draw, layer
from scripts.model.sketch.speaking import batch_of, loss_of
from scripts.model.sketch.steps import optimizer_of, rate, turn
from scripts.model.sketch.surface import COLUMNS, as_picture, cell_means, lit, places
from scripts.model.sketch.tower import features, handed

BATCH = 8
SEEING = 0.6  # of the steps, for the vision tower alone
SEEING_RATE, SPEAKING_RATE = 3e-3, 1.5e-3  # learning rates
LESSONS = (0.12, 0.45)  # shares of the text's steps after which layers follow brightness, and everything follows layers
KEPT = 0.4  # of everything: layers, so that they are not forgotten


def teach(model: Any, tokenizer: Any, steps: int) -> None:
    """Trains the tower, then the text, on pictures drawn as they are needed, for so many batches of eight."""
    seeing = math.ceil(SEEING * steps)
    with tqdm(total=steps, desc="stand-in", unit="step") as bar:
        see(model, seeing, bar)
        speak(model, tokenizer, steps - seeing, bar)


def see(model: Any, steps: int, bar: tqdm) -> None:
    """The vision tower alone: all that it hands to the text tells, linearly, heights, colours and place of its cell."""
    import torch

    dice, tower = np.random.default_rng(3), model.model.visual
    width = tower.config.out_hidden_size
    heads = torch.nn.ModuleList(torch.nn.Linear(width, 4 + max(HEIGHTS) + COLUMNS) for _ in range(handed(tower)))
    optimizer = optimizer_of([*tower.parameters(), *heads.parameters()])
    model.train()
    for step in range(steps):
        rows = HEIGHTS[step % len(HEIGHTS)]
        pictures, truth = seen(dice, rows)
        told = zip(heads, features(tower, pictures), strict=True)
        loss = sum((head(row) - truth).square().mean() for head, row in told)
        turn(optimizer, loss, SEEING_RATE * rate(step, steps), bar)


def seen(dice: np.random.Generator, rows: int) -> tuple[list[np.ndarray], Any]:
    """A batch of surfaces: pictures, and of each cell its height, its colours, and one of the rows and columns."""
    import torch

    place, pictures, truth = places(rows, COLUMNS, max(HEIGHTS)), [], []
    for _ in range(BATCH):
        values, heights = lit(dice, rows)
        picture = as_picture(values)[..., ::-1]
        known = np.concatenate([cell_means(heights)[..., None], cell_means(picture / 255)], axis=-1)
        pictures.append(picture)
        # Twice: heights and colours vary less than places do, and are what matters.
        truth.append(np.concatenate([2 * known.reshape(-1, 4), place], axis=1))
    return pictures, torch.from_numpy(np.concatenate(truth)).float()


def speak(model: Any, tokenizer: Any, steps: int, bar: tqdm) -> None:
    """The text alone, on questions and answers; loss on answers only."""
    dice = np.random.default_rng(2)
    model.model.visual.requires_grad_(False)
    optimizer = optimizer_of([one for one in model.parameters() if one.requires_grad])
    model.train()
    for step in range(steps):
        rows = HEIGHTS[step % len(HEIGHTS)]
        sketches = [draw(dice, rows, lesson(dice, step / steps)) for _ in range(BATCH)]
        batch = batch_of(sketches, tokenizer, model.config)
        turn(optimizer, loss_of(model, batch), SPEAKING_RATE * rate(step, steps), bar)
    model.model.visual.requires_grad_(True)


def lesson(dice: np.random.Generator, done: float) -> Kind | None:
    """What is drawn when such a share of the steps is done; None for everything."""
    if done < LESSONS[0]:
        return brightness
    return layer if done < LESSONS[1] or dice.random() < KEPT else None
