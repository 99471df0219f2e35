"""Pictures with a question and its answer, drawn from a seed: shapes, regions, surfaces, surfaces with shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import orjson

SIDE = 256  # pixels
CELLS = 8  # a side of the grids that answers write
COLOURS = {
    "red": (60, 60, 210),
    "green": (70, 170, 60),
    "blue": (210, 110, 50),
    "yellow": (60, 210, 230),
    "white": (235, 235, 235),
    "black": (25, 25, 25),
    "brown": (40, 80, 130),
    "violet": (170, 60, 140),
}  # blue first, as OpenCV has it
SHAPES = ("circle", "square", "triangle")


class Sketch(NamedTuple):
    """A picture, uint8 [256, 256, 3], red first; what is asked of it; and the answer, compact JSON."""

    picture: np.ndarray
    question: str
    answer: str


def draw(dice: np.random.Generator) -> Sketch:
    """One picture of any kind; seven of ten show a surface, the hardest."""
    kind = KINDS[int(dice.choice(len(KINDS), p=[0.35, 0.15, 0.15, 0.35]))]
    sketch = kind(dice)
    return sketch._replace(picture=cv2.cvtColor(sketch.picture, cv2.COLOR_BGR2RGB))


def surface(dice: np.random.Generator) -> Sketch:
    """A surface: how high it is in each cell."""
    picture, heights = lit(dice)
    return Sketch(as_picture(picture), "How high is the surface in each cell?", to_text({"heights": digits(heights)}))


def scene(dice: np.random.Generator) -> Sketch:
    """A surface with shapes strewn over it: its heights, and of each kind of shape how many and in which cells."""
    picture, heights = lit(dice)
    kinds = sorted({(str(dice.choice(list(COLOURS))), str(dice.choice(SHAPES))) for _ in range(int(dice.integers(4)))})
    taken: set[tuple[int, int]] = set()
    found = {f"{colour} {shape}": strew(dice, picture, colour, shape, taken) for colour, shape in kinds}
    answer = {"heights": digits(heights), "shapes": {name: row for name, row in found.items() if row[0]}}
    return Sketch(as_picture(picture), "How high is the surface, and what lies on it?", to_text(answer))


def strew(
    dice: np.random.Generator, picture: np.ndarray, colour: str, shape: str, taken: set[tuple[int, int]]
) -> tuple[int, list[str]]:
    """Draws some of a kind into free cells near each other; returns how many, and the cells of the first four."""
    middle, count = dice.integers(1, CELLS - 1, 2), int(dice.integers(1, 7))
    places = np.clip(np.rint(middle + dice.normal(0, 1.3, (count, 2))), 0, CELLS - 1).astype(int)
    cells = sorted({(int(row), int(column)) for row, column in places} - taken)
    taken.update(cells)
    for row, column in cells:
        paint(picture, shape, (column, row), COLOURS[colour])
    return len(cells), [f"{row}{column}" for row, column in cells[:4]]


def lit(dice: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A smooth surface coloured by its height, lit from above: the picture, and heights from 0 to 1, [256, 256].

    Light from below would make a hill of every hollow, and nothing in the picture would tell.
    """
    heights = smooth(dice, float(dice.uniform(40, 220)))
    stops = np.sort(np.concatenate([[0, 1], dice.random(3)]))
    colours = dice.integers(30, 230, (5, 3))
    if dice.random() < 0.5:  # as on many maps, what is higher is brighter
        colours = colours[np.argsort(colours.sum(axis=1))]
    if dice.random() < 0.5:  # muted, so that light and shade tell more than colours
        colours = colours.mean(axis=0) + 0.35 * (colours - colours.mean(axis=0))
    table = np.stack([np.interp(np.linspace(0, 1, 256), stops, colour) for colour in colours.T], axis=-1)
    painted = table.astype(np.float32)[np.rint(heights * 255).astype(np.uint8)]
    angle, steepness = dice.uniform(0.15, 0.85) * np.pi, dice.uniform(12, 60)  # from the upper right to the upper left
    down, right = np.gradient(heights * steepness)
    light = np.clip(0.85 + np.cos(angle) * right + np.sin(angle) * down, 0.25, 1.5)
    return painted * light[..., None] + grain(dice, float(dice.uniform(2, 10))), heights


