"""How curated data is divided into train, val and test, in every system."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from scripts.lib.options.strict import Options


class SplitOptions(Options):
    """Train, val and test by group; train gets what val and test leave. Each system's split options extend these."""

    val_share: float = Field(default=0.1, gt=0, lt=1)
    test_share: float = Field(default=0.2, gt=0, lt=1)
    max_per_split: int | None = Field(default=None, ge=1)
    """at most so many records of val and of test, drawn evenly; none given: all"""
    seed: int = Field(default=7, ge=0, lt=1 << 63)

    @model_validator(mode="after")
    def _train_keeps_a_share(self) -> Self:
        if self.val_share + self.test_share >= 1:
            raise ValueError("val_share + test_share must be below 1, so that train keeps a share; lower one of them")
        return self
