"""One tile of a map export, read and validated: its ground, textures, liquids, holes and objects as arrays.

`scripts.terrain.tile_fields` reads and checks the single fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from scripts.terrain import tile_fields
from scripts.terrain.export import Fault, TileFile
from scripts.terrain.geometry import stitch
from scripts.terrain.options import TerrainCheckOptions
from scripts.terrain.tile_fields import CHUNK_COUNT, Liquid, Thing, TileError


class FieldErrors:
    """Collects the errors of all fields, so that one check reports everything that is wrong with a tile."""

    def __init__(self) -> None:
        self.errors: list[TileError] = []

    def add(self, kind: str, message: str) -> None:
        """Records one error."""
        self.errors.append(TileError(kind, message))

    def read(self, field: str, reader: Callable[..., Any], *arguments: Any) -> Any:
        """The result of ``reader``; None where it fails, which is recorded."""
        try:
            return reader(*arguments)
        except TileError as error:
            self.errors.append(error)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            # A malformed value that no check expects is still an error of this tile, and must not stop its shard.
            self.add(field, f"`{field}` cannot be read ({error}); export the tile again.")
        return None


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


def faults_in(file: TileFile, error: TileError) -> list[Fault]:
    """All errors of a tile, as faults."""
    return [Fault(file.path.as_posix(), file.name, part.kind, str(part)) for part in error.every]


def read_tile(file: TileFile, options: TerrainCheckOptions) -> Tile:
    """Reads and validates a tile's JSON.

    Raises:
        TileError: the file is too large, cut off, or holds NaN or infinities, which JSON does not allow; or a field is
            missing, of another shape, or out of range.
    """
    size = file.path.stat().st_size
    if size > options.max_file_mb * 1e6:
        limit = f"more than check.max_file_mb {options.max_file_mb:g}"
        raise TileError("too_large", f"{size / 1e6:.1f} MB, {limit}; raise the limit if it is right.")
    raw = file.path.read_bytes()
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if b"NaN" in raw or b"Infinity" in raw:
            raise TileError("not_finite", "holds NaN or Infinity; export the tile again.") from error
        raise TileError("json", f"not valid JSON ({error}); the file may be cut off, export the tile again.") from error
    if not isinstance(value, dict):
        raise TileError("json", "is no JSON object; export the tile again.")
    data = value.get("terrain_data")
    if not isinstance(data, dict):
        raise TileError("terrain_data", "has no `terrain_data`; export the tile again.")
    return tile_of(file, value.get("image", value.get("image_path")), data, options.max_height)


def tile_of(file: TileFile, image: Any, data: dict[str, Any], max_height: float) -> Tile:
    """The tile that a file's ``terrain_data`` describes; its heights lie within ``max_height`` yards of 0.

    Raises:
        TileError: with all errors of the tile.
    """
    errors = FieldErrors()
    named = data.get("adt_tile")
    if named is not None and named != file.path.stem:
        errors.add("adt_tile", f"says it is {named!r:.60}; file name and content are of different tiles.")
    if not isinstance(image, str) or not image:
        errors.add("image", "names no `image`; export the tile again.")
    heights = errors.read("heights", tile_fields.read_heights, data.get("heights"), max_height)
    positions = data.get("chunk_positions") or []
    if not isinstance(positions, list) or len(positions) not in (0, 3 * CHUNK_COUNT):
        count = len(positions) if isinstance(positions, list) else "no"
        errors.add("chunk_positions", f"has {count} chunk_positions, not {3 * CHUNK_COUNT}.")
    interleaved = data.get("is_interleaved", True)
    if not isinstance(interleaved, bool):
        errors.add("is_interleaved", f"`is_interleaved` is {interleaved!r:.40}, neither true nor false.")
    textures = data.get("textures") or []
    if not isinstance(textures, list) or not all(isinstance(path, str) for path in textures):
        errors.add("textures", "`textures` is no list of paths.")
        textures = []
    layers = errors.read("chunk_layers", tile_fields.read_layers, data.get("chunk_layers") or [], len(textures))
    holes = errors.read("holes", tile_fields.read_holes, data.get("holes") or [0] * CHUNK_COUNT)
    shadows = errors.read("shadow_bits", tile_fields.any_shadow, data.get("shadow_bits") or [])
    liquids = errors.read("liquids", tile_fields.read_liquids, data.get("liquids") or [])
    objects = errors.read("objects", tile_fields.read_objects, data.get("objects") or [], file)
    if errors.errors:
        errors.errors[0].every = errors.errors
        raise errors.errors[0]
    return Tile(file, stitch(heights, interleaved), holes, textures, *layers, shadows, liquids, objects, image)
