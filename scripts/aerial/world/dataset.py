"""Windows as arrays: what training, scoring and export read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scripts.aerial.world.frames import BadFrame, merge_table, open_grid, reader_of
from scripts.aerial.world.options import WorldDataOptions
from scripts.aerial.world.poses import QUATERNION_ORDER, features, motions, tilt
from scripts.lib.cli import UserError
from scripts.lib.files import below, read_json, read_jsonl


@dataclass(frozen=True)
class Row:
    """A line of train.jsonl; ``poses`` is float64 [history + future, 13]."""

    id: str
    group: str
    dt: float
    frames: list[str]
    poses: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """Windows of one split.

    Attributes:
        root: the folder of all sessions.
        source: the .jsonl file, for messages.
    """

    root: Path
    source: Path
    rows: list[Row]
    options: WorldDataOptions

    @cached_property
    def _reader(self) -> Any:
        return reader_of(self.options.layout)

    @cached_property
    def _table(self) -> np.ndarray:
        return merge_table(self.options.classes)

    def __len__(self) -> int:
        return len(self.rows)

    def grids(self, at: int) -> np.ndarray:
        """Class numbers of a window, uint8 [history + future, x, y, z].

        Raises:
            UserError: a frame that curation could read cannot be read any more.
        """
        row = self.rows[at]
        try:
            return np.stack([self._grid(file, pose) for file, pose in zip(row.frames, row.poses, strict=True)])
        except BadFrame as error:
            raise UserError(
                f"{self.source}, {row.id}: a frame under {self.root} cannot be read ({error}); curate again."
            ) from error

    def _grid(self, file: str, pose: np.ndarray) -> np.ndarray:
        path = below(self.root, file)
        return open_grid(
            self._reader, self.root, path.relative_to(self.root).as_posix(), pose, self.options, self._table
        )

    def sample(self, at: int) -> dict[str, np.ndarray]:
        """A window as the model takes it.

        Returns:
            ``grids`` uint8 [frames, x, y, z], ``motion`` float32 [frames, 13], ``steps`` float32 [frames - 1, 6]
            (metres and radians from each frame to the next), ``tilt`` float32 [4] of the last history frame.
        """
        row = self.rows[at]
        return {
            "grids": self.grids(at),
            "motion": features(row.poses, self.options.grid.voxel[0]),
            "steps": motions(row.poses).astype(np.float32),
            "tilt": tilt(row.poses[self.options.history - 1]),
        }

    def batch(self, places: Sequence[int]) -> dict[str, Any]:
        """Several windows as tensors with a first axis more."""
        import torch

        samples = [self.sample(at) for at in places]
        return {key: torch.from_numpy(np.stack([sample[key] for sample in samples])) for key in samples[0]}

    def evenly(self, count: int | None) -> Dataset:
        """At most so many windows, drawn evenly over the whole."""
        if count is None or count >= len(self.rows):
            return self
        places = np.unique(np.linspace(0, len(self.rows) - 1, count).round().astype(int))
        return Dataset(self.root, self.source, [self.rows[at] for at in places], self.options)


def load_dataset(source: Path, root: Path) -> Dataset:
    """The windows of a .jsonl file, read as dataset.json beside it says.

    Raises:
        UserError: a file is missing or is none that curation writes.
    """
    told = read_json(source.parent / "dataset.json")
    if not isinstance(told, dict) or told.get("quaternion_order") != QUATERNION_ORDER:
        where = source.parent / "dataset.json"
        raise UserError(f"{where}: quaternion_order is not {QUATERNION_ORDER!r}; curate the sessions again.")
    options = WorldDataOptions.parse(told.get("options", {}), str(source.parent / "dataset.json"))
    rows = [row_of(source, number, value, options) for number, value in read_jsonl(source)]
    if not rows:
        raise UserError(f"{source}: no windows; add sessions and curate again.")
    return Dataset(root, source, rows, options)


def row_of(source: Path, number: int, value: Any, options: WorldDataOptions) -> Row:
    """A line of a .jsonl file as a row."""
    try:
        row = Row(
            value["id"], value["group"], float(value["dt"]), value["frames"], np.array(value["poses"], np.float64)
        )
        whole = len(row.frames) == options.frames and row.poses.shape == (options.frames, 13)
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise UserError(f"{source}, line {number}: no window of {options.frames} frames and poses; curate again.")
    return row
