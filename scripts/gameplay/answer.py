"""The agent's prompt and its answer: an image and a goal in, the keys of the next seven slots of 100 ms out.

::

    user:      [image] Goal: Go to the armor

               Predict the next 7 actions:
    assistant: {"actions":["left+w","left+w","w","w","w","w","none"]}

A slot is one time step. Keys held together are one word, sorted and joined by ``+``; seven times ``none`` means that
the goal is reached. An answer that cannot be parsed is an error with a rate of its own, never seven times ``none``.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from scripts.gameplay.keys import Held, keys_of, word_of
from scripts.lib.fence import unfenced

SLOTS = 7
SLOT_SECONDS = 0.1

Actions = tuple[Held, ...]


class AnswerError(ValueError):
    """Why a text is no answer."""


def question(goal: str) -> str:
    """The prompt's text beside the image."""
    return f"Goal: {goal}\n\nPredict the next {SLOTS} actions:"


def to_text(actions: Sequence[Held]) -> str:
    """The answer as compact JSON."""
    return orjson.dumps({"actions": [word_of(keys) for keys in actions]}).decode()


def from_text(text: str) -> Actions:
    """The keys of each slot; the inverse of `to_text`. The text may stand in a Markdown code fence.

    Raises:
        AnswerError: it is not JSON, does not have seven slots, or names an unknown key.
    """
    try:
        value = orjson.loads(unfenced(text))
    except orjson.JSONDecodeError as error:
        raise AnswerError(f"not valid JSON ({error})") from error
    words = value.get("actions") if isinstance(value, dict) else None
    if not isinstance(words, list) or len(words) != SLOTS:
        raise AnswerError(f"`actions` is no list of {SLOTS} words")
    actions = []
    for word in words:
        if not isinstance(word, str):
            raise AnswerError(f"an action is {word!r:.40}, no word")
        try:
            actions.append(keys_of(word))
        except ValueError as error:
            raise AnswerError(str(error)) from error
    return tuple(actions)


def is_idle(actions: Sequence[Held]) -> bool:
    """Whether no key is pressed in any slot: the goal is reached."""
    return not any(actions)
