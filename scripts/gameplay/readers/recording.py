"""A recording as every reader returns it: when keys changed, when pictures were taken, and how to read these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from scripts.gameplay.pictures import PictureForm
from scripts.gameplay.raw import Fault, KindError

UNKNOWN = -1  # code of unknown keys, until the next state

# changes: a frame is saved when keys change, so nothing may be saved while a key is held; even: every frame is saved;
# events: key changes are messages of their own, with other messages in between
Rhythm = Literal["changes", "even", "events"]


class RecordingError(KindError):
    """Why a recording cannot be used at all."""


class Turns(NamedTuple):
    """Movements of the mouse: milliseconds int64 [n], to the right and down float64 [n]."""

    stamps: np.ndarray
    right: np.ndarray
    down: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[tuple[int, float, float]]) -> Turns:
        """From (milliseconds, right, down); rows without a movement are left out."""
        moved = [row for row in rows if row[1] or row[2]]
        stamps = np.array([row[0] for row in moved], np.int64)
        return cls(stamps, *(np.array([row[axis] for row in moved], np.float64) for axis in (1, 2)))


class Pictures(Protocol):
    """The pictures of a recording."""

    def take(self, wanted: Mapping[int, Path | None], form: PictureForm | None) -> Iterator[tuple[int, Fault | None]]:
        """Reads pictures by their number, and writes those with a path in this form.

        Yields each number with its picture's fault, or None.

        Raises:
            RecordingError: the pictures turn out to be those of another recording.
        """


@dataclass(frozen=True)
class Recording:
    """A recording.

    Attributes:
        stamps: milliseconds since 1970 at which the keys held became known, int64 [states], never falling.
        held: the keys from then on, int32 [states], a code of `scripts.gameplay.keys`, or `UNKNOWN`.
        alive: milliseconds at which the recorder is known to have run, int64, never falling.
        shots: milliseconds at which each picture was taken, int64 [pictures], never falling.
        turns: the movements of the mouse.
        goals: the goal in each picture's JSON, [pictures]; empty for formats without goals.
        faults: of single files or frames, which are left out.
        ignored: keys outside the vocabulary, by name, and how often they were pressed.
        objects: rows of the game's own state by their stamp.
        about: the recorder's own summary.
    """

    rhythm: Rhythm
    stamps: np.ndarray
    held: np.ndarray
    alive: np.ndarray
    shots: np.ndarray
    pictures: Pictures
    turns: Turns = field(default_factory=lambda: Turns.of([]))
    goals: Sequence[str] = ()
    faults: Sequence[Fault] = ()
    ignored: Counter[str] = field(default_factory=Counter)
    objects: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


def states_of(rows: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Stamps int64 [n] and codes int32 [n], from (milliseconds, code)."""
    return np.array([stamp for stamp, _ in rows], np.int64), np.array([code for _, code in rows], np.int32)
