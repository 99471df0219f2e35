"""The first lesson: the vision tower alone learns what is where.

Its features are read by linear layers that are thrown away afterwards: of surfaces each cell's height, colours and
place; of rooms also, in every cell, where across the picture each colour's thing is. A text model that is to find a
thing by its name then only has to read what is told everywhere; without that it did not learn to in thousands of steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tqdm import tqdm

from scripts.model.sketch.patches import grids, patches_of
from scripts.model.sketch.pictures import HEIGHTS
from scripts.model.sketch.rooms import PLACES, THINGS, Room, room
from scripts.model.sketch.steps import optimizer_of, rate, turn
from scripts.model.sketch.surface import COLUMNS, as_picture, cell_means, lit

LEARNING_RATE = 3e-3
SURFACES, ROOMS = 8, 32  # pictures a batch: rooms are small
TURN = 3  # every so many batches are surfaces, the others rooms
ROOM_ROWS, ROOM_COLUMNS = 3, 4
WEIGHTS = {"covered": 10, "place": 3, "across": 3, "near": 1}
FAR = 1  # of none, far, near


def see(model: Any, steps: int, bar: tqdm) -> None:
    """Trains the vision tower so that all that it hands to the text tells, linearly, what is where."""
    import torch

    dice, tower = np.random.default_rng(3), model.model.visual
    width = tower.config.out_hidden_size
    handed = 1 + len(tower.config.deepstack_visual_indexes)  # features: the last ones, and those of earlier layers
    of_surfaces = torch.nn.ModuleList(torch.nn.Linear(width, 4 + max(HEIGHTS) + COLUMNS) for _ in range(handed))
    of_rooms = torch.nn.ModuleList(torch.nn.Linear(width, sum(room_sizes())) for _ in range(handed))
    optimizer = optimizer_of([*tower.parameters(), *of_surfaces.parameters(), *of_rooms.parameters()])
    model.train()
    for step in range(steps):
        if step % TURN == 0:
            pictures, truth = surfaces(dice, HEIGHTS[step // TURN % len(HEIGHTS)])
            told = zip(of_surfaces, features(tower, pictures), strict=True)
            loss = sum((head(row) - truth).square().mean() for head, row in told)
        else:
            drawn = [room(dice) for _ in range(ROOMS)]
            told = zip(of_rooms, features(tower, [one.picture[..., ::-1] for one in drawn]), strict=True)
            loss = sum(room_loss(head(row), drawn) for head, row in told)
        turn(optimizer, loss, LEARNING_RATE * rate(step, steps), bar)


def features(tower: Any, pictures: list[np.ndarray]) -> list[Any]:
    """What the tower hands to the text of pictures, red first: tensors [cells of all, width]."""
    import torch

    pixels = torch.from_numpy(np.concatenate([patches_of(picture) for picture in pictures]))
    given = tower(pixels, grid_thw=grids(pictures))
    return [given.pooler_output, *given.deepstack_features]


def surfaces(dice: np.random.Generator, rows: int) -> tuple[list[np.ndarray], Any]:
    """A batch of surfaces: pictures, and of each cell its height, its colours, and one of the rows and columns."""
    import torch

    place, pictures, truth = places(rows, COLUMNS, max(HEIGHTS)), [], []
    for _ in range(SURFACES):
        values, heights = lit(dice, rows)
        picture = as_picture(values)[..., ::-1]
        known = np.concatenate([cell_means(heights)[..., None], cell_means(picture / 255)], axis=-1)
        pictures.append(picture)
        # Twice: heights and colours vary less than places do, and are what matters.
        truth.append(np.concatenate([2 * known.reshape(-1, 4), place], axis=1))
    return pictures, torch.from_numpy(np.concatenate(truth)).float()


def places(rows: int, columns: int, most: int) -> np.ndarray:
    """Each cell's row, one of ``most``, and column, one of ``columns``: [cells, most + columns] of 0 and 1."""
    return np.concatenate(
        [np.repeat(np.eye(most)[:rows], columns, axis=0), np.tile(np.eye(columns), (rows, 1))], axis=1
    )


def room_sizes() -> tuple[int, ...]:
    """How many numbers tell of a room, in each cell: shares covered, place, and for each colour across and near."""
    return len(THINGS), ROOM_ROWS + ROOM_COLUMNS, len(THINGS) * (PLACES + 1), len(THINGS) * 3


def room_loss(told: Any, drawn: list[Room]) -> Any:
    """How wrong it is what is told in each cell [rooms · 12, numbers] of some rooms."""
    import torch

    cells = ROOM_ROWS * ROOM_COLUMNS
    covered, place, across, near = told.split(room_sizes(), dim=-1)
    known = torch.from_numpy(np.concatenate([one.covered.reshape(cells, -1) for one in drawn]))
    where = torch.from_numpy(places(ROOM_ROWS, ROOM_COLUMNS, ROOM_ROWS)).float().repeat(len(drawn), 1)
    of_things = [[one.things.get(colour) for colour in THINGS] for one in drawn]
    placed = torch.tensor([[thing.place if thing else PLACES for thing in row] for row in of_things])
    size = torch.tensor([[FAR + thing.near if thing else 0 for thing in row] for row in of_things])
    wrong = {
        "covered": (covered - known).square().sum(dim=-1).mean(),
        "place": (place - where).square().mean(),
        "across": everywhere(across, placed, PLACES + 1),
        "near": everywhere(near, size, 3),
    }
    return sum(WEIGHTS[name] * loss for name, loss in wrong.items())


def everywhere(told: Any, truth: Any, kinds: int) -> Any:
    """Cross entropy of what every cell tells of the whole picture: [rooms · cells, things · kinds], [rooms, things]."""
    import torch

    repeated = truth.repeat_interleave(len(told) // len(truth), dim=0)
    return torch.nn.functional.cross_entropy(told.reshape(-1, kinds), repeated.flatten())
