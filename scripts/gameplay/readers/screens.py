"""The screen messages of an OWAMcap: which frame of which video each refers to, and when that frame was taken.

Idea. A message is written when the next frame arrives, up to a second after its own frame if the screen does not
change. A message's time is therefore late by an unknown amount, but the frame's place in the video is exact. So both
clocks are aligned at the message that came soonest after its frame, and each frame is dated by its place::

    place in the video, ms           0    100    200
    message, ms since 1970        1120   1200   1950      message - place: 1120, 1100, 1750; the least is 1100
    frame taken, ms since 1970    1100   1200   1300
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scripts.gameplay.options import VideoOptions
from scripts.gameplay.raw import Fault
from scripts.gameplay.readers.mcap_file import Message, Reference
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
        """The picture of the frame at some milliseconds after the video's first frame; None if there is none."""
        (picture,) = self.nearest(self.places, np.array([time + self.offset(start)])).tolist()
        return picture if picture >= 0 else None

    def offset(self, start: float) -> float:
        """The place of the first frame in messages: 0 or the first message's, whichever is nearer to OpenCV's value.

        OpenCV gives it only to the nearest frame.
        """
        return float(min((0.0, self.places[0]), key=lambda place: abs(place - start)))

    def clock(self, times: Sequence[float], start: float) -> str | None:
        """What is wrong with a video whose frames are at these milliseconds; None if nothing is."""
        frames = np.array(times, np.float64) + self.offset(start)
        short = (self.places[-1] - frames[-1] if len(frames) else self.places[-1] + 1) / 1000
        if not len(frames) or short > self.limits.max_clock_difference:
            return (
                f"the video ends {short:.1f} s before its last event, video.max_clock_difference allows "
                f"{self.limits.max_clock_difference:g}; copy the video again."
            )
        matched = int((self.nearest(frames, self.places) >= 0).sum())
        if 2 * matched < len(self.places):
            return (
                f"only {matched} of {len(self.places)} frames that events name are in it; is it of another recording?"
            )
        return None

    @staticmethod
    def nearest(among: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The place of the nearest of sorted numbers for each value, int64 [values]; -1 if none is near."""
        right = np.searchsorted(among, values).clip(1, len(among) - 1) if len(among) > 1 else np.zeros(len(values), int)
        left = np.maximum(right - 1, 0)
        best = np.where(np.abs(among[left] - values) <= np.abs(among[right] - values), left, right)
        return np.where(np.abs(among[best] - values) <= TOLERANCE, best, -1)


def screens_of(path: Path, kept: Sequence[Message], limits: VideoOptions) -> tuple[Screens, list[Fault]]:
    """The frames that messages refer to; references to other videos than the usual one are left out, with a fault.

    Raises:
        RecordingError: no message refers to a video, or messages and video run at different speeds.
    """
    messages = [message for message in kept if message.kind == "screen"]
    references: list[Reference] = [message.value for message in messages if message.value is not None]
    if not references:
        raise RecordingError("video", "no screen message refers to a frame of a video; nothing can be seen.")
    counts = Counter(reference.video for reference in references)
    name = counts.most_common(1)[0][0]
    # Of several references to one frame, the soonest counts.
    soonest = {ref.place: ref.stamp for ref in sorted(references, key=lambda ref: -ref.stamp) if ref.video == name}
    places, stamps = (np.array(column, np.float64) for column in zip(*sorted(soonest.items()), strict=True))
    apart = drift(places, stamps)
    if apart > limits.max_clock_difference:
        raise RecordingError(
            "clock",
            f"the clocks of {name} and of the events drift {apart:.1f} s apart, video.max_clock_difference allows "
            f"{limits.max_clock_difference:g}; the frames cannot be placed in time.",
        )
    taken = np.rint(places + (stamps - places).min()).astype(np.int64)
    others = len(messages) - counts[name]
    message = f"{others} screen messages refer to no frame of {name}; they are left out."
    faults = [Fault(path.as_posix(), "picture", message)] if others else []
    return Screens(path.parent / name, places, taken, limits), faults


def drift(places: np.ndarray, stamps: np.ndarray) -> float:
    """Seconds by which two clocks, float64 [frames] in ms, drift apart from the first to the last quarter of frames.

    A message may come at any time between its own frame and the next one; only its distance from that interval counts.
    """
    if len(places) < 2:
        return 0.0
    since = stamps - (stamps - places).min()
    outside = (since - np.clip(since, places, np.append(places[1:], np.inf)))[:-1]
    part = max(1, len(outside) // 4)
    return float(abs(np.median(outside[-part:]) - np.median(outside[:part]))) / 1000
