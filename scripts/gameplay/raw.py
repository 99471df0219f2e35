"""The raw layout of a recording: one flat folder with a picture and a JSON file for each saved frame.

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
ABOUT = "recording.json"  # a recorder's summary
UNLABELED = "UNLABELED"


class Fault(NamedTuple):
    """What is wrong with a file of a recording."""

    file: str
    kind: str
    message: str


class KindError(ValueError):
    """An error with a sentence, and with ``kind``, a word for the reason that a `Fault` can take."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class FrameError(KindError):
    """Why a frame cannot be used."""


class Frame(NamedTuple):
    """A saved frame, with ``fault`` where something is wrong with it.

    Attributes:
        stamp: milliseconds since 1970.
        name: of its files, without ending.
        keys: the keys held; None where they are unknown.
        picture: the image file; None where it is missing.
        look: how far the mouse moved, to the right and down.
    """

    stamp: int
    name: str
    keys: Held | None = None
    picture: Path | None = None
    goal: str = UNLABELED
    look: tuple[float, float] = (0.0, 0.0)
    fault: Fault | None = None


def frame_name(stamp: int) -> str:
    """The name of a frame's files, without ending; date and time are UTC, so that it is the same on every machine."""
    return f"{time.strftime('%Y%m%d_%H%M%S', time.gmtime(stamp / 1000))}_{stamp}"


def write_frame(folder: Path, stamp: int, jpeg: bytes, keys: Iterable[str], goal: str = UNLABELED) -> None:
    """Writes a frame; the JSON comes last, so that a frame with a JSON file is complete."""
    names = sorted(keys)[:MOST] or [NONE]
    value = {"action_sequence": names, "mouse_look": {"x": 0.0, "y": 0.0}, "goal_prompt": goal}
    for ending, data in ((".jpg", jpeg), (".json", orjson.dumps(value))):
        with atomic_path(folder / f"{frame_name(stamp)}{ending}") as part:
            part.write_bytes(data)


def read_saved(folder: Path) -> tuple[list[Frame], list[Fault]]:
    """All frames in the order of their names, incomplete ones too; and the faults of files that belong to no frame."""
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
    frames = []
    for name in sorted(states | set(pictures)):
        picture = folder / pictures[name] if name in pictures else None
        frame = Frame(int(name.rpartition("_")[2]), name, picture=picture)
        try:
            if name in states:
                keys, goal, look = read_state(folder / f"{name}.json")
                frame = frame._replace(keys=keys, goal=goal, look=look)
            if name not in states or picture is None:
                missing, ending = ("picture", ".jpg") if name in states else ("JSON", ".json")
                raise FrameError("alone", f"has no {missing} ({name}{ending}); remove it, or record again.")
        except FrameError as error:
            file = f"{name}.json" if name in states else pictures[name]
            frame = frame._replace(fault=Fault((folder / file).as_posix(), error.kind, str(error)))
        frames.append(frame)
    return frames, faults


def read_state(path: Path) -> tuple[Held, str, tuple[float, float]]:
    """The keys held, the goal, and how far the mouse moved, from a frame's JSON.

    Raises:
        FrameError: it is not JSON, not of this form, or names an unknown key.
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
    moved = [look.get(axis, 0) for axis in ("x", "y")]
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in moved):
        raise FrameError("json", "`mouse_look` holds no two numbers; correct or remove the frame.")
    return down, goal, (float(moved[0]), float(moved[1]))
