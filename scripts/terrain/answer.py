"""The compact answer: a tile as a few hundred bytes of JSON that a small model can write, and back.

::

    {"heights":["0412233951606870",...],"lowest":"20012","rise":"00175","textures":{"grass01":60,"rock02":30},
     "liquids":{"water":["00000011",...]},"holes":[],"objects":{"pine02":[41,["04","15"]]}}

``heights`` has a text a row of cells, two digits a cell (one where there are at most ten levels), from 0 at the lowest
to levels - 1 at the highest. They stand first, so that a digit's place in the answer alone tells its cell: small models
learn that soon, and nothing else for long. ``lowest`` is that lowest height, in steps of the options' scale from its
lowest, and ``rise`` how many steps the highest lies above it, both with all digits, so that each means one thing: of
numbers of any length a model writes the commonest first digit, and of two heights it writes ones that fall.
``textures`` are percent of the ground. ``liquids`` and ``holes`` have a digit a cell. Of objects the answer gives how
many there are, and the cells (row and column, in digits to the base of 36) that hold most of them. How long the longest
answer is follows from the options.
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
from scripts.terrain.options import MOST, AnswerOptions, ScaleOptions
from scripts.terrain.tile import Tile
from scripts.terrain.tile_fields import stem

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
FOREIGN = re.compile(r"[^a-z0-9_.-]")


@dataclass(frozen=True)
class Ground:
    """What an answer says of a tile.

    Attributes:
        low, high: range of the cells' heights in yards, on the scale; the same where the ground is level.
        steps: int [cells, cells], heights from 0 (low) to levels - 1 (high).
        textures: name to percent.
        liquids: type to bool [cells, cells].
        holes: bool [cells, cells].
        objects: name to how many there are, and the cells (row, column) that hold most.
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
    """Why a text is no answer."""


def describe(tile: Tile, options: AnswerOptions) -> Ground:
    """What there is to say of a tile."""
    heights = cell_means(tile.field, options.cells)
    low, high = _on_scale(heights, options.scale)
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


def _on_scale(heights: np.ndarray, scale: ScaleOptions) -> tuple[int, int]:
    """The nearest heights of the scale, in yards, between which all heights lie that it can tell."""
    low = np.floor((heights.min() - scale.lowest) / scale.step)
    high = np.ceil((heights.max() - scale.lowest) / scale.step)
    ends = np.clip([low, high], 0, scale.most).astype(int) * scale.step + scale.lowest
    return int(ends[0]), int(ends[1])


def beyond(tile: Tile, options: AnswerOptions) -> int:
    """How many cells lie lower or higher than the scale can tell."""
    heights, scale = cell_means(tile.field, options.cells), options.scale
    return int(((heights < scale.lowest) | (heights > scale.lowest + scale.most * scale.step)).sum())


def cell_means(field: np.ndarray, cells: int) -> np.ndarray:
    """Mean height of each cell, float64 [cells, cells], of a height field [257, 257]: the mean of its grid squares."""
    weights = _trapezes(cells)
    return weights @ field @ weights.T


@cache
def _trapezes(cells: int) -> np.ndarray:
    """[cells, 257]: what each grid point along a side adds to a cell's mean; half as much on the cell's border."""
    side = (GRID - 1) // cells
    rows = np.zeros((cells, GRID))
    for cell in range(cells):
        rows[cell, cell * side : (cell + 1) * side] += 0.5 / side
        rows[cell, cell * side + 1 : (cell + 1) * side + 1] += 0.5 / side
    return rows


