"""The raw layout of a recording: one flat folder, a picture and a JSON file for each frame that was saved.

::

    20261121_142503_1795271103417.jpg     UTC, then milliseconds since 1970
    20261121_142503_1795271103417.json    {"action_sequence": ["left", "w"], "mouse_look": {"x": 0, "y": 0},
                                           "goal_prompt": "UNLABELED"}

Keys are sorted, at most five; ``["none"]`` when idle. Frames are not evenly spaced: see `scripts.gameplay.timeline`.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import orjson

from scripts.gameplay.keys import MOST, NONE, Held, held
from scripts.lib.cli import describe_os_error
from scripts.lib.files import atomic_path

NAME = re.compile(r"\d{8}_\d{6}_(?P<stamp>\d{9,15})")
PICTURES = (".jpg", ".jpeg")
UNLABELED = "UNLABELED"


class Frame(NamedTuple):
    """One saved frame: milliseconds since 1970, the keys held, its picture, the goal, how far the mouse turned."""

    stamp: int
    keys: Held
    picture: Path
    goal: str = UNLABELED
    look: tuple[float, float] = (0.0, 0.0)


class Fault(NamedTuple):
    """What is wrong with a file of a recording."""

    file: str
    kind: str
    message: str

    def to_json(self) -> dict[str, str]:
        """As quarantine.jsonl and ``--json`` hold it."""
        return self._asdict()


class FrameError(ValueError):
    """Why a frame cannot be used: a sentence, ``kind`` a word for it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def frame_name(stamp: int) -> str:
    """The name of a frame's files, without ending; its date and time are UTC, the same on every machine."""
    return f"{time.strftime('%Y%m%d_%H%M%S', time.gmtime(stamp / 1000))}_{stamp}"


def write_frame(
    folder: Path,
    stamp: int,
    jpeg: bytes,
    keys: Iterable[str],
    goal: str = UNLABELED,
    look: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Writes a frame; the JSON comes last, so that a frame with one is whole."""
    names = sorted(keys)[:MOST] or [NONE]
    value = {"action_sequence": names, "mouse_look": {"x": look[0], "y": look[1]}, "goal_prompt": goal}
    for ending, data in ((".jpg", jpeg), (".json", orjson.dumps(value))):
        with atomic_path(folder / f"{frame_name(stamp)}{ending}") as part:
            part.write_bytes(data)


class Saved(NamedTuple):
    """What a folder holds of one frame; ``keys`` and ``picture`` are None where they are not known or not there."""

    stamp: int
    name: str
    keys: Held | None = None
    picture: Path | None = None
    goal: str = UNLABELED
    look: tuple[float, float] = (0.0, 0.0)
    fault: Fault | None = None


def read_frames(folder: Path) -> tuple[list[Frame], list[Fault]]:
    """A recording's frames in the order of their stamps, and what is wrong with files; pictures stay unread."""
    saved, faults = read_saved(folder)
    frames = [
        Frame(one.stamp, one.keys, one.picture, one.goal, one.look)
        for one in saved
        if one.keys is not None and one.picture is not None
    ]
    frames.sort(key=lambda frame: frame.stamp)
    return frames, [*faults, *(one.fault for one in saved if one.fault is not None)]


def read_saved(folder: Path) -> tuple[list[Saved], list[Fault]]:
    """Everything that is left of each frame, in the order of names; and the faults of what is no frame's."""
    pictures: dict[str, str] = {}
    states: set[str] = set()
    faults: list[Fault] = []
    for file in sorted(entry.name for entry in os.scandir(folder) if not entry.is_dir()):
        name, _, ending = file.rpartition(".")
        if ending == "json" and NAME.fullmatch(name):
            states.add(name)
        elif f".{ending.lower()}" in PICTURES:
            if not NAME.fullmatch(name):
                message = "is not named <date>_<time>_<milliseconds>; rename or remove it."
                faults.append(Fault((folder / file).as_posix(), "name", message))
            elif pictures.setdefault(name, file) != file:
                message = f"{pictures[name]} is the same frame; remove one of the two."
                faults.append(Fault((folder / file).as_posix(), "duplicate", message))
    return [_saved(folder, name, pictures.get(name), name in states) for name in sorted(states | set(pictures))], faults


def _saved(folder: Path, name: str, picture: str | None, has_state: bool) -> Saved:
    state = folder / f"{name}.json"
    found = Saved(int(name.rpartition("_")[2]), name, picture=folder / picture if picture else None)
    try:
        if has_state:
            keys, goal, look = read_state(state)
            found = found._replace(keys=keys, goal=goal, look=look)
        if not has_state or picture is None:
            missing, ending = ("picture", ".jpg") if has_state else ("JSON", ".json")
            raise FrameError("alone", f"has no {missing} ({name}{ending}); remove it, or record again.")
    except FrameError as error:
        path = state if has_state else folder / str(picture)
        return found._replace(fault=Fault(path.as_posix(), error.kind, str(error)))
    return found


def read_state(path: Path) -> tuple[Held, str, tuple[float, float]]:
    """What a frame's JSON says: the keys held, the goal, how far the mouse turned.

    Raises:
        FrameError: it is no JSON, or not of this form, or names an unknown key.
    """
    try:
        value = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise FrameError("json", f"not valid JSON ({error}); it may be cut off: remove the frame.") from error
    except OSError as error:
        raise FrameError("unreadable", describe_os_error(error)) from error
    keys = value.get("action_sequence") if isinstance(value, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise FrameError("json", "has no list `action_sequence` of keys; remove the frame, or correct it.")
    try:
        down = held(keys)
    except ValueError as error:
        raise FrameError("key", f"{error}; correct `action_sequence`.") from error
    goal, look = value.get("goal_prompt", UNLABELED), value.get("mouse_look") or {}
    if not isinstance(goal, str) or not isinstance(look, dict):
        raise FrameError("json", "`goal_prompt` is no text, or `mouse_look` no object; correct or remove the frame.")
    turned = [look.get(axis, 0) for axis in ("x", "y")]
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in turned):
        raise FrameError("json", "`mouse_look` holds no two numbers; correct or remove the frame.")
    return down, goal, (float(turned[0]), float(turned[1]))
