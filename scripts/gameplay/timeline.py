"""The 10 Hz timeline of a recording: which keys were held in each tick of 100 ms, and which picture was taken there.

Frames are saved unevenly, so the last state is carried forward from one to the next. Where a recorder fell silent for
longer than it would, or the keys are not known, the timeline is cut: a stretch is what lies between two cuts. Ticks
count from the first frame of a stretch; a frame belongs to the nearest tick, so that a capture that comes 50 ms early
or late still finds its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scripts.gameplay.keys import code_of, word_of_code
from scripts.gameplay.options import TimelineOptions
from scripts.gameplay.readers.order import runs
from scripts.gameplay.readers.recording import UNKNOWN, Recording, Turns

TICK = 100  # milliseconds
NO_PICTURE = -1


class Gap(NamedTuple):
    """Where a timeline is cut: after ``at`` milliseconds, for so many seconds, and why."""

    at: int
    seconds: float
    why: str


@dataclass(frozen=True)
class Stretch:
    """Uninterrupted time.

    Attributes:
        start: milliseconds since 1970 of tick 0.
        held: code of the keys held in each tick, int32 [ticks].
        shots: number of the picture nearest to each tick, int64 [ticks]; `NO_PICTURE` where none was taken.
        last: whether the recording truly ends here, and nothing was held after it.
    """

    start: int
    held: np.ndarray
    shots: np.ndarray
    last: bool = False

    def stamp(self, tick: int) -> int:
        """Milliseconds since 1970 of a tick."""
        return self.start + TICK * tick


@dataclass(frozen=True)
class Timeline:
    """The stretches of a recording, in order, and the gaps between them."""

    stretches: list[Stretch]
    gaps: list[Gap]

    @property
    def ticks(self) -> int:
        """Ticks of all stretches."""
        return sum(len(stretch.held) for stretch in self.stretches)

    @property
    def seconds(self) -> float:
        """How long was recorded, gaps left out."""
        return self.ticks * TICK / 1000

    @property
    def pictures(self) -> int:
        """Pictures that are the nearest to a tick."""
        return sum(int((stretch.shots != NO_PICTURE).sum()) for stretch in self.stretches)

    def words(self) -> Counter[str]:
        """In how many ticks each word was held."""
        codes, counts = np.unique([code for one in self.stretches for code in one.held.tolist()], return_counts=True)
        return Counter({word_of_code(int(code)): int(count) for code, count in zip(codes, counts, strict=True)})


class Span(NamedTuple):
    """Time between two cuts, in milliseconds; ``known`` where the keys are known beyond its end to the nearest tick."""

    start: int
    end: int
    known: bool = True

    @property
    def ticks(self) -> int:
        """Ticks from the first to the one nearest to the end, or to the last before keys became unknown."""
        return (self.end - self.start + (TICK // 2 if self.known else 0)) // TICK + 1


def build(recording: Recording, options: TimelineOptions, threshold: float) -> Timeline:
    """The timeline; the camera turns in a tick in which the mouse moved by ``threshold`` or more."""
    if not len(recording.stamps):
        return Timeline([], [])
    spans, gaps = spans_of(recording, options)
    end = int(recording.alive[-1])
    stretches = [
        Stretch(
            span.start,
            held_in(span, recording) | turned_in(span, recording.turns, threshold),
            shots_in(span, recording.shots),
            last=span.known and span.end == end,
        )
        for span in spans
    ]
    return Timeline(stretches, gaps)


def spans_of(recording: Recording, options: TimelineOptions) -> tuple[list[Span], list[Gap]]:
    """Spans between silences, cut again where keys are unknown; and all that lies between them."""
    spans: list[Span] = []
    gaps: list[Gap] = []
    stamps, alive = recording.stamps, recording.alive
    known = np.append(stamps[1:], alive[-1] + 1)  # when the state after each came
    unknown = [(int(stamps[first]), int(known[last])) for first, last in runs(recording.held == UNKNOWN)]
    silences, why = silences_of(recording, options)
    starts, ends = np.append(0, silences + 1), np.append(silences, len(alive) - 1)
    for number, (start, end) in enumerate(zip(alive[starts].tolist(), alive[ends].tolist(), strict=True)):
        rest = start
        for lost, found in unknown:
            if lost <= end and found > rest:
                spans += [Span(rest, lost - 1, known=False)] if lost > rest else []
                add_gap(gaps, max(lost, start), min(found, end), "keys unknown")
                rest = found
        spans += [Span(rest, end)] if rest <= end else []
        if number < len(why):
            add_gap(gaps, end, int(alive[ends[number] + 1]), why[number])
    return spans, gaps


def add_gap(gaps: list[Gap], start: int, end: int, why: str) -> None:
    """Adds a gap in milliseconds; one that follows on another becomes part of it, one without time is none."""
    if end <= start:
        return
    if gaps and gaps[-1].at + round(1000 * gaps[-1].seconds) == start:
        start, why = gaps[-1].at, gaps[-1].why
        gaps.pop()
    gaps.append(Gap(start, (end - start) / 1000, why))


def silences_of(recording: Recording, options: TimelineOptions) -> tuple[np.ndarray, list[str]]:
    """After which signs of life the recorder was silent for longer than it would be, and what it did before that."""
    seconds = np.diff(recording.alive) / 1000
    held = recording.held[:-1] > 0 if recording.rhythm == "changes" else np.zeros(len(seconds), bool)
    idle = options.max_event_gap if recording.rhythm == "events" else options.max_idle_gap
    places = np.flatnonzero(seconds > np.where(held, options.max_held_gap, idle))
    return places, ["silent with keys held" if held[at] else "silent" for at in places.tolist()]


def held_in(span: Span, recording: Recording) -> np.ndarray:
    """The keys of each tick, int32 [ticks]: the last state known at its middle, carried forward.

    A key that went down and came up between two ticks counts in the nearest, or quick taps would be lost.
    """
    first = max(0, int(np.searchsorted(recording.stamps, span.start, "right")) - 1)
    last = int(np.searchsorted(recording.stamps, span.end, "right"))
    codes = recording.held[first:last]
    ticks = np.maximum(0, (recording.stamps[first:last] - span.start + TICK // 2) // TICK)
    groups = np.flatnonzero(np.append(True, np.diff(ticks) > 0))
    final = codes[np.append(groups[1:], len(codes)) - 1]
    carried = np.append(0, final[:-1])
    tapped = np.bitwise_or.reduceat(codes, groups) & ~final & ~carried
    at = ticks[groups]
    held = final[np.searchsorted(at, np.arange(span.ticks), "right") - 1].astype(np.int32)
    inside = at < span.ticks
    held[at[inside]] |= tapped[inside]
    return held


def turned_in(span: Span, turns: Turns, threshold: float) -> np.ndarray:
    """Codes of the camera keys that the mouse stands for in each tick, int32 [ticks]: what it does until the next."""
    first, last = np.searchsorted(turns.stamps, [span.start, span.start + TICK * span.ticks])
    ticks = (turns.stamps[first:last] - span.start) // TICK
    turned = np.zeros(span.ticks, np.int32)
    for moved, more, less in ((turns.right, "right", "left"), (turns.down, "down", "up")):
        total = np.bincount(ticks, moved[first:last], span.ticks)
        turned |= np.where(total >= threshold, code_of([more]), 0).astype(np.int32)
        turned |= np.where(total <= -threshold, code_of([less]), 0).astype(np.int32)
    return turned


def shots_in(span: Span, shots: np.ndarray) -> np.ndarray:
    """The picture nearest to each tick among those that are nearest to no other tick, int64 [ticks]."""
    found = np.full(span.ticks, NO_PICTURE, np.int64)
    first, last = np.searchsorted(shots, [span.start, span.end + 1])
    since = shots[first:last] - span.start
    ticks = (since + TICK // 2) // TICK
    inside = ticks < span.ticks
    numbers, ticks, off = np.arange(first, last)[inside], ticks[inside], np.abs(since - TICK * ticks)[inside]
    order = np.lexsort((off, ticks))
    at, one = np.unique(ticks[order], return_index=True)
    found[at] = numbers[order][one]
    return found
