"""The project's own sessions: ``<session>/occupancy/000000_occupancy.npz`` and ``<session>/poses/000000.json``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scripts.aerial.world.options import WorldDataOptions
from scripts.aerial.world.poses import BadPose, checked, pose_from_json
from scripts.aerial.world.sessions import Frame, Session, load_npz
from scripts.lib.cli import UserError
from scripts.lib.curation import Row, quarantined
from scripts.lib.files import read_json

OCCUPANCY = re.compile(r"(\d+)_occupancy\.npz")
POSE = re.compile(r"(\d+)\.json")


def sessions(root: Path, options: WorldDataOptions, aside: list[Row]) -> Iterator[Session]:
    """Every folder below ``root`` that has occupancy/ and poses/."""
    for folder in sorted(path.parent for path in root.glob("*/occupancy") if path.is_dir()):
        yield Session(folder.name, root.name, list(frames(folder, options, aside)))


def frames(folder: Path, options: WorldDataOptions, aside: list[Row]) -> Iterator[Frame]:
    """The frames of a session that have both files and a valid pose."""
    grids, poses = numbers(folder / "occupancy", OCCUPANCY), numbers(folder / "poses", POSE)
    for number in sorted(grids.keys() | poses.keys()):
        file = f"{folder.name}/occupancy/{grids.get(number, f'{number:06d}_occupancy.npz')}"
        if number not in grids:
            aside.append(quarantined(file, None, "missing", f"missing, though poses/{poses[number]} is there"))
        elif number not in poses:
            aside.append(quarantined(file, None, "missing", f"poses/{number:06d}.json is missing"))
        else:
            try:
                pose = checked(pose_from_json(read_json(folder / "poses" / poses[number])), options.unit_tolerance)
            except (BadPose, UserError) as error:
                aside.append(quarantined(f"{folder.name}/poses/{poses[number]}", None, "pose", error))
            else:
                yield Frame(number, file, pose, number * options.dt)


def numbers(folder: Path, pattern: re.Pattern[str]) -> dict[int, str]:
    """File name by frame number; files with another form of name are no frames."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return {int(match[1]): name for name in names if (match := pattern.fullmatch(name))}


def grid(path: Path, pose: np.ndarray, options: WorldDataOptions) -> np.ndarray:
    """The array ``occupancy``, uint8 [x, y, z]."""
    return load_npz(path, "occupancy")
