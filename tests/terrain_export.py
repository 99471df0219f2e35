"""A map export written out by hand, field by field as an exporter would, for tests of the reader."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np


def slope(row: float, column: float) -> float:
    """The ground of the fixture, yards: rises by 2 a grid step to the south and by 1 to the east."""
    return 2 * row + column


def chunk_heights(chunk: int, interleaved: bool = True) -> list[float]:
    """145 heights of a chunk on the slope, in the order of the export."""
    top, left = 16 * (chunk // 16), 16 * (chunk % 16)
    outer = [[slope(top + 2 * row, left + 2 * column) for column in range(9)] for row in range(9)]
    inner = [[slope(top + 2 * row + 1, left + 2 * column + 1) for column in range(8)] for row in range(8)]
    if not interleaved:
        return [height for rows in (outer, inner) for row in rows for height in row]
    mixed = [row for pair in zip(outer, inner, strict=False) for row in pair] + [outer[8]]
    return [height for row in mixed for height in row]


def tile_json(x: int, y: int, **changes: Any) -> dict[str, Any]:
    """A tile: a slope, grass with rock blended over half of chunk 0, a pond, a hole, two trees and a house."""
    half = base64.b64encode(bytes([255] * 2048 + [0] * 2048)).decode()
    grass = {"tex_id": 0, "texture_path": "tileset\\made\\grass.blp", "flags": 0, "alpha_off": 0, "effect_id": 0}
    rock = {"tex_id": 1, "texture_path": "tileset\\made\\rock.blp", "flags": 256, "alpha_off": 0, "effect_id": 0}
    side = 533.0 + 1 / 3
    objects = [
        {"name": "world\\trees\\pine.m2", "category": "m2", "x": (x + 0.25) * side, "z": (y + 0.75) * side},
        {"name": "World\\Trees\\Pine.m2", "category": "m2", "x": (x + 0.26) * side, "z": (y + 0.76) * side},
        {"name": "world\\wmo\\house.wmo", "category": "wmo", "x": (x + 0.5) * side, "z": (y + 0.5) * side},
        {"name": "world\\wmo\\beyond.wmo", "category": "wmo", "x": (x + 1.5) * side, "z": (y + 0.5) * side},
    ]
    data: dict[str, Any] = {
        "adt_tile": f"Made_{x}_{y}",
        "heights": [{"idx": chunk, "h": chunk_heights(chunk)} for chunk in range(256)],
        "is_interleaved": True,
        "chunk_positions": [0.0] * 768,
        "holes": [1 << 4, *[0] * 255],
        "textures": ["tileset\\made\\grass.blp", "tileset\\made\\rock.blp"],
        "chunk_layers": [[grass, {**rock, "alpha_bits": half}], *[[grass]] * 255],
        "shadow_bits": [base64.b64encode(bytes([1] + [0] * 511)).decode(), *[""] * 255],
        "liquids": [{"idx": 0, "type": "Water", "min_height": 20.0, "max_height": 20.0, "heights": [20.0] * 81}],
        "objects": [
            {"name_id": 1, "unique_id": 7 + at, "y": 3.0, "rot_x": 0, "rot_y": 0, "rot_z": 0, "scale": 0, **one}
            for at, one in enumerate(objects)
        ],
        "height_min": 0.0,
        "height_max": 768.0,
    }
    return {"image": f"images/Made_{x}_{y}.png", "depth": None, "terrain_data": data | changes}


def write_export(folder: Path, *tiles: tuple[int, int], older: bool = False) -> Path:
    """An export of the given tiles with a manifest and minimaps; ``older`` names files and keys as older ones did."""
    (folder / "dataset").mkdir(parents=True)
    (folder / "images").mkdir()
    for x, y in tiles:
        value = tile_json(x, y)
        if older:
            value["image_path"] = value.pop("image").replace("/", "\\")
        (folder / "dataset" / f"Made_{x}_{y}.json").write_text(json.dumps(value))
        write_minimap(folder, x, y)
    listed = [{"tile": f"Made_{x}_{y}"} for x, y in tiles]
    manifest = {"schema_version": "mk-dataset-manifest.v1", "tiles": listed, "coverage": {"tiles": len(tiles)}}
    name = "ml_dataset_manifest.json" if older else "manifest.json"
    (folder / name).write_text(json.dumps(manifest))
    return folder


def write_minimap(folder: Path, x: int, y: int, side: int = 256) -> None:
    """A picture of its own for each tile."""
    noise = np.random.default_rng(100 * x + y).integers(0, 255, (16, 16, 3), np.uint8)
    cv2.imwrite(str(folder / "images" / f"Made_{x}_{y}.png"), cv2.resize(noise, (side, side)))
