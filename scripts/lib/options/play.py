"""The slices of the agent: its records, and the episodes in which it is counted."""

from __future__ import annotations

from pydantic import Field, model_validator

from scripts.lib.options.strict import Options


class GameplayCurateOptions(Options):
    """From labelled segments to train, val and test."""

    val_share: float = Field(default=0.12, gt=0, lt=1)
    test_share: float = Field(default=0.2, gt=0, lt=1)
    max_per_split: int | None = Field(default=None, ge=1)
    """at most so many records of val and of test, drawn evenly; none given: all"""
    max_train: int | None = Field(default=None, ge=1)
    """at most so many records of train, drawn evenly; none given: all"""
    max_idle: float = Field(default=1.0, gt=0, le=1)
    """at most this share of train's records press no key in any slot; a player at the goal makes many such frames"""
    max_bad_share: float = Field(default=0.2, ge=0, le=1)
    """more segments without a goal than this share stop the build"""
    seed: int = 7

    @model_validator(mode="after")
    def _something_is_left(self) -> GameplayCurateOptions:
        if self.val_share + self.test_share >= 1:
            raise ValueError("val_share + test_share must be below 1")
        return self


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
