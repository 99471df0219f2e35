"""Map exports on disk: the maps and tiles in their folders and manifests.

An export is a folder with ``dataset/<Map>_<x>_<y>.json`` and, beside it, ``manifest.json`` or
``ml_dataset_manifest.json`` (schema ``mk-dataset-manifest.v1``: ``tiles``, each a name or an object with one).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from scripts.lib.cli import UserError
from scripts.terrain.places import MAP_TILES

MANIFESTS = ("manifest.json", "ml_dataset_manifest.json")
NAME = re.compile(r"(?P<map>.+)_(?P<x>\d{1,3})_(?P<y>\d{1,3})")
STITCHED = re.compile(r"(?P<tile>.+_\d{1,3}_\d{1,3})_")
NAME_KEYS = ("tile_json_path", "tile", "name", "adt_tile", "id")


class TileFile(NamedTuple):
    """A tile's JSON file in its export; ``x`` counts tiles to the east, ``y`` to the south."""

    export: Path
    path: Path
    map: str
    x: int
    y: int

    @property
    def name(self) -> str:
        """``Azeroth_32_48``."""
        return f"{self.map}_{self.x}_{self.y}"


class Fault(NamedTuple):
    """An error in a tile, or a difference between the manifest and the folder."""

    file: str
    tile: str
    kind: str
    message: str

    def to_json(self) -> dict[str, str]:
        """As quarantine.jsonl and ``--json`` hold it."""
        return self._asdict()


def find_exports(paths: Sequence[Path]) -> list[Path]:
    """The folders among ``paths``, or right below them, that are exports of a map, sorted.

    Raises:
        UserError: a path is not there, or holds no export.
    """
    exports: set[Path] = set()
    for path in paths:
        if not path.is_dir():
            raise UserError(f"{path}: no such folder; check the path of the map export.")
        folders = [path] if (path / "dataset").is_dir() else [child.parent for child in path.glob("*/dataset/")]
        if not folders:
            raise UserError(f"{path}: holds no map export (a folder `dataset` with <Map>_<x>_<y>.json).")
        exports.update(folders)
    return sorted(exports)


def find_tiles(export: Path) -> tuple[list[TileFile], list[Fault]]:
    """An export's tiles in the order of their coordinates, and the faults of names and manifest.

    A file whose name is not a tile's, coordinates outside the map, and a second file for the same coordinates are
    faults, and such files are left out. A tile that only the manifest or only the folder has is a fault too, and stays.
    """
    tiles: dict[tuple[str, int, int], TileFile] = {}
    faults: list[Fault] = []
    for path in sorted((export / "dataset").glob("*.json")):
        file = tile_file(export, path)
        if isinstance(file, Fault):
            faults.append(file)
            continue
        known = tiles.setdefault((file.map, file.x, file.y), file)
        if known is not file:
            message = f"{known.path.name} has the same coordinates; remove one of the two."
            faults.append(Fault(path.as_posix(), path.stem, "duplicate_coordinates", message))
    ordered = sorted(tiles.values(), key=lambda tile: (tile.map, tile.y, tile.x))
    return ordered, [*faults, *manifest_faults(export, ordered)]


def tile_file(export: Path, path: Path) -> TileFile | Fault:
    """Map and coordinates from a file's name."""
    match = NAME.fullmatch(path.stem)
    if match is None:
        return Fault(path.as_posix(), path.stem, "name", "is not of the form <Map>_<x>_<y>.json; rename or remove it.")
    x, y = int(match["x"]), int(match["y"])
    if max(x, y) >= MAP_TILES:
        message = f"coordinates ({x}, {y}) lie outside the map, 0 to {MAP_TILES - 1}; correct the name."
        return Fault(path.as_posix(), path.stem, "coordinates", message)
    return TileFile(export, path, match["map"], x, y)


def pictures_of(export: Path) -> dict[str, list[Path]]:
    """An export's pictures by the name of their tile, by their usual names, sorted."""
    pictures: defaultdict[str, list[Path]] = defaultdict(list)
    for path in sorted(export.glob("images/*")):
        pictures[path.stem].append(path)
    for path in sorted(export.glob("stitched/*.png")):
        if match := STITCHED.match(path.name):
            pictures[match["tile"]].append(path)
    return dict(pictures)


def by_name(exports: Sequence[Path]) -> dict[str, Path]:
    """Exports by the name of their folder.

    Raises:
        UserError: two have the same name.
    """
    named: dict[str, Path] = {}
    for export in exports:
        known = named.setdefault(export.name, export)
        if known != export:
            raise UserError(f"terrain.exports: {known} and {export} have the same name; rename one of the folders.")
    return named


def tiles_in(export: Path) -> list[TileFile]:
    """An export's tiles.

    Raises:
        UserError: it has none.
    """
    tiles, faults = find_tiles(export)
    if not tiles:
        reason = f" ({faults[0].file}: {faults[0].message})" if faults else ""
        raise UserError(f"{export}: no tile <Map>_<x>_<y>.json in `dataset`{reason}; export the map again.")
    return tiles


def manifest_faults(export: Path, tiles: Sequence[TileFile]) -> Iterator[Fault]:
    """The differences between manifest and folder; none if there is no manifest.

    An entry of a manifest is a tile's name, a path to its JSON, or an object with either under one of `NAME_KEYS`.
    """
    path = next((export / name for name in MANIFESTS if (export / name).is_file()), None)
    if path is None:
        return
    listed = set()
    try:
        for row in orjson.loads(path.read_bytes())["tiles"]:
            if isinstance(row, dict):
                row = next((row[key] for key in NAME_KEYS if isinstance(row.get(key), str)), None)
            if isinstance(row, str):
                listed.add(Path(row.replace("\\", "/")).name.removesuffix(".json"))
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        reason = "no list `tiles`" if isinstance(error, KeyError | TypeError) else str(error)
        yield Fault(path.as_posix(), "", "manifest", f"cannot be read ({reason}); export again, or remove it.")
        return
    there = {tile.path.stem for tile in tiles}
    for name in sorted(listed - there - {""}):
        yield Fault(path.as_posix(), name, "missing_file", "the manifest lists it, but dataset/ has no such tile.")
    for name in sorted(there - listed):
        yield Fault(path.as_posix(), name, "unlisted_file", "dataset/ has it, but the manifest does not list it.")
