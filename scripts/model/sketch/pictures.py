"""Images with a question and its answer, drawn from a seed: surfaces, regions, shapes, surfaces with shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import orjson

from scripts.model.sketch.surface import CELL, COLUMNS, as_picture, cell_means, grain, lit, smooth

HEIGHTS = (8, 6)  # rows of cells: square pictures, and as wide as screens are
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
CHANNELS = ("blue", "green", "red")
LAYERS = (*CHANNELS, "light", "heights")
PHRASES = ("Write {}.", "Please write {}.", "Look closely and write {}.", "Write {} of this picture as JSON.")


class Sketch(NamedTuple):
    """An image, uint8 [32 · rows, 256, 3] or of a room [96, 128, 3], red first; a question; its answer as JSON."""

    picture: np.ndarray
    question: str
    answer: str


Kind = Callable[[np.random.Generator, int], Sketch]


def draw(rng: np.random.Generator, rows: int, kind: Kind | None = None) -> Sketch:
    """One image, ``rows`` cells of 32 pixels high, of a random kind if none is given."""
    chosen = kind or KINDS[int(rng.choice(len(KINDS), p=SHARES))]
    sketch = chosen(rng, rows)
    return sketch._replace(picture=cv2.cvtColor(sketch.picture, cv2.COLOR_BGR2RGB))


def brightness(rng: np.random.Generator, rows: int) -> Sketch:
    """The brightness of each cell, always in the same words: the easiest question, which needs no names."""
    return layer(rng, rows, ("light",))


def layer(rng: np.random.Generator, rows: int, names: tuple[str, ...] = LAYERS) -> Sketch:
    """The brightness, one colour or the height of a surface in each cell, always in the same words."""
    values, heights = lit(rng, rows)
    picture = as_picture(values)
    name = names[int(rng.integers(len(names)))]
    return Sketch(picture, PHRASES[0].format(name), to_text({name: digits(layers(picture, heights)[name])}))


def surface(rng: np.random.Generator, rows: int) -> Sketch:
    """A surface: its height, brightness or colour in each cell, one layer or two; sometimes a layer's range."""
    values, heights = lit(rng, rows)
    picture = as_picture(values)
    known = layers(picture, heights)
    names = [str(name) for name in rng.permutation(LAYERS[:-1])[:2]]
    names = ["heights", *names] if rng.random() < 0.5 else [*names, "heights"]
    answer: dict[str, object] = {}
    for name in names[: 1 + int(rng.random() < 0.4)]:
        answer[name] = digits(known[name])
        if name != "heights" and rng.random() < 0.5:
            answer[f"{name} range"] = [round(float(end) * 255) for end in (known[name].min(), known[name].max())]
    return Sketch(picture, asking(rng, ", ".join(answer)), to_text(answer))


def asking(rng: np.random.Generator, layers: str) -> str:
    """The question, in one of several phrases."""
    return PHRASES[int(rng.integers(len(PHRASES)))].format(layers)


def layers(picture: np.ndarray, heights: np.ndarray) -> dict[str, np.ndarray]:
    """Means of each cell, from 0 to 1, float64 [rows, 8]: of the three colours, of brightness and of heights."""
    channels = {name: cell_means(picture[..., at] / 255) for at, name in enumerate(CHANNELS)}
    light = cell_means(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) / 255)
    return {**channels, "light": light, "heights": cell_means(heights)}


def digits(means: np.ndarray) -> list[str]:
    """Values from 0 to 1 as digits, a text a row."""
    return ["".join(map(str, row)) for row in np.rint(means * 9).astype(int).tolist()]


def scene(rng: np.random.Generator, rows: int) -> Sketch:
    """A surface with clusters of shapes on it: its heights, and of each kind of shape the count and the first cells."""
    picture, heights = lit(rng, rows)
    kinds = sorted({(str(rng.choice(list(COLOURS))), str(rng.choice(SHAPES))) for _ in range(int(rng.integers(4)))})
    ends = np.array([rows, COLUMNS]) - 1
    taken: set[tuple[int, int]] = set()
    shapes = {}
    for colour, shape in kinds:
        middle, count = rng.integers(1, ends), int(rng.integers(1, 7))
        places = np.clip(np.rint(middle + rng.normal(0, 1.3, (count, 2))), 0, ends).astype(int)
        cells = sorted(set(map(tuple, places.tolist())) - taken)
        taken.update(cells)
        for row, column in cells:
            paint(picture, shape, (column, row), COLOURS[colour])
        if cells:
            shapes[f"{colour} {shape}"] = [len(cells), [f"{row}{column}" for row, column in cells[:4]]]
    answer = {"heights": digits(cell_means(heights)), "shapes": shapes}
    return Sketch(as_picture(picture), asking(rng, "heights, shapes"), to_text(answer))


def regions(rng: np.random.Generator, rows: int) -> Sketch:
    """Two to four grained regions of different colours: the cells of the first, and all shares in percent."""
    names = rng.choice(list(COLOURS), int(rng.integers(2, 5)), replace=False).tolist()
    owner = np.stack([smooth(rng, (CELL * rows, CELL * COLUMNS), 60.0) for _ in names]).argmax(axis=0)
    picture = np.array([COLOURS[name] for name in names], np.float32)[owner] * (1 + grain(rng, rows, 0.12))
    shares = {name: round(float((owner == at).mean()) * 10) * 10 for at, name in enumerate(names)}
    cells = cell_means((owner == 0).astype(float)) >= 0.5
    answer = {names[0]: ["".join(map(str, row)) for row in cells.astype(int).tolist()], "shares": shares}
    return Sketch(as_picture(picture), asking(rng, f"{names[0]}, shares"), to_text(answer))


def shapes(rng: np.random.Generator, rows: int) -> Sketch:
    """Up to six shapes on a plain ground: of each kind the count, and the cells, row and column."""
    names = rng.choice(list(COLOURS), 4, replace=False).tolist()
    picture = np.array(COLOURS[names[0]], np.float32) + grain(rng, rows, 6)
    cells: dict[str, list[str]] = {}
    for place in rng.choice(rows * COLUMNS, int(rng.integers(1, 7)), replace=False).tolist():
        row, column = divmod(place, COLUMNS)
        colour, shape = names[int(rng.integers(1, 4))], SHAPES[int(rng.integers(3))]
        paint(picture, shape, (column, row), COLOURS[colour])
        cells.setdefault(f"{colour} {shape}", []).append(f"{row}{column}")
    answer = {"ground": names[0], "shapes": {name: [len(at), sorted(at)] for name, at in sorted(cells.items())}}
    return Sketch(as_picture(picture), asking(rng, "shapes"), to_text(answer))


KINDS: tuple[Kind, ...] = (surface, regions, shapes, scene)
SHARES = (0.5, 0.15, 0.15, 0.2)


def paint(picture: np.ndarray, shape: str, cell: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Draws a shape into the middle of a cell (column, row)."""
    x, y = (int((place + 0.5) * CELL) for place in cell)
    if shape == "circle":
        cv2.circle(picture, (x, y), 12, colour, -1)
    elif shape == "square":
        cv2.rectangle(picture, (x - 11, y - 11), (x + 11, y + 11), colour, -1)
    else:
        cv2.fillPoly(picture, [np.array([(x, y - 13), (x - 13, y + 10), (x + 13, y + 10)])], colour)


def to_text(answer: dict) -> str:
    """Compact JSON."""
    return orjson.dumps(answer).decode()
