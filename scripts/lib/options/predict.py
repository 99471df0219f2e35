"""How answers are generated for scoring."""

from __future__ import annotations

from pydantic import Field

from scripts.lib.options.strict import Options


class PredictOptions(Options):
    """Greedy generation of every assistant turn of the test split, given its true past."""

    max_records: int | None = Field(default=None, ge=1)
    """conversations whose every answer is generated, drawn evenly over the split; none given: all"""
    max_new_tokens: int = Field(default=128, ge=1)
    batch_size: int = Field(default=8, ge=1)
    """prompts at a time, for transformers"""
    slots: int = Field(default=8, ge=1)
    """prompts at a time, for llama.cpp"""
    perplexity_records: int | None = Field(default=12, ge=0)
    """predicted conversations on whose answers perplexity is measured, drawn evenly; null: all, 0: none"""
    device: str = "auto"


class ScoreOptions(Options):
    """How scores are made of predictions."""

    resamples: int = Field(default=2000, ge=100)
    """of the bootstrap; whole groups are resampled"""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    seed: int = 7
