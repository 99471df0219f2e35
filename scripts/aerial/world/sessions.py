"""Sessions of frames, as every reader returns them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scripts.aerial.world.poses import with_velocities
from scripts.lib.curation import Row, quarantined


class BadFrame(ValueError):
    """What is wrong with a frame, as a clause."""


@dataclass(frozen=True)
class Frame:
    """One moment of a session.

    Attributes:
        number: frames whose numbers follow each other belong together in time.
        file: of the occupancy, relative to the folder of all sessions, with forward slashes.
        pose: float64 [13], as `scripts.aerial.world.poses` has it.
        seconds: since any moment, the same for the whole session.
    """

    number: int
    file: str
    pose: np.ndarray
    seconds: float


@dataclass(frozen=True)
class Session:
    """Frames of one drive or flight, sorted by number.

    Attributes:
        place: sessions of the same place share their world coordinates.
    """

    name: str
    place: str
    frames: list[Frame]


def load_npz(path: Path, key: str) -> np.ndarray:
    """One array of an .npz file; pickled objects are never loaded.

    Raises:
        BadFrame: the file is missing, cut short, or has no such key.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if key not in arrays:
                raise BadFrame(f"no array {key!r}, only {', '.join(arrays.files) or 'none'}")
            return arrays[key]
    except FileNotFoundError:
        raise BadFrame("no such file") from None
    except BadFrame:
        raise
    except Exception as error:  # numpy and zipfile raise a dozen kinds for a file that is cut short
        raise BadFrame(f"cannot be read as .npz ({type(error).__name__})") from error


def numbered(seconds: list[float]) -> list[int]:
    """Numbers for frames known by their times: a pause of twice the usual step leaves one number out.

    Raises:
        BadFrame: two frames have the same time.
    """
    if len(seconds) < 2:
        return list(range(len(seconds)))
    steps = np.diff(np.asarray(seconds, np.float64))
    if steps.min() <= 0:
        raise BadFrame(f"time {seconds[int(np.argmin(steps))]} stands twice")
    return [0, *np.cumsum(np.maximum(1, np.round(steps / np.median(steps)))).astype(int).tolist()]


def in_order(session: Session, aside: list[Row]) -> Session:
    """The session sorted and numbered by time, with velocities from differences; set aside whole where times repeat."""
    frames = sorted(session.frames, key=lambda frame: frame.seconds)
    seconds = [frame.seconds for frame in frames]
    try:
        numbers = numbered(seconds)
    except BadFrame as error:
        aside.append(quarantined(session.name, None, "time", error))
        return replace(session, frames=[])
    if not frames:
        return session
    poses = with_velocities(np.stack([frame.pose for frame in frames]), np.array(seconds))
    rows = zip(frames, numbers, poses, strict=True)
    return replace(session, frames=[replace(frame, number=number, pose=pose) for frame, number, pose in rows])
