"""The slices of the aerial system that concern meshes and voxels."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from scripts.lib.options.strict import Options

FREE = 0  # the class of a cell with nothing in it


class ClassOptions(Options):
    """A class of surfaces."""

    number: int = Field(ge=1, le=254)
    """what its cells hold; where several classes share a cell, the highest number is written"""
    names: list[str] = Field(min_length=1)
    """patterns with * and ?, upper and lower case alike, of a mesh's o, g or usemtl name, or of its file's name"""


class AerialMeshOptions(Options):
    """Reading meshes."""

    classes: dict[str, ClassOptions] = Field(
        default={
            "ground": ClassOptions(
                number=1, names=["*ground*", "*terrain*", "*relief*", "dem_*", "*_dem_*", "*_tran_*", "*road*"]
            ),
            "tree": ClassOptions(number=2, names=["*tree*", "*_veg_*", "veg_*", "*vegetation*"]),
            "building": ClassOptions(number=3, names=["*building*", "*bldg*", "B_*"]),
        },
        min_length=1,
    )
    """classes by name; the first one with a pattern that fits counts, the name inside the file before the file's own"""
    otherwise: str = "building"
    """class of surfaces that no pattern fits; how many there are is said"""
    by: Literal["name", "file"] = "name"
    """name: o, g and usemtl names inside a file count, and where none fits its own name; file: only the file's name"""
    up: Literal["z", "y"] = "z"
    """the axis that points up in the files; y: (x, y, z) is read as (x, -z, y)"""
    metres_per_unit: float = Field(default=1.0, gt=0)
    """0.01 for meshes in centimetres"""
    max_bad_share: float = Field(default=0.05, ge=0, le=1)
    """more faces of a file set aside than this share stop the build"""
    max_extent_km: float = Field(default=200.0, gt=0)
    """a mesh wider than this is refused: its files are of different coordinate systems"""

    @model_validator(mode="after")
    def _numbers_differ(self) -> AerialMeshOptions:
        numbers = [one.number for one in self.classes.values()]
        if len(set(numbers)) != len(numbers):
            raise ValueError("classes must have different numbers")
        if self.otherwise not in self.classes:
            raise ValueError(f"otherwise {self.otherwise!r} is none of the classes {', '.join(self.classes)}")
        return self

    @property
    def numbers(self) -> dict[str, int]:
        """Class numbers by name, by number."""
        return dict(sorted(((name, one.number) for name, one in self.classes.items()), key=lambda row: row[1]))


class AerialGridOptions(Options):
    """The ego grid: which cells there are around a pose.

    x and y are always relative to the pose and turned with it: first the world is moved so that the pose stands at the
    origin, then turned back by its yaw (right-hand rule about +z: a pose of yaw 90 degrees looks along the world's +y,
    and what lies there has x > 0 in its grid), and only then cropped. z is what ``heights`` says, in cropping as in
    binning.
    """

    range: tuple[float, float, float, float, float, float] = (-40.0, -40.0, -2.0, 40.0, 40.0, 150.0)
    """metres: least x, y, z, greatest x, y, z"""
    voxel: tuple[float, float, float] = (0.4, 0.4, 1.25)
    """metres: a cell's size along x, y, z"""
    top: Literal["drop", "extend"] = "drop"
    """where the height of the range is no whole number of cells (152 m / 1.25 m = 121.6): drop leaves out the rest at
    the top (121 cells, up to 149.25 m), extend adds a cell that reaches beyond the range (122 cells, up to 150.5 m)"""
    heights: Literal["absolute", "relative"] = "absolute"
    """absolute: a cell's z is the world's, less `datum`, wherever the pose is; relative: less the pose's z"""
    datum: float = 0.0
    """metres; the world's height that is z = 0 of a grid with absolute heights"""
    rotation: Literal["yaw", "full"] = "yaw"
    """yaw: the grid stays level; full: it rolls and pitches with the pose, which only relative heights allow"""

    @model_validator(mode="after")
    def _whole_cells(self) -> AerialGridOptions:
        if any(size <= 0 for size in self.voxel):
            raise ValueError("voxel sizes must be positive")
        for axis, name in enumerate("xyz"):
            cells = self.cells_along(axis)
            if cells < 1:
                raise ValueError(f"range: the greatest {name} must be at least a cell above the least")
            if axis < 2 and abs(cells - round(cells)) > 1e-6:
                raise ValueError(f"range: {cells:.2f} cells along {name}; x and y must hold a whole number of cells")
        if self.rotation == "full" and self.heights == "absolute":
            raise ValueError("rotation full needs heights relative: a tilted grid has no absolute height")
        return self

    def cells_along(self, axis: int) -> float:
        """Cells along an axis, with a fraction."""
        return (self.range[axis + 3] - self.range[axis]) / self.voxel[axis]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells along x, y, z."""
        high = self.cells_along(2)
        rounding = 1e-6
        whole = math.ceil(high - rounding) if self.top == "extend" else math.floor(high + rounding)
        return round(self.cells_along(0)), round(self.cells_along(1)), whole


class AerialVoxelOptions(Options):
    """From meshes to occupied cells."""

    grid: AerialGridOptions = AerialGridOptions()
    solid: list[str] = []
    """classes whose closed shells are filled: cells whose middle lies inside; of others only the surface is occupied"""
    tolerance: float = Field(default=1e-6, gt=0, le=0.01)
    """metres; a triangle that comes as near to a cell as this occupies it, so that rounding never decides"""
    max_distance_km: float = Field(default=5.0, gt=0)
    """poses further than this from every mesh are refused: they are of another coordinate system"""


class AerialSourceOptions(Options):
    """Where meshes come from: a folder or file, or an archive by URL."""

    path: str | None = None
    """a folder, an OBJ file, or a zip archive of them"""
    url: str | None = Field(default=None, pattern=r"^https?://.+")
    """of an OBJ file or a zip archive"""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """of the downloaded file; a download needs one"""
    max_unpacked_gb: float = Field(default=20.0, gt=0)
    """an archive that holds more is refused unread"""

    @model_validator(mode="after")
    def _one_place(self) -> AerialSourceOptions:
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path or url")
        if self.url is not None and self.sha256 is None:
            raise ValueError(
                "url needs sha256; `python -m scripts.aerial.fetch URL --out DIR` prints that of what comes"
            )
        return self


class AerialGenerateOptions(Options):
    """A made-up city, by `scripts.aerial.generate`."""

    name: str = Field(default="Hillford", pattern=r"^[A-Za-z][A-Za-z0-9]{1,31}$")
    seed: int = Field(default=7, ge=0, lt=1 << 63)
    size: float = Field(default=600.0, ge=120, le=5000)
    """metres a side"""
    origin: tuple[float, float] = (-8234.0, -37036.0)
    """metres; plane rectangular coordinates of the middle, large as a national grid's"""
    block: float = Field(default=80.0, ge=40, le=300)
    """metres; about the side of a block between streets"""
    tallest: float = Field(default=95.0, ge=10, le=400)
    """metres; about the height of the tallest building, near the middle"""
    slope: float = Field(default=0.03, ge=0, le=0.3)
    """how steeply the ground falls from one side to the other, as a ratio; hills come on top"""
    trees: float = Field(default=1.0, ge=0, le=10)
    """how densely trees stand, 1 being usual"""
