"""The 10 Hz timeline of a recording: the keys held in each tick of 100 ms, and the picture taken there.

Idea. A recorder saves a state when something happens, not at even times. The timeline resamples these states with zero-
order hold: a tick has the last state known at its middle, and that state is carried forward until the next one. A key
that went down and came up between two ticks counts in the nearest tick, so that quick taps are not lost. The timeline
is cut where the recorder was silent for longer than it can be while it runs, and where the keys are unknown; a stretch
is the time between two cuts. Ticks count from the start of their stretch. A picture belongs to the nearest tick, so
that a capture up to 50 ms early or late still reaches its own.

Units. Stamps are integer milliseconds since 1970. Keys are bit codes of `scripts.gameplay.keys`. Mouse movements are
in the recording's own units (counts or pixels).

Example. Frames saved when keys change, without a cut::

    milliseconds   0     100  200  300  400  500  600     700     800   900
    saved frames   none  w                        left+w          none  none
    held           none  w    w    w    w    w    left+w  left+w  none  none
    shots          0     1    -    -    -    -    2       -       3     4
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
KEYS_UNKNOWN = "keys unknown"


class Gap(NamedTuple):
    """Where a timeline is cut: from ``at`` to ``end`` in milliseconds, and why."""

    at: int
    end: int
    why: str

    @property
    def seconds(self) -> float:
        """How long the gap is."""
        return (self.end - self.at) / 1000


@dataclass(frozen=True)
class Stretch:
    """Uninterrupted time.

    Attributes:
        start: milliseconds since 1970 of tick 0.
        held: code of the keys held in each tick, int32 [ticks].
        shots: number of the picture nearest to each tick, int64 [ticks]; `NO_PICTURE` where there is none.
        last: whether the recording truly ends here, with no key held afterwards.
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
        """Recorded time without the gaps."""
        return self.ticks * TICK / 1000

    @property
    def pictures(self) -> int:
        """Pictures that are the nearest to a tick."""
        return sum(int((stretch.shots != NO_PICTURE).sum()) for stretch in self.stretches)

    def words(self) -> Counter[str]:
        """The number of ticks in which each word was held."""
        codes = Counter(code for stretch in self.stretches for code in stretch.held.tolist())
        return Counter({word_of_code(code): count for code, count in sorted(codes.items())})


