"""Tiny random vision-language models on disk, and records that show them pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from tiny_models import make_tokenizer
from transformers import (
    AutoModelForImageTextToText,
    AutoTokenizer,
    Qwen2_5_VLConfig,
    Qwen2VLConfig,
    Qwen3VLConfig,
)

from scripts.lib.files import write_json
from scripts.lib.records import Message, Part, Record, text_message, write_records
from scripts.model.sketch.standin import PICTURES, TEMPLATE
from scripts.model.weights import describe_base

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
VISION_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
PATCH = {"qwen2_vl": 14, "qwen2_5_vl": 14, "qwen3_vl": 16}


def save_tiny_vlm(family: str, folder: Path, seed: int = 0, dtype: str = "float16") -> Path:
    """Writes a random model of three layers of text and of vision, with its card; returns its folder.

    The converter numbers parts of the projector up to 2, and takes no number that no layer has.
    """
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": list(VISION_TOKENS)})
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_config(make_config(family, tokenizer)).to(getattr(torch, dtype))
    # A fresh model's padding token, here also the end of a turn, is all zeros. No published model's is; and of such a
    # row llama.cpp's qwen2vl makes NaN.
    torch.nn.init.normal_(model.get_input_embeddings().weight.data[tokenizer.pad_token_id], std=0.02)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    write_json(folder / "preprocessor_config.json", PICTURES | {"patch_size": PATCH[family]})
    write_json(folder / "base.json", describe_base(folder, name=family, source=f"recipe:{family}", licence="cc0-1.0"))
    return folder


def make_config(family: str, tokenizer: Any) -> Any:
    """Text 64 wide with heads of 16, vision 32 wide."""
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in VISION_TOKENS}
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,  # more than deepstack layers, or llama.cpp stops
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [4, 2, 2]},
        **{f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")},
    }
    special = {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "tie_word_embeddings": False,
    }
    vision = {"depth": 3, "num_heads": 2, "patch_size": PATCH[family], "out_hidden_size": 64, "hidden_size": 32}
    if family == "qwen2_vl":
        vision = {"depth": 3, "num_heads": 2, "patch_size": 14, "embed_dim": 32, "hidden_size": 64}
        return Qwen2VLConfig(text_config=text, vision_config=vision, **special)
    if family == "qwen2_5_vl":
        more = {"intermediate_size": 48, "fullatt_block_indexes": [1], "window_size": 112}
        return Qwen2_5_VLConfig(text_config=text, vision_config=vision | more, **special)
    text["head_dim"] = 16
    text["rope_parameters"]["mrope_interleaved"] = True
    more = {"intermediate_size": 48, "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]}
    return Qwen3VLConfig(text_config=text, vision_config=vision | more, **special)


def write_seeing(folder: Path, name: str, count: int, side: int = 112) -> Path:
    """Records that each show a picture of noise and name its shade; returns the JSONL file."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    records = []
    for number in range(count):
        shade = 20 + 200 * number // max(1, count - 1)
        noise = np.random.default_rng(number).normal(shade, 20, (side, side, 3)).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / "images" / f"{name}-{number}.png"), noise)
        records.append(seeing(f"{name}-{number}", f"images/{name}-{number}.png", f"It is {shade} bright."))
    write_records(folder / f"{name}.jsonl", records)
    return folder / f"{name}.jsonl"


def seeing(name: str, picture: str, answer: str) -> Record:
    """A record with one picture."""
    asked = [Part(type="image"), Part(type="text", text="How bright is it?")]
    messages = [text_message("system", "You see."), Message(role="user", content=asked)]
    return Record(
        id=name, group=name, messages=[*messages, text_message("assistant", answer)], images=[picture], expect=[{}]
    )
