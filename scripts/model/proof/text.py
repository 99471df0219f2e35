"""Text: the same token ids, the same prompt and the same end of turn in transformers and in llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts.lib.chat import encode, prompt_text, render, render_text, template_input
from scripts.lib.records import Record
from scripts.lib.tokenizer import Tokenizer
from scripts.model.llama import Server
from scripts.model.logits import LogitReader
from scripts.model.proof.check import Check, attempt, evenly, faults
from scripts.model.vision import FRAMED

SHOWN = 24  # characters shown on each side of a difference
CONTEXT = 64  # tokens; nothing is generated
AGAIN = "delete the GGUF file and convert again, and if that does not help"
TOKENIZER_ADVICE = f"{AGAIN}, choose a base whose tokenizer llama.cpp knows"
TEMPLATE_ADVICE = f"{AGAIN}, simplify the base's chat_template.jinja, which llama.cpp reads differently"


def check_text(merged: Path, f16: Path, records: list[Record], count: int) -> list[Check]:
    """Token ids, rendered prompts and end of turn, over ``count`` records spread evenly."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(merged, local_files_only=True)
    chosen = evenly(records, count)
    with Server(f16, slots=1, context=CONTEXT) as server:
        checks = attempt("tokenizer", check_ids, tokenizer, Tokenizer(merged), server, chosen)
        checks += attempt("prompt", check_prompts, tokenizer, server, chosen)
    return checks + attempt("end_of_turn", check_end, tokenizer, f16, chosen)


def check_ids(tokenizer: Any, own: Tokenizer, server: Server, records: list[Record]) -> Check:
    """Whether rendered records become the same token ids in transformers, in llama.cpp and in our own reader."""
    wrong, tokens = [], 0
    for record in tqdm(records, desc="token ids", unit="text"):
        text = render_text(tokenizer, record.messages, record.tools, prompt=False)
        ours, theirs = encode(tokenizer, text), server.tokenize(text)
        tokens += len(ours)
        if render_text(own, record.messages, record.tools, prompt=False) != text or encode(own, text) != ours:
            wrong.append(f"record {record.id} is rendered or encoded otherwise by scripts.lib.tokenizer")
        if ours != theirs:
            wrong.append(f"record {record.id}, {_first_token(tokenizer, ours, theirs)}")
    detail = f"{len(records)} texts, {tokens:,} tokens, the same in transformers and llama.cpp"
    return faults("tokenizer", wrong, detail, TOKENIZER_ADVICE)


def _first_token(tokenizer: Any, ours: list[int], theirs: list[int]) -> str:
    at = first_difference(ours, theirs)
    shown = tokenizer.decode(ours[max(0, at - 3) : at + 1])
    return f"token {at}: transformers {ours[at : at + 3]}, llama.cpp {theirs[at : at + 3]}, at the end of {shown!r}"


def check_prompts(tokenizer: Any, server: Server, records: list[Record]) -> Check:
    """Whether the prompts of every record's first and last answer are rendered the same, byte for byte."""
    wrong, prompts = [], 0
    for record in tqdm(records, desc="prompts", unit="text"):
        for answer in sorted({*record.answers[:1], *record.answers[-1:]}):
            if answer == 0:  # nothing was said before it: there is no prompt
                continue
            ours = prompt_text(tokenizer, record, answer)
            rows, tools = template_input(tokenizer.chat_template, record.messages[:answer], record.tools)
            theirs = server.apply_template([as_text(row) for row in rows], tools)
            prompts += 1
            if ours != theirs:
                wrong.append(f"record {record.id}, message {answer}, {_first_character(ours, theirs)}")
    if not prompts:
        wrong.append("no record has an answer to a prompt")
    detail = f"{prompts} prompts, the same in transformers and llama.cpp"
    return faults("prompt", wrong, detail, TEMPLATE_ADVICE)


def as_text(row: dict[str, Any]) -> dict[str, Any]:
    """A message with its pictures as the text that stands for them: llama.cpp's template takes no bare placeholders."""
    if isinstance(row["content"], str):
        return row
    return row | {"content": "".join(part.get("text", FRAMED) for part in row["content"])}


def _first_character(ours: str, theirs: str) -> str:
    at = first_difference(ours, theirs)
    here, there = (text[max(0, at - SHOWN) : at + SHOWN] for text in (ours, theirs))
    return f"character {at}: transformers {here!r}, llama.cpp {there!r}"


def first_difference(one: Any, other: Any) -> int:
    """The first index at which two sequences differ; the shorter one's length where one begins the other."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(one), len(other)))


def check_end(tokenizer: Any, f16: Path, records: list[Record]) -> Check:
    """Whether llama.cpp stops at the token by which the model learnt to end its answers."""
    ends: dict[int, str] = {}
    for record in records:
        rendered = render(tokenizer, record)
        for token, learnt, goes_on in zip(rendered.ids, rendered.mask, [*rendered.mask[1:], 0], strict=True):
            if learnt and not goes_on:
                ends.setdefault(token, record.id)
    with LogitReader(f16, context=CONTEXT) as reader:
        wrong = [
            f"token {token} {tokenizer.decode([token])!r} ends an answer of record {record}, llama.cpp goes on"
            for token, record in sorted(ends.items())
            if not reader.ends_generation(token)
        ]
    if not ends:
        wrong.append("no record has an answer")
    named = ", ".join(repr(tokenizer.decode([token])) for token in sorted(ends))
    advice = "set eos_token_id in the base's generation_config.json and tokenizer to the template's end of turn"
    return faults("end_of_turn", wrong, f"llama.cpp stops at {named}, the end of every answer", advice)
