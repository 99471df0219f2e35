"""Poses of the ego vehicle: a vector of 13, the quaternion in the order x y z w, scalar last, as in SciPy.

World coordinates are metres, z up, yaw by the right-hand rule. Ego coordinates: x forward, y left, z up. With rotations
R (ego to world) and positions p, the motion from pose 1 to pose 2 in the coordinates of pose 1 is

    shift = R1' (p2 - p1),    turn = rotation vector of R1' R2.

Example: 2 m north while heading east, then turned to the north: shift (0, 2, 0), turn (0, 0, pi / 2).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

POSE_FIELDS = ("x", "y", "z", "qx", "qy", "qz", "qw", "vx", "vy", "vz", "wx", "wy", "wz")
QUATERNION_ORDER = "xyzw"
POSITION, QUATERNION, LINEAR, ANGULAR = slice(0, 3), slice(3, 7), slice(7, 10), slice(10, 13)
FAR = 1e7  # metres: no map coordinates on Earth are further from their origin


class BadPose(ValueError):
    """What is wrong with a pose, as a clause."""


def pose_from_json(value: Any) -> np.ndarray:
    """The vector of a session's pose object, float64 [13]; its keys name every number.

    ``{"position": {x, y, z}, "orientation": {x, y, z, w}, "velocity": {"linear": {x, y, z}, "angular": {x, y, z}}}``

    Raises:
        BadPose: a key is missing, or a value is not a number.
    """
    try:
        velocity = value["velocity"]
        parts = [
            [value["position"][key] for key in "xyz"],
            [value["orientation"][key] for key in "xyzw"],
            [velocity["linear"][key] for key in "xyz"],
            [velocity["angular"][key] for key in "xyz"],
        ]
        return np.array([number for part in parts for number in part], np.float64)
    except KeyError as error:
        raise BadPose(f"key {error} is missing") from None
    except (TypeError, ValueError):
        raise BadPose("a number was expected where something else stands") from None


def pose_from_wxyz(position: Any, quaternion: Any) -> np.ndarray:
    """A vector from a position and a quaternion with the scalar FIRST, as in nuScenes; velocities 0, float64 [13].

    Raises:
        BadPose: not three and four numbers.
    """
    try:
        place, turn = np.asarray(position, np.float64), np.asarray(quaternion, np.float64)
    except (TypeError, ValueError):
        raise BadPose("translation and rotation are not numbers") from None
    if place.shape != (3,) or turn.shape != (4,):
        raise BadPose(f"translation and rotation have shapes {place.shape} and {turn.shape}, expected (3,) and (4,)")
    return np.concatenate([place, turn[1:], turn[:1], np.zeros(6)])


def checked(pose: np.ndarray, tolerance: float) -> np.ndarray:
    """The pose with its quaternion normalised to length 1.

    Raises:
        BadPose: a number is not finite, the quaternion is not unit, or the position is further away than any map.
    """
    if not np.isfinite(pose).all():
        raise BadPose(f"{POSE_FIELDS[int(np.argmin(np.isfinite(pose)))]} is not finite")
    length = float(np.linalg.norm(pose[QUATERNION]))
    if abs(length - 1) > tolerance:
        raise BadPose(f"the quaternion (order {QUATERNION_ORDER}) has length {length:.4g}, not 1")
    if np.abs(pose[POSITION]).max() > FAR:
        raise BadPose(f"the position is {np.abs(pose[POSITION]).max():.3g} m from the origin")
    result = pose.copy()
    result[QUATERNION] /= length
    return result


def rotations(poses: np.ndarray) -> Rotation:
    """The orientations of poses [..., 13], ego to world."""
    return Rotation.from_quat(poses[..., QUATERNION].reshape(-1, 4))


def with_velocities(poses: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """The same poses with velocities by backward differences, for layouts without any.

    Args:
        poses: [frames, 13].
        seconds: time of each, [frames].
    """
    result = poses.copy()
    if len(poses) < 2:
        return result
    dt = np.diff(seconds)[:, None]
    turns = rotations(poses)
    result[1:, LINEAR] = np.diff(poses[:, POSITION], axis=0) / dt
    result[1:, ANGULAR] = (turns[1:] * turns[:-1].inv()).as_rotvec() / dt
    result[0, LINEAR], result[0, ANGULAR] = result[1, LINEAR], result[1, ANGULAR]
    return result


def motions(poses: np.ndarray) -> np.ndarray:
    """The motion from each pose to the next, shift in metres and turn in radians, [frames - 1, 6]."""
    turns = rotations(poses)
    shift = turns[:-1].inv().apply(np.diff(poses[:, POSITION], axis=0))
    return np.concatenate([shift, (turns[:-1].inv() * turns[1:]).as_rotvec()], axis=1)


def rollout(pose: np.ndarray, steps: np.ndarray, dt: float) -> np.ndarray:
    """Poses [steps, 13] after one motion [steps, 6] after the other; velocities in world coordinates."""
    poses = []
    for step in steps:
        turn = rotations(pose)[0]
        shift, spin = turn.apply(step[:3]), turn.apply(step[3:])
        after = turn * Rotation.from_rotvec(step[3:])
        pose = np.concatenate([pose[POSITION] + shift, after.as_quat(), shift / dt, spin / dt])
        poses.append(pose)
    return np.stack(poses)


def constant_velocity(history: np.ndarray, count: int, dt: float) -> np.ndarray:
    """Poses [count, 13] if the last motion of ``history`` [frames, 13] continued, in ego coordinates."""
    return rollout(history[-1], np.repeat(motions(history[-2:]), count, axis=0), dt)


def position_error(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Metres between poses [..., 13]."""
    return np.linalg.norm(true[..., POSITION] - predicted[..., POSITION], axis=-1)


