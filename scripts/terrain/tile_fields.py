"""The fields of a tile's JSON, each read into arrays and checked: heights, holes, layers, shadows, liquids, objects.

A tile has 256 chunks, of which most fields hold a list. Errors name the chunk or object and what to do.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Sequence
from itertools import chain, compress
from typing import Any, NamedTuple

import cv2
import numpy as np
import pybase64

from scripts.terrain.export import TileFile
from scripts.terrain.geometry import CHUNKS, VERTICES, within_tile

CHUNK_COUNT = CHUNKS * CHUNKS
CHUNK_HEIGHTS = struct.Struct(f"{VERTICES}d")
ALPHA_BYTES, SHADOW_BYTES = 64 * 64, 64 * 64 // 8
LIQUID_HEIGHTS = 81
PLACEMENT = ("x", "y", "z", "scale")


class TileError(ValueError):
    """Why a tile cannot be used.

    Attributes:
        kind: a word for the error, such as ``heights``.
        every: all errors of the tile, this one included.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.every: list[TileError] = [self]


class Liquid(NamedTuple):
    """Liquid in one chunk; heights in yards."""

    chunk: int
    type: str
    low: float
    high: float


class Thing(NamedTuple):
    """An object: ``m2`` (a model) or ``wmo`` (a building), its file's name, row and column within the tile, 0 to 1."""

    category: str
    name: str
    row: float
    column: float
    scale: float


def read_heights(rows: Any, limit: float) -> np.ndarray:
    """Heights in yards, float64 [256, 145], by chunk.

    Raises:
        TileError: a chunk is missing, stands twice, or has another number of heights; a height is NaN, Inf or no
            number, or further from 0 than the limit.
    """
    if not isinstance(rows, list) or len(rows) != CHUNK_COUNT:
        count = f"{len(rows)}" if isinstance(rows, list) else "no"
        raise TileError("heights", f"has heights of {count} chunks, not {CHUNK_COUNT}; export the tile again.")
    packed = []
    for at, row in enumerate(rows):
        chunk = row.get("h") if isinstance(row, dict) else None
        if not isinstance(chunk, list) or len(chunk) != VERTICES:
            count = len(chunk) if isinstance(chunk, list) else "no"
            raise TileError("heights", f"chunk {at} has {count} heights, not {VERTICES}; export the tile again.")
        if "idx" not in row:
            raise TileError("heights", "a chunk's heights have no `idx`; export the tile again.")
        try:
            packed.append(CHUNK_HEIGHTS.pack(*chunk))  # twice as fast as numpy takes lists
        except struct.error:
            message = f"chunk {at}: a height is no number; export the tile again."
            raise TileError("not_finite", message) from None
    order = [row["idx"] for row in rows]
    heights = np.frombuffer(b"".join(packed)).reshape(CHUNK_COUNT, VERTICES)
    low, high = float(heights.min()), float(heights.max())
    if not np.isfinite([low, high]).all():
        raise TileError("not_finite", "a height is not finite; export the tile again.")
    if low < -limit or high > limit:
        beyond = f"heights from {low:g} to {high:g} yards, beyond check.max_height {limit:g}"
        raise TileError("height_range", f"{beyond}; export the tile again, or raise the limit if they are right.")
    if order != list(range(CHUNK_COUNT)):
        if not all(type(chunk) is int for chunk in order) or sorted(order) != list(range(CHUNK_COUNT)):
            raise TileError("heights", f"`idx` of the heights is not each of 0 to {CHUNK_COUNT - 1} once.")
        heights = heights[np.argsort(order)]
    return heights


def read_holes(masks: Any) -> np.ndarray:
    """Bool [64, 64]: the 4 × 4 cells of each chunk's mask. Bit ``column + 4 · row`` of a mask marks a hole.

    Raises:
        TileError: there are not 256 masks of 16 bits.
    """
    try:
        bits = np.array(masks)
    except ValueError:
        bits = np.zeros(0)
    if bits.shape != (CHUNK_COUNT,) or bits.dtype.kind not in "iu":
        raise TileError("holes", f"`holes` are not {CHUNK_COUNT} whole numbers; export the tile again.")
    if bits.min() < 0 or bits.max() >= 1 << 16:
        raise TileError("holes", "a mask of `holes` has more than 16 bits; export the tile again.")
    cells = (bits[:, None] >> np.arange(16) & 1).astype(bool).reshape(CHUNKS, CHUNKS, 4, 4)
    return cells.swapaxes(1, 2).reshape(4 * CHUNKS, 4 * CHUNKS)


