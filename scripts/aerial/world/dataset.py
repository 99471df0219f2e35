"""Windows as arrays, for training, scoring and export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

    def __len__(self) -> int:
        return len(self.rows)

    def grids(self, at: int) -> np.ndarray:
        """Class numbers of a window, uint8 [history + future, x, y, z].

        Raises:
            UserError: a frame that curation could read cannot be read any more.
        """
        row, table = self.rows[at], merge_table(self.options.classes)
        reader = reader_of(self.options.layout)
        paths = [below(self.root, file).relative_to(self.root).as_posix() for file in row.frames]
        try:
            frames = [
                open_grid(reader, self.root, path, pose, self.options, table)
                for path, pose in zip(paths, row.poses, strict=True)
            ]
        except BadFrame as error:
            raise UserError(
                f"{self.source}, {row.id}: a frame under {self.root} cannot be read ({error}); curate again."
            ) from error
        return np.stack(frames)

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
        """Samples of several windows as tensors, stacked along a new first axis."""
        import torch

        samples = [self.sample(at) for at in places]
        return {key: torch.from_numpy(np.stack([sample[key] for sample in samples])) for key in samples[0]}

    def evenly(self, count: int | None) -> Dataset:
        """At most so many windows, spread evenly over all."""
        if count is None or count >= len(self.rows):
            return self
        places = np.unique(np.linspace(0, len(self.rows) - 1, count).round().astype(int))
        return Dataset(self.root, self.source, [self.rows[at] for at in places], self.options)


def load_dataset(source: Path, root: Path) -> Dataset:
    """The windows of a .jsonl file, read as dataset.json beside it says.

    Raises:
        UserError: a file is missing, or curation did not write it.
    """
    path = source.parent / "dataset.json"
    curated = read_json(path)
    if not isinstance(curated, dict) or curated.get("quaternion_order") != QUATERNION_ORDER:
        raise UserError(f"{path}: quaternion_order is not {QUATERNION_ORDER!r}; curate the sessions again.")
    options = WorldDataOptions.parse(curated.get("options", {}), str(path))
    rows = []
    for number, value in read_jsonl(source):
        try:
            poses = np.array(value["poses"], np.float64)
            rows.append(Row(value["id"], value["group"], float(value["dt"]), value["frames"], poses))
            whole = len(rows[-1].frames) == options.frames and poses.shape == (options.frames, 13)
        except (KeyError, TypeError, ValueError):
            whole = False
        if not whole:
            raise UserError(f"{source}, line {number}: no window of {options.frames} frames and poses; curate again.")
    if not rows:
        raise UserError(f"{source}: no windows; add sessions and curate again.")
    return Dataset(root, source, rows, options)
