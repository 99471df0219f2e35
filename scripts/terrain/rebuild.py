"""Rebuilds the ground from minimaps with a package's model: heights, hillshade, mesh, and the answer itself.

    python -m scripts.terrain.rebuild --model dist/terrain/tile --image minimap.png --out rebuilt
    python -m scripts.terrain.rebuild --model dist/terrain/tile --image minimaps/ --out rebuilt

Of a folder of ``<Map>_<x>_<y>.png`` the tiles are also joined to one map with its seams closed. Of each tile are
written ``_height.png`` (16 bits; the JSON says what a step is), ``_hillshade.png``, ``.obj`` and ``.json``. A model
that was trained with more pictures than the minimap finds them beside it, as ``<Map>_<x>_<y>_shadow.png``, or in the
export's ``stitched``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from scripts.lib.cli import StageParser, UserError, run, say
from scripts.lib.files import read_json, write_json, write_text
from scripts.terrain.answer import AnswerError, from_text, rebuild
from scripts.terrain.ask import Surveyor
from scripts.terrain.export import NAME
from scripts.terrain.geometry import TILE
from scripts.terrain.joined import join, pixels_of
from scripts.terrain.mesh import obj_text
from scripts.terrain.options import AnswerOptions
from scripts.terrain.pictures import write_heights, write_picture
from scripts.terrain.question import CONFIG
from scripts.terrain.shade import hillshade, tile_shade

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
LARGEST = 16_384  # pixels a side of an atlas


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    stage = StageParser(__doc__, params=False)
    stage.add_argument("--model", type=Path, required=True, help="a package, such as dist/terrain/tile")
    stage.add_argument("--image", type=Path, required=True, help="a minimap, or a folder of <Map>_<x>_<y>.png")
    stage.add_argument("--out", type=Path, required=True, help="folder to write")
    return stage


def main(args: argparse.Namespace) -> int:
    """Rebuilds every picture; 1 if an answer could not be read."""
    config = read_package(args.model)
    options = AnswerOptions.parse(config["form"], CONFIG)
    fields: dict[str, np.ndarray] = {}
    unread = []
    with Surveyor(args.model, config) as surveyor:
        for path in tqdm(pictures(args.image), desc="rebuild", unit="tile"):
            said = surveyor.ask(path)
            try:
                ground = from_text(said, options)
            except AnswerError as error:
                unread.append(path.stem)
                say(f"{path}: the answer cannot be read ({error}); it stands in {args.out / path.stem}.txt")
                write_text(args.out / f"{path.stem}.txt", said)
                continue
            fields[path.stem] = rebuild(ground.heights(options.levels)).astype(np.float32)
            write_tile(args.out, path.stem, fields[path.stem], said)
    if args.image.is_dir() and fields:
        write_maps(args.out, fields)
    say(f"{args.out}: {len(fields)} tiles rebuilt" + (f", {len(unread)} not: {', '.join(unread)}" if unread else ""))
    return int(bool(unread))


def read_package(folder: Path) -> dict[str, Any]:
    """terrain_config.json of a package.

    Raises:
        UserError: the folder is no terrain package.
    """
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder}: no terrain package ({CONFIG} is missing); name one, such as dist/terrain/tile.")
    return read_json(folder / CONFIG)


def pictures(path: Path) -> list[Path]:
    """The picture, or the pictures in a folder, sorted; where some are named as tiles, those and no others.

    Raises:
        UserError: there is none.
    """
    found = [path] if path.is_file() else sorted(one for one in path.glob("*") if one.suffix.lower() in PICTURES)
    found = [one for one in found if NAME.fullmatch(one.stem)] or found
    if not found:
        raise UserError(f"{path}: no picture here; name a minimap, or a folder of them.")
    return found


def write_tile(out: Path, name: str, field: np.ndarray, said: str) -> None:
    """All files of a tile."""
    low, step = write_heights(out / f"{name}_height.png", field)
    write_picture(out / f"{name}_hillshade.png", tile_shade(field))
    write_text(out / f"{name}.obj", obj_text(field, TILE / (len(field) - 1)))
    heights = {"file": f"{name}_height.png", "yards_at_0": low, "yards_a_step": step}
    write_json(out / f"{name}.json", {"answer": said, "heights": heights, "yards_a_side": TILE})


def write_maps(out: Path, fields: dict[str, np.ndarray]) -> None:
    """The tiles whose names have coordinates as one picture a map; a sentence where it would be too large."""
    maps: dict[str, dict[tuple[int, int], np.ndarray]] = {}
    for name, field in fields.items():
        if match := NAME.fullmatch(name):
            maps.setdefault(match["map"], {})[int(match["x"]), int(match["y"])] = field
    if not any(len(placed) > 1 for placed in maps.values()):
        say("no map: name the pictures <Map>_<x>_<y>.png to join them.")
    for name, placed in maps.items():
        if len(placed) > 1:
            write_map(out, name, placed)


def write_map(out: Path, name: str, placed: dict[tuple[int, int], np.ndarray]) -> None:
    """One map, joined."""
    side = max(pixels_of(placed))
    if side > LARGEST:
        say(f"no map of {name}: a side of {side:,} pixels is more than {LARGEST:,}; join fewer tiles.")
        return
    joined = join(placed)
    low, step = write_heights(out / f"{name}_map_height.png", joined)
    yards = TILE / (len(next(iter(placed.values()))) - 1)
    write_picture(out / f"{name}_map_hillshade.png", hillshade(joined, yards))
    write_json(out / f"{name}_map.json", {"tiles": len(placed), "yards_at_0": low, "yards_a_step": step})


if __name__ == "__main__":
    run(parser, main)
