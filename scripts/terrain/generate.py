"""Writes an invented map as an export of terrain tiles with minimaps.

In the folder: the export's manifest, `dataset/`, `images/`, `stitched/` and `liquids/`, and, last, `files.json` with
the size and hash of every file. The same seed and options give the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

from scripts.lib.cli import StageParser, load_params, run, say
from scripts.lib.files import manifest, write_json
from scripts.lib.listed import clear_listed, write_list
from scripts.terrain.generator.tile import write_tile
from scripts.terrain.generator.world import world_of
from scripts.terrain.options import TerrainGenerateOptions
from scripts.terrain.places import block

MANIFESTS = {"current": "manifest.json", "older": "ml_dataset_manifest.json"}


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("--out", type=Path, required=True, help="folder to write")
    return result


def main(args: argparse.Namespace) -> None:
    """Makes the world and writes its tiles."""
    options = TerrainGenerateOptions.parse(load_params(args.params))
    cv2.setNumThreads(1)
    clear_listed(args.out)
    world = world_of(options.seed)
    tiles = tqdm(block(options.tiles), desc=options.map, unit="tile", disable=None)
    entries = [write_tile(world, options, x, y, args.out) for x, y in tiles]
    index = {
        "schema_version": "mk-dataset-manifest.v1",
        "dataset_name": options.map,
        "source_format": "generated",
        "tile_json_directory": "dataset",
        "coverage": {
            "tiles_processed": len(entries),
            "tiles_with_source_minimap": len(entries),
            "tiles_with_local_heightmap": len(entries),
            "tiles_with_shadow_maps": len(entries),
            "tiles_with_any_alpha_mask": len(entries),
            "tiles_with_objects": sum(entry["object_count"] > 0 for entry in entries),
            "tiles_with_liquids": sum(entry["liquid_count"] > 0 for entry in entries),
            "tiles_with_chunk_layer_metadata": len(entries),
            "existing_alpha_mask_images": sum(len(entry["alpha_mask_paths"]) for entry in entries),
            "existing_shadow_map_images": sum(len(entry["shadow_map_paths"]) for entry in entries),
        },
        "tiles": entries,
    }
    write_json(args.out / MANIFESTS[options.layout], index)
    names = [MANIFESTS[options.layout], *(path for entry in entries for path in paths_of(entry))]
    files = manifest(args.out, names)
    write_list(args.out, options.seed, options.model_dump(), files)
    say(f"{args.out}: {len(entries)} tiles, {sum(row['bytes'] for row in files) / 1e6:.1f} MB")


def paths_of(entry: dict[str, Any]) -> list[str]:
    """The files of a tile, from its entry in the manifest."""
    single = ("tile_json_path", "source_minimap_path", "heightmap_local_path", "liquid_mask_path")
    return [entry[key] for key in single if entry[key]] + entry["shadow_map_paths"] + entry["alpha_mask_paths"]


if __name__ == "__main__":
    run(parser, main)
