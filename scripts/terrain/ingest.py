"""Reads, checks, weighs and encodes the tiles of one shard of a map export.

A shard is a square of 8 × 8 tiles, fixed by their coordinates: editing a tile rewrites its own shard and no other.
Written are ``tiles.jsonl`` (a row a tile: answer, worth, hash of the minimap), the pictures at the size the model sees,
the height fields, ``quarantine.jsonl``, and last ``manifest.json`` with names, sizes and hashes of all of them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

# A tile's arrays are small: threads of the linear algebra would wait for each other. It reads this once, when loaded.
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
    stage.add_argument("--shard", help="such as 4_3; none given: all of them, into folders of their names")
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
    tiles, faults = find_tiles(export)
    shards = by_shard(tiles)
    if args.shard not in shards:
        raise UserError(f"{export}: has no tile in shard {args.shard}; its shards: {', '.join(shards) or 'none'}.")
    write_shard(args.out, shards[args.shard], faults_of(args.shard, shards, faults), options, check)


def write_export(export: Path, out: Path, options: TerrainIngestOptions, check: TerrainCheckOptions) -> Iterator[Path]:
    """Writes all shards of an export into folders of their names, and yields these."""
    tiles, faults = find_tiles(export)
    shards = by_shard(tiles)
    for name, files in shards.items():
        write_shard(out / name, files, faults_of(name, shards, faults), options, check)
        yield out / name


def faults_of(shard: str, shards: Collection[str], faults: Sequence[Fault]) -> list[Fault]:
    """The faults that a shard tells of: of its own tiles; the first shard also of what belongs to none."""
    first = shard == min(shards)
    places = [(fault, shard_of_name(fault.tile)) for fault in faults]
    return [fault for fault, place in places if place == shard or (first and place not in shards)]


def shard_of_name(name: str) -> str | None:
    """The shard of ``Azeroth_32_24``; None for what is no tile's name."""
    parts = name.rsplit("_", 2)
    return shard_of(int(parts[1]), int(parts[2])) if len(parts) == 3 and all(map(str.isdigit, parts[1:])) else None


def by_shard(tiles: Sequence[TileFile]) -> dict[str, list[TileFile]]:
    """Tiles by shard, sorted by its name."""
    shards: dict[str, list[TileFile]] = {}
    for tile in tiles:
        shards.setdefault(shard_of(tile.x, tile.y), []).append(tile)
    return dict(sorted(shards.items()))


def write_shard(
    out: Path,
    files: Sequence[TileFile],
    faults: Sequence[Fault],
    options: TerrainIngestOptions,
    check: TerrainCheckOptions,
) -> None:
    """All outputs of a shard; the manifest comes last."""
    rows, found = [], list(faults)
    for file in tqdm(files, desc=out.name, unit="tile", disable=None):
        try:
            with uncollected():
                rows.append(write_tile(out, file, options, check))
        except TileError as error:
            found += faults_in(file, error)
    write_jsonl(out / "tiles.jsonl", rows)
    write_jsonl(out / "quarantine.jsonl", [fault.to_json() for fault in found])
    pictures = [name for row in rows for name in [*row["images"], row["truth"]["file"]]]
    names = ["tiles.jsonl", "quarantine.jsonl", *pictures]
    remove_others(out, set(names))
    write_json(out / "manifest.json", {"tiles": len(rows), "files": manifest(out, names)})
    aside = f", {len(found)} faults (quarantine.jsonl says which)" if found else ""
    say(f"{out}: {len(rows)} of {len(files)} tiles{aside}")


def remove_others(out: Path, keep: set[str]) -> None:
    """Removes pictures of tiles that are gone."""
    for path in [*out.glob("images/*.png"), *out.glob("truth/*.png")]:
        if path.relative_to(out).as_posix() not in keep:
            path.unlink()


def write_tile(out: Path, file: TileFile, options: TerrainIngestOptions, check: TerrainCheckOptions) -> dict[str, Any]:
    """Writes a tile's pictures and returns its row.

    Raises:
        TileError: the tile cannot be used.
    """
    tile = read_tile(file, check)
    shown = [read_picture(tile, which, check.image_sizes) for which in options.inputs]
    row = encode_tile(tile, options)
    names = [f"images/{file.name}_{which}.png" for which in options.inputs]
    for name, picture in zip(names, shown, strict=True):
        write_picture(out / name, resized(picture, options.image_size))
    truth = f"truth/{file.name}.png"
    low, step = write_heights(out / truth, tile.field)
    return {
        **row,
        "hash": difference_hash(shown[0]).tobytes().hex(),
        "images": names,
        "truth": {"file": truth, "low": low, "step": step},
    }


def encode_tile(tile: Tile, options: TerrainIngestOptions) -> dict[str, Any]:
    """What a tile is worth, its answer, and how far the answer is from the ground (RMSE, yards)."""
    has = riches(tile)
    ground = describe(tile, options.answer)
    rebuilt = rebuild(ground.heights(options.answer.levels))
    return {
        "tile": tile.file.name,
        "map": tile.file.map,
        "x": tile.file.x,
        "y": tile.file.y,
        "worth": round(worth(has, options.worth), 4),
        "riches": has._asdict(),
        "answer": to_text(ground, options.answer),
        "round_trip_yards": round(rms(rebuilt - tile.field), 4),
        "beyond_scale": beyond(tile, options.answer),
    }


if __name__ == "__main__":
    run(parser, main)
