"""Fills the cells around poses from meshes, in the session layout.

For each pose `occupancy/<frame>_occupancy.npz` with the key `occupancy`, uint8 of the grid's shape: class numbers, 0 is
free. One line a frame on stdout: occupied cells by class. `voxels.json` comes last, with the classes, the options, and
every file's name, size and hash.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from tqdm import tqdm

from scripts.aerial.mesh import Fault
from scripts.aerial.meshes import load_mesh
from scripts.aerial.options import AerialMeshOptions, AerialVoxelOptions
from scripts.aerial.poses import Pose, read_poses
from scripts.aerial.scene import Scene, scene_of
from scripts.aerial.voxels import Frame, check_reach, occupancy, solid_numbers
from scripts.lib.cli import StageParser, load_params, run, say
from scripts.lib.files import atomic_path, manifest, write_json
from scripts.lib.options.strict import Options


class VoxelizeOptions(Options):
    """What the command takes as --params."""

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
    """Writes all frames."""
    options = VoxelizeOptions.parse(load_params(args.params))
    solid = solid_numbers(options.mesh, options.voxels)
    poses, faults = read_poses(args.poses)
    for fault in faults:
        say(f"warning: {fault.place}: {fault.kind}: {fault.message}")
    mesh, mesh_faults = load_mesh(args.mesh, options.mesh)
    scene = scene_of(mesh)
    check_reach(scene, poses, options.voxels)
    rows, started = [], time.monotonic()
    for pose, frame in frames(scene, poses, options.voxels, solid):
        write_frame(args.out / frame_file(pose.frame), frame)
        rows.append(frame_row(pose, frame, options.mesh))
        print(frame_line(rows[-1]), flush=True)
    finish(args.out, rows, [*faults, *mesh_faults], options)
    print_summary(rows, options, time.monotonic() - started)


def frames(
    scene: Scene, poses: Sequence[Pose], options: AerialVoxelOptions, solid: frozenset[int]
) -> Iterator[tuple[Pose, Frame]]:
    """Each pose with its cells."""
    for pose in tqdm(poses, desc="voxelize", unit="frame", disable=None):
        yield pose, occupancy(scene, pose, options, solid)


def frame_file(frame: str) -> str:
    """``occupancy/000000_occupancy.npz``."""
    return f"occupancy/{frame}_occupancy.npz"


def write_frame(path: Path, frame: Frame) -> None:
    """Writes the cells; the same cells give the same bytes."""
    with atomic_path(path) as part, part.open("wb") as stream:
        np.savez_compressed(stream, occupancy=frame.grid)


def frame_row(pose: Pose, frame: Frame, options: AerialMeshOptions) -> dict[str, Any]:
    """Occupied cells by class."""
    cells = {name: int(frame.counts[number]) for name, number in options.numbers.items()}
    return {"frame": pose.frame, "occupied": frame.occupied, "cells": cells, "left_out": frame.left_out}


def frame_line(row: dict[str, Any]) -> str:
    """``000000  ground 41,203  tree 310  building 39,215  occupied 80,728``."""
    cells = "  ".join(f"{name} {count:,}" for name, count in row["cells"].items())
    return f"{row['frame']}  {cells}  occupied {row['occupied']:,}"


def finish(out: Path, rows: list[dict[str, Any]], faults: Sequence[Fault], options: VoxelizeOptions) -> None:
    """Writes what was counted, what was set aside, and the files."""
    files = manifest(out, [frame_file(row["frame"]) for row in rows])
    found = {
        "classes": {"free": 0, **options.mesh.numbers},
        "shape": list(options.voxels.grid.shape),
        "options": options.model_dump(mode="json"),
        "frames": rows,
        "faults": [fault.to_json() for fault in faults],
        "files": files,
    }
    write_json(out / "voxels.json", found)


def print_summary(rows: list[dict[str, Any]], options: VoxelizeOptions, seconds: float) -> None:
    """Means over all frames, and frames without buildings."""
    cells = int(np.prod(options.voxels.grid.shape))
    means = {name: np.mean([row["cells"][name] for row in rows]) for name in options.mesh.numbers}
    occupied = np.mean([row["occupied"] for row in rows])
    said = ", ".join(f"{name} {mean:,.0f}" for name, mean in means.items())
    empty = {name: sum(row["cells"][name] == 0 for row in rows) for name in means}
    none = ", ".join(f"{count} without {name}" for name, count in empty.items() if count)
    shape = "×".join(map(str, options.voxels.grid.shape))
    print(
        f"{len(rows)} frames of {shape} cells; mean a frame: {said}; occupied {occupied / cells:.3%}"
        + (f"; frames: {none}" if none else "")
    )
    left_out = sum(row["left_out"] for row in rows)
    if left_out:
        say(f"warning: {left_out} columns of closed shells could not be told inside from outside and were not filled.")
    say(f"{len(rows) / max(seconds, 1e-9):.1f} frames a second, written files included")


if __name__ == "__main__":
    run(parser, main)
