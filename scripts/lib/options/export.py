"""Merging, converting, quantising, and what the certificate must show."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from scripts.lib.options.strict import Options

# Every quantised type of llama.cpp (LlamaFileType in the gguf package; a test compares).
Quant = Literal[
    "Q2_K", "Q2_K_S", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_0", "Q4_1", "Q4_K_S", "Q4_K_M", "Q5_0", "Q5_1", "Q5_K_S",
    "Q5_K_M", "Q6_K", "Q8_0", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ3_XS", "IQ3_S",
    "IQ3_M", "IQ4_XS", "IQ4_NL", "TQ1_0", "TQ2_0", "MXFP4_MOE", "NVFP4", "Q1_0",
]  # fmt: skip


class ExportOptions(Options):
    """From the adapter to the quantised files."""

    quants: list[Quant] = Field(default=["Q4_K_M", "Q8_0"], min_length=1)
    """llama.cpp types, each once"""
    llama_quantize: str | None = None
    """a llama-quantize program; else the one on PATH, else cyllama's"""

    @field_validator("quants")
    @classmethod
    def _each_once(cls, quants: list[Quant]) -> list[Quant]:
        if twice := sorted({quant for quant in quants if quants.count(quant) > 1}):
            raise ValueError(f"{', '.join(twice)} stands twice; name each type once")
        return quants


class CertifyOptions(Options):
    """Integrity limits: a run that misses one stops, always."""

    max_nmse: float = Field(default=1e-5, gt=0)
    """normalised mean squared error of full logits, merged against f16 GGUF, float32"""
    max_nmse_pictures: float = Field(default=1e-4, gt=0)
    """the same after pictures, merged against f16 GGUF and projector"""
    max_effect_lost: float = Field(default=0.01, gt=0)
    """share of the adapter's effect on the logits that merging into 16-bit weights may lose"""
    logit_records: int = Field(default=2, ge=1)
    """held-out records whose logits are compared"""
    quant_records: int = Field(default=8, ge=1)
    """held-out records for perplexity and Kullback-Leibler divergence of the quants"""
    max_tokens: int = Field(default=512, ge=32)
    """tokens compared of each of them"""
    tokenizer_texts: int = Field(default=200, ge=1)
    """curated texts whose token ids are compared between transformers and llama.cpp"""
