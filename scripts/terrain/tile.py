"""One tile of a map export, read and validated: its ground, textures, liquids, holes and objects as arrays."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import cv2
import numpy as np
import orjson
import pybase64

from scripts.terrain.export import Fault, TileFile
from scripts.terrain.geometry import CHUNKS, VERTICES, stitch, within_tile
from scripts.terrain.options import TerrainCheckOptions

CHUNK_COUNT = CHUNKS * CHUNKS
CHUNK_HEIGHTS = struct.Struct(f"{VERTICES}d")
ALPHA_BYTES, SHADOW_BYTES = 64 * 64, 64 * 64 // 8
LIQUID_HEIGHTS = 81
CATEGORIES = ("m2", "wmo")
PLACEMENT = ("x", "y", "z", "scale")


class TileError(ValueError):
    """Why a tile cannot be used: a sentence, ``kind`` a word for it, ``every`` all that is wrong with the tile."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.every: list[TileError] = [self]


def faults_in(file: TileFile, error: TileError) -> list[Fault]:
    """All that is wrong with a tile."""
    return [Fault(file.path.as_posix(), file.name, one.kind, str(one)) for one in error.every]


class Attempts:
    """Reads one field after the other and keeps what is wrong with each, so that a tile's faults are told together."""

    def __init__(self) -> None:
        self.problems: list[TileError] = []

    def __call__(self, field: str, read: Callable[..., Any], *given: Any) -> Any:
        """What ``read`` makes of what is given; None where it cannot."""
        try:
            return read(*given)
        except TileError as error:
            self.problems.append(error)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            # No form that anybody thought of: still the tile's fault, and no reason to lose its shard.
            self.problems.append(TileError(field, f"`{field}` cannot be read ({error}); export the tile again."))
        return None

    def conclude(self) -> None:
        """Raises the first `TileError` with all of them, if there is any."""
        if self.problems:
            self.problems[0].every = self.problems
            raise self.problems[0]


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


@dataclass(frozen=True)
class Tile:
    """A tile.

    Attributes:
        field: heights in yards, float64 [257, 257]; rows to the south, columns to the east.
        holes: bool [64, 64], whether there is a hole in each of a chunk's 4 × 4 cells.
        textures: paths, as the export writes them.
        shares: [textures], the part of the ground that each covers, together 1 (0 where the tile has no layers).
        layers: [256], texture layers of each chunk.
        blended: [256], whether a chunk blends its layers by an alpha map.
        shadows: whether any chunk has a shadow.
        image: path of the minimap as the export writes it.
    """

    file: TileFile
    field: np.ndarray
    holes: np.ndarray
    textures: list[str]
    shares: np.ndarray
    layers: np.ndarray
    blended: np.ndarray
    shadows: bool
    liquids: list[Liquid]
    objects: list[Thing]
    image: str


def read_tile(file: TileFile, options: TerrainCheckOptions) -> Tile:
    """Reads and validates a tile's JSON.

    Raises:
        TileError: it is too large, cut off, or a field is missing, of another shape, or out of range.
    """
    size = file.path.stat().st_size
    if size > options.max_file_mb * 1e6:
        limit = f"more than check.max_file_mb {options.max_file_mb:g}"
        raise TileError("too_large", f"{size / 1e6:.1f} MB, {limit}; raise the limit if it is right.")
    value = parse_json(file.path.read_bytes())
    data = value.get("terrain_data")
    if not isinstance(data, dict):
        raise TileError("terrain_data", "has no `terrain_data`; export the tile again.")
    return tile_of(file, value, data, options.max_height)


