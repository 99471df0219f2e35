"""Runs llama.cpp's converter with two additions for models that are trained here. `scripts.model.convert` starts it in
a process of its own, with the converter's folder first on PYTHONPATH, because the converter brings its own `gguf`.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

from scripts.model.gguf_base import PRE_TOKENIZERS, pre_tokenizer

# The settings of a pre-tokenizer that decide where text is cut; the others only concern offsets.
CUTTING = ("type", "pattern", "behavior", "invert", "individual_digits", "add_prefix_space", "use_regex")
HARMLESS_NORMALIZERS = (None, "NFC")


def main() -> None:
    """Patches the converter, then runs it with this process's arguments."""
    from conversion import base  # the converter's own package, on PYTHONPATH in this process only

    add_window(base.ModelBase)
    add_pre_tokenizers(base.TextModel)
    runpy.run_module("convert_hf_to_gguf", run_name="__main__")


def add_window(model_base: Any) -> None:
    """GPT-2's window: the converter reads `n_ctx`, a key that transformers 5 no longer writes beside `n_positions`."""
    original = model_base.load_hparams

    def load_hparams(*args: Any, **kwargs: Any) -> dict[str, Any]:
        values = original(*args, **kwargs)
        if "n_positions" in values:
            values.setdefault("n_ctx", values["n_positions"])
        return values

    model_base.load_hparams = staticmethod(load_hparams)


def add_pre_tokenizers(text_model: Any) -> None:
    """Recognises pre-tokenizers by their settings.

    The converter recognises them by a hash over token ids, so it refuses a vocabulary trained here even where its
    pre-tokenizer is a known one. The certificate then proves on curated text that the ids are the same.
    """
    original = text_model.get_vocab_base_pre

    def get_vocab_base_pre(self: Any, tokenizer: Any) -> str:
        try:
            return original(self, tokenizer)
        except NotImplementedError:
            name = pre_tokenizer_name(getattr(tokenizer, "backend_tokenizer", None))
            if name is None:
                raise
            return name

    text_model.get_vocab_base_pre = get_vocab_base_pre


def pre_tokenizer_name(backend: Any) -> str | None:
    """llama.cpp's name of the pre-tokenizer of a `tokenizers.Tokenizer`, None where llama.cpp has no such one."""
    from tokenizers import Tokenizer, models

    if backend is None:
        return None
    value = json.loads(backend.to_str())
    if (value.get("normalizer") or {}).get("type") not in HARMLESS_NORMALIZERS:
        return None
    for name in PRE_TOKENIZERS:
        known = Tokenizer(models.BPE())
        known.pre_tokenizer = pre_tokenizer(name, Path(name))
        if _cuts(value["pre_tokenizer"]) == _cuts(json.loads(known.to_str())["pre_tokenizer"]):
            return name
    return None


def _cuts(value: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The steps of a pre-tokenizer's JSON, reduced to the settings in `CUTTING`."""
    steps = (value or {}).get("pretokenizers", [value] if value else [])
    return [{key: step[key] for key in CUTTING if key in step} for step in steps]


if __name__ == "__main__":
    main()
