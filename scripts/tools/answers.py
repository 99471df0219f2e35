"""Parses a model's answer into tool calls, in each form that a chat template writes them.

Two forms are parsed: ``<tool_call>{"name": ..., "arguments": {...}}</tool_call>`` (Hermes, Qwen, and the fallback of
`scripts.lib.tool_prompt`), and an answer that is only such JSON (Llama). ``parameters`` may replace ``arguments``; the
bare JSON may be a list, and may stand in a code fence.
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
    """A parsed answer.

    Attributes:
        calls: name and arguments of each call, in order.
        broken: number of calls that are not valid JSON of a call.
        text: the text outside the calls.
    """

    calls: tuple[Call, ...]
    broken: int
    text: str

    @property
    def declines(self) -> bool:
        """Whether the answer contains no call, valid or broken."""
        return not self.calls and not self.broken


def parse(text: str) -> Answer:
    """Splits an answer into calls, broken calls and text.

    ``'<tool_call>{"name": "mesen2.run", "arguments": {"frames": 9}}</tool_call>'`` gives the call
    ``("mesen2.run", {"frames": 9})``, no broken call and an empty text.
    """
    pieces, rest = TAGGED.findall(text), TAGGED.sub("", text).strip()
    if not pieces and (bare := unfenced(text)).startswith(("{", "[")):
        pieces, rest = [bare], ""
    calls: list[Call | None] = []
    for piece in pieces:
        value = _json_or_none(piece.strip())
        calls += [_call(row) for row in value] if isinstance(value, list) and value else [_call(value)]
    valid = tuple(call for call in calls if call is not None)
    return Answer(valid, len(calls) - len(valid), rest)


def _call(value: Any) -> Call | None:
    """A call from its JSON value; None if it is broken. Some templates write the arguments as a JSON string."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    arguments = value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):
        arguments = _json_or_none(arguments)
    return (value["name"], arguments) if isinstance(arguments, dict) else None


def _json_or_none(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
