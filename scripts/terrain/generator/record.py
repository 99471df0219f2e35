"""The JSON of a tile, field by field, in the format of exporters."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from scripts.terrain.generator.cover import MATERIALS, Cover, pixels, slopes
from scripts.terrain.generator.ground import INNER, Ground
from scripts.terrain.generator.layers import Layers, by_chunk
from scripts.terrain.generator.things import BUILDINGS, KINDS, Thing
from scripts.terrain.generator.world import DRY, STEP
from scripts.terrain.geometry import CHUNK, CHUNKS, CORNER, OUTER, VERTICES, unstitch
from scripts.terrain.geometry import INNER as INNER_VERTICES

TEXTURES = {
    "grass": "grass01",
    "drygrass": "drygrass01",
    "heath": "heath01",
    "leaves": "forestfloor02",
    "scree": "scree01",
    "rock": "cliffrock01",
    "snow": "snow01",
    "sand": "sandshore01",
    "gravel": "rivergravel01",
    "cobble": "cobblestone01",
    "dirt": "roaddirt01",
}
HAS_SHADOW, RIVER, OCEAN, HAS_COLOURS = 0x1, 0x4, 0x8, 0x40  # flags of a chunk
HAS_ALPHA = 0x100  # flag of a layer
NEUTRAL = 127  # a vertex colour that changes nothing


def texture_path(map_name: str, material: int) -> str:
    """The invented path of a material's texture, such as ``tileset\\eastvale\\grass01.blp``.

    The file name is the same on every map, because an image does not show which map it is from.
    """
    return f"tileset\\{map_name.lower()}\\{TEXTURES[MATERIALS[material]]}.blp"


def text(array: np.ndarray) -> str:
    """An array's bytes in base64."""
    return base64.b64encode(np.ascontiguousarray(array)).decode()


def heights_of(ground: Ground, interleaved: bool) -> dict[str, Any]:
    """The fields of the tile's heights and places."""
    field = ground.heights[INNER, INNER]
    heights = unstitch(field, interleaved)
    index = np.arange(CHUNKS * CHUNKS)
    south = (ground.origin[0] + INNER.start) * STEP + index // CHUNKS * CHUNK
    east = (ground.origin[1] + INNER.start) * STEP + index % CHUNKS * CHUNK
    places = np.stack([CORNER - south, CORNER - east, heights[:, 0]], axis=1)
    return {
        "heights": [{"idx": number, "h": row} for number, row in enumerate(heights)],
        "is_interleaved": interleaved,
        "chunk_positions": (np.rint(places * 1000) / 1000).ravel(),
        "height_min": heights.min(),
        "height_max": heights.max(),
        "wdl_heights": {
            "outer_17": np.rint(field[::16, ::16]).astype(np.int16).ravel(),
            "inner_16": np.rint(field[8::16, 8::16]).astype(np.int16).ravel(),
        },
    }


def chunk_layers(
    map_name: str, ground: Ground, cover: Cover, layers: Layers, interleaved: bool, shadow: np.ndarray
) -> list[dict[str, Any]]:
    """One entry for each chunk: layers, normals, vertex colours (darker under trees, in steps of eight) and flags."""
    down, right = (field[INNER, INNER].astype(np.float64) for field in slopes(ground.heights))
    length = np.sqrt(down * down + right * right + 1)
    parts = [np.rint(127 * part / length).astype(np.int8) for part in (down, right, np.ones_like(down))]
    normals = np.stack([unstitch(part, interleaved) for part in parts], axis=-1)  # north, west, up; 127 long
    shade = 8 * np.rint(4 * cover.forest[INNER, INNER]).astype(np.uint8)
    colours = np.full((CHUNKS * CHUNKS, VERTICES, 4), 255, np.uint8)  # blue, green, red and 255
    colours[..., :3] = (NEUTRAL - unstitch(shade, interleaved))[..., None]
    tinted = (colours[..., :3] != NEUTRAL).any(axis=(1, 2))
    wet, ocean = cover.depth > 0, pixels(ground.ocean.astype(np.float32)) > 0.5
    shaded, wet, ocean = (by_chunk(mask).any(axis=(1, 2)) for mask in (shadow > 0, wet, wet & ocean))
    flags = HAS_SHADOW * shaded | OCEAN * ocean | RIVER * (wet & ~ocean) | HAS_COLOURS * tinted
    area = 1 + (ground.origin[0] + INNER.start) // 512 * 32 + (ground.origin[1] + INNER.start) // 512
    return [
        {
            "idx": index,
            "layers": [_layer(map_name, layers, index, slot) for slot in range(len(chosen))],
            "normals": normals[index].ravel(),
            "mccv_colors": text(colours[index]) if tinted[index] else None,
            "area_id": area,
            "flags": int(flags[index]),
        }
        for index, chosen in enumerate(layers.materials)
    ]


