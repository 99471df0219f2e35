"""The raw layout as a recording: frames in the order of their names, states without a picture, unknown states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from scripts.gameplay.keys import code_of
from scripts.gameplay.pictures import PictureForm, decode, one_thread, read_jpeg, write_picture
from scripts.gameplay.raw import Fault, FrameError, Saved, read_saved
from scripts.gameplay.readers.order import in_order
from scripts.gameplay.readers.recording import UNKNOWN, Recording, Turns, states_of
from scripts.lib.workers import Workers

OBJECTS, ABOUT = "objects.jsonl", "recording.json"
BATCH = 64  # pictures that go to a process at once
FEW = 2 * BATCH  # pictures that are not worth a process

Task = tuple[int, Path, Path | None]


class Files:
    """Pictures that are files."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def take(self, wanted: Mapping[int, Path | None], form: PictureForm | None) -> Iterator[tuple[int, Fault | None]]:
        """As `scripts.gameplay.readers.recording.Pictures` says; in several processes where there are many."""
        tasks = iter([(number, self.paths[number], target) for number, target in wanted.items()])
        batches = iter(lambda: list(islice(tasks, BATCH)), [])
        one_thread()
        with Workers(len(wanted) > FEW) as workers:
            for done in workers.each(partial(take_files, form=form), batches):
                yield from done


def take_files(tasks: Sequence[Task], form: PictureForm | None) -> list[tuple[int, Fault | None]]:
    """Looks at some pictures and writes those that have a target."""
    return [(number, take_file(path, target, form)) for number, path, target in tasks]


def take_file(path: Path, target: Path | None, form: PictureForm | None) -> Fault | None:
    """Looks at a picture, writes it where a target is given, and returns what is wrong with it."""
    try:
        picture = decode(read_jpeg(path), form)
    except FrameError as error:
        return Fault(path.as_posix(), error.kind, str(error))
    if target is not None and form is not None:
        write_picture(target, picture, form)
    return None


def read_raw(folder: Path) -> Recording:
    """A folder of frames.

    A frame whose JSON cannot be read leaves the keys unknown until the next; one that lacks only its picture still
    says which keys were held. Frames whose stamps run against the order of their names are left out, and the keys are
    unknown around them; so is a second frame of the same moment.
    """
    saved, faults = read_saved(folder)
    chosen = in_order([one.stamp for one in saved]).tolist()
    wrong = [one.fault or fault for one, fault in zip(saved, misplaced(folder, saved, chosen), strict=True)]
    pictured = [one for one, fault in zip(saved, wrong, strict=True) if fault is None]
    stamps, codes = states_of(states_in(saved, chosen))
    objects, bad_objects = read_objects(folder / OBJECTS)
    about, bad_about = read_about(folder / ABOUT)
    return Recording(
        "changes",
        stamps,
        codes,
        alive=stamps,
        shots=np.array([one.stamp for one in pictured], np.int64),
        pictures=Files([one.picture for one in pictured if one.picture is not None]),
        turns=Turns.of([(one.stamp, *one.look) for one in pictured]),
        goals=[one.goal for one in pictured],
        faults=[*faults, *(fault for fault in wrong if fault is not None), *bad_objects, *bad_about],
        objects=objects,
        about=about,
    )


def states_in(saved: Sequence[Saved], chosen: Sequence[bool]) -> list[tuple[int, int]]:
    """When the keys held became known, or unknown: (milliseconds, code), sorted; ``chosen`` are in order."""
    states: list[tuple[int, int]] = []
    last: Saved | None = None
    for one, kept in zip(saved, chosen, strict=True):
        if not kept:
            states += [(last.stamp + 1, UNKNOWN)] if last else []
            continue
        if last is None or last.stamp != one.stamp:
            states.append((one.stamp, UNKNOWN if one.keys is None else code_of(one.keys)))
        elif last.keys != one.keys:
            states.append((one.stamp, UNKNOWN))
        last = one
    return sorted(states, key=lambda row: row[0])


def misplaced(folder: Path, saved: Sequence[Saved], chosen: Sequence[bool]) -> Iterator[Fault | None]:
    """What is wrong with when each frame was taken; None where nothing is."""
    last: Saved | None = None
    for one, kept in zip(saved, chosen, strict=True):
        name = (folder / f"{one.name}.json").as_posix()
        if not kept:
            message = "its milliseconds run against the order of the names: time ran backwards; remove the frame."
            yield Fault(name, "backwards", message)
            continue
        if last is not None and last.stamp == one.stamp:
            yield Fault(name, "duplicate", f"{last.name} is of the same millisecond; remove one of the two.")
        else:
            yield None
        last = one


def read_objects(path: Path) -> tuple[dict[int, dict[str, Any]], list[Fault]]:
    """The rows of a game's own truth by their stamp, and what is wrong with lines; nothing where there is no file."""
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
    """The recorder's own summary; nothing where there is none."""
    if not path.is_file():
        return {}, []
    try:
        value = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        return {}, [Fault(path.as_posix(), "json", f"not valid JSON ({error}); remove it.")]
    if not isinstance(value, dict):
        return {}, [Fault(path.as_posix(), "json", "is no JSON object; remove it.")]
    return value, []
