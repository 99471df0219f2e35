"""Voxelizes meshes around poses, in the session layout.

Each pose becomes `occupancy/<frame>_occupancy.npz` with the key `occupancy`, uint8 [x, y, z] of the grid's shape: class
numbers, 0 is free; `scripts.aerial.voxels` describes the method. A line a frame on stdout has the occupied cells by
class. Example, for cells of 0.4 × 0.4 × 1.25 m and a house of 4 × 2 × 5 m, of which the cells that its walls, floor and
roof touch are occupied::

    000000  ground 0  tree 0  building 222  occupied 222

`voxels.json` is written last, with the classes, the options, and the name, size and hash of every file.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from tqdm import tqdm

from scripts.aerial.meshes import load_mesh
from scripts.aerial.options import AerialMeshOptions, AerialVoxelOptions
from scripts.aerial.poses import read_poses
from scripts.aerial.scene import scene_of
from scripts.aerial.voxels import Frame, check_reach, occupancy, solid_numbers
from scripts.lib.cli import StageParser, load_params, run, say
from scripts.lib.files import atomic_path, manifest, write_json
from scripts.lib.options.strict import Options


class VoxelizeOptions(Options):
    """The command's --params."""

    mesh: AerialMeshOptions = Field(default=AerialMeshOptions())
    voxels: AerialVoxelOptions = Field(default=AerialVoxelOptions())


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("--mesh", nargs="+", type=Path, required=True, help="OBJ files, or folders of them")
    result.add_argument(
        "--poses", type=Path, required=True, help="a session, its folder of poses, or JSON lines of poses"
    )
    result.add_argument("--out", type=Path, required=True, help="folder to write")
    return result


def main(args: argparse.Namespace) -> None:
    """Writes all frames, then `voxels.json`."""
    options = VoxelizeOptions.parse(load_params(args.params))
    solid = solid_numbers(options.mesh, options.voxels)
    poses, faults = read_poses(args.poses)
    for fault in faults:
        say(f"warning: {fault.place}: {fault.kind}: {fault.message}")
    mesh, mesh_faults = load_mesh(args.mesh, options.mesh)
    scene = scene_of(mesh)
    check_reach(scene, poses, options.voxels)
    rows, started = [], time.monotonic()
    for pose in tqdm(poses, desc="voxelize", unit="frame", disable=None):
        frame = occupancy(scene, pose, options.voxels, solid)
        write_frame(args.out / frame_file(pose.frame), frame)
        cells = {name: int(frame.counts[number]) for name, number in options.mesh.numbers.items()}
        row = {"frame": pose.frame, "occupied": frame.occupied, "cells": cells, "left_out": frame.left_out}
        rows.append(row)
        counts = "  ".join(f"{name} {count:,}" for name, count in cells.items())
        print(f"{pose.frame}  {counts}  occupied {frame.occupied:,}", flush=True)
    report = {
        "classes": {"free": 0, **options.mesh.numbers},
        "shape": list(options.voxels.grid.shape),
        "options": options.model_dump(mode="json"),
        "frames": rows,
        "faults": [fault.to_json() for fault in [*faults, *mesh_faults]],
        "files": manifest(args.out, [frame_file(pose.frame) for pose in poses]),
    }
    write_json(args.out / "voxels.json", report)
    print_summary(rows, options, time.monotonic() - started)


def frame_file(frame: str) -> str:
    """``occupancy/000000_occupancy.npz``."""
    return f"occupancy/{frame}_occupancy.npz"


def write_frame(path: Path, frame: Frame) -> None:
    """Writes the cells; the same cells give the same bytes."""
    with atomic_path(path) as part, part.open("wb") as stream:
        np.savez_compressed(stream, occupancy=frame.grid)


def print_summary(rows: list[dict[str, Any]], options: VoxelizeOptions, seconds: float) -> None:
    """Prints means over all frames, and how many frames have no cell of a class."""
    shape, names = options.voxels.grid.shape, list(options.mesh.numbers)
    means = ", ".join(f"{name} {np.mean([row['cells'][name] for row in rows]):,.0f}" for name in names)
    occupied = np.mean([row["occupied"] for row in rows]) / int(np.prod(shape))
    empty = {name: sum(row["cells"][name] == 0 for row in rows) for name in names}
    without = ", ".join(f"{count} without {name}" for name, count in empty.items() if count)
    ending = f"; frames: {without}" if without else ""
    cells = "×".join(map(str, shape))
    print(f"{len(rows)} frames of {cells} cells; mean a frame: {means}; occupied {occupied:.3%}{ending}")
    left_out = sum(row["left_out"] for row in rows)
    if left_out:
        say(f"warning: {left_out} columns of closed shells could not be told inside from outside and were not filled.")
    say(f"{len(rows) / max(seconds, 1e-9):.1f} frames a second, written files included")


if __name__ == "__main__":
    run(parser, main)
