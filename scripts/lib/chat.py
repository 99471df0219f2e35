"""Renders a record into text, tokens and a loss mask, with the tokenizer's chat template.

Training, prediction, certification and serving all call this module, so that prompts are equal in training and
serving. `ensure_template` gives a template to a model that has none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scripts.lib.cli import UserError
from scripts.lib.records import Message, Record
from scripts.lib.tool_prompt import as_text, knows_tools

# For models without a template (GPT-2, DialoGPT): a role line, the text, and the model's end-of-text token, with which
# DialoGPT was trained to end a turn.
FALLBACK_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ':\\n' + message['content'] + eos_token + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:\\n' }}{% endif %}"
)

PLACEHOLDER = "<|image_pad|>"  # for an image, in the templates of the Qwen-VL family


@dataclass(frozen=True)
class Rendered:
    """A rendered conversation.

    Attributes:
        text: the whole rendered text.
        ids: token ids, length n.
        mask: length n; 1 where a token belongs to an assistant's answer or its end-of-turn token, else 0.
    """

    text: str
    ids: list[int]
    mask: list[int]


def ensure_template(tokenizer: Any) -> bool:
    """Gives a tokenizer without a chat template the fallback; returns whether it did."""
    if tokenizer.chat_template:
        return False
    tokenizer.chat_template = FALLBACK_TEMPLATE
    return True


def template_input(
    template: str, messages: list[Message], tools: list[dict[str, Any]] | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]] | None]:
    """Messages and tools as a chat template takes them: content as one string, stripped at its ends.

    The content of a message with images is a list of parts. Tools are passed to a template that reads them; for any
    other template they become text (`scripts.lib.tool_prompt`).
    """
    plain = []
    for message in messages:
        row: dict[str, Any] = {"role": message.role, "content": message.text.strip()}
        if any(part.type == "image" for part in message.content):
            row["content"] = [
                {"type": "image"} if part.type == "image" else {"type": "text", "text": (part.text or "").strip()}
                for part in message.content
            ]
        if message.tool_calls:
            row["tool_calls"] = message.tool_calls
        plain.append(row)
    if not tools:
        return plain, None
    return (plain, tools) if knows_tools(template) else (as_text(plain, tools), None)


def render_text(
    tokenizer: Any,
    messages: list[Message],
    tools: list[dict[str, Any]] | None = None,
    *,
    prompt: bool,
    features: Sequence[int] = (),
) -> str:
    """Renders messages by the tokenizer's chat template; with ``prompt`` the header of the next answer is added.

    Args:
        features: number of placeholders of each image, in order; by default one each, the format of llama.cpp.
    """
    rows, native = template_input(tokenizer.chat_template, messages, tools)
    text = tokenizer.apply_chat_template(rows, tools=native, tokenize=False, add_generation_prompt=prompt)
    return expand(text, features) if features else text


def expand(text: str, features: Sequence[int]) -> str:
    """A rendered text with the placeholder of each image repeated as often as the image has features.

    ``"a<|image_pad|>b"`` and ``[2]`` give ``"a<|image_pad|><|image_pad|>b"``.

    Raises:
        UserError: the text has more placeholders than there are images.
    """
    shown = text.count(PLACEHOLDER)
    if shown > len(features):
        raise UserError(
            f"the chat template shows {shown} pictures where there are {len(features)}; {PLACEHOLDER} must "
            "not stand in a message's text."
        )
    counts = iter(features)
    return re.sub(re.escape(PLACEHOLDER), lambda _: PLACEHOLDER * next(counts), text)


def prompt_text(tokenizer: Any, record: Record, answer: int, features: Sequence[int] = ()) -> str:
    """The exact prompt for the assistant message at index ``answer``."""
    return render_text(tokenizer, record.messages[:answer], record.tools, prompt=True, features=features)


def encode(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a rendered text: special tokens in it are recognised, none are added."""
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def answer_spans(tokenizer: Any, record: Record, features: Sequence[int] = ()) -> tuple[str, list[tuple[int, int]]]:
    """The rendered conversation and the character spans [start, end) of its answers, end-of-turn token included.

    Raises:
        UserError: the template renders the start of a conversation differently if more messages follow.
    """
    text = render_text(tokenizer, record.messages, record.tools, prompt=False, features=features)
    spans = []
    for index in record.answers:
        head = prompt_text(tokenizer, record, index, features)
        through = render_text(tokenizer, record.messages[: index + 1], record.tools, prompt=False, features=features)
        if not (text.startswith(through) and through.startswith(head)):
            raise UserError(
                f"record {record.id}: the chat template does not render message {index} as a continuation of its "
                "prompt, so training and serving would differ; use a template whose past does not change."
            )
        # A newline after the end-of-turn token is never generated, so it does not belong to the answer.
        spans.append((len(head), len(through.rstrip("\n"))))
    return text, spans


def render(tokenizer: Any, record: Record, features: Sequence[int] = ()) -> Rendered:
    """Renders a record into text, token ids and the loss mask (answers only); ``features`` as in `render_text`.

    Raises:
        UserError: a token crosses the border of an answer, so that the tokens of training and serving would differ.
    """
    text, spans = answer_spans(tokenizer, record, features)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    mask = [0] * len(ids)
    borders = {edge for span in spans for edge in span}
    cursor = 0
    for position, (start, end) in enumerate(offsets):
        if any(start < edge < end for edge in borders):
            raise UserError(f"record {record.id}: a token straddles the border of an answer at character {start}.")
        while cursor < len(spans) and spans[cursor][1] <= start:
            cursor += 1
        mask[position] = int(cursor < len(spans) and spans[cursor][0] <= start < end <= spans[cursor][1])
    return Rendered(text=text, ids=ids, mask=mask)


def supervised_share(rendered: Rendered) -> float:
    """The fraction of tokens with a loss, 0 to 1."""
    return sum(rendered.mask) / max(1, len(rendered.mask))
