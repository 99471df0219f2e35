"""The slices of the gameplay system that read recordings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from scripts.lib.options.strict import Options

Side = Annotated[int, Field(ge=32, multiple_of=32)]


class TimelineOptions(Options):
    """Where a recording is cut; all in seconds."""

    max_idle_gap: float = Field(default=1.0, gt=0)
    """no frame for longer than this while no key is held is a gap: an idle recorder saves every tick"""
    max_held_gap: float = Field(default=12.0, gt=0)
    """the same while a key is held: a recorder that saves changes leaves one frame for all of it"""
    max_event_gap: float = Field(default=3.0, gt=0)
    """no message at all for longer than this is a gap of an OWAMcap, which reports its state every second"""
    max_pause: float = Field(default=600.0, gt=0)
    """a gap longer than this is told among the problems; the recording is used on both sides of it"""


class MouseOptions(Options):
    """What becomes of the mouse in other people's recordings: words for turning the camera."""

    turns: Literal["auto", "raw", "cursor", "off"] = "auto"
    """raw: relative movement; cursor: differences of the pointer's place; auto: raw where a recording has it"""
    threshold: float = Field(default=20.0, gt=0)
    """counts (raw) or pixels (cursor) within a tick of 100 ms from which the camera is said to turn"""


class VideoOptions(Options):
    """How far a video may disagree with its events before the recording is quarantined."""

    max_clock_difference: float = Field(default=0.5, gt=0)
    """seconds by which one is longer than the other, or by which their clocks drift apart"""
    max_rate_difference: float = Field(default=0.1, gt=0, lt=1)
    """share by which the step from frame to frame may differ where events are matched frame by frame (VPT)"""


class HealthOptions(Options):
    """From where on the figures of a recording, or of all, are worth a warning."""

    none_caution: float = Field(default=0.5, ge=0, le=1)
    """a larger share of ticks without any key is a caution"""
    none_warn: float = Field(default=0.7, ge=0, le=1)
    """a larger one is a warning"""
    min_camera: float = Field(default=0.2, ge=0)
    """fewer ticks that turn the camera than this share of those that move is a warning"""
    max_goal_ratio: float = Field(default=5 / 3, ge=1)
    """the commonest goal may stand so many times as often as the rarest"""
    min_frames: int = Field(default=2000, ge=0)
    """fewer frames are a warning"""


class GameplayCheckOptions(Options):
    """Reading recordings."""

    timeline: TimelineOptions = TimelineOptions()
    mouse: MouseOptions = MouseOptions()
    video: VideoOptions = VideoOptions()
    health: HealthOptions = HealthOptions()


class GameplayIngestOptions(Options):
    """From a recording to segments and pictures."""

    segment: float = Field(default=4.0, ge=0.1)
    """seconds of a segment, which gets one goal"""
    min_segment: float = Field(default=1.0, ge=0.1)
    """seconds; a shorter rest joins the segment before it"""
    rest: float = Field(default=1.0, ge=0)
    """seconds without any key after which a new segment begins, since a goal was reached; 0: none does"""
    stride: int = Field(default=1, ge=1)
    """every so many samples one is kept"""
    label_frames: int = Field(default=4, ge=1)
    """frames of a segment that a labeller is shown, evenly spread"""
    frame_size: tuple[Side, Side] = (256, 192)
    """width and height in pixels; multiples of 32 look the same to transformers and llama.cpp"""
    jpeg_quality: int = Field(default=90, ge=1, le=100)
    """of the pictures that are written"""
