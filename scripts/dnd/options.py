"""Options of the dnd stages."""

from __future__ import annotations

from pydantic import Field

from scripts.lib.options.split import SplitOptions
from scripts.lib.options.strict import Options


class DndCheckOptions(Options):
    """Reading scenarios."""

    max_file_mb: float = Field(default=5.0, gt=0)
    """a larger file is refused"""
    max_bad_share: float = Field(default=0.2, ge=0, le=1)
    """more quarantined files than this share stop the build"""


class DndCurateOptions(SplitOptions):
    """From checked scenarios to train, val and test."""

    near_threshold: float = Field(default=0.7, gt=0, le=1)
    """Jaccard similarity of word 5-grams from which two scenarios are near duplicates"""
    max_tokens: int = Field(default=1024, ge=64)
    """the model's window; a longer scenario is split at turn borders, its system turn repeated, nothing cut"""