def orientation_error(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Degrees between poses [..., 13]: ``2 acos |q · q'|``; q and -q are the same orientation."""
    cosine = np.abs((true[..., QUATERNION] * predicted[..., QUATERNION]).sum(-1))
    return np.degrees(2 * np.arccos(np.clip(cosine, 0, 1)))


def features(poses: np.ndarray, grid_voxel: float) -> np.ndarray:
    """The model's input on the motion to each frame, float32 [frames, 13], in the order of `POSE_FIELDS`.

    Position and quaternion are those of the frame in the coordinates of the one before (the first: 0 and no turn),
    velocities are that motion again, in the frame's own coordinates (the first: those of the second). Lengths are in
    voxel sides, speeds in voxel sides a frame, angular velocities in radians a frame, so that no number depends on
    where the city is. The recorded velocities are left out: converters, and this project's sessions, often derive them
    from the next pose (central differences), which would leak the target.
    """
    turns = rotations(poses)
    row = np.zeros((len(poses), 13))
    row[:, 6] = 1
    if len(poses) > 1:
        steps = motions(poses)
        row[1:, POSITION] = steps[:, :3] / grid_voxel
        row[1:, QUATERNION] = (turns[:-1].inv() * turns[1:]).as_quat(canonical=True)
        row[1:, LINEAR] = turns[1:].inv().apply(np.diff(poses[:, POSITION], axis=0)) / grid_voxel
        row[1:, ANGULAR] = steps[:, 3:]
        row[0, LINEAR.start :] = row[1, LINEAR.start :]
    return row.astype(np.float32)


def tilt(pose: np.ndarray) -> np.ndarray:
    """The orientation without its yaw: a quaternion x y z w, float32 [4], its scalar part not negative."""
    level = Rotation.from_euler("z", -yaw(pose)) * rotations(pose)[0]
    return level.as_quat(canonical=True).astype(np.float32)


def yaw(pose: np.ndarray) -> float:
    """The heading of the ego x axis in the ground plane, radians from east, counter-clockwise."""
    forward = rotations(pose)[0].apply([1.0, 0.0, 0.0])
    return float(np.arctan2(forward[1], forward[0]))
