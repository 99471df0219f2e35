"""Rebuilds the ground from minimaps with a package's model: heights, hillshade, mesh, and the answer itself.

    python -m scripts.terrain.rebuild --model dist/terrain/tile --image minimap.png --out rebuilt
    python -m scripts.terrain.rebuild --model dist/terrain/tile --image minimaps/ --out rebuilt

Each tile becomes ``_height.png`` (16 bits; the JSON gives the size of a step), ``_hillshade.png``, ``.obj`` and
``.json``. The tiles of a folder of ``<Map>_<x>_<y>.png`` are also joined to one map with closed seams. If the model was
trained with more images than the minimap, they are read from beside it, as ``<Map>_<x>_<y>_shadow.png``, or from the
export's ``stitched``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

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
from scripts.terrain.shade import hillshade

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
    """Rebuilds every image; 1 if an answer could not be read."""
    if not (args.model / CONFIG).is_file():
        raise UserError(f"{args.model}: no terrain package ({CONFIG} is missing); name one, such as dist/terrain/tile.")
    config = read_json(args.model / CONFIG)
    options = AnswerOptions.parse(config["form"], CONFIG)
    fields: dict[str, np.ndarray] = {}
    unread = []
    with Surveyor(args.model, config) as surveyor:
        for path in tqdm(minimaps(args.image), desc="rebuild", unit="tile"):
            answer = surveyor.ask(path)
            try:
                ground = from_text(answer, options)
            except AnswerError as error:
                unread.append(path.stem)
                say(f"{path}: the answer cannot be read ({error}); it stands in {args.out / path.stem}.txt")
                write_text(args.out / f"{path.stem}.txt", answer)
                continue
            fields[path.stem] = rebuild(ground.heights(options.levels)).astype(np.float32)
            write_tile(args.out, path.stem, fields[path.stem], answer)
    if args.image.is_dir() and fields:
        write_maps(args.out, fields)
    say(f"{args.out}: {len(fields)} tiles rebuilt" + (f", {len(unread)} not: {', '.join(unread)}" if unread else ""))
    return int(bool(unread))


def minimaps(path: Path) -> list[Path]:
    """The image, or the images in a folder, sorted; if some have the name of a tile, only those.

    Raises:
        UserError: there is none.
    """
    images = [path] if path.is_file() else sorted(file for file in path.glob("*") if file.suffix.lower() in PICTURES)
    images = [image for image in images if NAME.fullmatch(image.stem)] or images
    if not images:
        raise UserError(f"{path}: no picture here; name a minimap, or a folder of them.")
    return images


def write_tile(out: Path, name: str, field: np.ndarray, answer: str) -> None:
    """All files of a tile."""
    spacing = TILE / (len(field) - 1)
    low, step = write_heights(out / f"{name}_height.png", field)
    write_picture(out / f"{name}_hillshade.png", hillshade(field, spacing))
    write_text(out / f"{name}.obj", obj_text(field, spacing))
    heights = {"file": f"{name}_height.png", "yards_at_0": low, "yards_a_step": step}
    write_json(out / f"{name}.json", {"answer": answer, "heights": heights, "yards_a_side": TILE})


def write_maps(out: Path, fields: dict[str, np.ndarray]) -> None:
    """One joined image for each map of two tiles or more; a map that would be too large is reported and skipped."""
    maps: dict[str, dict[tuple[int, int], np.ndarray]] = {}
    for name, field in fields.items():
        if match := NAME.fullmatch(name):
            maps.setdefault(match["map"], {})[int(match["x"]), int(match["y"])] = field
    maps = {name: placed for name, placed in maps.items() if len(placed) > 1}
    if not maps:
        say("no map: name the pictures <Map>_<x>_<y>.png to join them.")
    for name, placed in maps.items():
        side = max(pixels_of(placed))
        if side > LARGEST:
            say(f"no map of {name}: a side of {side:,} pixels is more than {LARGEST:,}; join fewer tiles.")
            continue
        joined = join(placed)
        low, step = write_heights(out / f"{name}_map_height.png", joined)
        spacing = TILE / (len(next(iter(placed.values()))) - 1)
        write_picture(out / f"{name}_map_hillshade.png", hillshade(joined, spacing))
        write_json(out / f"{name}_map.json", {"tiles": len(placed), "yards_at_0": low, "yards_a_step": step})


if __name__ == "__main__":
    run(parser, main)
