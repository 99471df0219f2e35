"""Segments of a timeline, and a sample for each picture: the word now, and the words of the next seven slots.

A window of seven slots may reach past the end of its segment. It is padded with ``none`` only where the recording truly
ends, because no key is held afterwards. Before a gap the next keys are unknown, so samples whose window reaches into it
are left out and counted. With letters as words and 3 slots instead of 7, for a stretch of six ticks::

    tick                  a    b    c    d         e            f
    before a gap          bcd  cde  def  left out  left out     left out
    at the true end       bcd  cde  def  ef none   f none none  none none none
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scripts.gameplay.answer import SLOTS
from scripts.gameplay.keys import NONE, word_of_code
from scripts.gameplay.options import GameplayIngestOptions
from scripts.gameplay.timeline import NO_PICTURE, TICK, Timeline
from scripts.lib.sampling import spread


class Sample(NamedTuple):
    """A picture's number, its time in milliseconds, the word held there, and the words of the next slots."""

    shot: int
    stamp: int
    now: str
    actions: list[str]


@dataclass(frozen=True)
class Segment:
    """A few seconds of a recording.

    Attributes:
        start: milliseconds since 1970 of the first tick; ``end``: when the last tick is over.
        words: the word held in each tick.
        shots: numbers of its pictures, in order.
        samples: those with a known window, thinned out by the stride.
    """

    start: int
    end: int
    words: list[str]
    shots: list[int]
    samples: list[Sample]


def segments_of(timeline: Timeline, options: GameplayIngestOptions) -> tuple[list[Segment], Counter[str]]:
    """All segments with samples, and the number of pictures and of ticks left out, by reason."""
    segments: list[Segment] = []
    dropped: Counter[str] = Counter()
    seen = 0  # samples of the recording so far: the stride runs on from segment to segment
    for stretch in timeline.stretches:
        words, shots = [word_of_code(code) for code in stretch.held.tolist()], stretch.shots.tolist()
        pieces = pieces_of(words, options)
        if not pieces:
            dropped["pictures in stretches too short"] += len(shots) - shots.count(NO_PICTURE)
        for first, last in pieces:
            ticks = [tick for tick in range(first, last) if shots[tick] != NO_PICTURE]
            if not ticks:
                dropped["ticks of segments without a picture"] += last - first
            windows = {tick: window_of(words, tick, stretch.last) for tick in ticks}
            samples = [
                Sample(shots[tick], stretch.stamp(tick), words[tick], window)
                for tick, window in windows.items()
                if window is not None
            ]
            dropped["pictures with a gap in their window"] += len(ticks) - len(samples)
            kept = samples[-seen % options.stride :: options.stride]
            dropped["pictures between strides"] += len(samples) - len(kept)
            seen += len(samples)
            if kept:
                pictures = [shots[tick] for tick in ticks]
                segments.append(Segment(stretch.stamp(first), stretch.stamp(last), words[first:last], pictures, kept))
    return segments, +dropped


def pieces_of(words: Sequence[str], options: GameplayIngestOptions) -> list[tuple[int, int]]:
    """First tick and the one after the last of each piece of a stretch: cut after rests, then by length.

    After a rest a new piece begins, because an agent that stands still has reached its goal.
    """
    rest, least, size = (
        max(1, round(1000 * seconds / TICK)) for seconds in (options.rest, options.min_segment, options.segment)
    )
    borders, idle = [0], 0
    for tick, word in enumerate(words):
        if word == NONE:
            idle += 1
            continue
        if options.rest and idle >= rest and min(tick - borders[-1], len(words) - tick) >= least:
            borders.append(tick)
        idle = 0
    return [
        (start + first, start + last)
        for start, end in zip(borders, [*borders[1:], len(words)], strict=True)
        for first, last in cut(end - start, size, least)
    ]


def cut(ticks: int, size: int, least: int) -> list[tuple[int, int]]:
    """First tick and the one after the last of each piece; a remainder below ``least`` joins the piece before it."""
    borders = list(range(0, ticks, size))
    if ticks - borders[-1] < least:
        borders.pop()
    return list(zip(borders, [*borders[1:], ticks], strict=True)) if borders else []


def window_of(words: Sequence[str], tick: int, last: bool) -> list[str] | None:
    """The words of the slots after a tick; None if a gap lies among them."""
    window = list(words[tick + 1 : tick + 1 + SLOTS])
    if len(window) == SLOTS:
        return window
    return window + [NONE] * (SLOTS - len(window)) if last else None


def pictures_of(segment: Segment, options: GameplayIngestOptions) -> list[int]:
    """The numbers of the pictures that a segment needs, for its samples and for a labeller, in order."""
    return sorted({sample.shot for sample in segment.samples} | set(spread(segment.shots, options.label_frames)))
