"""The screen messages of an OWAMcap: which frame of which video each refers to, and when that frame was taken.

A message is written when the next frame arrives, up to a second after its own on a screen that stands still; so the
time of a frame is its place in the video, on the clock of the message that came soonest after its frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scripts.gameplay.options import VideoOptions
from scripts.gameplay.raw import Fault
from scripts.gameplay.readers.mcap_file import Reference, Said
from scripts.gameplay.readers.recording import RecordingError

TOLERANCE = 8.0  # milliseconds; half a frame at 60 a second. Containers round to milliseconds.


class Screens:
    """The frames of a video that messages refer to.

    Attributes:
        video: its path.
        places: milliseconds of each picture in the video, float64 [pictures], rising.
        stamps: milliseconds since 1970 at which each was taken, int64 [pictures].
    """

    def __init__(self, video: Path, places: np.ndarray, stamps: np.ndarray, limits: VideoOptions) -> None:
        self.video, self.places, self.stamps, self.limits = video, places, stamps, limits

    def match(self, number: int, time: float, start: float) -> int | None:
        """The picture that is shown at some milliseconds after the video's first frame; None where there is none."""
        found = self.nearest(self.places, np.array([time + self.offset(start)]))
        return int(found[0]) if found[0] >= 0 else None

    def offset(self, start: float) -> float:
        """Where messages see the first frame. OpenCV tells it to a frame: it is 0, or where the first message is."""
        return float(min((0.0, self.places[0]), key=lambda place: abs(place - start)))

    def clock(self, times: Sequence[float], start: float) -> str | None:
        """What is wrong with a video whose frames stand at these milliseconds."""
        frames = np.array(times, np.float64) + self.offset(start)
        short = (self.places[-1] - frames[-1] if len(frames) else self.places[-1] + 1) / 1000
        if not len(frames) or short > self.limits.max_clock_difference:
            return (
                f"the video ends {short:.1f} s before its last event, video.max_clock_difference allows "
                f"{self.limits.max_clock_difference:g}; copy the video again."
            )
        found = int((self.nearest(frames, self.places) >= 0).sum())
        if 2 * found < len(self.places):
            return f"only {found} of {len(self.places)} frames that events name are in it; is it of another recording?"
        return None

    @staticmethod
    def nearest(among: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The place of the nearest of sorted numbers for each value, or -1 where none is near, int64 [values]."""
        right = np.searchsorted(among, values).clip(1, len(among) - 1) if len(among) > 1 else np.zeros(len(values), int)
        left = np.maximum(right - 1, 0)
        best = np.where(np.abs(among[left] - values) <= np.abs(among[right] - values), left, right)
        return np.where(np.abs(among[best] - values) <= TOLERANCE, best, -1)


def screens_of(path: Path, kept: Sequence[Said], limits: VideoOptions) -> tuple[Screens, list[Fault]]:
    """The frames that messages refer to; messages that refer to anything but the usual video are left out and told.

    Raises:
        RecordingError: none refers to a video, or messages and video run at different speeds.
    """
    messages = [one for one in kept if one.kind == "screen"]
    found: list[Reference] = [one.value for one in messages if one.value is not None]
    if not found:
        raise RecordingError("video", "no screen message refers to a frame of a video; nothing can be seen.")
    name = Counter(one.video for one in found).most_common(1)[0][0]
    used = {one.place: one for one in sorted(found, key=lambda one: -one.stamp) if one.video == name}
    rows = [used[place] for place in sorted(used)]
    places, stamps = (np.array([row[at] for row in rows], np.float64) for at in (1, 2))
    apart = drift(places, stamps)
    if apart > limits.max_clock_difference:
        raise RecordingError(
            "clock",
            f"the clocks of {name} and of the events drift {apart:.1f} s apart, video.max_clock_difference allows "
            f"{limits.max_clock_difference:g}; the frames cannot be placed in time.",
        )
    taken = np.rint(places + (stamps - places).min()).astype(np.int64)
    others = len(messages) - sum(one.video == name for one in found)
    message = f"{others} screen messages refer to no frame of {name}; they are left out."
    faults = [Fault(path.as_posix(), "picture", message)] if others else []
    return Screens(path.parent / name, places, taken, limits), faults


def drift(places: np.ndarray, stamps: np.ndarray) -> float:
    """Seconds by which two clocks drift apart between the first and the last quarter of the frames.

    A message may stand anywhere between its own frame and the next; what counts is how far it lies outside.
    """
    if len(places) < 2:
        return 0.0
    since = stamps - (stamps - places).min()
    outside = (since - np.clip(since, places, np.append(places[1:], np.inf)))[:-1]
    part = max(1, len(outside) // 4)
    return float(abs(np.median(outside[-part:]) - np.median(outside[:part]))) / 1000
