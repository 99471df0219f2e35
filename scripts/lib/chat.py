"""The one function that renders a record into text, tokens and a loss mask.

Training, prediction, certification and serving all call it, so that a model never sees at run time a
prompt it was not trained on. The template is the tokenizer's own; `ensure_template` gives one to a model without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scripts.lib.cli import UserError
from scripts.lib.records import Message, Record
from scripts.lib.tool_prompt import as_text, knows_tools

# For models that carry no template (GPT-2, DialoGPT): a role line, the text, and the model's own end-of-text token,
# which DialoGPT already learnt as its end of turn.
FALLBACK_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ':\\n' + message['content'] + eos_token + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:\\n' }}{% endif %}"
)

PLACEHOLDER = "<|image_pad|>"  # of a picture, in the templates of the Qwen-VL family


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
    """Gives a tokenizer without a chat template the documented fallback; returns whether it had to."""
    if tokenizer.chat_template:
        return False
    tokenizer.chat_template = FALLBACK_TEMPLATE
    return True


def template_input(
    template: str, messages: list[Message], tools: list[dict[str, Any]] | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]] | None]:
    """Messages and tools as a chat template takes them: content as one string, stripped at its ends.

    The content of a message with pictures is a list of parts. Tools go to a template that knows them; for any other
    they become text (`scripts.lib.tool_prompt`).
    """
    plain = []
    for message in messages:
        row: dict[str, Any] = {"role": message.role, "content": content_of(message)}
        if message.tool_calls:
            row["tool_calls"] = message.tool_calls
        plain.append(row)
    if not tools:
        return plain, None
    return (plain, tools) if knows_tools(template) else (as_text(plain, tools), None)


def content_of(message: Message) -> str | list[dict[str, str]]:
    """A message's text, or its parts where one is a picture."""
    if not any(part.type == "image" for part in message.content):
        return message.text.strip()
    parts = [{"type": part.type, "text": (part.text or "").strip()} for part in message.content]
    return [part if part["type"] == "text" else {"type": "image"} for part in parts]


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
        features: of each picture, in order, how many placeholders it takes; none given: one each, as llama.cpp wants.
    """
    rows, native = template_input(tokenizer.chat_template, messages, tools)
    text = tokenizer.apply_chat_template(rows, tools=native, tokenize=False, add_generation_prompt=prompt)
    return expand(text, features) if features else text


def expand(text: str, features: Sequence[int]) -> str:
    """A rendered text with each picture's placeholder repeated as often as the picture has features.

    Raises:
        UserError: the template shows more pictures than there are.
    """
    pieces = text.split(PLACEHOLDER)
    if len(pieces) - 1 > len(features):
        raise UserError(
            f"the chat template shows {len(pieces) - 1} pictures where there are {len(features)}; {PLACEHOLDER} must "
            "not stand in a message's text."
        )
    repeated = [PLACEHOLDER * count for count in features[: len(pieces) - 1]]
    return "".join(part for pair in zip(pieces, [*repeated, ""], strict=True) for part in pair)


def prompt_text(tokenizer: Any, record: Record, answer: int, features: Sequence[int] = ()) -> str:
    """The exact text a model is given to produce the assistant message at index ``answer``."""
    return render_text(tokenizer, record.messages[:answer], record.tools, prompt=True, features=features)


def encode(tokenizer: Any, text: str) -> list[int]:
    """Token ids of rendered text: special tokens in it are recognised, none are added."""
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def answer_spans(tokenizer: Any, record: Record, features: Sequence[int] = ()) -> tuple[str, list[tuple[int, int]]]:
    """The rendered conversation and the character spans [start, end) of its answers, end-of-turn token included.

    Raises:
        UserError: the template renders a beginning of the conversation differently once more is said.
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
        # A template's newline after the end-of-turn token is never generated: it is no part of the answer.
        spans.append((len(head), len(through.rstrip("\n"))))
    return text, spans


def render(tokenizer: Any, record: Record, features: Sequence[int] = ()) -> Rendered:
    """Renders a record into text, token ids and the loss mask (answers only); ``features`` as in `render_text`.

    Raises:
        UserError: a token straddles the border of an answer, so that training and serving would see other tokens.
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
    """The share of tokens that carry loss, 0 to 1."""
    return sum(rendered.mask) / max(1, len(rendered.mask))
