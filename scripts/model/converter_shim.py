"""Runs llama.cpp's converter with what it needs for models written here. Started by scripts.model.convert in a process
of its own, with the converter's folder first on PYTHONPATH, because the converter brings its own `gguf`.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

from scripts.model.gguf_base import PRE_TOKENIZERS, pre_tokenizer

# What decides where text is cut; the rest of a pre-tokenizer's settings only concerns offsets.
CUTTING = ("type", "pattern", "behavior", "invert", "individual_digits", "add_prefix_space", "use_regex")
HARMLESS_NORMALIZERS = (None, "NFC")


def main() -> None:
    """Adds the two readings below to the converter, then runs it with this process's arguments."""
    from conversion import base  # the converter's own package, on PYTHONPATH in this process only

    _read_window(base.ModelBase)
    _name_pre_tokenizer(base.TextModel)
    runpy.run_module("convert_hf_to_gguf", run_name="__main__")


def _read_window(model_base: Any) -> None:
    """GPT-2's window: the converter wants `n_ctx`, a key that transformers 5 no longer writes beside `n_positions`."""
    original = model_base.load_hparams

    def load_hparams(*args: Any, **kwargs: Any) -> dict[str, Any]:
        values = original(*args, **kwargs)
        if "n_positions" in values:
            values.setdefault("n_ctx", values["n_positions"])
        return values

    model_base.load_hparams = staticmethod(load_hparams)


def _name_pre_tokenizer(text_model: Any) -> None:
    """Pre-tokenizers by what they do.

    The converter knows them by a hash over token ids, so a vocabulary trained here is a stranger to it even where its
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
    """llama.cpp's name of the pre-tokenizer that a `tokenizers.Tokenizer` has, None where it is not a known one."""
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
    """The steps of a pre-tokenizer's JSON, reduced to what decides where text is cut."""
    steps = (value or {}).get("pretokenizers", [value] if value else [])
    return [{key: step[key] for key in CUTTING if key in step} for step in steps]


if __name__ == "__main__":
    main()
