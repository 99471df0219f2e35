"""Windows of frames, and their split by place: squares of ground go to one split whole, with a buffer between splits.

Test keeps all its frames. A frame of val that is nearer than the buffer to one of test is in neither, and so is a frame
of train near one of test or of kept val. A window that has such a frame, or frames of two splits, is dropped and
counted. `prove` measures the distances again, between the windows that are left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from scripts.aerial.world.options import WorldDataOptions, WorldSplitOptions
from scripts.aerial.world.poses import POSITION
from scripts.aerial.world.sessions import Frame, Session
from scripts.lib.cli import UserError
from scripts.lib.curation import check_no_leakage
from scripts.lib.split import SPLITS, Group, counts_of, split_groups

ORDER = ("test", "val", "train")  # a frame near a border is dropped from the later of two splits
CHUNK = 4096  # rows of distances at a time


@dataclass(frozen=True)
class Window:
    """Consecutive frames of a session.

    Attributes:
        group: the square of ground of its last history frame: ``tokyo/3_-2``.
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
    """Windows by split; dropped windows by reason; clauses on missing frames; squares by split."""

    splits: dict[str, list[Window]]
    dropped: dict[str, int]
    gaps: list[str]
    squares: dict[str, int]


def cut(sessions: Sequence[Session], options: WorldDataOptions) -> Cut:
    """Windows of all sessions by split.

    Raises:
        UserError: there are fewer than three squares, or a split has no window.
    """
    squares = side_of_squares(sessions, options.split)
    sides = side_of_frames(sessions, squares, options.split)
    splits: dict[str, list[Window]] = {split: [] for split in SPLITS}
    dropped = {"touch the buffer": 0, "cross from one split to another": 0, "frames missing in a row": 0}
    for session in sessions:
        windows, broken = windows_of(session, options)
        dropped["frames missing in a row"] += broken
        for window in windows:
            of_window = {sides.get((session.name, frame.number)) for frame in window.frames}
            if None in of_window:
                dropped["touch the buffer"] += 1
            elif len(of_window) > 1:
                dropped["cross from one split to another"] += 1
            else:
                splits[of_window.pop()].append(window)  # type: ignore[index]
    if empty := [split for split in SPLITS if not splits[split]]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        raise UserError(
            f"data.split: {empty[0]} has no window of {options.frames} frames (dropped: {reasons}); add sessions, or "
            "lower data.split.buffer or change data.split.block."
        )
    return Cut(splits, dropped, [gap for session in sessions for gap in gaps_of(session)], counts_of(squares))


def block_of(place: str, frame: Frame, side: float) -> str:
    """The square of ``side`` metres that a frame is in, fixed by its coordinates."""
    x, y = np.floor(frame.pose[POSITION][:2] / side).astype(int).tolist()
    return f"{place}/{x}_{y}"


def side_of_squares(sessions: Sequence[Session], options: WorldSplitOptions) -> dict[str, str]:
    """The split of each square that has frames."""
    squares = {
        block_of(session.place, frame, options.block): session.place for session in sessions for frame in session.frames
    }
    groups = {square: Group(square, place) for square, place in squares.items()}
    return split_groups(groups, options.val_share, options.test_share, options.seed)


def side_of_frames(
    sessions: Sequence[Session], squares: dict[str, str], options: WorldSplitOptions
) -> dict[tuple[str, int], str]:
    """The split of each frame by session and number; frames of the buffer are left out."""
    by_place: dict[str, list[tuple[str, Frame]]] = defaultdict(list)
    for session in sessions:
        by_place[session.place] += [(session.name, frame) for frame in session.frames]
    side_of: dict[tuple[str, int], str] = {}
    for place, rows in by_place.items():
        sides = [squares[block_of(place, frame, options.block)] for _, frame in rows]
        kept = outside_buffer(ground(frame for _, frame in rows), sides, options.buffer)
        side_of |= {(name, frame.number): sides[at] for at, (name, frame) in enumerate(rows) if kept[at]}
    return side_of


