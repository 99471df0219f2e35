"""What every reader gives: sessions of frames, and what it had to leave out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from scripts.aerial.world.options import WorldClassOptions, WorldDataOptions
from scripts.lib.cli import UserError


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


@dataclass
class Refusals:
    """Frames that are set aside, each with file, row or key, and reason."""

    rows: list[dict[str, str]] = field(default_factory=list)

    def add(self, file: str, where: str, reason: object) -> None:
        """Sets one aside."""
        self.rows.append({"file": file, "where": where, "reason": str(reason)})


class Reader(Protocol):
    """A layout of folders. A module that has these two functions is one."""

    def sessions(self, root: Path, options: WorldDataOptions, refused: Refusals) -> Iterator[Session]:
        """Every session below ``root``; a frame whose pose cannot be read is refused, the rest goes on."""
        ...

    def grid(self, path: Path, pose: np.ndarray, options: WorldDataOptions) -> np.ndarray:
        """The occupancy of a frame in the data's own class numbers, uint8 [x, y, z]; may raise `BadFrame`."""
        ...


def reader_of(layout: str) -> Reader:
    """The reader of a layout by its name in the options."""
    from scripts.aerial.world.readers import occ3d, session, uavscenes

    return {"session": session, "occ3d": occ3d, "uavscenes": uavscenes}[layout]  # type: ignore[return-value]


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


def as_grid(array: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The array as uint8 [x, y, z].

    Raises:
        BadFrame: it has another shape or holds no whole numbers from 0 to 255.
    """
    if array.shape != shape:
        raise BadFrame(f"shape {array.shape}, but data.grid gives {shape}")
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    if not np.issubdtype(array.dtype, np.integer) or array.min() < 0 or array.max() > 255:
        raise BadFrame(f"{array.dtype} with values {array.min()} to {array.max()}, expected class numbers in uint8")
    return array.astype(np.uint8, copy=False)


def merge_table(classes: WorldClassOptions) -> np.ndarray:
    """Class number by the data's number, int16 [256]; -1 for one that is no class."""
    table = np.full(256, -1, np.int16)
    table[: len(classes.names)] = np.arange(len(classes.names))
    for source, number in classes.merge.items():
        if not 0 <= source < 256:
            raise UserError(f"data.classes.merge: {source} is no uint8 number; mend it.")
        table[source] = number
    return table


def merged_grid(grid: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The grid in the model's class numbers, uint8.

    Raises:
        BadFrame: it has a number that is neither a class nor merged into one.
    """
    result = table[grid]
    if result.min() < 0:
        strange = int(grid[result < 0].min())
        raise BadFrame(f"class number {strange} is in neither data.classes.names nor data.classes.merge")
    return result.astype(np.uint8)


def open_grid(
    reader: Reader, root: Path, file: str, pose: np.ndarray, options: WorldDataOptions, table: np.ndarray
) -> np.ndarray:
    """A frame's occupancy in the model's class numbers, uint8 [x, y, z]; may raise `BadFrame`."""
    return merged_grid(as_grid(reader.grid(root / file, pose, options), options.grid.shape), table)


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