def coarse(mask: np.ndarray, cells: int) -> np.ndarray:
    """Bool [cells, cells]: whether anything of a square mask lies in a cell; a coarser mask than that is repeated."""
    side = len(mask)
    if side < cells:
        return mask.repeat(cells // side, axis=0).repeat(cells // side, axis=1)
    return mask.reshape(cells, side // cells, cells, side // cells).any(axis=(1, 3))


def short_name(name: str, length: int) -> str:
    """A texture's or object's name as answers write it."""
    return FOREIGN.sub("_", name.lower())[:length] or "_"


def _textures(tile: Tile, options: AnswerOptions) -> dict[str, int]:
    shares: Counter[str] = Counter()
    for path, share in zip(tile.textures, tile.shares.tolist(), strict=True):
        shares[short_name(stem(path), options.name_length)] += share * 100 / options.texture_step
    rounded = {name: min(100, round(share) * options.texture_step) for name, share in shares.items()}
    ranked = sorted((name for name in rounded if rounded[name]), key=lambda name: (-rounded[name], name))
    return {name: rounded[name] for name in ranked[: options.textures]}


def _liquids(tile: Tile, options: AnswerOptions) -> dict[str, np.ndarray]:
    """Liquids by type, a chunk's liquid only where it stands above the ground."""
    highest: dict[str, np.ndarray] = {}
    for liquid in tile.liquids:
        level = highest.setdefault(short_name(liquid.type, options.name_length), np.full((CHUNKS, CHUNKS), -np.inf))
        at = divmod(liquid.chunk, CHUNKS)
        level[at] = max(level[at], liquid.high)
    ground = tile.field[:-1, :-1].reshape(CHUNKS, 16, CHUNKS, 16)
    found = {name: (ground < level[:, None, :, None]).reshape(GRID - 1, GRID - 1) for name, level in highest.items()}
    cells = {name: _mostly(mask, options.cells) for name, mask in found.items()}
    ranked = sorted((name for name in cells if cells[name].any()), key=lambda name: (-cells[name].sum(), name))
    return {name: cells[name] for name in ranked[: options.liquids]}


def _mostly(mask: np.ndarray, cells: int) -> np.ndarray:
    """Bool [cells, cells]: whether a square mask covers at least half of a cell."""
    side = len(mask) // cells
    down = mask.reshape(cells, side, len(mask)).sum(axis=1, dtype=np.int32)  # along whole rows, which is fast
    return 2 * down.reshape(cells, cells, side).sum(axis=2) >= side * side


def _objects(tile: Tile, options: AnswerOptions) -> dict[str, tuple[int, list[tuple[int, int]]]]:
    by_name: dict[str, Counter[tuple[int, int]]] = {}
    for thing in tile.objects:
        cell = (int(thing.row * options.cells), int(thing.column * options.cells))
        by_name.setdefault(short_name(thing.name, options.name_length), Counter())[cell] += 1
    ranked = sorted(by_name, key=lambda name: (-by_name[name].total(), name))[: options.kinds]
    return {name: (min(by_name[name].total(), MOST), _fullest(by_name[name], options.places)) for name in ranked}


def _fullest(counts: Counter[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """The cells that hold most, in reading order."""
    return sorted(sorted(counts, key=lambda cell: (-counts[cell], cell))[:most])


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
    return ["".join("01"[bit] for bit in row) for row in mask.astype(int).tolist()]


def from_text(text: str, options: AnswerOptions) -> Ground:
    """The ground that an answer describes; the inverse of `to_text`.

    Raises:
        AnswerError: it is no JSON, or not of this form and size.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise AnswerError(f"not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise AnswerError("no JSON object")
    low = options.scale.lowest + _yards(value, "lowest", options.scale)
    return Ground(
        low=low,
        high=low + _yards(value, "rise", options.scale),
        steps=_steps(value.get("heights"), options),
        textures=_percent(value.get("textures")),
        liquids={name: _mask(rows, options.cells) for name, rows in _mapping(value, "liquids").items()},
        holes=_mask(value.get("holes") or ["0" * options.cells] * options.cells, options.cells),
        objects={name: _placed(row, options.cells) for name, row in _mapping(value, "objects").items()},
    )


def _yards(value: Mapping[str, Any], key: str, scale: ScaleOptions) -> int:
    text = value.get(key)
    if not _texts([text], 1, scale.digits, "0123456789"):
        raise AnswerError(f"`{key}` is not {scale.digits} digits")
    return int(text) * scale.step


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
    return np.array([[digit == "1" for digit in row] for row in rows])


def _texts(rows: Any, count: int, width: int, alphabet: str) -> bool:
    if not isinstance(rows, list) or len(rows) != count:
        return False
    return all(isinstance(row, str) and len(row) == width and set(row) <= set(alphabet) for row in rows)


def _mapping(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key, {})
    if not isinstance(found, dict):
        raise AnswerError(f"`{key}` is no mapping")
    return found


def _percent(value: Any) -> dict[str, int]:
    if not isinstance(value, dict) or not all(type(share) is int and 0 <= share <= 100 for share in value.values()):
        raise AnswerError("`textures` is no mapping of names to percent")
    return value


def _placed(value: Any, cells: int) -> tuple[int, list[tuple[int, int]]]:
    known = DIGITS[:cells]
    if not isinstance(value, list) or len(value) != 2 or type(value[0]) is not int or not 0 <= value[0] <= MOST:
        raise AnswerError("an entry of `objects` is not a number and a list of cells")
    if not isinstance(value[1], list) or not all(_texts([at], 1, 2, known) for at in value[1]):
        raise AnswerError("a cell of `objects` is not two digits of the grid")
    return value[0], [(known.index(at[0]), known.index(at[1])) for at in value[1]]


def rebuild(heights: np.ndarray) -> np.ndarray:
    """A height field, float64 [257, 257], through the middles of cells of heights [cells, cells], cubic between."""
    spread = between(len(heights))
    return spread @ heights @ spread.T


@cache
def between(cells: int) -> np.ndarray:
    """[257, cells]: what each cell along a side adds to each grid point, by cubic splines."""
    from scipy.interpolate import make_interp_spline

    middles = np.arange(-2, cells + 2) + 0.5
    padded = np.pad(np.eye(cells), ((2, 2), (0, 0)), mode="edge")
    return make_interp_spline(middles, padded, k=3)(np.linspace(0, cells, GRID))
