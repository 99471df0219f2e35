"""Poses: position, orientation and velocity of a drone or rover.

A pose is a JSON object; the quaternion's parts are named::

    {"position": {"x": 1.0, "y": 2.0, "z": 30.0}, "orientation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0},
     "velocity": {"linear": {"x": 0.0, "y": 0.0, "z": 0.0}, "angular": {"x": 0.0, "y": 0.0, "z": 0.0}}}
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scripts.aerial.mesh import Fault
from scripts.lib.cli import UserError
from scripts.lib.files import read_jsonl

UNIT = 1e-3  # a quaternion's length may differ from 1 by this; it is then normalized


class PoseError(UserError):
    """A fault of one pose; others may be usable."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Pose(NamedTuple):
    """A pose in the world: metres, metres a second, radians a second.

    Attributes:
        frame: its name, ``000000``.
        position: float64 [3], world.
        orientation: float64 [4], x y z w, unit: turns vectors of the body (x ahead, y left, z up) into the world's.
        linear: float64 [3], velocity, world.
        angular: float64 [3], angular velocity, world.
    """

    frame: str
    position: np.ndarray
    orientation: np.ndarray
    linear: np.ndarray = np.zeros(3)
    angular: np.ndarray = np.zeros(3)

    @property
    def yaw(self) -> float:
        """Heading, radians, by the right-hand rule about the world's +z: 0 along +x, pi / 2 along +y."""
        x, y, z, w = self.orientation.tolist()
        return math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))

    @property
    def rotation(self) -> np.ndarray:
        """float64 [3, 3]: body to world."""
        x, y, z, w = self.orientation.tolist()
        return np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )

    def to_json(self) -> dict[str, Any]:
        """The object of this module's docstring."""
        return {
            "position": _named("xyz", self.position),
            "orientation": _named("xyzw", self.orientation),
            "velocity": {"linear": _named("xyz", self.linear), "angular": _named("xyz", self.angular)},
        }


def level_pose(position: tuple[float, float, float], yaw: float = 0.0, frame: str = "000000") -> Pose:
    """A pose that neither rolls nor pitches nor moves; yaw in radians."""
    turn = np.array([0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)])
    return Pose(frame, np.array(position, np.float64), turn)


def read_poses(path: Path) -> tuple[list[Pose], list[Fault]]:
    """Poses in order, and the faults of those that were set aside.

    Args:
        path: a session's folder, its folder of poses (``000000.json`` and so on), or a file of JSON lines, whose frames
            are numbered from 000000 by line, blank lines left out.

    Raises:
        UserError: the path does not exist or holds no pose that can be used.
    """
    if path.is_dir() or path.suffix == ".json":
        folder = path / "poses" if (path / "poses").is_dir() else path
        files = sorted(folder.glob("*.json")) if folder.is_dir() else [path]
        rows = [(file.as_posix(), 0, file.stem, _json(file)) for file in files]
    else:
        lines = enumerate(read_jsonl(path))
        rows = [(path.as_posix(), line, f"{frame:06d}", value) for frame, (line, value) in lines]
    poses, faults = [], gaps(path, [frame for _, _, frame, _ in rows])
    for file, line, frame, value in rows:
        try:
            if isinstance(value, PoseError):
                raise value
            poses.append(pose_of(value, frame))
        except PoseError as error:
            faults.append(Fault(file, error.kind, str(error), (line,) if line else ()))
    if not poses:
        reason = f": {faults[0].place}: {faults[0].message}" if faults else "; it has no 000000.json and no JSON lines."
        raise UserError(f"{path}: no pose that can be used{reason}")
    return poses, faults


def gaps(path: Path, frames: list[str]) -> list[Fault]:
    """The frames that are missing between the first and the last number, as one fault."""
    numbers = [int(frame) for frame in frames if frame.isdecimal()]
    missing = sorted(set(range(min(numbers), max(numbers))) - set(numbers)) if numbers else []
    if not missing:
        return []
    message = f"{len(missing)} frames are missing between {min(numbers):06d} and {max(numbers):06d}, "
    return [Fault(path.as_posix(), "missing_frames", f"{message}the first is {missing[0]:06d}; write them again.")]


def _json(file: Path) -> Any:
    """The content of a JSON file, or its fault."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        return PoseError("json", f"not valid JSON ({error}); write the pose again.")


def pose_of(value: Any, frame: str) -> Pose:
    """A pose from its JSON object; without a velocity, its velocity is 0.

    Raises:
        PoseError: numbers are missing or not finite, or the quaternion is not a unit one.
    """
    position, turn = _numbers(value, "xyz", "position"), _numbers(value, "xyzw", "orientation")
    moves = isinstance(value, dict) and "velocity" in value
    linear = _numbers(value, "xyz", "velocity", "linear") if moves else np.zeros(3)
    angular = _numbers(value, "xyz", "velocity", "angular") if moves else np.zeros(3)
    length = float(np.linalg.norm(turn))
    if abs(length - 1) > UNIT:
        raise PoseError("quaternion", f"orientation has length {length:.4g}; write a unit quaternion x, y, z, w.")
    return Pose(frame, position, turn / length, linear, angular)


def _numbers(value: Any, names: str, *keys: str) -> np.ndarray:
    """float64 [names]: the numbers ``value[key]...[name]``.

    Raises:
        PoseError: one is missing or not finite.
    """
    where = ".".join(keys)
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    values = [value.get(name) for name in names] if isinstance(value, dict) else [None]
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in values):
        raise PoseError("pose", f"{where} has no numbers {', '.join(names)}; write the pose again.")
    numbers = np.array(values, np.float64)
    if not np.isfinite(numbers).all():
        raise PoseError("not_finite", f"{where} is NaN or infinite; write the pose again.")
    return numbers


def _named(names: str, values: np.ndarray) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True)}
