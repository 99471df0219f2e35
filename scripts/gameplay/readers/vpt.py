"""VPT recordings: a video, and a line of JSON for each of its frames, 20 a second.

::

    {"milli": 1626210867285, "tick": 0, "isGuiOpen": false,
     "keyboard": {"keys": ["key.keyboard.w"]}, "mouse": {"dx": -12.0, "dy": 0.0, "buttons": []}}
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

from scripts.gameplay.keys import KEYS, code_of
from scripts.gameplay.options import MouseOptions, VideoOptions
from scripts.gameplay.raw import Fault, FrameError
from scripts.gameplay.readers.order import in_order, runs
from scripts.gameplay.readers.recording import UNKNOWN, Recording, RecordingError, Turns, states_of
from scripts.gameplay.readers.video import Clock, Video, must_be_there

PREFIX = "key.keyboard."


class Line(NamedTuple):
    """What a line says: milliseconds, keys and buttons by name, movement of the mouse to the right and down."""

    stamp: int
    keys: list[str]
    right: float
    down: float


def read_vpt(video: Path, mouse: MouseOptions, limits: VideoOptions) -> Recording:
    """A video and the lines beside it; the n-th line is the n-th frame.

    Raises:
        RecordingError: there is no file of lines, or no video.
    """
    must_be_there(video)
    path = video.with_suffix(".jsonl")
    if not path.is_file():
        raise RecordingError("alone", f"has no {path.name} beside it; put it there, or remove the video.")
    found = list(read_lines(path))
    faults = [line for line in found if isinstance(line, Fault)]
    sound = [(at, line) for at, line in enumerate(found) if isinstance(line, Line)]
    chosen = in_order([line.stamp for _, line in sound])
    faults += [backwards(path, sound[first][0], sound[last][0]) for first, last in runs(~chosen)]
    lines = [row for row, kept in zip(sound, chosen.tolist(), strict=True) if kept]
    stamps = np.array([line.stamp for _, line in lines], np.int64)
    numbers = {at: picture for picture, (at, _) in enumerate(lines)}
    states, codes = states_of(list(states_in(lines, len(found))))
    off = mouse.turns == "off"
    return Recording(
        "even",
        states,
        codes,
        alive=states,
        shots=stamps,
        pictures=Video(video, lambda at, time, start: numbers.get(at), clock_of(len(found), stamps, limits)),
        turns=Turns.of([] if off else [(line.stamp, line.right, line.down) for _, line in lines]),
        faults=faults,
        ignored=pressed_outside([line for _, line in lines]),
    )


def read_lines(path: Path) -> Iterator[Line | Fault]:
    """Each line, or what is wrong with it."""
    for number, raw in enumerate(path.read_bytes().rstrip().splitlines(), 1):
        try:
            yield line_of(orjson.loads(raw))
        except (FrameError, orjson.JSONDecodeError) as error:
            message = f"line {number}: {error}; its frame is left out. Correct the line; do not remove it."
            yield Fault(path.as_posix(), "json", message)


def line_of(value: Any) -> Line:
    """What a line's object says. While a window of the game is open, the mouse moves a pointer and no camera.

    Raises:
        FrameError: it is not of the form.
    """
    keyboard, mouse = (value.get(key) if isinstance(value, dict) else None for key in ("keyboard", "mouse"))
    keys = keyboard.get("keys") if isinstance(keyboard, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise FrameError("json", "no `keyboard.keys`, a list of names")
    stamp = value.get("milli")
    if not is_number(stamp):
        raise FrameError("json", "no `milli`, milliseconds since 1970")
    moved = [mouse.get(axis, 0) for axis in ("dx", "dy")] if isinstance(mouse, dict) else [0, 0]
    if not all(map(is_number, moved)):
        raise FrameError("json", "`mouse.dx` or `mouse.dy` is no number")
    right, down = (0.0, 0.0) if value.get("isGuiOpen") else map(float, moved)
    buttons = mouse.get("buttons") if isinstance(mouse, dict) else None
    down_too = [f"mouse {button}" for button in buttons] if isinstance(buttons, list) else []
    return Line(int(stamp), [key.removeprefix(PREFIX) for key in keys] + down_too, right, down)


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def backwards(path: Path, first: int, last: int) -> Fault:
    """That the time of some lines, counted from 0, runs backwards."""
    where = f"line {first + 1}" if first == last else f"lines {first + 1} to {last + 1}"
    message = f"{where}: `milli` runs against the order of the lines: time ran backwards; the frames are left out."
    return Fault(path.as_posix(), "backwards", message)


def states_in(lines: Sequence[tuple[int, Line]], total: int) -> Iterator[tuple[int, int]]:
    """The keys held from each line on; unknown where lines before the next, or before the end, are left out."""
    following = [*(at for at, _ in lines), total][1:]
    for (at, line), after in zip(lines, following, strict=True):
        yield line.stamp, code_of(key for key in line.keys if key in KEYS)
        if after > at + 1:
            yield line.stamp + 1, UNKNOWN


def pressed_outside(lines: Sequence[Line]) -> Counter[str]:
    """How often each key and button outside the vocabulary was pressed."""
    found: Counter[str] = Counter()
    before: set[str] = set()
    for line in lines:
        down = {key for key in line.keys if key not in KEYS}
        found.update(down - before)
        before = down
    return found


def clock_of(lines: int, stamps: np.ndarray, limits: VideoOptions) -> Clock:
    """What compares a video's frames with so many lines at these milliseconds."""
    step = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 50.0

    def wrong(times: Sequence[float], start: float) -> str | None:
        apart = (len(times) - lines) * step / 1000
        if abs(apart) > limits.max_clock_difference:
            more = f"{len(times)} frames for {lines} lines, {abs(apart):.1f} s {'more' if apart > 0 else 'less'}"
            return f"{more} than video.max_clock_difference {limits.max_clock_difference:g} allows; pair them again."
        shown = float(np.median(np.diff(times))) if len(times) > 1 else step
        if step > 0 and abs(shown / step - 1) > limits.max_rate_difference:
            return (
                f"a frame every {shown:.0f} ms for a line every {step:.0f} ms, more than video.max_rate_difference "
                f"{limits.max_rate_difference:g} allows; pair them again."
            )
        return None

    return wrong
