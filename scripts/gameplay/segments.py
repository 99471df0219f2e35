"""Segments of a timeline, and a sample for each picture: the word now, and the words of the next seven slots.

A window looks across the border of its segment. Only where a recording truly ends is it padded: after that nothing is
held. Before a gap nobody knows what came next, so samples whose window would reach into it are left out and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scripts.gameplay.answer import SLOTS
from scripts.gameplay.keys import NONE, word_of_code
from scripts.gameplay.options import GameplayIngestOptions
from scripts.gameplay.timeline import NO_PICTURE, TICK, Stretch, Timeline
from scripts.lib.sampling import spread


class Sample(NamedTuple):
    """A picture's number and milliseconds, the word held there, and those of the next slots."""

    shot: int
    stamp: int
    now: str
    actions: list[str]


@dataclass(frozen=True)
class Segment:
    """A few seconds of a recording.

    Attributes:
        start: milliseconds since 1970 of the first tick; ``end`` those at which the last tick is over.
        words: what was held in each tick.
        shots: numbers of its pictures, in order.
        samples: those whose window is known, thinned out as the stride says.
    """

    start: int
    end: int
    words: list[str]
    shots: list[int]
    samples: list[Sample]


def segments_of(timeline: Timeline, options: GameplayIngestOptions) -> tuple[list[Segment], Counter[str]]:
    """All segments with samples, and how many pictures, and ticks without any, were left out and why."""
    segments: list[Segment] = []
    dropped: Counter[str] = Counter()
    seen = 0
    for stretch in timeline.stretches:
        words = [word_of_code(code) for code in stretch.held.tolist()]
        pieces = pieces_of(words, options)
        if not pieces:
            dropped["pictures in stretches too short"] += int((stretch.shots != NO_PICTURE).sum())
        for first, last in pieces:
            segment, cut_off = segment_of(stretch, words, first, last)
            dropped["pictures with a gap in their window"] += cut_off
            if not segment.shots:
                dropped["ticks of segments without a picture"] += last - first
                continue
            kept = segment.samples[-seen % options.stride :: options.stride]
            dropped["pictures between strides"] += len(segment.samples) - len(kept)
            seen += len(segment.samples)
            if kept:
                segments.append(Segment(segment.start, segment.end, segment.words, segment.shots, kept))
    return segments, +dropped


def pieces_of(words: Sequence[str], options: GameplayIngestOptions) -> list[tuple[int, int]]:
    """First tick and the one after the last of each piece of a stretch: cut after rests, then by length."""
    least = ticks_of(options.min_segment)
    borders = [0]
    for end in rest_ends(words, ticks_of(options.rest)) if options.rest else []:
        if end - borders[-1] >= least and len(words) - end >= least:
            borders.append(end)
    return [
        (start + first, start + last)
        for start, end in zip(borders, [*borders[1:], len(words)], strict=True)
        for first, last in cut(end - start, ticks_of(options.segment), least)
    ]


def rest_ends(words: Sequence[str], least: int) -> list[int]:
    """The ticks in which a rest of at least so many ticks is over: one that stands still has reached its goal."""
    ends, still = [], 0
    for tick, word in enumerate(words):
        if word != NONE and still >= least:
            ends.append(tick)
        still = still + 1 if word == NONE else 0
    return ends


def ticks_of(seconds: float) -> int:
    """Seconds in ticks."""
    return max(1, round(1000 * seconds / TICK))


def cut(ticks: int, size: int, least: int) -> list[tuple[int, int]]:
    """First tick and the one after the last of each piece; a rest below ``least`` joins the piece before it."""
    borders = list(range(0, ticks, size))
    if ticks - borders[-1] < least:
        borders.pop()
    return list(zip(borders, [*borders[1:], ticks], strict=True)) if borders else []


def segment_of(stretch: Stretch, words: Sequence[str], first: int, last: int) -> tuple[Segment, int]:
    """A piece of a stretch, and how many of its pictures have a gap in their window."""
    ticks = (first + np.flatnonzero(stretch.shots[first:last] != NO_PICTURE)).tolist()
    shots = stretch.shots[ticks].tolist()
    samples = [
        Sample(shot, stretch.stamp(tick), words[tick], window)
        for tick, shot in zip(ticks, shots, strict=True)
        if (window := window_of(words, tick, stretch.last)) is not None
    ]
    segment = Segment(stretch.stamp(first), stretch.stamp(last), list(words[first:last]), shots, samples)
    return segment, len(shots) - len(samples)


def window_of(words: Sequence[str], tick: int, last: bool) -> list[str] | None:
    """The words of the slots after a tick; None where a gap lies among them."""
    window = list(words[tick + 1 : tick + 1 + SLOTS])
    if len(window) == SLOTS:
        return window
    return window + [NONE] * (SLOTS - len(window)) if last else None


def pictures_of(segment: Segment, options: GameplayIngestOptions) -> list[int]:
    """The numbers of the pictures that a segment needs, for samples and for a labeller, in order."""
    return sorted({sample.shot for sample in segment.samples} | set(spread(segment.shots, options.label_frames)))
