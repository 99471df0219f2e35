"""The slice of the generator of terrain exports."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.lib.options.strict import Options


class TerrainGenerateOptions(Options):
    """A made-up map's export, by `scripts.terrain.generate`."""

    map: str = Field(default="Eastvale", pattern=r"^[A-Za-z][A-Za-z0-9]{1,31}$")
    """name of the map, in file names and in texture and object paths"""
    tiles: int = Field(default=64, ge=1, le=3844)
    """how many, in a block around tile 32, 32 that is as nearly square as their number allows; 62 × 62 at most, so that
    the block stays on the map"""
    seed: int = Field(default=7, ge=0, lt=1 << 63)
    """of the world; a tile is the same in every export of a world, however many tiles it has"""
    image_size: Literal[256, 512] = 256
    """minimap pixels a side"""
    style: Literal["painted", "atlas"] = "painted"
    """look of the minimaps: palette, light and grain; the ground is the same"""
    interleaved: bool = True
    """vertex order of a chunk: rows of 9 and 8 in turn; else, as in old clients, 81 outer ones and then 64 inner"""
    layout: Literal["current", "older"] = "current"
    """older: ml_dataset_manifest.json for manifest.json, and image_path for image"""
