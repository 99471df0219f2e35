"""VPT recordings (Baker et al., Video PreTraining, 2022): a video, and a line of JSON for each frame, 20 a second.

::

    {"milli": 1626210867285, "tick": 0, "isGuiOpen": false,
     "keyboard": {"keys": ["key.keyboard.w"]}, "mouse": {"dx": -12.0, "dy": 0.0, "buttons": []}}
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import compress, zip_longest
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


class Line(NamedTuple):
    """A line: its number from 0, milliseconds, names of keys and buttons, mouse movement to the right and down."""

    number: int
    stamp: int
    keys: list[str]
    right: float
    down: float


def read_vpt(video: Path, mouse: MouseOptions, limits: VideoOptions) -> Recording:
    """A video and the lines beside it; the n-th line is the n-th frame.

    Raises:
        RecordingError: the file of lines or the video is missing.
    """
    must_be_there(video)
    path = video.with_suffix(".jsonl")
    if not path.is_file():
        raise RecordingError("alone", f"has no {path.name} beside it; put it there, or remove the video.")
    rows = list(read_lines(path))
    faults = [row for row in rows if isinstance(row, Fault)]
    sound = [row for row in rows if isinstance(row, Line)]
    chosen = in_order([line.stamp for line in sound])
    for first, last in runs(~chosen):
        start, end = sound[first].number + 1, sound[last].number + 1
        where = f"line {start}" if start == end else f"lines {start} to {end}"
        message = f"{where}: `milli` runs against the order of the lines: time ran backwards; the frames are left out."
        faults.append(Fault(path.as_posix(), "backwards", message))
    lines = list(compress(sound, chosen.tolist()))
    pictures = {line.number: picture for picture, line in enumerate(lines)}
    shots = np.array([line.stamp for line in lines], np.int64)
    stamps, codes = states_of(list(states_in(lines, len(rows))))
    return Recording(
        "even",
        stamps,
        codes,
        alive=stamps,
        shots=shots,
        pictures=Video(video, lambda number, time, start: pictures.get(number), clock_of(len(rows), shots, limits)),
        turns=Turns.of([] if mouse.turns == "off" else [(line.stamp, line.right, line.down) for line in lines]),
        faults=faults,
        ignored=pressed_outside(lines),
    )


def read_lines(path: Path) -> Iterator[Line | Fault]:
    """Each line, or its fault."""
    for number, raw in enumerate(path.read_bytes().rstrip().splitlines()):
        try:
            yield line_of(number, orjson.loads(raw))
        except (FrameError, orjson.JSONDecodeError) as error:
            message = f"line {number + 1}: {error}; its frame is left out. Correct the line; do not remove it."
            yield Fault(path.as_posix(), "json", message)


def line_of(number: int, value: Any) -> Line:
    """A line from its JSON value. While a window of the game is open, the mouse moves a pointer, not the camera.

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
    mouse = mouse if isinstance(mouse, dict) else {}
    moved = [mouse.get(axis, 0) for axis in ("dx", "dy")]
    if not all(map(is_number, moved)):
        raise FrameError("json", "`mouse.dx` or `mouse.dy` is no number")
    right, down = (0.0, 0.0) if value.get("isGuiOpen") else map(float, moved)
    buttons = mouse.get("buttons")
    names = [key.removeprefix("key.keyboard.") for key in keys]
    names += [f"mouse {button}" for button in buttons] if isinstance(buttons, list) else []
    return Line(number, int(stamp), names, right, down)


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def states_in(lines: Sequence[Line], total: int) -> Iterator[tuple[int, int]]:
    """The keys from each line on; unknown where lines before the next one, or before the end, are left out.

    Between two lines of the same millisecond nothing can be unknown.
    """
    for line, after in zip_longest(lines, lines[1:]):
        yield line.stamp, code_of(key for key in line.keys if key in KEYS)
        number, stamp = (total, math.inf) if after is None else (after.number, after.stamp)
        if number > line.number + 1 and stamp > line.stamp:
            yield line.stamp + 1, UNKNOWN


def pressed_outside(lines: Sequence[Line]) -> Counter[str]:
    """How often each key and button outside the vocabulary was pressed."""
    presses: Counter[str] = Counter()
    before: set[str] = set()
    for line in lines:
        down = {key for key in line.keys if key not in KEYS}
        presses.update(down - before)
        before = down
    return presses


def clock_of(lines: int, stamps: np.ndarray, limits: VideoOptions) -> Clock:
    """A function that compares a video's frames with this many lines, whose stamps are int64 [lines in order] in ms."""
    step = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 50.0

    def problem_of(times: Sequence[float], start: float) -> str | None:
        apart = (len(times) - lines) * step / 1000
        if abs(apart) > limits.max_clock_difference:
            more = f"{len(times)} frames for {lines} lines, {abs(apart):.1f} s {'more' if apart > 0 else 'less'}"
            return f"{more} than video.max_clock_difference {limits.max_clock_difference:g} allows; pair them again."
        frame_step = float(np.median(np.diff(times))) if len(times) > 1 else step
        if step > 0 and abs(frame_step / step - 1) > limits.max_rate_difference:
            return (
                f"a frame every {frame_step:.0f} ms for a line every {step:.0f} ms, more than "
                f"video.max_rate_difference {limits.max_rate_difference:g} allows; pair them again."
            )
        return None

    return problem_of
