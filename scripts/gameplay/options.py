"""Options of the gameplay stages: reading recordings, the game and its scripted player, labels, records, episodes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from scripts.gameplay.game.catalogue import goal_of
from scripts.lib.options.split import SplitOptions
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


Resolution = Literal["160x120", "256x192", "320x240", "400x300", "512x384", "640x480", "800x600"]
Button = Literal[
    "MOVE_FORWARD", "MOVE_BACKWARD", "MOVE_LEFT", "MOVE_RIGHT", "TURN_LEFT", "TURN_RIGHT", "LOOK_UP", "LOOK_DOWN",
    "CROUCH", "JUMP", "USE", "SPEED", "STRAFE", "TURN180", "ATTACK", "ALTATTACK", "RELOAD", "ZOOM", "MOVE_UP",
    "MOVE_DOWN", "LAND",
]  # fmt: skip
GOALS = [
    "Pick up the medkit",
    "Pick up the backpack",
    "Pick up the orb",
    "Go to the armor",
    "Go to the blue torch",
    "Go to the green pillar",
    "Go to the red pillar",
    "Go to the tree",
]


class GameKeysOptions(Options):
    """Which button of the game each key holds down; names are ViZDoom's."""

    w: Button = "MOVE_FORWARD"
    a: Button = "MOVE_LEFT"
    s: Button = "MOVE_BACKWARD"
    d: Button = "MOVE_RIGHT"
    up: Button = "LOOK_UP"
    down: Button = "LOOK_DOWN"
    left: Button = "TURN_LEFT"
    right: Button = "TURN_RIGHT"
    c: Button = "CROUCH"
    space: Button = "JUMP"
    enter: Button = "USE"
    """the maps hold nothing that answers to it"""

    @model_validator(mode="after")
    def _each_its_own(self) -> GameKeysOptions:
        buttons = list(self.model_dump().values())
        twice = next((button for button in buttons if buttons.count(button) > 1), None)
        if twice is not None:
            raise ValueError(f"two keys hold down {twice}; give each key a button of its own")
        return self


class GameOptions(Options):
    """The arena: what is seen, what keys do, and what counts as reached."""

    resolution: Resolution = "640x480"
    """width x height of the picture in pixels"""
    keys: GameKeysOptions = GameKeysOptions()
    goals: list[str] = Field(default=GOALS, min_length=1)
    """each "Go to the <object>" or "Pick up the <object>"; a map holds three or four of the objects"""
    pace: float = Field(default=0.6, ge=0.2, le=1.5)
    """how fast one walks; 1: the game's own 29 map units a slot"""
    reach: float = Field(default=144.0, ge=80, le=240)
    """map units from the middle of an object within which one is there; a player is 32 wide. It leaves room for the
    slide: where a player who walks towards an object lets go, one who stands must be there too, since a picture does
    not tell the two apart"""

    @property
    def slide(self) -> float:
        """Map units that one slides on after letting go while walking."""
        return 80 * self.pace

    @model_validator(mode="after")
    def _room_for_the_slide(self) -> GameOptions:
        if self.reach < self.slide + 64:
            raise ValueError(f"reach must be at least 64 + 80 x pace, here {self.slide + 64:g}")
        return self

    @field_validator("goals")
    @classmethod
    def _known(cls, goals: list[str]) -> list[str]:
        for goal in goals:
            goal_of(goal)
        if len(set(goals)) != len(goals):
            raise ValueError("a goal stands twice")
        return goals


class GamePlayerOptions(Options):
    """The scripted player. Chances are for each slot of 100 ms in which it walks."""

    stand: tuple[int, int] = (10, 14)
    """slots that it stands still at its goal, at least and at most"""
    lag: tuple[int, int] = (0, 2)
    """slots for which it goes on as before when what it sees calls for something else"""
    pause: float = Field(default=0.006, ge=0, le=1)
    """chance to let go of all keys for one to three slots"""
    fidget: float = Field(default=0.05, ge=0, le=1)
    """chance to jump, crouch, look up or down, or press enter on the way"""

    @field_validator("stand", "lag")
    @classmethod
    def _in_order(cls, bounds: tuple[int, int]) -> tuple[int, int]:
        if not 0 <= bounds[0] <= bounds[1]:
            raise ValueError("two numbers from 0, the smaller first")
        return bounds


