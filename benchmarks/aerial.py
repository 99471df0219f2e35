"""City meshes into cells, and OBJ files into meshes, against other libraries on the same triangles.

    python -m benchmarks.aerial [--frames 40] [--peers PYTHON]

A generated city of about 40,000 triangles, poses all over it, the full grid of 200 × 200 × 121 cells, ground, trees and
buildings. ``open3d`` turns, crops and scales the triangles in numpy, then voxelises each class; that its cells are read
back is not counted. Both sides end in the same cells, which is checked. trimesh, which divides triangles until they are
small, is shown a small piece. Reading is measured beside trimesh and a plain loop. Times are CPU time of one thread.

The peers are in envs/bench.txt, large, and not in the project's environment: QUESTLINE_PEERS, or --peers, names the
interpreter of one that has them. Without it their ratios are left out, and that is said.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sides import peak_bytes, run_side

OURS, PEERS = ("questline", "piece", "read", "loop"), ("open3d", "trimesh_piece", "trimesh_read")
FLOORS = {"open3d / ours": 3.0, "loop / ours, reading": 2.0}
LIMITS = {"cells that differ from open3d's": 0.0}
LOW, HIGH, VOXEL = np.array([-40.0, -40, -2]), np.array([40.0, 40, 150]), np.array([0.4, 0.4, 1.25])
SHAPE = (200, 200, 121)
PROJECTED = 500 * 10  # frames of the default sessions
PIECE = 60  # triangles


def parser() -> argparse.ArgumentParser:
    """The benchmark's arguments."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--frames", type=int, default=40)
    options.add_argument("--peers", default=os.environ.get("QUESTLINE_PEERS", sys.executable), help="an interpreter")
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options.add_argument(
        "--side", choices=[*OURS, *PEERS], help="measure one side in this process; --folder has the city"
    )
    return options


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Generates city and poses, then runs each side once."""
    with tempfile.TemporaryDirectory(prefix="aerial-") as name:
        folder = Path(name)
        generate(folder, args.frames)
        sides = {side: in_process(sys.executable, side, folder) for side in OURS}
        if subprocess.run([args.peers, "-c", "import open3d, trimesh"], stderr=subprocess.DEVNULL).returncode == 0:
            sides |= {side: in_process(args.peers, side, folder) for side in PEERS}
        else:
            print(
                f"{args.peers} has no open3d and trimesh: install envs/bench.txt elsewhere, name it by --peers",
                file=sys.stderr,
            )
        differ = compare(folder, args.frames) if "open3d" in sides else None
    ours = sides["questline"]["seconds"] / args.frames
    sides["projected, minutes"] = {
        f"{PROJECTED} frames": round(PROJECTED * ours / 60, 2),
        f"{PROJECTED} frames, written": round(PROJECTED * (ours + sides["questline"]["write_seconds"]) / 60, 2),
    }
    return {
        "benchmark": "aerial",
        "sides": {**sides, "frames": args.frames},
        "ratios": ratios(sides, differ),
        "at_least": FLOORS,
        "at_most": LIMITS,
    }


def ratios(sides: dict[str, Any], differ: int | None) -> dict[str, float]:
    """The ratios of the sides that were measured."""
    shown = {
        "ours, frames a second": sides["questline"]["frames"] / sides["questline"]["seconds"],
        "loop / ours, reading": sides["loop"]["seconds"] / sides["read"]["seconds"],
    }
    if differ is not None:
        shown |= {
            "open3d / ours": sides["open3d"]["seconds"] / sides["questline"]["seconds"],
            "cells that differ from open3d's": float(differ),
            "trimesh / ours, a small piece": sides["trimesh_piece"]["seconds"] / sides["piece"]["seconds"],
            "trimesh / ours, reading": sides["trimesh_read"]["seconds"] / sides["read"]["seconds"],
        }
    return shown


def generate(folder: Path, frames: int) -> None:
    """Writes the city, its triangles as arrays for the peers, and poses."""
    from scripts.aerial.meshes import load_mesh
    from scripts.aerial.options import AerialMeshOptions

    command = [sys.executable, "-m", "scripts.aerial.generate", "--out", str(folder / "city")]
    subprocess.run(command, stderr=subprocess.DEVNULL, check=True)
    mesh, _ = load_mesh([folder / "city"], AerialMeshOptions())
    np.savez(folder / "mesh.npz", triangles=mesh.vertices[mesh.triangles], classes=mesh.classes)
    rng = np.random.default_rng(7)
    middle, half = mesh.bounds.mean(axis=0), np.ptp(mesh.bounds, axis=0) / 2
    places = middle + rng.uniform(-0.7, 0.7, (frames, 3)) * half
    np.save(folder / "poses.npy", np.column_stack([places, rng.uniform(-math.pi, math.pi, frames)]))


def in_process(python: str, side: str, folder: Path) -> dict[str, Any]:
    """Runs one side as a command, with one thread."""
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return run_side("aerial", side, {"folder": folder}, python=python, environment=single)


def questline(folder: Path) -> dict[str, Any]:
    """The stage's own functions; the index is built once, and its time and size are stated beside."""
    from scripts.aerial.meshes import load_mesh
    from scripts.aerial.options import AerialMeshOptions, AerialVoxelOptions
    from scripts.aerial.poses import level_pose
    from scripts.aerial.scene import scene_of
    from scripts.aerial.voxelize import write_frame
    from scripts.aerial.voxels import occupancy

    mesh, _ = load_mesh([folder / "city"], AerialMeshOptions())
    scene_of(mesh)  # compiled, or taken from the cache, before the clock starts
    started = time.process_time()
    scene = scene_of(mesh)
    index = time.process_time() - started
    options = AerialVoxelOptions(tolerance=1e-9)  # open3d has none; in 1e-6 m lies a cell in a hundred thousand
    poses = [level_pose(tuple(row[:3]), row[3]) for row in np.load(folder / "poses.npy")]
    occupancy(scene, poses[0], options)
    started = time.process_time()
    frames = [occupancy(scene, pose, options) for pose in poses]
    seconds = time.process_time() - started
    for number, frame in enumerate(frames):
        np.save(folder / f"ours-{number}.npy", frame.grid)
    started = time.process_time()
    write_frame(folder / "frame.npz", frames[0])
    write = time.process_time() - started
    arrays = (scene.corners, scene.rows, scene.classes, scene.boxes, scene.bounds, scene.links)
    return {
        "seconds": round(seconds, 4),
        "frames": len(frames),
        "triangles": len(mesh.triangles),
        "occupied": int(np.mean([frame.occupied for frame in frames])),
        "index_seconds": round(index, 3),
        "index_bytes": sum(array.nbytes for array in arrays),
        "frame_bytes": frames[0].grid.nbytes,
        "write_seconds": round(write, 4),
    }


