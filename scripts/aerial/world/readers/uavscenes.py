"""UAVScenes: labelled LiDAR points and camera poses, made into grids as they are read.

A run's folder has ``sampleinfos_interpolated.json`` (a list of ``OriginalImageName`` and ``T4x4``, camera to world),
points ``*LIDAR/image<time>.txt`` (rows x y z ...) and their classes ``*LIDAR_label*/**/image<time>.txt``, a number a
point. Layout: UAVScenes, ICCV 2025. Points are turned into the camera's coordinates by ``data.lidar_to_camera`` (the
calibration that comes with the data set), then into the world, then into the cells of the grid; a cell takes the
highest class number of its points, and class 0 (background) counts as 255 so that `data.classes.merge` decides on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from scripts.aerial.world.options import WorldDataOptions
from scripts.aerial.world.poses import POSITION, BadPose, checked, pose_from_wxyz, rotations, yaw
from scripts.aerial.world.sessions import BadFrame, Frame, Session, in_order
from scripts.lib.cli import UserError
from scripts.lib.curation import Row, quarantined
from scripts.lib.files import read_json

INFOS = "sampleinfos_interpolated.json"
TIME = re.compile(r"(\d+(?:\.\d+)?)\.(?:jpg|png)")
BACKGROUND = 255


def sessions(root: Path, options: WorldDataOptions, aside: list[Row]) -> Iterator[Session]:
    """Every folder below ``root`` that has poses."""
    for infos in sorted(root.glob(f"**/{INFOS}")):
        rows = read_json(infos)
        if not isinstance(rows, list):
            raise UserError(f"{infos}: expected a list of frames; give a folder of UAVScenes.")
        folder = infos.parent
        frames = [read_frame(root, folder, at, row, options, aside) for at, row in enumerate(rows)]
        # Each place was surveyed several times: AMtown01 and AMtown02 share their coordinates.
        place = re.sub(r"\d+$", "", folder.name)
        yield in_order(Session(folder.name, place, [frame for frame in frames if frame]), aside)


def read_frame(
    root: Path, folder: Path, at: int, row: Any, options: WorldDataOptions, aside: list[Row]
) -> Frame | None:
    """One frame, or None where it is set aside."""
    name = (folder / INFOS).relative_to(root).as_posix()
    try:
        match = TIME.fullmatch(row["OriginalImageName"])
        if match is None:
            raise BadPose(f"{row['OriginalImageName']!r} is no time with .jpg")
        pose = checked(pose_from_matrix(row["T4x4"]), options.unit_tolerance)
    except (KeyError, TypeError, ValueError) as error:
        message = f"KeyError: {error}" if isinstance(error, KeyError) else error
        aside.append(quarantined(name, at + 1, "pose", message))
        return None
    points = sorted(folder.glob(f"*LIDAR/image{match[1]}.txt"))
    if not points:
        aside.append(quarantined(name, at + 1, "missing", f"no points *LIDAR/image{match[1]}.txt"))
        return None
    return Frame(0, points[0].relative_to(root).as_posix(), pose, float(match[1]))


def pose_from_matrix(matrix: Any) -> np.ndarray:
    """A vector [13] from a 4 × 4 matrix, camera to world.

    Raises:
        BadPose: it is no rotation with a shift.
    """
    from scipy.spatial.transform import Rotation

    array = np.asarray(matrix, np.float64)
    if array.shape != (4, 4) or not np.isfinite(array).all():
        raise BadPose(f"T4x4 has shape {array.shape}, expected 4 × 4 finite numbers")
    turn = array[:3, :3]
    if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-3) or np.linalg.det(turn) < 0:
        raise BadPose("T4x4 holds no rotation")
    x, y, z, w = Rotation.from_matrix(turn).as_quat()
    return pose_from_wxyz(array[:3, 3], [w, x, y, z])


def grid(path: Path, pose: np.ndarray, options: WorldDataOptions) -> np.ndarray:
    """Occupancy of the frame's points, uint8 [x, y, z]; 0 where no point is.

    Raises:
        BadFrame: points or labels are missing, no table of numbers, or of different lengths.
    """
    points = read_table(path)
    if points.shape[1] < 3:
        raise BadFrame(f"{points.shape[1]} columns, expected x y z")
    files = sorted(path.parent.parent.glob(f"*LIDAR_label*/**/{path.name}"))
    if not files:
        raise BadFrame(f"no labels *LIDAR_label*/**/{path.name}")
    labels = read_table(files[0])[:, -1].astype(np.int64)
    if len(points) != len(labels):
        raise BadFrame(f"{len(points)} points but {len(labels)} labels")
    spots = to_grid(points[:, :3], pose, options)
    cells = np.floor((spots - options.grid.range[:3]) / options.grid.voxel).astype(np.int64)
    inside = (cells >= 0).all(1) & (cells < options.grid.shape).all(1)
    result = np.zeros(options.grid.shape, np.uint8)
    known = np.where(labels == 0, BACKGROUND, labels).astype(np.uint8)
    np.maximum.at(result, tuple(cells[inside].T), known[inside])
    return result


def to_grid(points: np.ndarray, pose: np.ndarray, options: WorldDataOptions) -> np.ndarray:
    """Points [n, 3] of the LiDAR in the coordinates of the grid."""
    from scipy.spatial.transform import Rotation

    change = np.asarray(options.lidar_to_camera, np.float64).reshape(3, 4)
    offset = rotations(pose)[0].apply(points @ change[:, :3].T + change[:, 3])
    if options.grid.anchor == "ego":
        return rotations(pose)[0].inv().apply(offset)
    level = Rotation.from_euler("z", -yaw(pose)).apply(offset)
    level[:, 2] += pose[POSITION][2]
    return level


def read_table(path: Path) -> np.ndarray:
    """Numbers by row, float64 [n, columns].

    Raises:
        BadFrame: the file is missing, or no table of numbers.
    """
    try:
        return np.loadtxt(path, ndmin=2)
    except FileNotFoundError:
        raise BadFrame("no such file") from None
    except ValueError as error:
        raise BadFrame(f"{path.name}: not a table of numbers ({error})") from error
