"""Options of the dnd stages."""

from __future__ import annotations

from pydantic import Field, model_validator

from scripts.lib.options.strict import Options


class DndCheckOptions(Options):
    """Reading scenarios."""

    max_file_mb: float = Field(default=5.0, gt=0)
    """a larger file is refused"""
    max_bad_share: float = Field(default=0.2, ge=0, le=1)
    """more quarantined files than this share stop the build"""


class DndCurateOptions(Options):
    """From checked scenarios to train, val and test."""

    val_share: float = Field(default=0.1, gt=0, lt=1)
    test_share: float = Field(default=0.25, gt=0, lt=1)
    near_threshold: float = Field(default=0.7, gt=0, le=1)
    """Jaccard similarity of word 5-grams from which two scenarios are near duplicates"""
    max_tokens: int = Field(default=1024, ge=64)
    """the model's window; a longer scenario is split at turn borders, its system turn repeated, nothing cut"""
    seed: int = 7

    @model_validator(mode="after")
    def _something_is_left(self) -> DndCurateOptions:
        if self.val_share + self.test_share >= 1:
            raise ValueError("val_share + test_share must be below 1")
        return self
