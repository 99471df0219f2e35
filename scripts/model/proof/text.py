"""Text: the same token ids, the same prompt and the same end of turn in transformers and in llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts.lib.chat import encode, prompt_text, render, render_text, template_input
from scripts.lib.records import Record
from scripts.lib.sampling import spread
from scripts.lib.tokenizer import Tokenizer
from scripts.model.llama import Server
from scripts.model.logits import LogitReader
from scripts.model.proof.check import Check, attempt, faults
from scripts.model.proof.logits import tokenizer_of
from scripts.model.vision import FRAMED

EXCERPT = 24  # characters reported on each side of a difference
CONTEXT = 64  # tokens; nothing is generated
AGAIN = "delete the GGUF file and convert again, and if that does not help"
TOKENIZER_ADVICE = f"{AGAIN}, choose a base whose tokenizer llama.cpp knows"
TEMPLATE_ADVICE = f"{AGAIN}, simplify the base's chat_template.jinja, which llama.cpp reads differently"
END_ADVICE = "set eos_token_id in the base's generation_config.json and tokenizer to the template's end of turn"


def check_text(merged: Path, f16: Path, records: list[Record], count: int) -> list[Check]:
    """Token ids, rendered prompts and end of turn, over ``count`` records spread evenly."""
    tokenizer, chosen = tokenizer_of(merged), spread(records, count)
    with Server(f16, slots=1, context=CONTEXT) as server:
        checks = attempt("tokenizer", check_ids, tokenizer, Tokenizer(merged), server, chosen)
        checks += attempt("prompt", check_prompts, tokenizer, server, chosen)
    return checks + attempt("end_of_turn", check_end, tokenizer, f16, chosen)


def check_ids(tokenizer: Any, own: Tokenizer, server: Server, records: list[Record]) -> Check:
    """Whether rendered records get the same token ids from transformers, llama.cpp and `scripts.lib.tokenizer`."""
    wrong, tokens = [], 0
    for record in tqdm(records, desc="token ids", unit="text"):
        text = render_text(tokenizer, record.messages, record.tools, prompt=False)
        ours, theirs = encode(tokenizer, text), server.tokenize(text)
        tokens += len(ours)
        if render_text(own, record.messages, record.tools, prompt=False) != text or encode(own, text) != ours:
            wrong.append(f"record {record.id} is rendered or encoded otherwise by scripts.lib.tokenizer")
        if ours != theirs:
            at = first_difference(ours, theirs)
            excerpt = tokenizer.decode(ours[max(0, at - 3) : at + 1])
            wrong.append(
                f"record {record.id}, token {at}: transformers {ours[at : at + 3]}, llama.cpp {theirs[at : at + 3]}, "
                f"at the end of {excerpt!r}"
            )
    detail = f"{len(records)} texts, {tokens:,} tokens, the same in transformers and llama.cpp"
    return faults("tokenizer", wrong, detail, TOKENIZER_ADVICE)


def check_prompts(tokenizer: Any, server: Server, records: list[Record]) -> Check:
    """Whether the prompts of every record's first and last answer are rendered the same, byte for byte."""
    wrong, prompts = [], 0
    for record in tqdm(records, desc="prompts", unit="text"):
        for answer in sorted({*record.answers[:1], *record.answers[-1:]} - {0}):  # before message 0 there is no prompt
            ours = prompt_text(tokenizer, record, answer)
            rows, tools = template_input(tokenizer.chat_template, record.messages[:answer], record.tools)
            theirs = server.apply_template([as_text(row) for row in rows], tools)
            prompts += 1
            if ours != theirs:
                at = first_difference(ours, theirs)
                here, there = (text[max(0, at - EXCERPT) : at + EXCERPT] for text in (ours, theirs))
                place = f"record {record.id}, message {answer}, character {at}"
                wrong.append(f"{place}: transformers {here!r}, llama.cpp {there!r}")
    if not prompts:
        wrong.append("no record has an answer to a prompt")
    detail = f"{prompts} prompts, the same in transformers and llama.cpp"
    return faults("prompt", wrong, detail, TEMPLATE_ADVICE)


def as_text(row: dict[str, Any]) -> dict[str, Any]:
    """A message whose images are placeholder texts: llama.cpp's template takes no image parts."""
    if isinstance(row["content"], str):
        return row
    return row | {"content": "".join(part.get("text", FRAMED) for part in row["content"])}


def first_difference(one: Any, other: Any) -> int:
    """The first index at which two sequences differ; the shorter length where one is a prefix of the other."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(one), len(other)))


def check_end(tokenizer: Any, f16: Path, records: list[Record]) -> Check:
    """Whether llama.cpp stops at the token that ends the answers in training."""
    ends: dict[int, str] = {}
    for record in records:
        text = render(tokenizer, record)
        for token, learned, next_learned in zip(text.ids, text.mask, [*text.mask[1:], 0], strict=True):
            if learned and not next_learned:
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
    return faults("end_of_turn", wrong, f"llama.cpp stops at {named}, the end of every answer", END_ADVICE)
