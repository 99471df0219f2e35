"""The files that terrain's rules read; imports nothing that a plan would wait for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from scripts.terrain.export import TileFile, by_name, find_exports, pictures_of, tiles_in
from scripts.terrain.places import block, shard_of
from scripts.terrain.system import TerrainOptions


class Exports:
    """Map exports by name: those that the configuration names, that the user's exporter writes, or that are generated.

    Args:
        wait: asks for a map of the user's exporter; returns once it is there.

    Raises:
        UserError: a path of the configuration does not exist, or two exports have one name.
    """

    def __init__(self, options: TerrainOptions, wait: Callable[[str], object]) -> None:
        self.options, self.wait = options, wait
        if options.exports:
            folders = find_exports([Path(path) for path in options.exports])
        elif options.export_command:
            folders = [Path(f"data/exported/terrain/{name}") for name in options.export_maps]
        else:
            folders = [Path(f"data/generated/terrain/{made.map}") for made in options.generate]
        self.folders = by_name(folders)
        self.shards, self.images = cache(self._shards), cache(lambda name: pictures_of(self.folders[name]))

    @property
    def generated(self) -> bool:
        """Whether maps are made by the generator, so that their tiles are known before they are written."""
        return not (self.options.exports or self.options.export_command)

    def _shards(self, name: str) -> dict[str, list[TileFile]]:
        """The tiles of a map by shard.

        Raises:
            UserError: the export cannot be listed.
        """
        export = self.folders[name]
        if self.options.export_command:
            self.wait(name)
        if self.generated:
            [made] = [made for made in self.options.generate if made.map == name]
            tiles = [TileFile(export, export, name, x, y) for x, y in block(made.tiles)]
        else:
            tiles = tiles_in(export)
        shards: dict[str, list[TileFile]] = {}
        for tile in tiles:
            shards.setdefault(shard_of(tile.x, tile.y), []).append(tile)
        return shards

    def shard_files(self, name: str, shard: str) -> list[str]:
        """The files of a shard's tiles; of a generated map the list with the hashes of all of its files."""
        if self.generated:
            return [f"{self.folders[name].as_posix()}/files.json"]
        files = [[tile.path, *self.images(name).get(tile.name, [])] for tile in self.shards(name)[shard]]
        return [path.as_posix() for paths in files for path in paths]

    def shard_manifests(self) -> list[str]:
        """The manifest of every shard of every map."""
        return [
            f"data/ingested/terrain/{name}/{shard}/manifest.json"
            for name in self.folders
            for shard in self.shards(name)
        ]