def parse_json(raw: bytes) -> dict[str, Any]:
    """The file's JSON object.

    Raises:
        TileError: it is none, is cut off, or holds NaN or infinities, which JSON does not know.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if b"NaN" in raw or b"Infinity" in raw:
            raise TileError("not_finite", "holds NaN or Infinity; export the tile again.") from error
        raise TileError("json", f"not valid JSON ({error}); the file may be cut off, export the tile again.") from error
    if not isinstance(value, dict):
        raise TileError("json", "is no JSON object; export the tile again.")
    return value


def tile_of(file: TileFile, value: dict[str, Any], data: dict[str, Any], max_height: float) -> Tile:
    """The tile that a file's content describes; ground lies within ``max_height`` yards of 0.

    Raises:
        TileError: with everything that is wrong with it.
    """
    read = Attempts()
    read("adt_tile", must_be, data.get("adt_tile"), file)
    image = read("image", read_image, value)
    heights = read("heights", read_heights, data.get("heights"), max_height)
    read("chunk_positions", must_be_positions, data.get("chunk_positions") or [])
    interleaved = read("is_interleaved", read_interleaved, data.get("is_interleaved", True))
    textures = read("textures", read_textures, data.get("textures") or [])
    covered = read("chunk_layers", read_layers, data.get("chunk_layers") or [], len(textures or []))
    holes = read("holes", read_holes, data.get("holes") or [0] * CHUNK_COUNT)
    shadows = read("shadow_bits", has_shadows, data.get("shadow_bits") or [])
    liquids = read("liquids", lambda: list(read_liquids(_rows(data, "liquids"))))
    objects = read("objects", lambda: read_objects(_rows(data, "objects"), file))
    read.conclude()
    shares, layers, blended = covered
    return Tile(
        file=file,
        field=stitch(heights, interleaved),
        holes=holes,
        textures=textures,
        shares=shares,
        layers=layers,
        blended=blended,
        shadows=shadows,
        liquids=liquids,
        objects=objects,
        image=image,
    )


def must_be(named: Any, file: TileFile) -> None:
    """Raises a `TileError` where a tile's content names another tile than its file does."""
    if named is not None and named != file.path.stem:
        raise TileError("adt_tile", f"says it is {named!r:.60}; file name and content are of different tiles.")


def read_image(value: dict[str, Any]) -> str:
    """The path of the minimap, from the export's folder."""
    image = value.get("image", value.get("image_path"))
    if not isinstance(image, str) or not image:
        raise TileError("image", "names no `image`; export the tile again.")
    return image


def must_be_positions(positions: Any) -> None:
    """Raises a `TileError` unless there are three numbers a chunk, or none."""
    if not isinstance(positions, list) or len(positions) not in (0, 3 * CHUNK_COUNT):
        count = len(positions) if isinstance(positions, list) else "no"
        raise TileError("chunk_positions", f"has {count} chunk_positions, not {3 * CHUNK_COUNT}.")


def read_interleaved(value: Any) -> bool:
    """In which of the two orders the vertices of a chunk stand."""
    if not isinstance(value, bool):
        raise TileError("is_interleaved", f"`is_interleaved` is {value!r:.40}, neither true nor false.")
    return value


def read_textures(textures: Any) -> list[str]:
    """The paths of the textures."""
    if not isinstance(textures, list) or not all(isinstance(name, str) for name in textures):
        raise TileError("textures", "`textures` is no list of paths.")
    return textures