def read_layers(chunks: Any, textures: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of the ground by texture [textures], layers of each chunk [256], and whether it blends them [256].

    A chunk's layers lie over each other: a layer with opacity a covers a of the ground below it. From the top layer
    down, a layer's visible share is free · a, and free · (1 - a) is left for the layers below; the lowest layer takes
    the rest. Example: rock with a mean alpha of 0.5 over grass makes 0.5 rock and 0.5 grass. The mean of each alpha map
    stands for the map, so where two maps of a chunk overlap is ignored.

    Raises:
        TileError: there are not 256 chunks, a layer names no texture, or its alpha map is not 64 × 64 bytes.
    """
    if not chunks:
        return np.zeros(textures), np.zeros(CHUNK_COUNT, int), np.zeros(CHUNK_COUNT, bool)
    rows = [row or [] for row in by_chunk(chunks, "chunk_layers", "layers")]
    for chunk, row in enumerate(rows):
        if not isinstance(row, list):
            raise TileError("chunk_layers", f"chunk {chunk}: its layers are no list; export the tile again.")
        for layer in row:
            number = layer.get("tex_id") if isinstance(layer, dict) else None
            if type(number) is not int or not 0 <= number < textures:
                message = f"chunk {chunk}: a layer's tex_id {number!r} is none of {textures} textures."
                raise TileError("chunk_layers", message)
    flat = list(chain.from_iterable(rows))
    layers = np.fromiter(map(len, rows), int, CHUNK_COUNT)
    chunk_of = np.repeat(np.arange(CHUNK_COUNT), layers)
    depth = np.arange(len(flat)) - (np.cumsum(layers) - layers)[chunk_of]
    texts = [layer.get("alpha_bits") for layer in flat]
    blends = np.fromiter(map(bool, texts), bool, len(flat))
    alpha = np.where(depth == 0, 1.0, 0.0)
    places = list(zip(chunk_of[blends].tolist(), depth[blends].tolist(), strict=True))
    alpha[blends] = decoded([text for text in texts if text], ALPHA_BYTES, "alpha_bits", places) / 255.0
    free, visible = np.ones(CHUNK_COUNT), np.zeros(len(flat))
    for level in range(int(layers.max()) - 1, -1, -1):
        here = depth == level
        visible[here] = free[chunk_of[here]] * alpha[here]
        free[chunk_of[here]] -= visible[here]
    shares = np.bincount(np.array([layer["tex_id"] for layer in flat], int), visible, textures)
    return shares / max(shares.sum(), 1e-9), layers, np.bincount(chunk_of[blends], minlength=CHUNK_COUNT) > 0


def by_chunk(rows: Any, field: str, key: str) -> list[Any]:
    """A field's value for each of 256 chunks, from a list in their order, or of objects with ``idx`` and ``key``.

    Chunks that no object names have None.

    Raises:
        TileError: the field has neither form.
    """
    if not isinstance(rows, list):
        raise TileError(field, f"`{field}` is no list; export the tile again.")
    if rows and all(isinstance(row, dict) and "idx" in row for row in rows):
        values: list[Any] = [None] * CHUNK_COUNT
        for row in rows:
            if not isinstance(row["idx"], int) or not 0 <= row["idx"] < CHUNK_COUNT:
                raise TileError(field, f"`{field}` has an idx {row['idx']!r} that is no chunk; export the tile again.")
            values[row["idx"]] = row.get(key)
        return values
    if rows and len(rows) != CHUNK_COUNT:
        raise TileError(field, f"`{field}` has {len(rows)} entries, not {CHUNK_COUNT}; export the tile again.")
    return rows


def decoded(texts: Sequence[str], size: int, field: str, places: Sequence[Any]) -> np.ndarray:
    """The mean byte of each base64 text of ``size`` bytes, float64 [texts]; ``places`` name the texts in errors.

    Raises:
        TileError: a text is of another length, or is no base64.
    """
    length = 4 * -(-size // 3)
    for text, place in zip(texts, places, strict=True):
        if not isinstance(text, str) or len(text) != length:
            count = len(text) * 3 // 4 if isinstance(text, str) else "no"
            raise TileError(field, f"{field} of {place} holds {count} bytes, not {size}; export the tile again.")
    try:
        rows = [pybase64.b64decode(text, validate=True) for text in texts]
    except (ValueError, base64.binascii.Error) as error:
        raise TileError(field, f"{field} is no base64 ({error}); export the tile again.") from error
    for row, place in zip(rows, places, strict=True):
        if len(row) != size:
            raise TileError(field, f"{field} of {place} holds {len(row)} bytes, not {size}; export the tile again.")
    if not rows:
        return np.zeros(0)
    joined = np.frombuffer(b"".join(rows), np.uint8).reshape(len(texts), size)
    return cv2.reduce(joined, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0] / size  # numpy's sum takes four times as long


def any_shadow(texts: Any) -> bool:
    """Whether any bit of any chunk's 64 × 64 shadow bits is set.

    Raises:
        TileError: a field is of another length, or no base64.
    """
    rows = {chunk: text for chunk, text in enumerate(by_chunk(texts, "shadow_bits", "bits")) if text}
    return bool(decoded(list(rows.values()), SHADOW_BYTES, "shadow_bits", list(rows)).any())


def read_liquids(rows: Any) -> list[Liquid]:
    """Liquids by chunk.

    Raises:
        TileError: a liquid is in no chunk, has no finite heights, or not 81 of them.
    """
    liquids = []
    for row in must_be_objects(rows, "liquids"):
        chunk, low, high = row.get("idx"), row.get("min_height"), row.get("max_height")
        if not isinstance(chunk, int) or not 0 <= chunk < CHUNK_COUNT:
            raise TileError("liquids", f"a liquid's idx {chunk!r} is no chunk; export the tile again.")
        if not (is_finite(low) and is_finite(high)):
            raise TileError("liquids", f"the liquid of chunk {chunk} has no min_height and max_height.")
        heights = row.get("heights")
        if heights and not (isinstance(heights, list) and len(heights) == LIQUID_HEIGHTS):
            count = len(heights) if isinstance(heights, list) else "no"
            raise TileError("liquids", f"the liquid of chunk {chunk} has {count} heights, not {LIQUID_HEIGHTS}.")
        liquids.append(Liquid(chunk, str(row.get("type", "water")).lower(), low, high))
    return liquids


def read_objects(rows: Any, file: TileFile) -> list[Thing]:
    """Objects with their places in the tile; objects outside it belong to the tile they stand in, and are left out.

    Raises:
        TileError: an object has no name, another category than m2 and wmo, or a place that is not finite.
    """
    for row in must_be_objects(rows, "objects"):
        if not isinstance(row.get("name"), str) or row.get("category") not in ("m2", "wmo"):
            raise TileError("objects", f"object {row.get('unique_id')!r} has no name, or is neither m2 nor wmo.")
    values = [row.get(key) for row in rows for key in PLACEMENT]
    if not ({*map(type, values)} <= {int, float, bool} and all(map(math.isfinite, values))):
        wrong = next(row for row in rows if not all(is_finite(row.get(key)) for key in PLACEMENT))
        raise TileError("objects", f"object {wrong.get('unique_id')!r}: its place or scale is no finite number.")
    numbers = np.array(values, float).reshape(-1, len(PLACEMENT))
    places = within_tile(numbers[:, :3], file.x, file.y)
    inside = ((places >= 0) & (places < 1)).all(axis=1)
    return [
        Thing(row["category"], stem(row["name"]), *place, row["scale"] or 1.0)
        for row, place in zip(compress(rows, inside.tolist()), places[inside].tolist(), strict=True)
    ]


def must_be_objects(rows: Any, field: str) -> list[dict[str, Any]]:
    """A field's list of JSON objects; raises a `TileError` where it is anything else."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TileError(field, f"`{field}` is no list of objects.")
    return rows


def is_finite(value: Any) -> bool:
    """Whether a value is a number other than NaN or Inf."""
    return isinstance(value, int | float) and abs(value) < float("inf")


def stem(path: str) -> str:
    r"""``World\Trees\Pine02.m2`` as ``pine02``."""
    return path.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0].lower()
