"""Occ3D-nuScenes: ``gts/<scene>/<token>/labels.npz`` (array ``semantics``, 17 is free) and ``annotations.json``.

The annotations' ``scene_infos`` give each frame ``timestamp``, ``gt_path`` and ``ego_pose`` (``translation`` and
``rotation``, the quaternion scalar FIRST). Layout: Tian et al. 2023, arXiv:2304.14365. A scene whose annotations name
its ``location`` lies there; without one, scenes are taken to lie on one map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scripts.aerial.world.frames import BadFrame, Frame, Refusals, Session, load_npz, numbered
from scripts.aerial.world.options import WorldDataOptions
from scripts.aerial.world.poses import BadPose, checked, pose_from_wxyz, with_velocities
from scripts.lib.cli import UserError
from scripts.lib.files import below, read_json

ANNOTATIONS = "annotations.json"
MICROSECONDS = 1e6  # nuScenes counts its time stamps in them


def sessions(root: Path, options: WorldDataOptions, refused: Refusals) -> Iterator[Session]:
    """Every scene of annotations.json."""
    scenes = read_json(root / ANNOTATIONS).get("scene_infos")
    if not isinstance(scenes, dict):
        raise UserError(f"{root / ANNOTATIONS}: no `scene_infos`; give the folder that holds Occ3D's gts/.")
    for name in sorted(scenes):
        rows = scenes[name]
        place = rows.get("location", root.name) if isinstance(rows, dict) else root.name
        found = [frame for frame in (read_frame(name, key, row, options, refused) for key, row in items(rows)) if frame]
        yield in_order(Session(name, place, found), refused)


def items(rows: Any) -> Iterator[tuple[str, Any]]:
    """Tokens and their rows."""
    if isinstance(rows, dict):
        yield from ((token, row) for token, row in rows.items() if isinstance(row, dict))


def read_frame(scene: str, token: str, row: Any, options: WorldDataOptions, refused: Refusals) -> Frame | None:
    """One frame, or None where it is refused; its number is given later."""
    try:
        file = row.get("gt_path", f"gts/{scene}/{token}/labels.npz")
        below(Path(), file)
        ego = row["ego_pose"]
        pose = checked(pose_from_wxyz(ego["translation"], ego["rotation"]), options.unit_tolerance)
        return Frame(0, file, pose, float(row["timestamp"]) / MICROSECONDS)
    except (BadPose, UserError) as error:
        refused.add(ANNOTATIONS, f"{scene}.{token}", error)
    except (KeyError, TypeError, ValueError) as error:
        refused.add(ANNOTATIONS, f"{scene}.{token}", f"{type(error).__name__}: {error}")
    return None


def in_order(session: Session, refused: Refusals) -> Session:
    """The session sorted and numbered by time, its velocities by differences; refused whole where times repeat."""
    found = sorted(session.frames, key=lambda frame: frame.seconds)
    try:
        counted = numbered([frame.seconds for frame in found])
    except BadFrame as error:
        refused.add(session.name, "time", error)
        return replace(session, frames=[])
    if not found:
        return session
    poses = with_velocities(np.stack([frame.pose for frame in found]), np.array([frame.seconds for frame in found]))
    rows = zip(found, counted, poses, strict=True)
    return replace(session, frames=[replace(frame, number=number, pose=pose) for frame, number, pose in rows])


def grid(path: Path, pose: np.ndarray, options: WorldDataOptions) -> np.ndarray:
    """The array ``semantics``, uint8 [x, y, z]."""
    return load_npz(path, "semantics")
