"""The compact answer: a tile as a few hundred bytes of JSON that a small model can write, and back.

::

    {"heights":["0412233951606870",...],"lowest":"20012","rise":"00175","textures":{"grass01":60,"rock02":30},
     "liquids":{"water":["00000011",...]},"holes":[],"objects":{"pine02":[41,["04","15"]]}}

``heights`` has a text a row of cells, two digits a cell (one where there are at most ten levels), from 0 at the lowest
to levels - 1 at the highest. Heights come first, so that a digit's position in the answer determines its cell: small
models learn this early. ``lowest`` is the lowest height in steps of the options' scale, from the scale's lowest;
``rise`` is the number of steps from there to the highest. Both are padded to all digits, so that each digit has one
meaning: for numbers of varying length a model writes the commonest first digit, and for two absolute heights it writes
a highest below the lowest. ``textures`` are percent of the ground. ``liquids`` and ``holes`` have a digit a cell. For
each kind of object the answer gives the count, and the cells (row and column, in digits to the base of 36) that hold
most of them. The options bound the length of the longest answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import orjson

from scripts.terrain.geometry import CHUNKS, GRID
from scripts.terrain.options import MOST, AnswerOptions
from scripts.terrain.tile import Tile
from scripts.terrain.tile_fields import stem

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Ground:
    """The content of an answer.

    Attributes:
        low, high: range of the cells' heights in yards, on the scale; the same where the ground is level.
        steps: int [cells, cells], heights from 0 (low) to levels - 1 (high).
        textures: name to percent.
        liquids: type to bool [cells, cells].
        holes: bool [cells, cells].
        objects: name to the count, and the cells (row, column) that hold most.
    """

    low: int
    high: int
    steps: np.ndarray
    textures: dict[str, int]
    liquids: dict[str, np.ndarray]
    holes: np.ndarray
    objects: dict[str, tuple[int, list[tuple[int, int]]]]

    def heights(self, levels: int) -> np.ndarray:
        """Heights of the cells in yards, float64 [cells, cells]."""
        return self.low + self.steps * (self.high - self.low) / (levels - 1)


class AnswerError(ValueError):
    """Why a text is not a valid answer."""


def describe(tile: Tile, options: AnswerOptions) -> Ground:
    """The content of a tile's answer: rounded to the options' steps, and cut to their numbers of names."""
    heights, scale = cell_means(tile.field, options.cells), options.scale
    # The nearest heights of the scale that enclose all heights, as far as the scale reaches.
    ends = [np.floor((heights.min() - scale.lowest) / scale.step), np.ceil((heights.max() - scale.lowest) / scale.step)]
    low, high = (np.clip(ends, 0, scale.most).astype(int) * scale.step + scale.lowest).tolist()
    steps = np.rint((heights - low) / max(high - low, 1) * (options.levels - 1))
    return Ground(
        low=low,
        high=high,
        steps=np.clip(steps, 0, options.levels - 1).astype(int),
        textures=_textures(tile, options),
        liquids=_liquids(tile, options),
        holes=coarse(tile.holes, options.cells),
        objects=_objects(tile, options),
    )


def beyond(tile: Tile, options: AnswerOptions) -> int:
    """How many cells are lower or higher than the scale can represent."""
    heights, scale = cell_means(tile.field, options.cells), options.scale
    return int(((heights < scale.lowest) | (heights > scale.lowest + scale.most * scale.step)).sum())


def cell_means(field: np.ndarray, cells: int) -> np.ndarray:
    """Mean height of each cell, float64 [cells, cells], of a height field [257, 257]: the mean of its grid squares."""
    weights = _trapezes(cells)
    return weights @ field @ weights.T


@cache
def _trapezes(cells: int) -> np.ndarray:
    """[cells, 257]: each grid point's weight in a cell's mean along a side (trapezoidal rule: half at its borders)."""
    side = (GRID - 1) // cells
    squares = np.repeat(np.eye(cells), side, axis=1) / (2 * side)
    return np.pad(squares, ((0, 0), (0, 1))) + np.pad(squares, ((0, 0), (1, 0)))


def coarse(mask: np.ndarray, cells: int) -> np.ndarray:
    """Bool [cells, cells]: whether a square mask is set anywhere in a cell; a mask with fewer cells is repeated."""
    side = len(mask)
    if side < cells:
        return mask.repeat(cells // side, axis=0).repeat(cells // side, axis=1)
    return mask.reshape(cells, side // cells, cells, side // cells).any(axis=(1, 3))


def short_name(name: str, length: int) -> str:
    """A texture's or object's name as answers write it."""
    return re.sub(r"[^a-z0-9_.-]", "_", name.lower())[:length] or "_"


def _textures(tile: Tile, options: AnswerOptions) -> dict[str, int]:
    """Percent of the ground by texture, the largest first."""
    shares: Counter[str] = Counter()
    for path, share in zip(tile.textures, tile.shares.tolist(), strict=True):
        shares[short_name(stem(path), options.name_length)] += share * 100 / options.texture_step
    rounded = {name: min(100, round(share) * options.texture_step) for name, share in shares.items()}
    ranked = sorted((name for name in rounded if rounded[name]), key=lambda name: (-rounded[name], name))
    return {name: rounded[name] for name in ranked[: options.textures]}


def _liquids(tile: Tile, options: AnswerOptions) -> dict[str, np.ndarray]:
    """Cells [cells, cells] by type of liquid that are at least half covered, by liquid that stands above the ground."""
    highest: dict[str, np.ndarray] = {}
    for liquid in tile.liquids:
        level = highest.setdefault(short_name(liquid.type, options.name_length), np.full((CHUNKS, CHUNKS), -np.inf))
        at = divmod(liquid.chunk, CHUNKS)
        level[at] = max(level[at], liquid.high)
    ground = tile.field[:-1, :-1].reshape(CHUNKS, 16, CHUNKS, 16)
    covered: dict[str, np.ndarray] = {}
    for name, level in highest.items():
        mask = (ground < level[:, None, :, None]).reshape(options.cells, -1, GRID - 1)
        down = mask.sum(axis=1, dtype=np.int32)  # along whole rows, which is fast
        cells = 2 * down.reshape(options.cells, options.cells, -1).sum(axis=2) >= mask.shape[1] ** 2
        if cells.any():
            covered[name] = cells
    ranked = sorted(covered, key=lambda name: (-covered[name].sum(), name))
    return {name: covered[name] for name in ranked[: options.liquids]}


def _objects(tile: Tile, options: AnswerOptions) -> dict[str, tuple[int, list[tuple[int, int]]]]:
    """By name how many there are, and the cells that hold most of them, in reading order; the most numerous first."""
    by_name: dict[str, Counter[tuple[int, int]]] = {}
    for thing in tile.objects:
        cell = (int(thing.row * options.cells), int(thing.column * options.cells))
        by_name.setdefault(short_name(thing.name, options.name_length), Counter())[cell] += 1
    objects = {}
    for name in sorted(by_name, key=lambda name: (-by_name[name].total(), name))[: options.kinds]:
        counts = by_name[name]
        fullest = sorted(counts, key=lambda cell: (-counts[cell], cell))[: options.places]
        objects[name] = (min(counts.total(), MOST), sorted(fullest))
    return objects


def to_text(ground: Ground, options: AnswerOptions) -> str:
    """The answer, compact JSON."""
    scale = options.scale
    form = {
        "heights": ["".join(f"{step:0{options.digits}d}" for step in row) for row in ground.steps.tolist()],
        "lowest": f"{(ground.low - scale.lowest) // scale.step:0{scale.digits}d}",
        "rise": f"{(ground.high - ground.low) // scale.step:0{scale.digits}d}",
        "textures": ground.textures,
        "liquids": {name: _bits(mask) for name, mask in ground.liquids.items()},
        "holes": _bits(ground.holes) if ground.holes.any() else [],
        "objects": {
            name: [count, [DIGITS[row] + DIGITS[column] for row, column in cells]]
            for name, (count, cells) in ground.objects.items()
        },
    }
    return orjson.dumps(form).decode()


def _bits(mask: np.ndarray) -> list[str]:
    return ["".join(map(str, row)) for row in mask.astype(int).tolist()]


def from_text(text: str, options: AnswerOptions) -> Ground:
    """The ground that an answer describes; the inverse of `to_text`.

    Raises:
        AnswerError: the text is no JSON, or not of this form and size.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise AnswerError(f"not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise AnswerError("no JSON object")
    cells = options.cells
    yards = {}
    for key in ("lowest", "rise"):
        if not _texts([value.get(key)], 1, options.scale.digits, "0123456789"):
            raise AnswerError(f"`{key}` is not {options.scale.digits} digits")
        yards[key] = int(value[key]) * options.scale.step
    low = options.scale.lowest + yards["lowest"]
    steps, textures = _steps(value.get("heights"), options), value.get("textures")
    if not isinstance(textures, dict) or not all(type(part) is int and 0 <= part <= 100 for part in textures.values()):
        raise AnswerError("`textures` is no mapping of names to percent")
    return Ground(
        low=low,
        high=low + yards["rise"],
        steps=steps,
        textures=textures,
        liquids={name: _mask(rows, cells) for name, rows in _mapping(value, "liquids").items()},
        holes=_mask(value.get("holes") or ["0" * cells] * cells, cells),
        objects={name: _placed(row, cells) for name, row in _mapping(value, "objects").items()},
    )


def _steps(rows: Any, options: AnswerOptions) -> np.ndarray:
    digits = options.digits
    width = digits * options.cells
    if not _texts(rows, options.cells, width, "0123456789"):
        raise AnswerError(f"`heights` is not {options.cells} rows of {width} digits")
    steps = np.array([[int(row[at : at + digits]) for at in range(0, width, digits)] for row in rows])
    if steps.max() >= options.levels:
        raise AnswerError(f"`heights` has a step of {steps.max()}, beyond {options.levels - 1}")
    return steps


def _mask(rows: Any, cells: int) -> np.ndarray:
    if not _texts(rows, cells, cells, "01"):
        raise AnswerError(f"a mask is not {cells} rows of {cells} digits 0 or 1")
    return np.array([list(row) for row in rows]) == "1"


def _texts(rows: Any, count: int, width: int, alphabet: str) -> bool:
    """Whether a value is a list of ``count`` texts of ``width`` characters of an alphabet."""
    if not isinstance(rows, list) or len(rows) != count:
        return False
    return all(isinstance(row, str) and len(row) == width and set(row) <= set(alphabet) for row in rows)


def _mapping(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    mapping = value.get(key, {})
    if not isinstance(mapping, dict):
        raise AnswerError(f"`{key}` is no mapping")
    return mapping


def _placed(value: Any, cells: int) -> tuple[int, list[tuple[int, int]]]:
    known = DIGITS[:cells]
    if not isinstance(value, list) or len(value) != 2 or type(value[0]) is not int or not 0 <= value[0] <= MOST:
        raise AnswerError("an entry of `objects` is not a number and a list of cells")
    if not isinstance(value[1], list) or not all(_texts([at], 1, 2, known) for at in value[1]):
        raise AnswerError("a cell of `objects` is not two digits of the grid")
    return value[0], [(known.index(row), known.index(column)) for row, column in value[1]]


def rebuild(heights: np.ndarray) -> np.ndarray:
    """A height field, float64 [257, 257], through the middles of cells of heights [cells, cells], cubic between."""
    spread = between(len(heights))
    return spread @ heights @ spread.T


@cache
def between(cells: int) -> np.ndarray:
    """[257, cells]: the weight of each cell along a side in each grid point, by cubic splines."""
    from scipy.interpolate import make_interp_spline

    middles = np.arange(-2, cells + 2) + 0.5
    padded = np.pad(np.eye(cells), ((2, 2), (0, 0)), mode="edge")
    return make_interp_spline(middles, padded, k=3)(np.linspace(0, cells, GRID))
