"""A model's answer as calls: whatever its template's way of writing them.

Read are ``<tool_call>{"name": ..., "arguments": {...}}</tool_call>`` (Hermes, Qwen, and our own fallback), and an
answer that is nothing but such JSON (Llama), ``parameters`` in place of ``arguments``, a list and a code fence around
it included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from scripts.lib.fence import unfenced
from scripts.lib.tool_prompt import CALL_CLOSE, CALL_OPEN

Call = tuple[str, dict[str, Any]]
TAGGED = re.compile(rf"{CALL_OPEN}(.*?)(?:{CALL_CLOSE}|(?={CALL_OPEN})|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Answer:
    """What was answered.

    Attributes:
        calls: name and arguments, in order.
        broken: calls that were begun and are no JSON of a call.
        text: what stands beside the calls.
    """

    calls: tuple[Call, ...]
    broken: int
    text: str

    @property
    def declines(self) -> bool:
        """Whether it calls nothing and tries to call nothing."""
        return not self.calls and not self.broken


def parse(text: str) -> Answer:
    """Calls, broken calls and the words beside them."""
    pieces = TAGGED.findall(text)
    if pieces:
        found = [call for piece in pieces for call in _calls(piece)]
        rest = TAGGED.sub("", text).strip()
    elif (bare := unfenced(text)).startswith(("{", "[")):
        found, rest = _calls(bare), ""
    else:
        found, rest = [], text.strip()
    calls = tuple(call for call in found if call is not None)
    return Answer(calls, len(found) - len(calls), rest)


def _calls(piece: str) -> list[Call | None]:
    """The calls of one piece of JSON; None for each that is broken."""
    try:
        value = orjson.loads(piece.strip())
    except orjson.JSONDecodeError:
        return [None]
    return [_call(row) for row in value] if isinstance(value, list) and value else [_call(value)]


def _call(value: Any) -> Call | None:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    given = value.get("arguments", value.get("parameters", {}))
    if isinstance(given, str):
        try:
            given = orjson.loads(given)
        except orjson.JSONDecodeError:
            return None
    return (value["name"], given) if isinstance(given, dict) else None
