"""The raw layout as a recording: frames in the order of their names, frames without a picture, unknown keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson

from scripts.gameplay.keys import code_of
from scripts.gameplay.pictures import PictureForm, decode, read_jpeg, write_picture
from scripts.gameplay.raw import ABOUT, Fault, Frame, FrameError, read_saved
from scripts.gameplay.readers.order import in_order
from scripts.gameplay.readers.recording import UNKNOWN, Recording, Turns, states_of
from scripts.lib.workers import Workers

OBJECTS = "objects.jsonl"
BATCH = 64  # pictures that go to a process at once
FEW = 2 * BATCH  # pictures that are not worth a process

Task = tuple[int, Path, Path | None]


class Files:
    """Pictures that are files."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def take(self, wanted: Mapping[int, Path | None], form: PictureForm | None) -> Iterator[tuple[int, Fault | None]]:
        """Implements `scripts.gameplay.readers.recording.Pictures`; many pictures go to several processes."""
        tasks = iter([(number, self.paths[number], target) for number, target in wanted.items()])
        batches = iter(lambda: list(islice(tasks, BATCH)), [])
        cv2.setNumThreads(1)  # forking is unsafe while OpenCV has threads of its own
        with Workers(len(wanted) > FEW) as workers:
            for results in workers.each(partial(take_files, form=form), batches):
                yield from results


def take_files(tasks: Sequence[Task], form: PictureForm | None) -> list[tuple[int, Fault | None]]:
    """Decodes pictures and writes those with a target; returns each number with its picture's fault."""
    results: list[tuple[int, Fault | None]] = []
    for number, path, target in tasks:
        try:
            picture = decode(read_jpeg(path), form)
        except FrameError as error:
            results.append((number, Fault(path.as_posix(), error.kind, str(error))))
            continue
        if target is not None and form is not None:
            write_picture(target, picture, form)
        results.append((number, None))
    return results


def read_raw(folder: Path) -> Recording:
    """A folder of frames.

    A frame whose JSON cannot be read leaves the keys unknown until the next frame; a frame that lacks only its picture
    still gives the keys. A frame whose stamp runs against the order of the names is left out, and the keys are unknown
    around it; a second frame of the same moment is left out too.
    """
    frames, faults = read_saved(folder)
    states, frame_faults = in_time(folder, frames)
    stamps, codes = states_of(states)
    sound = [frame for frame, fault in zip(frames, frame_faults, strict=True) if fault is None]
    objects, bad_objects = read_objects(folder / OBJECTS)
    about, bad_about = read_about(folder / ABOUT)
    return Recording(
        "changes",
        stamps,
        codes,
        alive=stamps,
        shots=np.array([frame.stamp for frame in sound], np.int64),
        pictures=Files([frame.picture for frame in sound if frame.picture is not None]),
        turns=Turns.of([(frame.stamp, *frame.look) for frame in sound]),
        goals=[frame.goal for frame in sound],
        faults=[*faults, *(fault for fault in frame_faults if fault is not None), *bad_objects, *bad_about],
        objects=objects,
        about=about,
    )


def in_time(folder: Path, frames: Sequence[Frame]) -> tuple[list[tuple[int, int]], list[Fault | None]]:
    """The keys over time as sorted (milliseconds, code), and for each frame its fault, or None."""
    states: list[tuple[int, int]] = []
    faults: list[Fault | None] = []
    last: Frame | None = None
    for frame, kept in zip(frames, in_order([frame.stamp for frame in frames]).tolist(), strict=True):
        file, fault = (folder / f"{frame.name}.json").as_posix(), None
        if not kept:
            message = "its milliseconds run against the order of the names: time ran backwards; remove the frame."
            fault = Fault(file, "backwards", message)
            states += [(last.stamp + 1, UNKNOWN)] if last else []
        elif last is not None and last.stamp == frame.stamp:
            fault = Fault(file, "duplicate", f"{last.name} is of the same millisecond; remove one of the two.")
            states += [(frame.stamp, UNKNOWN)] if last.keys != frame.keys else []
        else:
            states.append((frame.stamp, UNKNOWN if frame.keys is None else code_of(frame.keys)))
        last = frame if kept else last
        faults.append(frame.fault or fault)
    return sorted(states, key=lambda state: state[0]), faults


def read_objects(path: Path) -> tuple[dict[int, dict[str, Any]], list[Fault]]:
    """The rows of the game's own state by their stamp, and faults of lines; both empty if there is no file."""
    rows: dict[int, dict[str, Any]] = {}
    faults = []
    for number, line in enumerate(path.read_bytes().splitlines() if path.is_file() else [], 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
            rows[int(row["stamp"])] = row
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            message = f"line {number} is no JSON object with a `stamp` ({error}); correct or remove the line."
            faults.append(Fault(path.as_posix(), "objects", message))
    return rows, faults


def read_about(path: Path) -> tuple[dict[str, Any], list[Fault]]:
    """The recorder's own summary, and its fault; both empty if there is no file."""
    if not path.is_file():
        return {}, []
    try:
        value = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        return {}, [Fault(path.as_posix(), "json", f"not valid JSON ({error}); remove it.")]
    if not isinstance(value, dict):
        return {}, [Fault(path.as_posix(), "json", "is no JSON object; remove it.")]
    return value, []
