"""The slices of the game that needs no screen: its arena, its scripted player, and the recordings made with them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from scripts.gameplay.game.catalogue import goal_of
from scripts.lib.options.strict import Options

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