def ground(frames: Iterable[Frame]) -> np.ndarray:
    """x and y in metres, float64 [frames, 2]."""
    return np.array([frame.pose[POSITION][:2] for frame in frames], np.float64).reshape(-1, 2)


def outside_buffer(spots: np.ndarray, sides: Sequence[str], buffer: float) -> np.ndarray:
    """Which frames are at least the buffer (metres) away from each kept one of an earlier split, bool [frames].

    Args:
        spots: x and y in metres, [frames, 2].
    """
    from scipy.spatial import cKDTree

    side = np.array(sides)
    kept = np.ones(len(spots), bool)
    for later, name in enumerate(ORDER[1:], start=1):
        earlier = kept & np.isin(side, ORDER[:later])
        own = np.flatnonzero(side == name)
        if earlier.any() and own.size and buffer > 0:
            distances, _ = cKDTree(spots[earlier]).query(spots[own])
            kept[own] = distances >= buffer
    return kept


def windows_of(session: Session, options: WorldDataOptions) -> tuple[list[Window], int]:
    """Windows of a session, and how many more there would be without missing frames."""
    known = {frame.number: frame for frame in session.frames}
    if not known:
        return [], 0
    windows, broken = [], 0
    for start in range(min(known), max(known) - options.frames + 2, options.stride):
        frames = tuple(known[at] for at in range(start, start + options.frames) if at in known)
        if len(frames) < options.frames:
            broken += 1
            continue
        group = block_of(session.place, frames[options.history - 1], options.split.block)
        windows.append(Window(session.name, session.place, group, frames))
    return windows, broken


def gaps_of(session: Session) -> list[str]:
    """Runs of missing frames, each as a clause."""
    numbers = [frame.number for frame in session.frames]
    clauses = []
    for before, after in pairwise(numbers):
        if after == before + 2:
            clauses.append(f"{session.name}: frame {before + 1} is missing")
        elif after > before + 2:
            clauses.append(f"{session.name}: frames {before + 1} to {after - 1} are missing")
    return clauses


def prove(splits: dict[str, list[Window]], buffer: float) -> dict[str, float | None]:
    """Least distances in metres between frames of windows of two splits; None where no place has both.

    Raises:
        UserError: a distance is below the buffer: the split is none, and no score made with it holds.
    """
    distances: dict[str, float | None] = {}
    sides: dict[str, str] = {}
    near = []
    for first, second in (("train", "test"), ("train", "val"), ("val", "test")):
        closest = []
        for place in sorted({window.place for window in splits[first]} & {window.place for window in splits[second]}):
            own, other = frames_at(splits, first, place), frames_at(splits, second, place)
            distance, at, other_at = nearest(ground(own.values()), ground(other.values()))
            closest.append(distance)
            if distance < buffer:
                names = list(own)[at], list(other)[other_at]
                sides |= dict(zip(names, (first, second), strict=True))
                near.append((*names, f"{distance:.2f} m apart"))
        distances[f"{first} to {second}"] = min(closest, default=None)
    advice = f"data.split.buffer is {buffer:g} m. Do not use this split; change data.split, and report this."
    check_no_leakage({"near": near}, sides, advice)
    return distances


def frames_at(splits: dict[str, list[Window]], split: str, place: str) -> dict[str, Frame]:
    """The frames of a split's windows at a place, each once, by a name that no other split has."""
    windows = [window for window in splits[split] if window.place == place]
    return {f"{split} {window.session}_{frame.number:06d}": frame for window in windows for frame in window.frames}


def nearest(first: np.ndarray, second: np.ndarray) -> tuple[float, int, int]:
    """The least distance between two sets of spots [n, 2], and the places of both spots; every pair is measured."""
    from scipy.spatial.distance import cdist

    least = (np.inf, 0, 0)
    for start in range(0, len(first), CHUNK):
        distances = cdist(first[start : start + CHUNK], second)
        row, column = np.unravel_index(distances.argmin(), distances.shape)
        least = min(least, (float(distances[row, column]), start + int(row), int(column)))
    return least
