"""The project's own sessions: ``<session>/occupancy/000000_occupancy.npz`` and ``<session>/poses/000000.json``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scripts.aerial.world.frames import Frame, Refusals, Session, load_npz
from scripts.aerial.world.options import WorldDataOptions
from scripts.aerial.world.poses import BadPose, checked, pose_from_json
from scripts.lib.cli import UserError
from scripts.lib.files import read_json

OCCUPANCY = re.compile(r"(\d+)_occupancy\.npz")
POSE = re.compile(r"(\d+)\.json")


def sessions(root: Path, options: WorldDataOptions, refused: Refusals) -> Iterator[Session]:
    """Every folder below ``root`` that has occupancy/ and poses/."""
    for folder in sorted(path.parent for path in root.glob("*/occupancy") if path.is_dir()):
        yield Session(folder.name, root.name, list(frames(folder, options, refused)))


def frames(folder: Path, options: WorldDataOptions, refused: Refusals) -> Iterator[Frame]:
    """The frames of a session that have both files and a pose that holds."""
    grids, poses = numbers(folder / "occupancy", OCCUPANCY), numbers(folder / "poses", POSE)
    for number in sorted(grids.keys() | poses.keys()):
        file = f"{folder.name}/occupancy/{grids.get(number, f'{number:06d}_occupancy.npz')}"
        if number not in grids:
            refused.add(file, "file", f"missing, though poses/{poses[number]} is there")
            continue
        if number not in poses:
            refused.add(file, "file", f"poses/{number:06d}.json is missing")
            continue
        name = f"{folder.name}/poses/{poses[number]}"
        try:
            pose = checked(pose_from_json(read_json(folder / "poses" / poses[number])), options.unit_tolerance)
        except (BadPose, UserError) as error:
            refused.add(name, "pose", error)
            continue
        yield Frame(number, file, pose, number * options.dt)


def numbers(folder: Path, pattern: re.Pattern[str]) -> dict[int, str]:
    """File name by frame number; files of another form are no frames."""
    found = ((pattern.fullmatch(path.name), path.name) for path in folder.iterdir()) if folder.is_dir() else ()
    return {int(match[1]): name for match, name in found if match}


def grid(path: Path, pose: np.ndarray, options: WorldDataOptions) -> np.ndarray:
    """The array ``occupancy``, uint8 [x, y, z]."""
    return load_npz(path, "occupancy")