def _layer(map_name: str, layers: Layers, chunk: int, slot: int) -> dict[str, Any]:
    material, alpha = layers.materials[chunk][slot], layers.alphas[slot, chunk]
    return {
        "tex_id": layers.used.index(material),
        "texture_path": texture_path(map_name, material),
        "flags": HAS_ALPHA if slot else 0,
        "alpha_off": alpha.size * max(0, slot - 1),
        "effect_id": 0,
        "alpha_bits": text(alpha) if slot else None,
    }


def shadow_bits(shadow: np.ndarray) -> list[dict[str, Any]]:
    """``{"idx", "bits"}`` of each chunk that has any shadow in a map uint8 [1024, 1024]; the lowest bit is first."""
    pieces = by_chunk(shadow > 0)
    packed = np.packbits(pieces.reshape(len(pieces), -1), axis=1, bitorder="little")
    return [{"idx": i, "bits": text(packed[i])} for i in np.flatnonzero(packed.any(axis=1)).tolist()]


def liquids_of(ground: Ground, cover: Cover, mask_path: str) -> list[dict[str, Any]]:
    """A record for each chunk with water: ``{"idx", "type", "min_height", "max_height", "mask_path", "heights"}``.

    ``heights`` are those of the 9 × 9 outer vertices; a vertex without water near it gets the lowest of the chunk's.
    """
    wet = by_chunk(cover.depth > 0)
    ocean = by_chunk(pixels(ground.ocean.astype(np.float32)) > 0.5) & wet
    surface = ground.surface[INNER, INNER][::2, ::2]
    records = []
    for index in np.flatnonzero(wet.any(axis=(1, 2))).tolist():
        row, column = INNER_VERTICES * (index // CHUNKS), INNER_VERTICES * (index % CHUNKS)
        heights = surface[row : row + OUTER, column : column + OUTER].astype(np.float64)
        known = heights > DRY
        lowest = heights[known].min() if known.any() else surface.max()
        heights = np.rint(np.where(known, heights, lowest) * 100) / 100
        records.append(
            {
                "idx": index,
                "type": "ocean" if 2 * ocean[index].sum() > wet[index].sum() else "water",
                "min_height": heights.min(),
                "max_height": heights.max(),
                "mask_path": mask_path,
                "heights": heights.ravel(),
            }
        )
    return records


def objects_of(map_name: str, things: list[Thing], older: bool) -> list[dict[str, Any]]:
    """The placements, raw (x east, y up, z south), with invented paths of models.

    Old clients have no scale of buildings and write 0.
    """
    folder, paths = map_name.lower(), []
    for thing in things:
        name = f"{thing.kind}{thing.variant + 1:02d}"
        if thing.kind in BUILDINGS:
            paths.append(f"world\\wmo\\{folder}\\buildings\\{name}.wmo")
        else:
            kind = "rocks" if thing.kind == "rock" else "trees"
            paths.append(f"world\\{folder}\\passivedoodads\\{kind}\\{name}.m2")
    names = sorted(set(paths))
    entries = []
    for name, thing in zip(paths, things, strict=True):
        _, radius, height = KINDS[thing.kind]
        building = thing.kind in BUILDINGS
        entries.append(
            {
                "name": name,
                "name_id": names.index(name),
                "unique_id": thing.number,
                "x": round(thing.column * STEP, 3),
                "y": round(thing.height, 3),
                "z": round(thing.row * STEP, 3),
                "rot_x": 0.0,
                "rot_y": thing.turn,
                "rot_z": 0.0,
                "scale": (0.0 if older else 1.0) if building else thing.scale,
                "category": "wmo" if building else "m2",
                "bounds_min": [-radius, 0.0, -radius],
                "bounds_max": [radius, height, radius],
            }
        )
    return entries


def heightmap(ground: Ground) -> np.ndarray:
    """uint16 [257, 257]: 0 is the tile's lowest ground and 65535 its highest."""
    field = ground.heights[INNER, INNER]
    low, high = field.min(), field.max()
    return np.rint((field - low) * (65535 / max(high - low, 0.01))).astype(np.uint16)
