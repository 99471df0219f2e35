"""Options of the tools stages."""

from __future__ import annotations

from pydantic import Field

from scripts.lib.options.split import SplitOptions
from scripts.lib.options.strict import Options


class ToolsCheckOptions(Options):
    """Reading examples."""

    max_row_mb: float = Field(default=1.0, gt=0)
    """a larger example is quarantined unread"""
    max_bad_share: float = Field(default=0.2, ge=0, le=1)
    """more quarantined examples than this share stop the build"""


class ToolsCurateOptions(SplitOptions):
    """From checked examples to train, val and test."""

    near_threshold: float = Field(default=0.7, gt=0, le=1)
    """Jaccard similarity of word 3-grams from which two instructions are near; so are two that differ by one word"""
    drop_threshold: float = Field(default=0.95, gt=0, le=1)
    """similarity from which the later of two examples with the same calls is dropped"""


class ToolsGenerateOptions(Options):
    """Examples made by `scripts.tools.generate` instead of recorded ones."""

    count: int = Field(default=1200, ge=1)
    seed: int = Field(default=7, ge=0, lt=1 << 63)
