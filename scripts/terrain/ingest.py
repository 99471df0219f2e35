"""Reads, checks, scores and encodes the tiles of one shard of a map export.

A shard is a square of 8 × 8 tiles, fixed by their coordinates: editing a tile rewrites its own shard and no other.
Outputs: ``tiles.jsonl`` (a row a tile: answer, worth, hash of the minimap), the images at the size of the model's
input, the height fields, ``quarantine.jsonl``, and last ``manifest.json`` with names, sizes and hashes of all of them.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# A tile's arrays are small, and threads of OpenBLAS would wait for each other. OpenBLAS reads this when it is loaded.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from tqdm import tqdm

from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import manifest, write_json, write_jsonl
from scripts.lib.process import uncollected
from scripts.terrain.answer import beyond, describe, rebuild, to_text
from scripts.terrain.export import Fault, TileFile, find_exports, find_tiles
from scripts.terrain.options import TerrainCheckOptions, TerrainIngestOptions
from scripts.terrain.pictures import difference_hash, read_picture, resized, write_heights, write_picture
from scripts.terrain.places import shard_of
from scripts.terrain.tile import Tile, TileError, faults_in, read_tile
from scripts.terrain.worth import riches, rms, worth


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--export", type=Path, required=True, help="folder of a map export")
    stage.add_argument("--shard", help="such as 4_3; without it all shards, into folders of their names")
    stage.add_argument("--out", type=Path, required=True, help="folder to write")
    stage.add_argument("--check", default="{}", help="options for reading exports as JSON, or @file.json")
    return stage


def main(args: argparse.Namespace) -> None:
    """Writes one shard, or all."""
    options = TerrainIngestOptions.parse(load_params(args.params))
    check = TerrainCheckOptions.parse(load_params(args.check), "--check")
    (export,) = find_exports([args.export])
    if not args.shard:
        list(write_export(export, args.out, options, check))
        return
    shards = shards_in(export)
    if args.shard not in shards:
        raise UserError(f"{export}: has no tile in shard {args.shard}; its shards: {', '.join(shards) or 'none'}.")
    write_shard(args.out, *shards[args.shard], options, check)


def write_export(export: Path, out: Path, options: TerrainIngestOptions, check: TerrainCheckOptions) -> Iterator[Path]:
    """Writes all shards of an export into folders of their names, and yields these."""
    for name, (files, faults) in shards_in(export).items():
        write_shard(out / name, files, faults, options, check)
        yield out / name


def shards_in(export: Path) -> dict[str, tuple[list[TileFile], list[Fault]]]:
    """Tiles and faults by shard, sorted by its name; a fault that belongs to no shard is counted in the first one."""
    tiles, faults = find_tiles(export)
    shards: dict[str, tuple[list[TileFile], list[Fault]]] = {}
    for tile in sorted(tiles, key=lambda tile: shard_of(tile.x, tile.y)):
        shards.setdefault(shard_of(tile.x, tile.y), ([], []))[0].append(tile)
    for fault in faults if shards else ():
        match = re.fullmatch(r".*_(\d+)_(\d+)", fault.tile)
        shard = shard_of(int(match[1]), int(match[2])) if match else None
        shards[shard if shard in shards else min(shards)][1].append(fault)
    return shards


def write_shard(
    out: Path,
    files: Sequence[TileFile],
    faults: Sequence[Fault],
    options: TerrainIngestOptions,
    check: TerrainCheckOptions,
) -> None:
    """Writes all outputs of a shard, the manifest last, and removes images of tiles that are gone."""
    rows, faults = [], list(faults)
    for file in tqdm(files, desc=out.name, unit="tile", disable=None):
        try:
            with uncollected():
                rows.append(write_tile(out, file, options, check))
        except TileError as error:
            faults += faults_in(file, error)
    write_jsonl(out / "tiles.jsonl", rows)
    write_jsonl(out / "quarantine.jsonl", [fault.to_json() for fault in faults])
    names = ["tiles.jsonl", "quarantine.jsonl"]
    names += [name for row in rows for name in [*row["images"], row["truth"]["file"]]]
    for path in [*out.glob("images/*.png"), *out.glob("truth/*.png")]:
        if path.relative_to(out).as_posix() not in names:
            path.unlink()
    write_json(out / "manifest.json", {"tiles": len(rows), "files": manifest(out, names)})
    quarantined = f", {len(faults)} faults (quarantine.jsonl says which)" if faults else ""
    say(f"{out}: {len(rows)} of {len(files)} tiles{quarantined}")


def write_tile(out: Path, file: TileFile, options: TerrainIngestOptions, check: TerrainCheckOptions) -> dict[str, Any]:
    """Writes a tile's images and returns its row.

    Raises:
        TileError: the tile cannot be used.
    """
    tile = read_tile(file, check)
    pictures = [read_picture(tile, which, check.image_sizes) for which in options.inputs]
    row = encode_tile(tile, options)
    names = [f"images/{file.name}_{which}.png" for which in options.inputs]
    for name, picture in zip(names, pictures, strict=True):
        write_picture(out / name, resized(picture, options.image_size))
    truth = f"truth/{file.name}.png"
    low, step = write_heights(out / truth, tile.field)
    return {
        **row,
        "hash": difference_hash(pictures[0]).tobytes().hex(),
        "images": names,
        "truth": {"file": truth, "low": low, "step": step},
    }


def encode_tile(tile: Tile, options: TerrainIngestOptions) -> dict[str, Any]:
    """A tile's selection score, its answer, and the error of the answer against the ground (RMSE, yards)."""
    features = riches(tile)
    ground = describe(tile, options.answer)
    rebuilt = rebuild(ground.heights(options.answer.levels))
    return {
        "tile": tile.file.name,
        "map": tile.file.map,
        "x": tile.file.x,
        "y": tile.file.y,
        "worth": round(worth(features, options.worth), 4),
        "riches": features._asdict(),
        "answer": to_text(ground, options.answer),
        "round_trip_yards": round(rms(rebuilt - tile.field), 4),
        "beyond_scale": beyond(tile, options.answer),
    }


if __name__ == "__main__":
    run(parser, main)
