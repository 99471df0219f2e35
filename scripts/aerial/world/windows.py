"""Windows of frames, and their split by place: whole squares of ground go to a side, with a buffer between the sides.

Test keeps all its frames. A frame of val that lies nearer than the buffer to one of test is in neither, and so is a
frame of train near one of test or of kept val. A window that touches such a frame, or frames of two sides, is dropped
and counted. `prove` measures the distances again, between the windows that are left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.aerial.world.frames import Frame, Session
from scripts.aerial.world.options import WorldDataOptions, WorldSplitOptions
from scripts.aerial.world.poses import POSITION
from scripts.lib.cli import UserError
from scripts.lib.split import SPLITS, Group, split_groups

ORDER = ("test", "val", "train")  # what lies at a border falls on the later side
CHUNK = 4096  # distances at a time, rows


@dataclass(frozen=True)
class Window:
    """Consecutive frames of a session.

    Attributes:
        group: the square of ground where its last history frame lies: ``tokyo/3_-2``.
    """

    session: str
    place: str
    group: str
    frames: tuple[Frame, ...]

    @property
    def id(self) -> str:
        """``drone_20260101_120000_000012``."""
        return f"{self.session}_{self.frames[0].number:06d}"


@dataclass(frozen=True)
class Cut:
    """Windows by split, and why others are in none."""

    splits: dict[str, list[Window]]
    dropped: dict[str, int]
    gaps: list[str]
    squares: dict[str, int]


def ground(frames: Iterable[Frame]) -> np.ndarray:
    """x and y in metres, [frames, 2]."""
    return np.array([frame.pose[POSITION][:2] for frame in frames], np.float64).reshape(-1, 2)


def block_of(place: str, frame: Frame, side: float) -> str:
    """The square a frame lies in, fixed by its coordinates."""
    x, y = np.floor(frame.pose[POSITION][:2] / side).astype(int).tolist()
    return f"{place}/{x}_{y}"


def cut(sessions: Sequence[Session], options: WorldDataOptions) -> Cut:
    """Windows of all sessions by split.

    Raises:
        UserError: fewer than three squares, or a split is left without a window.
    """
    sides = side_of_frames(sessions, options.split)
    splits: dict[str, list[Window]] = {split: [] for split in SPLITS}
    dropped = {"touch the buffer": 0, "cross from one split to another": 0, "frames missing in a row": 0}
    gaps: list[str] = []
    for session in sessions:
        found, broken = windows_of(session, options)
        dropped["frames missing in a row"] += broken
        gaps += gaps_of(session)
        for window in found:
            here = {sides.get((session.name, frame.number)) for frame in window.frames}
            if None in here:
                dropped["touch the buffer"] += 1
            elif len(here) > 1:
                dropped["cross from one split to another"] += 1
            else:
                splits[here.pop()].append(window)  # type: ignore[index]
    refuse_empty(splits, dropped, options)
    return Cut(splits, dropped, gaps, squares_of(sessions, options.split))


def refuse_empty(splits: dict[str, list[Window]], dropped: dict[str, int], options: WorldDataOptions) -> None:
    """Stops where a split has no window.

    Raises:
        UserError: names the split and where the windows went.
    """
    empty = [split for split in SPLITS if not splits[split]]
    if empty:
        told = ", ".join(f"{count} {why}" for why, count in dropped.items())
        raise UserError(
            f"data.split: {empty[0]} has no window of {options.frames} frames (dropped: {told}); add sessions, or "
            "lower data.split.buffer or change data.split.block."
        )


def squares_of(sessions: Sequence[Session], options: WorldSplitOptions) -> dict[str, int]:
    """Squares of ground by split."""
    sides = side_of_squares(sessions, options)
    return {split: sum(side == split for side in sides.values()) for split in SPLITS}


def side_of_squares(sessions: Sequence[Session], options: WorldSplitOptions) -> dict[str, str]:
    """The split of each square that has frames."""
    squares = {
        block_of(session.place, frame, options.block): session.place for session in sessions for frame in session.frames
    }
    groups = {square: Group(square, place) for square, place in squares.items()}
    return split_groups(groups, options.val_share, options.test_share, options.seed)


def side_of_frames(sessions: Sequence[Session], options: WorldSplitOptions) -> dict[tuple[str, int], str]:
    """The split of each frame by session and number; frames of the buffer are not in it."""
    squares = side_of_squares(sessions, options)
    by_place: dict[str, list[tuple[str, Frame]]] = defaultdict(list)
    for session in sessions:
        by_place[session.place] += [(session.name, frame) for frame in session.frames]
    found: dict[tuple[str, int], str] = {}
    for place, rows in by_place.items():
        sides = [squares[block_of(place, frame, options.block)] for _, frame in rows]
        kept = outside_buffer(ground(frame for _, frame in rows), sides, options.buffer)
        found |= {(name, rows[at][1].number): sides[at] for at, (name, _) in enumerate(rows) if kept[at]}
    return found


def outside_buffer(spots: np.ndarray, sides: Sequence[str], buffer: float) -> np.ndarray:
    """Which frames are no nearer than the buffer to a kept one of an earlier side, bool [frames]."""
    from scipy.spatial import cKDTree

    side = np.array(sides)
    kept = np.ones(len(spots), bool)
    for later, name in enumerate(ORDER[1:], start=1):
        earlier = kept & np.isin(side, ORDER[:later])
        mine = np.flatnonzero(side == name)
        if earlier.any() and mine.size and buffer > 0:
            distances, _ = cKDTree(spots[earlier]).query(spots[mine])
            kept[mine] = distances >= buffer
    return kept


def windows_of(session: Session, options: WorldDataOptions) -> tuple[list[Window], int]:
    """Windows of a session, and how many a missing frame broke."""
    known = {frame.number: frame for frame in session.frames}
    if not known:
        return [], 0
    starts = range(min(known), max(known) - options.frames + 2, options.stride)
    found, broken = [], 0
    for start in starts:
        frames = tuple(known[at] for at in range(start, start + options.frames) if at in known)
        if len(frames) < options.frames:
            broken += 1
            continue
        group = block_of(session.place, frames[options.history - 1], options.split.block)
        found.append(Window(session.name, session.place, group, frames))
    return found, broken


def gaps_of(session: Session) -> list[str]:
    """Runs of missing frames, each as a clause."""
    pairs = zip(session.frames, session.frames[1:], strict=False)
    missing = [(one.number + 1, other.number - 1) for one, other in pairs if other.number > one.number + 1]
    return [
        f"{session.name}: frame {first} is missing"
        if first == last
        else f"{session.name}: frames {first} to {last} are missing"
        for first, last in missing
    ]


def nearest(one: np.ndarray, other: np.ndarray) -> float:
    """The least distance between two sets of spots [n, 2], every pair measured; infinite where one is empty."""
    least = np.inf
    for start in range(0, len(one), CHUNK) if len(other) else ():
        part = one[start : start + CHUNK, None] - other[None]
        least = min(least, float(np.sqrt(np.square(part).sum(-1).min())))
    return least


def prove(splits: dict[str, list[Window]], buffer: float) -> dict[str, float | None]:
    """Least distances in metres between frames of windows of two splits; None where no place has both.

    Raises:
        UserError: two splits are nearer than the buffer: the split is not one, and no score made with it holds.
    """
    found: dict[str, float | None] = {}
    for one, other in (("train", "test"), ("train", "val"), ("val", "test")):
        distances = []
        for place in {window.place for window in splits[one]} & {window.place for window in splits[other]}:
            here = [spots_at(splits[side], place) for side in (one, other)]
            distances.append(nearest(*here))
        least = min(distances, default=None)
        if least is not None and least < buffer:
            raise UserError(
                f"leakage: a frame of {one} lies {least:.2f} m from one of {other}, nearer than data.split.buffer "
                f"{buffer:g} m; this split must not be used. Change data.split, and report this."
            )
        found[f"{one} to {other}"] = least
    return found


def spots_at(windows: Sequence[Window], place: str) -> np.ndarray:
    """Where the frames of windows at a place lie, each once, [n, 2]."""
    frames = {
        (window.session, frame.number): frame for window in windows if window.place == place for frame in window.frames
    }
    return np.unique(ground(frames.values()), axis=0)