class Span(NamedTuple):
    """Time between two cuts, in milliseconds; ``known``: the keys stay known beyond its end to the nearest tick."""

    start: int
    end: int
    known: bool = True

    @property
    def ticks(self) -> int:
        """Ticks from the first to the one nearest to the end, or to the last before the keys became unknown."""
        return (self.end - self.start + (TICK // 2 if self.known else 0)) // TICK + 1


def build(recording: Recording, options: TimelineOptions, threshold: float) -> Timeline:
    """The timeline of a recording.

    Args:
        options: how long a recorder may be silent, in seconds.
        threshold: a mouse movement within a tick from which the camera counts as turning, in the recording's units.
    """
    if not len(recording.stamps):
        return Timeline([], [])
    spans, gaps = spans_of(recording, options)
    stretches = [
        Stretch(
            span.start,
            held_in(span, recording) | turned_in(span, recording.turns, threshold),
            shots_in(span, recording.shots),
            last=span.known and span.end == int(recording.alive[-1]),
        )
        for span in spans
    ]
    return Timeline(stretches, gaps)


def spans_of(recording: Recording, options: TimelineOptions) -> tuple[list[Span], list[Gap]]:
    """The spans between cuts, and the cuts as gaps; gaps that touch are one gap."""
    start, end = int(recording.alive[0]), int(recording.alive[-1])
    spans: list[Span] = []
    gaps: list[Gap] = []
    for known_until, at, resumed, why in cuts_of(recording, options):
        if known_until >= start:
            spans.append(Span(start, known_until, known=why != KEYS_UNKNOWN))
        start = max(start, resumed)
        gap = Gap(at, min(resumed, end), why)
        if gaps and gap.at <= gaps[-1].end:
            gaps[-1] = gaps[-1]._replace(end=max(gaps[-1].end, gap.end))
        elif gap.end > gap.at:
            gaps.append(gap)
    if start <= end:
        spans.append(Span(start, end))
    return spans, gaps


def cuts_of(recording: Recording, options: TimelineOptions) -> list[tuple[int, int, int, str]]:
    """Where the recorder was silent for too long, and where keys are unknown, sorted: (known until, from, to, why)."""
    seconds = np.diff(recording.alive) / 1000
    # A recorder that saves changes is silent while a key is held.
    held = recording.held[:-1] > 0 if recording.rhythm == "changes" else np.zeros(len(seconds), bool)
    idle = options.max_event_gap if recording.rhythm == "events" else options.max_idle_gap
    alive, stamps = recording.alive.tolist(), recording.stamps.tolist()
    cuts = [
        (alive[at], alive[at], alive[at + 1], "silent with keys held" if held[at] else "silent")
        for at in np.flatnonzero(seconds > np.where(held, options.max_held_gap, idle)).tolist()
    ]
    stamps.append(alive[-1] + 1)  # after the last state, the keys stay unknown to the end
    for first, last in runs(recording.held == UNKNOWN):
        cuts.append((stamps[first] - 1, stamps[first], stamps[last + 1], KEYS_UNKNOWN))
    return sorted(cuts)


def held_in(span: Span, recording: Recording) -> np.ndarray:
    """The keys of each tick, int32 [ticks]: the last state known at its middle, with the taps since the last tick."""
    first = max(0, int(np.searchsorted(recording.stamps, span.start, "right")) - 1)
    last = int(np.searchsorted(recording.stamps, span.end, "right"))
    codes = recording.held[first:last]
    ticks = np.maximum(0, (recording.stamps[first:last] - span.start + TICK // 2) // TICK)
    groups = np.flatnonzero(np.append(True, np.diff(ticks) > 0))  # the first state of each tick that has any
    final = codes[np.append(groups[1:], len(codes)) - 1]  # the last state of these ticks
    before = np.append(0, final[:-1])
    tapped = np.bitwise_or.reduceat(codes, groups) & ~final & ~before
    ticks = ticks[groups]
    held = final[np.searchsorted(ticks, np.arange(span.ticks), "right") - 1].astype(np.int32)
    inside = ticks < span.ticks
    held[ticks[inside]] |= tapped[inside]
    return held


def turned_in(span: Span, turns: Turns, threshold: float) -> np.ndarray:
    """Codes of the camera keys that the mouse stands for, int32 [ticks]; a tick has the movements until the next."""
    first, last = np.searchsorted(turns.stamps, [span.start, span.start + TICK * span.ticks])
    ticks = (turns.stamps[first:last] - span.start) // TICK
    turned = np.zeros(span.ticks, np.int32)
    for moved, more, less in ((turns.right, "right", "left"), (turns.down, "down", "up")):
        total = np.bincount(ticks, moved[first:last], span.ticks)
        turned |= np.where(total >= threshold, code_of([more]), 0).astype(np.int32)
        turned |= np.where(total <= -threshold, code_of([less]), 0).astype(np.int32)
    return turned


def shots_in(span: Span, shots: np.ndarray) -> np.ndarray:
    """The picture nearest to each tick, int64 [ticks]; a picture counts for its own nearest tick only."""
    first, last = np.searchsorted(shots, [span.start, span.end + 1])
    since = shots[first:last] - span.start
    ticks = (since + TICK // 2) // TICK
    numbers = np.arange(first, last)
    nearest = np.full(span.ticks, NO_PICTURE, np.int64)
    order = np.lexsort((np.abs(since - TICK * ticks), ticks))  # by tick, the nearest first
    with_picture, places = np.unique(ticks[order], return_index=True)
    inside = with_picture < span.ticks
    nearest[with_picture[inside]] = numbers[order][places[inside]]
    return nearest