class GameGenerateOptions(GameOptions):
    """Recordings of the scripted player, by `scripts.gameplay.generate`."""

    recordings: int = Field(default=12, ge=1, le=9999)
    frames: int = Field(default=350, ge=20, le=100_000)
    """slots of 100 ms that each recording lasts; each is a frame with save: every"""
    goals_per_map: int = Field(default=2, ge=1, le=16)
    """a recording goes on to another map after so many goals, or where no other goal is in sight"""
    save: Literal["every", "changes"] = "every"
    """every: each slot; changes: when keys change, and every third slot"""
    jitter_ms: int = Field(default=9, ge=0, le=40)
    """by how much the stamps of frames stray from one each 100 ms"""
    quality: int = Field(default=90, ge=1, le=100)
    """of the JPEG pictures"""
    player: GamePlayerOptions = GamePlayerOptions()
    seed: int = Field(default=7, ge=0, lt=1 << 31)


PROMPT = (
    "These are {count} frames of four seconds of play, in their order. Towards what does the player go? "
    "Answer with a goal of three to five words, such as: Go to the lantern"
)


class LabelOptions(Options):
    """Who names the goal of a segment, and how."""

    by: Literal["state", "vlm", "openai", "file"] = "state"
    """state: the game's own record; vlm: a model on this machine; openai: an endpoint that speaks OpenAI's protocol;
    file: a table that a person fills in"""
    frames: int = Field(default=4, ge=1, le=16)
    """frames of a segment that are shown, spread evenly"""
    prompt: str = PROMPT
    """what is asked; {count} stands for the number of frames"""
    model: str = ""
    """vlm: a GGUF file, with mmproj.gguf beside it; openai: the name that the endpoint knows"""
    url: str = ""
    """openai: such as http://127.0.0.1:8000/v1"""
    key_variable: str = "OPENAI_API_KEY"
    """openai: the environment variable that holds the key; it may be unset where none is asked for"""
    file: str = ""
    """file: a CSV with the columns recording, segment and goal"""
    max_tokens: int = Field(default=24, ge=4)
    """tokens of a goal at most"""
    timeout: float = Field(default=120.0, gt=0)
    """openai: seconds that an answer may take"""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> LabelOptions:
        needs = {"state": (), "vlm": ("model",), "openai": ("model", "url"), "file": ("file",)}[self.by]
        missing = [name for name in needs if not getattr(self, name)]
        if missing:
            raise ValueError(f"by: {self.by} needs {' and '.join(missing)}")
        if "{count}" in self.prompt.replace("{count}", "", 1):
            raise ValueError("prompt names {count} more than once")
        return self


class GameplayCurateOptions(SplitOptions):
    """From labelled segments to train, val and test."""

    max_train: int | None = Field(default=None, ge=1)
    """at most so many records of train, drawn evenly; none given: all"""
    max_idle: float = Field(default=1.0, gt=0, le=1)
    """at most this share of train's records press no key in any slot; a player at the goal makes many such frames"""
    max_bad_share: float = Field(default=0.2, ge=0, le=1)
    """more segments without a goal than this share stop the build"""


class LoopOptions(Options):
    """Episodes in the game, on maps that no recording was made on."""

    episodes: int = Field(default=60, ge=1)
    """for each player; goals take turns"""
    seconds: float = Field(default=20.0, ge=1)
    """an episode's limit, in the time of the game"""
    executed: int = Field(default=3, ge=1, le=7)
    """slots of an answer that are played before the next decision"""
    temperature: float = Field(default=0.0, ge=0)
    """of the agent; 0 takes the likeliest token always, so that an episode can be played again"""
    seed: int = 7
