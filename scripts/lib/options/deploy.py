"""Quality limits and the package a user ships."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.lib.options.strict import Options


class GateOptions(Options):
    """Quality limits. Integrity limits are the certificate's and cannot be switched off."""

    on_miss: Literal["stop", "mark"] = "mark"
    metric: str = ""
    """the task's own score by which the shipped quant is chosen"""
    tolerance: float = Field(default=0.02, ge=0)
    """the smallest quant is shipped whose score is at most this much below the best quant's"""
    minimum: dict[str, float] = {}
    """metric name to the least value the shipped variant must reach"""
    beat: list[str] = []
    """what the shipped variant must exceed by more than chance: `base`, and baselines that are not oracles. The
    interval of the paired difference on the same cases must exclude 0"""


class GenerationOptions(Options):
    """Sampling settings written into the package."""

    temperature: float = Field(default=0.7, ge=0)
    top_p: float = Field(default=0.9, gt=0, le=1)
    top_k: int = Field(default=40, ge=0)
    repeat_penalty: float = Field(default=1.1, gt=0)
    max_tokens: int = Field(default=512, ge=1)


class DeployOptions(Options):
    """What dist/<system>/<run> holds."""

    formats: list[Literal["gguf", "hf"]] = Field(default=["gguf"], min_length=1)
    size_limit_gb: float = Field(default=2.0, gt=0)
    """of each shipped model file"""
    generation: GenerationOptions = GenerationOptions()
    smoke_prompts: int = Field(default=3, ge=1)
    """test prompts whose greedy answers go into test_results.json"""
    smoke_tokens: int = Field(default=48, ge=1)
