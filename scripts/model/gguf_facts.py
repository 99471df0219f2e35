"""What a GGUF says of itself: read from the file that is shipped, never taken from a config."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.cli import UserError
from scripts.model.gguf_file import GgufFile


@dataclass(frozen=True)
class GgufFacts:
    """Header fields of one GGUF file.

    Attributes:
        architecture: llama.cpp's name of it, such as "llama" or "gpt2".
        context_length: the window in tokens that the file declares.
        parameters: number of weights over all tensors.
        chat_template: the Jinja template inside the file, or "".
        bos: text of the token that opens a text, or "".
        eos: text of the token that ends an answer, or "".
    """

    architecture: str
    context_length: int
    parameters: int
    chat_template: str
    bos: str
    eos: str


def read_facts(path: Path) -> GgufFacts:
    """Reads a GGUF's header; no weight is loaded.

    Raises:
        UserError: the file is missing, damaged, or declares no architecture or context length.
    """
    file = GgufFile(path)
    if not file.fields.get("general.architecture") or not file.own("context_length"):
        raise UserError(f"{path}: declares no architecture or context length; convert the model again.")
    return GgufFacts(
        architecture=file.architecture,
        context_length=int(file.own("context_length")),
        parameters=sum(math.prod(tensor.shape) for tensor in file.tensors.values()),
        chat_template=file.fields.get("tokenizer.chat_template", ""),
        bos=token_text(file, "tokenizer.ggml.bos_token_id"),
        eos=token_text(file, "tokenizer.ggml.eos_token_id"),
    )


def token_text(file: GgufFile, id_key: str) -> str:
    """The text of the token whose id stands under ``id_key``, or ""."""
    index, tokens = file.fields.get(id_key), file.fields.get("tokenizer.ggml.tokens", [])
    return tokens[index] if index is not None and index < len(tokens) else ""
