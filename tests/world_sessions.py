"""Sessions of occupancy written by hand: boxes that stand or move over ground, seen by a vehicle that flies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

SHAPE = (16, 16, 8)
GRID = {"range": [-8, -8, 0, 8, 8, 8], "voxel": [1, 1, 1]}
CLASSES = {"names": ["free", "ground", "tree", "building"]}
BUILDING = 3
DT = 0.5
DATA = {
    "grid": GRID,
    "classes": CLASSES,
    "dt": DT,
    "split": {"block": 60.0, "buffer": 5.0, "val_share": 0.2, "test_share": 0.25, "seed": 3},
}
MODEL = {
    "class_width": 4,
    "channels": 16,
    "multipliers": [1, 2],
    "blocks": 1,
    "attention": False,
    "codes": 64,
    "code_width": 16,
    "width": 32,
    "layers": 1,
    "heads": 2,
    "carry_width": 8,
}


def quaternion(yaw):
    """x y z w of a turn about z."""
    return [0.0, 0.0, float(np.sin(yaw / 2)), float(np.cos(yaw / 2))]


def pose_json(position, yaw, velocity=(0, 0, 0), spin=(0, 0, 0)):
    def named(values, names):
        return dict(zip(names, map(float, values), strict=True))

    return {
        "position": named(position, "xyz"),
        "orientation": named(quaternion(yaw), "xyzw"),
        "velocity": {"linear": named(velocity, "xyz"), "angular": named(spin, "xyz")},
    }


def boxes_of(rng, centre, count=14):
    """Boxes around a place: x, y, half a side, height, and velocity in metres a second, [count, 6]."""
    spots = centre + rng.uniform(-16, 16, (count, 2))
    sizes = np.stack([rng.uniform(1, 2.5, count), rng.uniform(2, 7, count)], 1)
    speed = np.where(rng.random((count, 1)) < 0.2, rng.uniform(-1, 1, (count, 2)), 0.0)
    return np.concatenate([spots, sizes, speed], 1)


def grid_at(boxes, seconds, position, yaw, shape=SHAPE):
    """The world around a pose, uint8: ground in the lowest cells, boxes where the middle of a cell is inside one."""
    x, y, z = (np.arange(count) + 0.5 for count in shape)
    gx, gy = np.meshgrid(x - shape[0] / 2, y - shape[1] / 2, indexing="ij")
    wx = position[0] + np.cos(yaw) * gx - np.sin(yaw) * gy
    wy = position[1] + np.sin(yaw) * gx + np.cos(yaw) * gy
    grid = np.zeros(shape, np.uint8)
    for bx, by, half, height, vx, vy in boxes:
        inside = (np.abs(wx - bx - vx * seconds) <= half) & (np.abs(wy - by - vy * seconds) <= half)
        grid[inside[..., None] & (z < height)] = BUILDING
    grid[..., 0][grid[..., 0] == 0] = 1
    return grid


def write_session(folder: Path, seed: int, centre, frames=16) -> Path:
    """One flight past its own boxes, in the project's layout; every number drawn from the seed."""
    rng = np.random.default_rng(seed)
    boxes = boxes_of(rng, np.asarray(centre, float))
    position = np.array([*(np.asarray(centre) + rng.uniform(-4, 4, 2)), 5.0])
    yaw, turn, speed = rng.uniform(-3, 3), rng.uniform(-0.12, 0.12), rng.uniform(0.8, 1.6)
    (folder / "occupancy").mkdir(parents=True)
    (folder / "poses").mkdir()
    for number in range(frames):
        velocity = np.array([np.cos(yaw), np.sin(yaw), 0]) * speed
        grid = grid_at(boxes, number * DT, position, yaw)
        np.savez_compressed(folder / "occupancy" / f"{number:06d}_occupancy.npz", occupancy=grid)
        pose = pose_json(position, yaw, velocity, (0, 0, turn / DT))
        (folder / "poses" / f"{number:06d}.json").write_text(json.dumps(pose))
        yaw += turn
        position = position + np.array([np.cos(yaw), np.sin(yaw), 0]) * speed * DT
    return folder


def write_sessions(root: Path, count=12, frames=16) -> Path:
    """Several flights, each in a square of its own, 60 m apart."""
    for number in range(count):
        centre = (60 * (number % 4) + 30, 60 * (number // 4) + 30)
        write_session(root / f"drone_20260101_{number:06d}", number, centre, frames)
    return root
