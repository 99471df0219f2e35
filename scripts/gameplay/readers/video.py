"""The pictures of a video: decoded forward from its beginning to its end, once, never by a seek."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2

from scripts.gameplay.pictures import PictureForm, write_picture
from scripts.gameplay.raw import Fault
from scripts.gameplay.readers.recording import RecordingError
from scripts.lib.process import job_threads

# Which picture a frame is: from its number in the video, its milliseconds since the first, and the milliseconds at
# which the first stands in the file; None for one that no event names.
Match = Callable[[int, float, float], int | None]
# What is wrong with the video as a whole, from the milliseconds of all its frames and where the first stands.
Clock = Callable[[Sequence[float], float], str | None]


class Video:
    """Pictures that are frames of a video."""

    def __init__(self, path: Path, match: Match, clock: Clock) -> None:
        self.path, self.match, self.clock = path, match, clock

    def take(self, wanted: Mapping[int, Path | None], form: PictureForm | None) -> Iterator[tuple[int, Fault | None]]:
        """As `scripts.gameplay.readers.recording.Pictures` says; the whole video is read even if little is wanted."""
        seen: set[int] = set()
        times: list[float] = []
        capture = opened(self.path)
        start = 0.0
        while capture.grab():
            times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
            start = start if len(times) > 1 else start_of(capture)
            number = self.match(len(times) - 1, times[-1], start)
            if number is None or number not in wanted or number in seen:
                continue
            seen.add(number)
            yield number, self._write(capture, number, wanted[number], form)
        capture.release()
        if wrong := self.clock(times, start):
            raise RecordingError("clock", wrong)
        missing = [number for number in wanted if number not in seen]
        message = f"{len(missing)} frames that events name are not in it; they are left out. Copy the video again."
        yield from ((number, Fault(self.path.as_posix(), "picture", message)) for number in missing)

    def _write(self, capture: Any, number: int, target: Path | None, form: PictureForm | None) -> Fault | None:
        if target is None or form is None:
            return None
        done, picture = capture.retrieve()
        if not done:
            return Fault(self.path.as_posix(), "picture", f"frame {number} cannot be decoded; it is left out.")
        write_picture(target, picture, form)
        return None


def must_be_there(path: Path) -> None:
    """Stops where a video is missing.

    Raises:
        RecordingError: it is.
    """
    if not path.is_file():
        raise RecordingError("alone", f"its video {path.name} is not there; put it beside the events.")


def opened(path: Path) -> Any:
    """The video, ready to be read from its beginning.

    Raises:
        RecordingError: it is no video, or cut off.
    """
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, job_threads()])
    if not capture.isOpened():
        raise RecordingError("video", f"{path.name} cannot be opened as a video; it may be cut off: copy it again.")
    return capture


def start_of(capture: Any) -> float:
    """Milliseconds at which the first frame stands in the file, to half a frame; to be called at the first frame."""
    rate = capture.get(cv2.CAP_PROP_FPS)
    return 1000 * capture.get(cv2.CAP_PROP_PTS) / rate if rate > 0 else 0.0
