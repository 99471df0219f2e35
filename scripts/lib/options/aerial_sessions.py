"""The slice of the aerial system that concerns sessions: flights and drives through a mesh, and what they record."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from scripts.lib.options.strict import Options

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
