"""Checks map exports tile by tile, as a summary or as one JSON line a tile.

Exit code 0: every tile can be used. 1: some cannot, or manifest and files differ; each problem names the file and what
to do. 2: there is nothing to check.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import orjson
from tqdm import tqdm

from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.terrain.export import Fault, TileFile, find_exports, find_tiles
from scripts.terrain.options import TerrainCheckOptions
from scripts.terrain.pictures import INPUTS, picture_path, read_picture
from scripts.terrain.tile import Tile, TileError, faults_in, read_tile

SHOWN = 20


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("paths", nargs="+", type=Path, help="map exports, or folders of them")
    result.add_argument("--json", action="store_true", help="one JSON line a tile on stdout")
    result.add_argument(
        "--inputs",
        nargs="+",
        choices=INPUTS,
        default=["minimap"],
        metavar="PICTURE",
        help=f"pictures that every tile must have, as ingest.inputs names them: {', '.join(INPUTS)}",
    )
    return result


def main(args: argparse.Namespace) -> int:
    """Checks all tiles; 1 if anything is wrong."""
    options = TerrainCheckOptions.parse(load_params(args.params))
    problems: list[Fault] = []
    usable = 0
    for export in find_exports(args.paths):
        tiles, export_faults = find_tiles(export)
        problems += export_faults
        names = {file.path.stem for file in tiles}
        for fault in export_faults:
            if args.json and fault.tile not in names:
                print_row(fault.file, fault.tile, None, [fault])
        if not tiles:
            raise UserError(f"{export}: no tile <Map>_<x>_<y>.json in `dataset`; export the map again.")
        for file in tqdm(tiles, desc="check", unit="tile", disable=None):
            tile, faults = check_tile(file, options, args.inputs)
            problems += faults
            usable += tile is not None
            if args.json:
                of_manifest = [fault for fault in export_faults if fault.tile == file.path.stem]
                print_row(file.path.as_posix(), file.name, tile, [*faults, *of_manifest])
    if not args.json:
        counts = Counter(fault.kind for fault in problems)
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        print(f"{usable} tiles can be used" + (f"; problems: {kinds}" if problems else ""))
        for fault in problems[:SHOWN]:
            say(f"error: {fault.file}: {fault.kind}: {fault.message}")
        if len(problems) > SHOWN:
            say(f"... and {len(problems) - SHOWN} more; --json lists all.")
    return int(bool(problems))


def check_tile(
    file: TileFile, options: TerrainCheckOptions, needed: Collection[str]
) -> tuple[Tile | None, list[Fault]]:
    """A tile, or None and all its faults; images that are not ``needed`` are checked where they exist."""
    try:
        tile = read_tile(file, options)
    except TileError as error:
        return None, faults_in(file, error)
    faults = []
    for which in INPUTS:
        try:
            if which in needed or picture_path(tile, which).is_file():
                read_picture(tile, which, options.image_sizes)
        except TileError as error:
            faults += faults_in(file, error)
    return None if faults else tile, faults


def print_row(path: str, name: str, tile: Tile | None, faults: Sequence[Fault]) -> None:
    """One JSON line on stdout: the file, the tile's contents if it is usable, and all problems, of the manifest too."""
    row = {"usable": tile is not None, "file": path, "tile": name}
    if tile is not None:
        row |= {
            "heights": [round(float(tile.field.min()), 2), round(float(tile.field.max()), 2)],
            "textures": len(tile.textures),
            "liquids": len(tile.liquids),
            "objects": len(tile.objects),
            "holes": int(tile.holes.sum()),
        }
    row["problems"] = [{"kind": fault.kind, "message": fault.message} for fault in faults]
    print(orjson.dumps(row).decode())


if __name__ == "__main__":
    run(parser, main)
