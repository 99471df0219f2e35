"""Checks map exports tile by tile, as a summary or as one JSON line a tile.

Exit code 0: every tile can be used. 1: some cannot, or manifest and files differ; each told with file and what to do.
2: there is nothing to check.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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
    wrong: list[Fault] = []
    sound = 0
    for export in find_exports(args.paths):
        tiles, faults = find_tiles(export)
        wrong += faults
        named = {file.path.stem for file in tiles}
        write_rows([json_row([fault]) for fault in faults if fault.tile not in named], args.json)
        if not tiles:
            raise UserError(f"{export}: no tile <Map>_<x>_<y>.json in `dataset`; export the map again.")
        for file, found in checked(tiles, options, args.inputs):
            sound += isinstance(found, Tile)
            wrong += [] if isinstance(found, Tile) else found
            write_rows([json_row(found, file, faults)], args.json)
    if not args.json:
        print_summary(sound, wrong)
    return int(bool(wrong))


def checked(
    tiles: Sequence[TileFile], options: TerrainCheckOptions, needed: Sequence[str]
) -> Iterator[tuple[TileFile, Tile | list[Fault]]]:
    """Each tile read with its pictures, or all that is wrong with it."""
    for file in tqdm(tiles, desc="check", unit="tile", disable=None):
        try:
            tile = read_tile(file, options)
        except TileError as error:
            yield file, faults_in(file, error)
            continue
        yield file, list(picture_faults(tile, options, needed)) or tile


def picture_faults(tile: Tile, options: TerrainCheckOptions, needed: Sequence[str]) -> Iterator[Fault]:
    """What is wrong with a tile's pictures: those ``needed``, and others where they are there."""
    for which in INPUTS:
        try:
            if which in needed or picture_path(tile, which).is_file():
                read_picture(tile, which, options.image_sizes)
        except TileError as error:
            yield from faults_in(tile.file, error)


def write_rows(rows: Sequence[dict[str, Any]], wanted: bool) -> None:
    """JSON lines on stdout, where they are asked for."""
    sys.stdout.writelines(orjson.dumps(row).decode() + "\n" for row in rows if wanted)


def json_row(found: Tile | list[Fault], file: TileFile | None = None, faults: Sequence[Fault] = ()) -> dict[str, Any]:
    """A tile, what it holds and its problems, of the manifest too; or a fault of what is no tile."""
    problems = [] if isinstance(found, Tile) else list(found)
    row: dict[str, Any] = {"usable": isinstance(found, Tile)}
    if file is not None:
        problems += [fault for fault in faults if fault.tile == file.path.stem]
        row |= {"file": file.path.as_posix(), "tile": file.name}
    else:
        row |= {"file": problems[0].file, "tile": problems[0].tile}
    if isinstance(found, Tile):
        row |= {
            "heights": [round(float(found.field.min()), 2), round(float(found.field.max()), 2)],
            "textures": len(found.textures),
            "liquids": len(found.liquids),
            "objects": len(found.objects),
            "holes": int(found.holes.sum()),
        }
    return row | {"problems": [{"kind": one.kind, "message": one.message} for one in problems]}


def print_summary(sound: int, wrong: Sequence[Fault]) -> None:
    """Counts by kind on stdout, the first problems on stderr."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(fault.kind for fault in wrong).items()))
    print(f"{sound} tiles can be used" + (f"; problems: {kinds}" if wrong else ""))
    for fault in wrong[:SHOWN]:
        say(f"error: {fault.file}: {fault.kind}: {fault.message}")
    if len(wrong) > SHOWN:
        say(f"... and {len(wrong) - SHOWN} more; --json lists all.")


if __name__ == "__main__":
    run(parser, main)
