"""Options of the aerial stages: meshes, voxels, and the sessions that are recorded in them."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, field_validator, model_validator

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


Span = tuple[float, float]


class SpanOptions(Options):
    """Options some of which are spans: two numbers, from each of which to which a session draws its own."""

    @field_validator("*")
    @classmethod
    def _in_order(cls, value: object) -> object:
        if isinstance(value, tuple) and value[0] > value[1]:
            raise ValueError("two numbers, the smaller first")
        return value


class SurveyOptions(SpanOptions):
    """Parallel lines over the city; direction, place and spacing are each session's own."""

    spacing: Span = (25.0, 60.0)
    """metres between lines"""
    height: Span = (50.0, 90.0)
    """metres above the ground below the start"""
    speed: float = Field(default=8.0, gt=0)
    """metres a second"""


class OrbitOptions(SpanOptions):
    """Circles around a place between buildings; the drone looks inwards."""

    radius: Span = (70.0, 130.0)
    """metres"""
    height: Span = (60.0, 100.0)
    """metres above the ground at the middle"""
    speed: float = Field(default=5.0, gt=0)


class WalkOptions(SpanOptions):
    """A random walk."""

    height: Span = (30.0, 100.0)
    """metres above the ground below"""
    speed: float = Field(default=3.0, gt=0)
    wander: float = Field(default=12.0, ge=0, le=180)
    """degrees; standard deviation of the heading's change in a second"""


class RoverOptions(SpanOptions):
    """A drive along streets, or where none are known over free ground."""

    speed: float = Field(default=3.0, gt=0)
    height: float = Field(default=1.2, gt=0)
    """metres of the pose above the ground"""
    radius: float = Field(default=1.0, gt=0)
    """metres; no surface comes nearer to the pose"""
    ground: list[str] = ["ground"]
    """classes that it can stand on"""
    wander: float = Field(default=15.0, ge=0, le=180)
    """degrees; as of the walk, where no streets are known"""

    @model_validator(mode="after")
    def _above_ground(self) -> RoverOptions:
        if self.radius >= self.height:
            raise ValueError("radius must be less than height: the ground itself may not be too near")
        return self


class LidarOptions(SpanOptions):
    """Rays in rings around the body's vertical axis."""

    beams: int = Field(default=32, ge=1, le=512)
    azimuths: int = Field(default=512, ge=1, le=8192)
    drone: Span = (-75.0, 15.0)
    """degrees of the lowest and the highest beam on a drone"""
    rover: Span = (-25.0, 15.0)
    """degrees of the lowest and the highest beam on a rover"""
    range: float = Field(default=150.0, gt=0)
    """metres"""
    half: float = Field(default=50.0, gt=0)
    """metres at which distance has halved the intensity"""


class CameraOptions(Options):
    """The picture ahead."""

    width: int = Field(default=1600, ge=16, le=8192)
    height: int = Field(default=900, ge=16, le=8192)
    across: float = Field(default=80.0, gt=1, lt=170)
    """degrees that the width spans"""
    drone_pitch: float = Field(default=30.0, ge=-90, le=90)
    """degrees by which a drone's camera looks down"""
    rover_pitch: float = Field(default=0.0, ge=-90, le=90)
    haze: float = Field(default=900.0, gt=0)
    """metres at which haze leaves 37 % of a surface's colour"""
    quality: int = Field(default=90, ge=1, le=100)
    """of the JPEG"""


class AerialSessionOptions(Options):
    """Sessions of a drone and a rover in a city."""

    seed: int = Field(default=42, ge=0, lt=1 << 63)
    sessions: int = Field(default=10, ge=1, le=10_000)
    frames: int = Field(default=500, ge=1, le=999_999)
    """of each session"""
    dt: float = Field(default=0.5, gt=0)
    """seconds between frames"""
    kinds: list[Literal["survey", "orbit", "walk", "rover"]] = Field(
        default=["survey", "orbit", "walk", "rover"], min_length=1
    )
    """what the sessions are, in turn"""
    radius: float = Field(default=2.0, gt=0)
    """metres; no surface comes nearer to a drone's pose, between frames neither"""
    turn: float = Field(default=45.0, gt=0, le=360)
    """degrees a second; how quickly a heading changes at most"""
    sway: float = Field(default=2.0, ge=0, le=30)
    """degrees by which a drone rolls and pitches at most; 0: it stays level"""
    tries: int = Field(default=100, ge=1)
    """starts that are tried until a path of all frames is found"""
    built: str = "building"
    """class that a frame should show, and near which paths start"""
    max_empty_share: float = Field(default=0.2, ge=0, le=1)
    """more frames of a session without a cell of that class stop the build"""
    survey: SurveyOptions = SurveyOptions()
    orbit: OrbitOptions = OrbitOptions()
    walk: WalkOptions = WalkOptions()
    rover: RoverOptions = RoverOptions()
    lidar: LidarOptions = LidarOptions()
    camera: CameraOptions = CameraOptions()
