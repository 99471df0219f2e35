"""The messages of an OWAMcap file, of any version, in the order in which they were written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from mcap.reader import NonSeekingReader

from scripts.gameplay.raw import Fault
from scripts.gameplay.readers.recording import RecordingError


class Said(NamedTuple):
    """A message: milliseconds, its kind such as KeyboardEvent, and what it says; nothing where that is not needed."""

    stamp: int
    kind: str
    value: dict[str, Any]


KINDS = {
    "KeyboardEvent": "key",
    "KeyboardState": "keys",
    "MouseEvent": "cursor",
    "RawMouseEvent": "raw",
    "ScreenCaptured": "screen",
    "ScreenEmitted": "screen",
}


def read_messages(path: Path) -> tuple[list[Said], list[Fault]]:
    """All messages, and what is wrong with some, or with the file from some place on.

    Raises:
        RecordingError: nothing can be read.
    """
    said: list[Said] = []
    faults: list[Fault] = []
    bad = 0
    with path.open("rb") as stream:
        try:
            for schema, _, message in NonSeekingReader(stream).iter_messages(log_time_order=False):
                kind = KINDS.get(re.split(r"[/.]", schema.name)[-1], "") if schema else ""
                value = value_of(kind, message.data) if kind else {}
                bad += value is None
                said.append(Said(message.log_time // 1_000_000, kind if value else "", value or {}))
        except Exception as error:  # whatever the format's package and its decompressors raise for damaged bytes
            reason = str(error) or type(error).__name__
            if not said:
                raise RecordingError("mcap", f"cannot be read as MCAP ({reason}); copy it again.") from error
            message = f"breaks off after {len(said)} messages ({reason}); what comes before is used. Copy it again."
            faults.append(Fault(path.as_posix(), "mcap", message))
    if bad:
        faults.append(Fault(path.as_posix(), "json", f"{bad} messages lack what their kind says; they are left out."))
    return said, faults


def value_of(kind: str, data: bytes) -> dict[str, Any] | None:
    """A message's JSON object; None where it is none, or lacks what this kind of message says."""
    try:
        value = orjson.loads(data)
        return value if FORMS[kind](value) else None
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


def whole(*values: Any) -> bool:
    """Whether JSON values are whole numbers."""
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


FORMS: dict[str, Callable[[Any], bool]] = {
    "key": lambda value: whole(value["vk"]) and value["event_type"] in ("press", "release"),
    "keys": lambda value: isinstance(value["buttons"], list) and whole(*value["buttons"]),
    "cursor": lambda value: value["event_type"] != "move" or whole(value["x"], value["y"]),
    "raw": lambda value: whole(value["last_x"], value["last_y"], value.get("us_flags", 0)),
    "screen": lambda value: isinstance(value.get("utc_ns"), int | None),
}
