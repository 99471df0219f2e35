"""The messages of an OWAMcap file, of any version, in the order in which they were written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from mcap.reader import NonSeekingReader

from scripts.gameplay.raw import Fault
from scripts.gameplay.readers.recording import RecordingError
from scripts.gameplay.readers.virtual_keys import name_of

ABSOLUTE = 1  # MOUSE_MOVE_ABSOLUTE of Windows' RAWMOUSE: the movement is a position, as from a tablet
SCREENS = ("ScreenCaptured", "ScreenEmitted")
READ = ("KeyboardEvent", "KeyboardState", "MouseEvent", "RawMouseEvent", *SCREENS)


class Message(NamedTuple):
    """A message: milliseconds, its kind, and its value by kind.

    key: a name, and whether it went down; keys: the names of all keys that are down; cursor: its position; click: a
    button; raw: a movement to the right and down; screen: a `Reference`, or None if it refers to no frame of a video.
    A message of any other kind ("") only shows that the recorder was running.
    """

    stamp: int
    kind: str = ""
    value: Any = None


class Reference(NamedTuple):
    """The frame that a screen message refers to: the video's name, milliseconds in it, milliseconds since 1970."""

    video: str
    place: float
    stamp: float


def read_messages(path: Path) -> tuple[list[Message], list[Fault]]:
    """All messages, and the faults of single messages, or of the file from some place on (kind ``mcap``).

    Raises:
        RecordingError: nothing can be read.
    """
    messages: list[Message] = []
    faults: list[Fault] = []
    bad = 0
    with path.open("rb") as stream:
        try:
            for schema, _, raw in NonSeekingReader(stream).iter_messages(log_time_order=False):
                message = parse_message(schema.name if schema else "", raw.log_time, raw.data)
                messages.append(message or Message(raw.log_time // 1_000_000))
                bad += message is None
        except Exception as error:  # any error of the format's package and its decompressors for damaged bytes
            reason = str(error) or type(error).__name__
            if not messages:
                raise RecordingError("mcap", f"cannot be read as MCAP ({reason}); copy it again.") from error
            text = f"breaks off after {len(messages)} messages ({reason}); what comes before is used. Copy it again."
            faults.append(Fault(path.as_posix(), "mcap", text))
    if bad:
        faults.append(Fault(path.as_posix(), "json", f"{bad} messages lack what their kind says; they are left out."))
    return messages, faults


def parse_message(schema: str, time: int, data: bytes) -> Message | None:
    """A message from its schema's name, nanoseconds since 1970 and JSON; None if a field is missing or wrong."""
    kind, stamp = re.split(r"[/.]", schema)[-1], time // 1_000_000
    if kind not in READ:
        return Message(stamp)
    try:
        value = orjson.loads(data)
        if kind == "KeyboardEvent":
            pressed = {"press": True, "release": False}[value["event_type"]]
            return Message(stamp, "key", (name_of(whole(value["vk"])), pressed))
        if kind == "KeyboardState":
            return Message(stamp, "keys", frozenset(name_of(whole(code)) for code in value["buttons"]))
        if kind == "RawMouseEvent":
            moved = whole(value["last_x"]), whole(value["last_y"])
            return Message(stamp) if whole(value.get("us_flags", 0)) & ABSOLUTE else Message(stamp, "raw", moved)
        if kind in SCREENS:
            return Message(stamp, "screen", reference_of(value, time))
        if value["event_type"] == "move":
            return Message(stamp, "cursor", (whole(value["x"]), whole(value["y"])))
        return Message(stamp, "click", f"mouse {value.get('button')}") if value.get("pressed") else Message(stamp)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError):
        return None


def reference_of(value: Any, time: int) -> Reference | None:
    """The frame that a screen message refers to, from its JSON and nanoseconds since 1970; None if none.

    Only the video's name is used: recordings are moved, but the paths in them are not corrected, and the video stays
    beside the messages.

    Raises:
        TypeError: a time is not an integer.
    """
    media = value.get("media_ref") or value
    uri, place, taken = media.get("uri", media.get("path")), media.get("pts_ns", media.get("pts")), value.get("utc_ns")
    if not isinstance(uri, str) or uri.startswith("data:") or place is None:
        return None
    name = uri.replace("\\", "/").rpartition("/")[2]
    stamp = time if taken is None else whole(taken)
    return Reference(name, whole(place) / 1e6, stamp / 1e6) if name else None


def whole(value: Any) -> int:
    """A JSON value that must be an integer.

    Raises:
        TypeError: it is not one.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(value)
    return value
