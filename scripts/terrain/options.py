"""Options of the terrain stages."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import Field, field_validator, model_validator

from scripts.lib.options.split import SplitOptions
from scripts.lib.options.strict import Options

MOST = 99_999  # objects of a kind: what an answer has room for


class TerrainCheckOptions(Options):
    """Reading map exports."""

    max_file_mb: float = Field(default=16.0, gt=0)
    """a larger tile file is quarantined unread"""
    max_height: float = Field(default=20_000.0, gt=0)
    """yards; a tile with ground further from 0 than this is quarantined"""
    image_sizes: list[int] = Field(default=[256, 512, 1024], min_length=1)
    """sides in pixels that a minimap may have"""
    max_bad_share: float = Field(default=0.2, ge=0, le=1)
    """more quarantined tiles than this share stop the build"""


class WorthOptions(Options):
    """What a tile is worth to a curated set: a weight for each of its riches, and the most that each may add."""

    relief: float = 2.0
    """for each yard of the heights' standard deviation"""
    relief_most: float = 30.0
    textures: float = 1.0
    """for each texture"""
    textures_most: float = 10.0
    layers: float = 3.0
    """for each texture layer that a chunk has on average"""
    layers_most: float = 10.0
    blended: float = 15.0
    """times the share of chunks with an alpha map"""
    objects: float = 0.1
    """for each object"""
    objects_most: float = 10.0
    names: float = 1.0
    """for each different object name"""
    names_most: float = 10.0
    liquids: float = 5.0
    """where there is liquid"""
    liquid_types: float = 2.0
    """for each type of liquid"""
    liquid_types_most: float = 5.0
    shadows: float = 5.0
    """where there are shadows"""
    holes: float = 1.0
    """for each chunk with a hole"""
    holes_most: float = 5.0


class PickOptions(Options):
    """Which tiles are kept, as shares of those wanted; the rest is drawn."""

    count: int | None = Field(default=None, ge=3)
    """tiles to keep; none given: all"""
    best: float = Field(default=0.4, ge=0, le=1)
    """those worth most"""
    liquid: float = Field(default=0.1, ge=0, le=1)
    objects: float = Field(default=0.1, ge=0, le=1)
    """those with most objects"""
    holes: float = Field(default=0.05, ge=0, le=1)

    @model_validator(mode="after")
    def _at_most_all(self) -> PickOptions:
        if self.best + self.liquid + self.objects + self.holes > 1:
            raise ValueError("best + liquid + objects + holes must be at most 1")
        return self


class ScaleOptions(Options):
    """The heights that an answer can tell: so many steps from the lowest, always with all digits."""

    lowest: int = Field(default=-20_000, ge=-100_000, le=100_000)
    """yards; cells below it are said to be as low, and counted"""
    highest: int = Field(default=20_000, ge=-100_000, le=100_000)
    """yards; cells above it are said to be as high, and counted"""
    step: int = Field(default=1, ge=1)
    """yards; a small model learns two digits far sooner than five"""

    @property
    def most(self) -> int:
        """The steps from the lowest to the highest height."""
        return (self.highest - self.lowest) // self.step

    @property
    def digits(self) -> int:
        """Digits of a number of steps."""
        return len(str(self.most))

    @model_validator(mode="after")
    def _rises(self) -> ScaleOptions:
        if self.most < 1:
            raise ValueError("highest must be at least a step above lowest")
        return self


class AnswerOptions(Options):
    """The compact answer: what a tile is reduced to. Its longest form is known from these numbers alone."""

    cells: Literal[2, 4, 8, 16, 32] = 8
    """a side of the grid of heights, liquids and holes"""
    levels: int = Field(default=100, ge=10, le=100)
    """steps between the tile's lowest and highest cell: two digits a cell, one where there are ten"""
    scale: ScaleOptions = ScaleOptions()
    """of the tile's lowest cell, and of how far its highest rises above that"""
    liquids: int = Field(default=2, ge=0, le=4)
    """at most so many types of liquid, those that cover most"""
    textures: int = Field(default=4, ge=1, le=16)
    """at most so many textures, those of the largest share"""
    texture_step: int = Field(default=10, ge=1, le=50)
    """shares are rounded to so many percent"""
    kinds: int = Field(default=3, ge=0, le=16)
    """at most so many kinds of objects, those that stand most often"""
    places: int = Field(default=4, ge=1, le=16)
    """of each kind the cells that hold most of it"""
    name_length: int = Field(default=16, ge=4, le=64)
    """letters of a texture's or an object's name that are kept"""

    @property
    def digits(self) -> int:
        """Digits of the height of a cell."""
        return len(str(self.levels - 1))

    @property
    def longest(self) -> int:
        """Bytes of the longest answer that the form allows: it never has more tokens than bytes."""
        mask = ["1" * self.cells] * self.cells
        form = {
            "heights": ["0" * self.digits * self.cells] * self.cells,
            "lowest": "0" * self.scale.digits,
            "rise": "0" * self.scale.digits,
            "textures": dict.fromkeys(self._names(self.textures), 100),
            "liquids": dict.fromkeys(self._names(self.liquids), mask),
            "holes": mask,
            "objects": {name: [MOST, ["00"] * self.places] for name in self._names(self.kinds)},
        }
        return len(json.dumps(form, separators=(",", ":")))

    def _names(self, count: int) -> list[str]:
        """So many names of the greatest length."""
        return [f"{number:0{self.name_length}}" for number in range(count)]


class TerrainIngestOptions(Options):
    """From a tile of an export to a picture and an answer."""

    image_size: int = Field(default=256, ge=32, multiple_of=32)
    """pixels a side of the picture that the model sees; multiples of 32 look the same to transformers and llama.cpp"""
    inputs: list[Literal["minimap", "shadow", "alpha1", "alpha2", "alpha3", "alpha4"]] = Field(
        default=["minimap"], min_length=1
    )
    """pictures shown, in this order"""
    answer: AnswerOptions = AnswerOptions()
    worth: WorthOptions = WorthOptions()

    @field_validator("inputs")
    @classmethod
    def _sees_the_map(cls, inputs: list[str]) -> list[str]:
        if inputs[0] != "minimap" or len(set(inputs)) != len(inputs):
            raise ValueError("inputs begins with minimap, and names each picture once")
        return inputs


class TerrainCurateOptions(SplitOptions):
    """From encoded tiles to train, val and test."""

    block: int = Field(default=4, ge=1)
    """tiles a side of the blocks that go to one split whole"""
    gap: int = Field(default=1, ge=0)
    """tiles that lie between two splits and are in neither"""
    unseen: list[str] = []
    """maps that no one trains on: a second test set, scored apart"""
    max_hash_distance: int = Field(default=6, ge=0)
    """bits of 256 in which the hashes of two pictures differ at most that count as the same picture"""
    max_per_split: int | None = Field(default=None, ge=1)
    """at most so many records of val, of test and of the unseen maps each, drawn evenly; none given: all"""
    pick: PickOptions = PickOptions()


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
