"""The pictures of a video, decoded once from its beginning to its end, without seeking."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2

from scripts.gameplay.pictures import PictureForm, write_picture
from scripts.gameplay.raw import Fault
from scripts.gameplay.readers.recording import RecordingError
from scripts.lib.process import job_threads

# The picture of a frame, from the frame's number, its milliseconds since the first frame, and the first frame's
# milliseconds in the file; None for a frame that no event names.
Match = Callable[[int, float, float], int | None]
# What is wrong with the video as a whole, from the milliseconds of all frames and those of the first in the file.
Clock = Callable[[Sequence[float], float], str | None]


class Video:
    """Pictures that are frames of a video."""

    def __init__(self, path: Path, match: Match, clock: Clock) -> None:
        self.path, self.match, self.clock = path, match, clock

    def take(self, wanted: Mapping[int, Path | None], form: PictureForm | None) -> Iterator[tuple[int, Fault | None]]:
        """Implements `scripts.gameplay.readers.recording.Pictures`; the whole video is always decoded."""
        seen: set[int] = set()
        times: list[float] = []
        start = 0.0
        capture = opened(self.path)
        while capture.grab():
            times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
            rate = capture.get(cv2.CAP_PROP_FPS) if len(times) == 1 else 0.0
            if rate > 0:  # CAP_PROP_PTS is the frame's presentation time in frames
                start = 1000 * capture.get(cv2.CAP_PROP_PTS) / rate
            number = self.match(len(times) - 1, times[-1], start)
            if number is None or number not in wanted or number in seen:
                continue
            seen.add(number)
            target, fault = wanted[number], None
            if target is not None and form is not None:
                done, picture = capture.retrieve()
                if done:
                    write_picture(target, picture, form)
                else:
                    message = f"frame {number} cannot be decoded; it is left out."
                    fault = Fault(self.path.as_posix(), "picture", message)
            yield number, fault
        capture.release()
        if problem := self.clock(times, start):
            raise RecordingError("clock", problem)
        missing = [number for number in wanted if number not in seen]
        message = f"{len(missing)} frames that events name are not in it; they are left out. Copy the video again."
        yield from ((number, Fault(self.path.as_posix(), "picture", message)) for number in missing)


def must_be_there(path: Path) -> None:
    """Checks that a video exists.

    Raises:
        RecordingError: it does not.
    """
    if not path.is_file():
        raise RecordingError("alone", f"its video {path.name} is not there; put it beside the events.")


def opened(path: Path) -> Any:
    """The video as an OpenCV capture, before its first frame.

    Raises:
        RecordingError: it is no video, or cut off.
    """
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, job_threads()])
    if not capture.isOpened():
        raise RecordingError("video", f"{path.name} cannot be opened as a video; it may be cut off: copy it again.")
    return capture
