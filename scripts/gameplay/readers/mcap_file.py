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
from scripts.gameplay.readers.virtual_keys import name_of

ABSOLUTE = 1  # flag of a raw movement that names a place, as a tablet does


class Said(NamedTuple):
    """A message: milliseconds, what kind it is, and what it says.

    key: a name, and whether it went down; keys: the names of all that are down; cursor: its place; click: a button;
    raw: a movement to the right and down; screen: a `Reference`, or None where it refers to no frame of a video;
    anything else has no kind and only shows that the recorder ran.
    """

    stamp: int
    kind: str = ""
    value: Any = None


class Reference(NamedTuple):
    """What a screen message refers to: the video's name, milliseconds in it, milliseconds since 1970."""

    video: str
    place: float
    stamp: float


def read_messages(path: Path) -> tuple[list[Said], list[Fault]]:
    """All messages, and what is wrong with some, or with the file from some place on (kind ``mcap``).

    Raises:
        RecordingError: nothing can be read.
    """
    said: list[Said] = []
    faults: list[Fault] = []
    bad = 0
    with path.open("rb") as stream:
        try:
            for schema, _, message in NonSeekingReader(stream).iter_messages(log_time_order=False):
                one = said_by(schema.name if schema else "", message.log_time, message.data)
                said.append(one or Said(message.log_time // 1_000_000))
                bad += one is None
        except Exception as error:  # whatever the format's package and its decompressors raise for damaged bytes
            reason = str(error) or type(error).__name__
            if not said:
                raise RecordingError("mcap", f"cannot be read as MCAP ({reason}); copy it again.") from error
            message = f"breaks off after {len(said)} messages ({reason}); what comes before is used. Copy it again."
            faults.append(Fault(path.as_posix(), "mcap", message))
    if bad:
        faults.append(Fault(path.as_posix(), "json", f"{bad} messages lack what their kind says; they are left out."))
    return said, faults


def said_by(schema: str, time: int, data: bytes) -> Said | None:
    """What a message says, from its schema's name, nanoseconds since 1970 and JSON; None where it lacks something."""
    read = READ.get(re.split(r"[/.]", schema)[-1])
    stamp = time // 1_000_000
    try:
        return Said(stamp, *read(orjson.loads(data), time)) if read else Said(stamp)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError):
        return None


def _key(value: Any, time: int) -> tuple[str, Any]:
    return "key", (name_of(whole(value["vk"])), {"press": True, "release": False}[value["event_type"]])


def _keys(value: Any, time: int) -> tuple[str, Any]:
    return "keys", frozenset(name_of(whole(code)) for code in value["buttons"])


def _mouse(value: Any, time: int) -> tuple[str, Any]:
    if value["event_type"] == "move":
        return "cursor", (whole(value["x"]), whole(value["y"]))
    return ("click", f"mouse {value.get('button')}") if value.get("pressed") else ("", None)


def _raw_mouse(value: Any, time: int) -> tuple[str, Any]:
    moved = whole(value["last_x"]), whole(value["last_y"])
    return ("", None) if whole(value.get("us_flags", 0)) & ABSOLUTE else ("raw", moved)


def _screen(value: Any, time: int) -> tuple[str, Any]:
    held = value.get("media_ref") or value
    uri, place, taken = held.get("uri", held.get("path")), held.get("pts_ns", held.get("pts")), value.get("utc_ns")
    if not isinstance(uri, str) or uri.startswith("data:") or place is None:
        return "screen", None
    # Recordings are moved about, their paths are not corrected: the video stands beside the messages.
    name = uri.replace("\\", "/").rpartition("/")[2]
    when = time if taken is None else whole(taken)
    return "screen", Reference(name, whole(place) / 1e6, when / 1e6) if name else None


def whole(value: Any) -> int:
    """A JSON value that must be a whole number.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(value)
    return value


READ: dict[str, Callable[[Any, int], tuple[str, Any]]] = {
    "KeyboardEvent": _key,
    "KeyboardState": _keys,
    "MouseEvent": _mouse,
    "RawMouseEvent": _raw_mouse,
    "ScreenCaptured": _screen,
    "ScreenEmitted": _screen,
}
