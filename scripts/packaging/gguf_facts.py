"""What a GGUF says of itself: read from the file that is shipped, never taken from a config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError


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
    """Reads a GGUF's header (the tensors are only mapped, not loaded).

    Raises:
        UserError: the file is missing, no GGUF, or declares no architecture or context length.
    """
    from gguf import GGUFReader

    if not path.is_file():
        raise UserError(f"{path}: no such file; build it first, or check the path.")
    try:
        reader = GGUFReader(path)
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise UserError(f"{path}: not a readable GGUF file ({error}); delete it and build it again.") from error
    architecture = contents(reader, "general.architecture")
    context = contents(reader, f"{architecture}.context_length")
    if not architecture or not context:
        raise UserError(f"{path}: declares no architecture or context length; convert the model again.")
    return GgufFacts(
        architecture=architecture,
        context_length=int(context),
        parameters=sum(int(tensor.n_elements) for tensor in reader.tensors),
        chat_template=contents(reader, "tokenizer.chat_template") or "",
        bos=token_text(reader, "tokenizer.ggml.bos_token_id"),
        eos=token_text(reader, "tokenizer.ggml.eos_token_id"),
    )


def contents(reader: Any, key: str) -> Any:
    """A header field's value as a Python value, or None where the file does not have it."""
    field = reader.get_field(key)
    return None if field is None else field.contents()


def token_text(reader: Any, id_key: str) -> str:
    """The text of the token whose id stands under ``id_key``, or ""."""
    index, tokens = contents(reader, id_key), reader.get_field("tokenizer.ggml.tokens")
    if index is None or tokens is None or int(index) >= len(tokens.data):
        return ""
    return bytes(tokens.parts[tokens.data[int(index)]]).decode("utf-8", "replace")