def ego(triangles: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Triangles [n, 3, 3] as seen from a pose, heights absolute."""
    moved = triangles - [pose[0], pose[1], 0]
    cos, sin = math.cos(pose[3]), math.sin(pose[3])
    return moved @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def in_range(triangles: np.ndarray) -> np.ndarray:
    """bool [n]: whose bounds reach into the range."""
    return ((triangles.max(axis=1) >= LOW) & (triangles.min(axis=1) <= HIGH)).all(axis=1)


def open3d(folder: Path) -> dict[str, Any]:
    """Each class turned, cropped, scaled to cubes and voxelised within the bounds."""
    import open3d

    mesh, poses = np.load(folder / "mesh.npz"), np.load(folder / "poses.npy")
    triangles, classes = mesh["triangles"], mesh["classes"]
    scale = VOXEL[0] / VOXEL
    high = (LOW + np.array(SHAPE) * VOXEL) * scale
    seconds = 0.0
    for number, pose in enumerate(poses):
        started = time.process_time()
        seen = ego(triangles, pose)
        near, grids = in_range(seen), {}
        for value in (1, 2, 3):
            part = seen[near & (classes == value)] * scale
            rows = np.arange(3 * len(part)).reshape(-1, 3)
            vertices = open3d.utility.Vector3dVector(part.reshape(-1, 3))
            surface = open3d.geometry.TriangleMesh(vertices, open3d.utility.Vector3iVector(rows))
            voxels = open3d.geometry.VoxelGrid.create_from_triangle_mesh_within_bounds
            grids[value] = voxels(surface, VOXEL[0], LOW * scale, high)
        seconds += time.process_time() - started
        np.save(folder / f"open3d-{number}.npy", cells_of(grids))
    return {"seconds": round(seconds, 4), "frames": len(poses)}


def cells_of(grids: dict[int, Any]) -> np.ndarray:
    """The grid that voxel grids by class make; the highest class counts."""
    grid = np.zeros(SHAPE, np.uint8)
    for value, voxels in grids.items():
        places = np.array([voxel.grid_index for voxel in voxels.get_voxels()], np.int64).reshape(-1, 3)
        inside = ((places >= 0) & (places < SHAPE)).all(axis=1)
        grid[tuple(places[inside].T)] = value
    return grid


def compare(folder: Path, frames: int) -> int:
    """Cells of all frames that are not the same on both sides."""
    pairs = [(np.load(folder / f"ours-{at}.npy"), np.load(folder / f"open3d-{at}.npy")) for at in range(frames)]
    return sum(int(np.count_nonzero(ours != theirs)) for ours, theirs in pairs)


def piece_of(folder: Path) -> np.ndarray:
    """A few building triangles around the middle of a city, near 0, [n, 3, 3]."""
    mesh = np.load(folder / "mesh.npz")
    buildings = mesh["triangles"][mesh["classes"] == 3]
    middle = buildings.mean(axis=(0, 1))
    nearest = np.argsort(np.linalg.norm(buildings.mean(axis=1) - middle, axis=1))[:PIECE]
    return buildings[nearest] - middle * [1, 1, 0]


def piece(folder: Path) -> dict[str, Any]:
    """Ours, on a small piece, its index included."""
    from scripts.aerial.mesh import Mesh
    from scripts.aerial.options import AerialVoxelOptions
    from scripts.aerial.poses import level_pose
    from scripts.aerial.scene import scene_of
    from scripts.aerial.voxels import occupancy

    triangles = piece_of(folder)
    rows, count = np.arange(3 * len(triangles)).reshape(-1, 3), len(triangles)
    mesh = Mesh(triangles.reshape(-1, 3), rows, np.full(count, 3, np.uint8), np.zeros(count, np.int32), ("piece",))
    occupancy(scene_of(mesh), level_pose((0, 0, 0)), AerialVoxelOptions())
    started = time.process_time()
    frame = occupancy(scene_of(mesh), level_pose((0, 0, 0)), AerialVoxelOptions())
    return {"seconds": round(time.process_time() - started, 5), "cells": frame.occupied}


def trimesh_piece(folder: Path) -> dict[str, Any]:
    """Division into small triangles, on the same piece."""
    import trimesh

    triangles = piece_of(folder) * (VOXEL[0] / VOXEL)
    rows = np.arange(3 * len(triangles)).reshape(-1, 3)
    started = time.process_time()
    mesh = trimesh.Trimesh(triangles.reshape(-1, 3), rows, process=False)
    voxels = trimesh.voxel.creation.voxelize_subdivide(mesh, VOXEL[0])
    return {"seconds": round(time.process_time() - started, 4), "cells": int(voxels.filled_count)}


def read(folder: Path) -> dict[str, Any]:
    """Ours: exact numbers, classes, faults."""
    from scripts.aerial.meshes import load_mesh
    from scripts.aerial.options import AerialMeshOptions

    load_mesh([folder / "city"], AerialMeshOptions())
    started = time.process_time()
    mesh, _ = load_mesh([folder / "city"], AerialMeshOptions())
    return {"seconds": round(time.process_time() - started, 4), "triangles": len(mesh.triangles)}


def loop(folder: Path) -> dict[str, Any]:
    """A plain loop over the lines: vertices and fans, no checks."""
    started = time.process_time()
    count = 0
    for path in sorted((folder / "city").glob("*.obj")):
        vertices, faces = [], []
        for line in path.read_text().splitlines():
            if line.startswith("v "):
                vertices.append([float(word) for word in line.split()[1:4]])
            elif line.startswith("f "):
                corners = [int(word.split("/")[0]) - 1 for word in line.split()[1:]]
                faces += [(corners[0], corners[at], corners[at + 1]) for at in range(1, len(corners) - 1)]
        count += len(np.array(faces)) * bool(len(np.array(vertices)))
    return {"seconds": round(time.process_time() - started, 4), "triangles": count}


def trimesh_read(folder: Path) -> dict[str, Any]:
    """trimesh's own reader, without merging or normals."""
    import trimesh

    started, count = time.process_time(), 0
    for path in sorted((folder / "city").glob("*.obj")):
        count += len(trimesh.load_mesh(path, process=False, maintain_order=True).faces)
    return {"seconds": round(time.process_time() - started, 4), "triangles": count}


WORK = {
    "questline": questline,
    "open3d": open3d,
    "piece": piece,
    "trimesh_piece": trimesh_piece,
    "read": read,
    "loop": loop,
    "trimesh_read": trimesh_read,
}

if __name__ == "__main__":
    arguments = parser().parse_args()
    if arguments.side:
        print(json.dumps(WORK[arguments.side](arguments.folder) | {"peak_bytes": peak_bytes()}))
    else:
        print(json.dumps(measure(arguments)))