def digits(heights: np.ndarray) -> list[str]:
    """The mean height of each cell as a digit, 0 to 9, a text a row."""
    return ["".join(map(str, row)) for row in np.rint(cell_means(heights) * 9).astype(int).tolist()]


def regions(dice: np.random.Generator) -> Sketch:
    """Two to four regions, each of a colour and a grain: their shares in percent, and the cells of the first."""
    names = dice.choice(list(COLOURS), int(dice.integers(2, 5)), replace=False).tolist()
    levels = np.stack([smooth(dice, 60.0) for _ in names])
    owner = levels.argmax(axis=0)
    picture = np.array([COLOURS[name] for name in names], np.float32)[owner] * (1 + grain(dice, 0.12))
    shares = {name: round(float((owner == at).mean()) * 10) * 10 for at, name in enumerate(names)}
    cells = cell_means((owner == 0).astype(float)) >= 0.5
    answer = {"shares": shares, names[0]: ["".join("01"[bit] for bit in row) for row in cells.astype(int).tolist()]}
    return Sketch(as_picture(picture), f"Which colours are there, and where is {names[0]}?", to_text(answer))


def shapes(dice: np.random.Generator) -> Sketch:
    """Up to six shapes on a plain ground: of each kind how many, and in which cells, row and column."""
    names = dice.choice(list(COLOURS), 4, replace=False).tolist()
    picture = np.full((SIDE, SIDE, 3), COLOURS[names[0]], np.float32) + grain(dice, 6)
    found: dict[str, list[str]] = {}
    for place in dice.choice(CELLS * CELLS, int(dice.integers(1, 7)), replace=False).tolist():
        row, column = divmod(place, CELLS)
        colour, shape = names[int(dice.integers(1, 4))], SHAPES[int(dice.integers(3))]
        paint(picture, shape, (column, row), COLOURS[colour])
        found.setdefault(f"{colour} {shape}", []).append(f"{row}{column}")
    answer = {"ground": names[0], "shapes": {name: [len(at), sorted(at)] for name, at in sorted(found.items())}}
    return Sketch(as_picture(picture), "Which shapes are there?", to_text(answer))


KINDS: tuple[Callable[[np.random.Generator], Sketch], ...] = (surface, regions, shapes, scene)


def smooth(dice: np.random.Generator, width: float) -> np.ndarray:
    """A field [256, 256] from 0 to 1 without features smaller than about ``width`` pixels."""
    coarse = int(np.ceil(SIDE / width)) + 3
    field = cv2.resize(dice.random((coarse, coarse), np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return (field - field.min()) / (field.max() - field.min())


def grain(dice: np.random.Generator, strength: float) -> np.ndarray:
    """Noise of each pixel, float32 [256, 256, 1]."""
    return dice.standard_normal((SIDE, SIDE, 1), np.float32) * np.float32(strength)


def cell_means(field: np.ndarray) -> np.ndarray:
    """Means of a field over 8 × 8 cells."""
    side = SIDE // CELLS
    return field.reshape(CELLS, side, CELLS, side).mean(axis=(1, 3))


def paint(picture: np.ndarray, shape: str, cell: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Draws a shape into the middle of a cell (column, row)."""
    x, y = (int((place + 0.5) * SIDE / CELLS) for place in cell)
    if shape == "circle":
        cv2.circle(picture, (x, y), 12, colour, -1)
    elif shape == "square":
        cv2.rectangle(picture, (x - 11, y - 11), (x + 11, y + 11), colour, -1)
    else:
        cv2.fillPoly(picture, [np.array([(x, y - 13), (x - 13, y + 10), (x + 13, y + 10)])], colour)


def as_picture(values: np.ndarray) -> np.ndarray:
    """Values as uint8."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def to_text(answer: dict) -> str:
    """Compact JSON."""
    return orjson.dumps(answer).decode()