def _rows(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    rows = data.get(key) or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TileError(key, f"`{key}` is no list of objects.")
    return rows


def read_heights(rows: Any, limit: float) -> np.ndarray:
    """Heights in yards, float64 [256, 145], by chunk.

    Raises:
        TileError: a chunk is missing, stands twice, or has another number of heights; a height is no finite number, or
            further from 0 than the limit.
    """
    if not isinstance(rows, list) or len(rows) != CHUNK_COUNT:
        found = f"{len(rows)}" if isinstance(rows, list) else "no"
        raise TileError("heights", f"has heights of {found} chunks, not {CHUNK_COUNT}; export the tile again.")
    try:
        order = [row["idx"] for row in rows]
        given = [row["h"] for row in rows]
        packed = b"".join([CHUNK_HEIGHTS.pack(*heights) for heights in given])  # twice as fast as numpy takes lists
    except (KeyError, TypeError, struct.error):
        raise _wrong_heights(rows) from None
    heights = np.frombuffer(packed).reshape(CHUNK_COUNT, VERTICES)
    low, high = float(heights.min()), float(heights.max())
    if not np.isfinite([low, high]).all():
        raise TileError("not_finite", "a height is not finite; export the tile again.")
    if low < -limit or high > limit:
        said = f"heights from {low:g} to {high:g} yards, beyond check.max_height {limit:g}"
        raise TileError("height_range", f"{said}; export the tile again, or raise the limit if they are right.")
    if order != list(range(CHUNK_COUNT)):
        if not all(type(chunk) is int for chunk in order) or sorted(order) != list(range(CHUNK_COUNT)):
            raise TileError("heights", f"`idx` of the heights is not each of 0 to {CHUNK_COUNT - 1} once.")
        heights = heights[np.argsort(order)]
    return heights


def _wrong_heights(rows: list[Any]) -> TileError:
    for at, row in enumerate(rows):
        given = row.get("h") if isinstance(row, dict) else None
        if not isinstance(given, list) or len(given) != VERTICES:
            count = len(given) if isinstance(given, list) else "no"
            return TileError("heights", f"chunk {at} has {count} heights, not {VERTICES}; export the tile again.")
        if not all(isinstance(height, int | float) for height in given):
            return TileError("not_finite", f"chunk {at}: a height is no number; export the tile again.")
    return TileError("heights", "a chunk's heights have no `idx`; export the tile again.")


def read_holes(masks: Any) -> np.ndarray:
    """Bool [64, 64]: the 4 × 4 cells of each chunk's mask, whose bit ``column + 4 · row`` says that one is a hole.

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

    Layers lie over each other: what a layer's alpha leaves free shows the layers below it.

    Raises:
        TileError: there are not 256 chunks, a layer names no texture, or its alpha map is not 64 × 64 bytes.
    """
    if not chunks:
        return np.zeros(textures), np.zeros(CHUNK_COUNT, int), np.zeros(CHUNK_COUNT, bool)
    rows = [chunk or [] for chunk in by_chunk(chunks, "chunk_layers", "layers")]
    for chunk, given in enumerate(rows):
        if not isinstance(given, list):
            raise TileError("chunk_layers", f"chunk {chunk}: its layers are no list; export the tile again.")
    flat = list(chain.from_iterable(rows))
    layers = np.fromiter(map(len, rows), int, CHUNK_COUNT)
    chunk_of = np.repeat(np.arange(CHUNK_COUNT), layers)
    depth = np.arange(len(flat)) - (np.cumsum(layers) - layers)[chunk_of]
    numbers = texture_numbers(flat, textures, chunk_of)
    texts = [layer.get("alpha_bits") for layer in flat]
    blends = np.fromiter(map(bool, texts), bool, len(flat))
    # The mean of each alpha map stands for the map: how two maps of a chunk overlap is left out.
    alpha = np.where(depth == 0, 1.0, 0.0)
    places = list(zip(chunk_of[blends].tolist(), depth[blends].tolist(), strict=True))
    alpha[blends] = decoded([text for text in texts if text], ALPHA_BYTES, "alpha_bits", places) / 255.0
    free, seen = np.ones(CHUNK_COUNT), np.zeros(len(flat))
    for level in range(int(layers.max()) - 1, -1, -1):
        here = depth == level
        seen[here] = free[chunk_of[here]] * alpha[here]
        free[chunk_of[here]] -= seen[here]
    shares = np.bincount(numbers, seen, textures)
    return shares / max(shares.sum(), 1e-9), layers, np.bincount(chunk_of[blends], minlength=CHUNK_COUNT) > 0


def texture_numbers(layers: Sequence[Any], textures: int, chunk_of: np.ndarray) -> np.ndarray:
    """The number of each layer's texture, int [layers].

    Raises:
        TileError: a layer names none of the textures.
    """
    try:
        numbers = np.array([layer["tex_id"] for layer in layers] or np.zeros(0, int))
        if numbers.dtype.kind in "iu" and (numbers >= 0).all() and (numbers < textures).all():
            return numbers
    except (KeyError, TypeError, ValueError):
        pass
    given = [layer.get("tex_id") if isinstance(layer, dict) else None for layer in layers]
    known = (type(number) is int and 0 <= number < textures for number in given)
    at = next((at for at, right in enumerate(known) if not right), 0)
    message = f"chunk {chunk_of[at]}: a layer's tex_id {given[at]!r} is none of {textures} textures."
    raise TileError("chunk_layers", message)


def by_chunk(rows: Any, field: str, key: str) -> list[Any]:
    """What a field holds of each of 256 chunks: a list in their order, or of objects with ``idx`` and ``key``.

    Chunks that no object names have None.

    Raises:
        TileError: it is neither.
    """
    if not isinstance(rows, list):
        raise TileError(field, f"`{field}` is no list; export the tile again.")
    if rows and all(isinstance(row, dict) and "idx" in row for row in rows):
        found: list[Any] = [None] * CHUNK_COUNT
        for row in rows:
            if not isinstance(row["idx"], int) or not 0 <= row["idx"] < CHUNK_COUNT:
                raise TileError(field, f"`{field}` has an idx {row['idx']!r} that is no chunk; export the tile again.")
            found[row["idx"]] = row.get(key)
        return found
    if rows and len(rows) != CHUNK_COUNT:
        raise TileError(field, f"`{field}` has {len(rows)} entries, not {CHUNK_COUNT}; export the tile again.")
    return rows


def decoded(texts: Sequence[str], size: int, field: str, places: Sequence[Any]) -> np.ndarray:
    """The mean byte of each base64 text of ``size`` bytes.

    Raises:
        TileError: one is of another length, or is no base64.
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
    whole = np.frombuffer(b"".join(rows), np.uint8).reshape(len(texts), size)
    return cv2.reduce(whole, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0] / size  # numpy's sum takes four times as long


def has_shadows(texts: Any) -> bool:
    """Whether any chunk's 64 × 64 bits have one set.

    Raises:
        TileError: a field is of another length, or no base64.
    """
    given = [(chunk, text) for chunk, text in enumerate(by_chunk(texts, "shadow_bits", "bits")) if text]
    return bool(decoded([text for _, text in given], SHADOW_BYTES, "shadow_bits", [at for at, _ in given]).any())


def read_liquids(rows: Sequence[dict[str, Any]]) -> Iterator[Liquid]:
    """Liquids by chunk.

    Raises:
        TileError: one is in no chunk, has no finite heights, or not 81 of them.
    """
    for row in rows:
        chunk, low, high = row.get("idx"), row.get("min_height"), row.get("max_height")
        if not isinstance(chunk, int) or not 0 <= chunk < CHUNK_COUNT:
            raise TileError("liquids", f"a liquid's idx {chunk!r} is no chunk; export the tile again.")
        if not (is_finite(low) and is_finite(high)):
            raise TileError("liquids", f"the liquid of chunk {chunk} has no min_height and max_height.")
        heights = row.get("heights")
        if heights and not (isinstance(heights, list) and len(heights) == LIQUID_HEIGHTS):
            count = len(heights) if isinstance(heights, list) else "no"
            raise TileError("liquids", f"the liquid of chunk {chunk} has {count} heights, not {LIQUID_HEIGHTS}.")
        yield Liquid(chunk, str(row.get("type", "water")).lower(), low, high)


def read_objects(rows: Sequence[dict[str, Any]], file: TileFile) -> list[Thing]:
    """Objects with their places in the tile; those that stand outside it are left to the tile they stand in.

    Raises:
        TileError: one has no name, another category than m2 and wmo, or a place that is not finite.
    """
    for row in rows:
        if not isinstance(row.get("name"), str) or row.get("category") not in CATEGORIES:
            raise TileError("objects", f"object {row.get('unique_id')!r} has no name, or is neither m2 nor wmo.")
    if not rows:
        return []
    numbers = _placements(rows)
    places = within_tile(numbers[:, :3], file.x, file.y)
    inside = np.flatnonzero(((places >= 0) & (places < 1)).all(axis=1)).tolist()
    return [
        Thing(rows[at]["category"], stem(rows[at]["name"]), *places[at].tolist(), rows[at]["scale"] or 1.0)
        for at in inside
    ]


def _placements(rows: Sequence[dict[str, Any]]) -> np.ndarray:
    """x, y, z and scale of objects, float64 [objects, 4]."""
    try:
        numbers = np.array([[row[key] for key in PLACEMENT] for row in rows])
        if numbers.dtype.kind in "iuf" and np.isfinite(numbers).all():
            return numbers
    except (KeyError, ValueError):
        pass
    wrong = next((row for row in rows if not all(is_finite(row.get(key)) for key in PLACEMENT)), rows[0])
    raise TileError("objects", f"object {wrong.get('unique_id')!r}: its place or scale is no finite number.")


def is_finite(value: Any) -> bool:
    """Whether it is a number that is neither infinite nor NaN."""
    return isinstance(value, int | float) and abs(value) < float("inf")


def stem(path: str) -> str:
    r"""``World\Trees\Pine02.m2`` as ``pine02``."""
    return path.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0].lower()
