"""One tile of the export: made from the world, drawn, and written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson

from scripts.lib.files import atomic_path
from scripts.terrain.generator import record
from scripts.terrain.generator.cover import cover_of
from scripts.terrain.generator.ground import ground_of
from scripts.terrain.generator.layers import layers_of, stitched
from scripts.terrain.generator.minimap import cast_shadow, minimap, shadow_map
from scripts.terrain.generator.styles import STYLES
from scripts.terrain.generator.things import caves_of, things_of, within
from scripts.terrain.generator.world import World
from scripts.terrain.options import TerrainGenerateOptions

JSON = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
# For large images of few greys: half the time, and smaller files.
GREYS = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
]


def write_tile(world: World, options: TerrainGenerateOptions, x: int, y: int, out: Path) -> dict[str, Any]:
    """Writes all files of a tile; returns its entry in the export's manifest, which names all of them."""
    name, style = f"{options.map}_{x}_{y}", STYLES[options.style]
    ground = ground_of(world, x, y)
    cover = cover_of(world.seed, ground)
    holes, caves = caves_of(world.seed, ground, cover)
    things = [*things_of(world, ground, cover), *caves]
    cast = cast_shadow(ground.heights, style)
    shadow, layers = shadow_map(ground, cast, things, style), layers_of(cover.shares)
    pictures = {
        f"images/{name}.png": minimap(world.seed, ground, cover, cast, things, style, options.image_size),
        f"images/{name}_heightmap.png": record.heightmap(ground),
        f"stitched/{name}_shadow.png": shadow,
        **{f"stitched/{name}_alpha_l{number}.png": stitched(alpha) for number, alpha in enumerate(layers.alphas, 1)},
    }
    mask, mask_path = (cover.depth > 0).astype(np.uint8) * 255, f"liquids/{name}_liq_mask.png"
    if mask.any():
        pictures[mask_path] = np.repeat(np.repeat(mask, 4, axis=0), 4, axis=1)
    for path, picture in pictures.items():
        _write(out / path, cv2.imencode(".png", picture, GREYS if len(picture) == 1024 else [])[1].tobytes())
    data = {
        "adt_tile": name,
        **record.heights_of(ground, options.interleaved),
        "height_global_min": world.bounds[0],
        "height_global_max": world.bounds[1],
        "holes": holes.tolist(),
        "textures": [record.texture_path(options.map, material) for material in layers.used],
        "chunk_layers": record.chunk_layers(options.map, ground, cover, layers, options.interleaved, shadow),
        "shadow_bits": record.shadow_bits(shadow),
        "liquids": record.liquids_of(ground, cover, mask_path),
        "objects": record.objects_of(options.map, within(ground, things), options.layout == "older"),
        "heightmap": f"images/{name}_heightmap.png",
        "heightmap_local": f"images/{name}_heightmap.png",
        "shadow_maps": [f"stitched/{name}_shadow.png"],
        "alpha_masks": [f"stitched/{name}_alpha_l{number}.png" for number in range(1, 5)],
        "liquid_mask": mask_path if mask_path in pictures else None,
    }
    image = "image_path" if options.layout == "older" else "image"
    sample = {image: f"images/{name}.png", "depth": None, "terrain_data": data}
    _write(out / f"dataset/{name}.json", orjson.dumps(sample, option=JSON))
    return _entry(options.map, data)


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path) as part:
        part.write_bytes(content)


def _entry(map_name: str, data: dict[str, Any]) -> dict[str, Any]:
    name = data["adt_tile"]
    return {
        "tile_name": name,
        "map_name": map_name,
        "tile_json_path": f"dataset/{name}.json",
        "source_minimap_path": f"images/{name}.png",
        "source_minimap_exists": True,
        "heightmap_local_path": data["heightmap_local"],
        "heightmap_local_exists": True,
        "shadow_map_paths": data["shadow_maps"],
        "alpha_mask_paths": data["alpha_masks"],
        "liquid_mask_path": data["liquid_mask"],
        "object_count": len(data["objects"]),
        "chunk_layer_count": len(data["chunk_layers"]),
        "liquid_count": len(data["liquids"]),
        "completeness_class": "core-terrain-ready",
    }
