"""The occupancy of a frame in any layout: the choice of a reader, and the model's class numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from scripts.aerial.world.options import WorldClassOptions, WorldDataOptions
from scripts.aerial.world.readers import occ3d, session, uavscenes
from scripts.aerial.world.sessions import BadFrame, Session
from scripts.lib.cli import UserError
from scripts.lib.curation import Row


class Reader(Protocol):
    """A layout of folders. A module that has these two functions is one."""

    def sessions(self, root: Path, options: WorldDataOptions, aside: list[Row]) -> Iterator[Session]:
        """Every session below ``root``; a frame whose pose cannot be read is added to ``aside``."""
        ...

    def grid(self, path: Path, pose: np.ndarray, options: WorldDataOptions) -> np.ndarray:
        """The occupancy of a frame in the data's own class numbers, uint8 [x, y, z]; may raise `BadFrame`."""
        ...


def reader_of(layout: str) -> Reader:
    """The reader of a layout by its name in the options."""
    return {"session": session, "occ3d": occ3d, "uavscenes": uavscenes}[layout]  # type: ignore[return-value]


def merge_table(classes: WorldClassOptions) -> np.ndarray:
    """Class number by the data's number, int16 [256]; -1 for a number that is no class.

    Raises:
        UserError: a number of ``merge`` is not in uint8.
    """
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
    """A frame's occupancy in the model's class numbers, uint8 [x, y, z].

    Raises:
        BadFrame: the file cannot be read, has another shape, or other numbers than those of classes.
    """
    array = reader.grid(root / file, pose, options)
    if array.shape != options.grid.shape:
        raise BadFrame(f"shape {array.shape}, but data.grid gives {options.grid.shape}")
    if array.dtype != np.bool_ and (not np.issubdtype(array.dtype, np.integer) or array.min() < 0 or array.max() > 255):
        raise BadFrame(f"{array.dtype} with values {array.min()} to {array.max()}, expected class numbers in uint8")
    return merged_grid(array.astype(np.uint8, copy=False), table)
