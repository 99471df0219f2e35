"""The raw layout of a recording: one flat folder, a picture and a JSON file for each frame that was saved.

::

    20261121_142503_1795271103417.jpg     UTC, then milliseconds since 1970
    20261121_142503_1795271103417.json    {"action_sequence": ["left", "w"], "mouse_look": {"x": 0, "y": 0},
                                           "goal_prompt": "UNLABELED"}

Keys are sorted, at most five; ``["none"]`` when idle. Frames are not evenly spaced: see `scripts.gameplay.timeline`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import orjson

from scripts.gameplay.keys import MOST, NONE, Held, held
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


def read_frames(folder: Path) -> tuple[list[Frame], list[Fault]]:
    """A recording's frames in the order of their stamps, and what is wrong with files; pictures stay unread."""
    frames: list[Frame] = []
    faults: list[Fault] = []
    pictures = {path.stem: path for path in folder.iterdir() if path.suffix.lower() in PICTURES}
    states = {path.stem: path for path in folder.iterdir() if path.suffix == ".json" and NAME.fullmatch(path.stem)}
    for name in sorted(pictures.keys() | states.keys()):
        try:
            frames.append(_frame(name, pictures.get(name), states.get(name)))
        except FrameError as error:
            path = states.get(name) or pictures[name]
            faults.append(Fault(path.as_posix(), error.kind, str(error)))
    frames.sort(key=lambda frame: frame.stamp)
    return frames, faults


def _frame(name: str, picture: Path | None, state: Path | None) -> Frame:
    match = NAME.fullmatch(name)
    if match is None:
        raise FrameError("name", "is not named <date>_<time>_<milliseconds>; rename or remove it.")
    if state is None or picture is None:
        missing, ending = ("JSON", ".json") if state is None else ("picture", ".jpg")
        raise FrameError("alone", f"has no {missing} ({name}{ending}); remove it, or record again.")
    try:
        value = orjson.loads(state.read_bytes())
    except orjson.JSONDecodeError as error:
        raise FrameError("json", f"not valid JSON ({error}); it may be cut off: remove the frame.") from error
    return Frame(int(match["stamp"]), *_state(value, picture))


def _state(value: object, picture: Path) -> tuple[Held, Path, str, tuple[float, float]]:
    keys = value.get("action_sequence") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise FrameError("json", "has no list `action_sequence` of keys; remove the frame, or correct it.")
    try:
        down = held(keys)
    except ValueError as error:
        raise FrameError("key", f"{error}; correct `action_sequence`.") from error
    goal, look = value.get("goal_prompt", UNLABELED), value.get("mouse_look") or {}
    if not isinstance(goal, str) or not isinstance(look, dict):
        raise FrameError("json", "`goal_prompt` is no text, or `mouse_look` no object; correct or remove the frame.")
    return down, picture, goal, (float(look.get("x", 0)), float(look.get("y", 0)))
