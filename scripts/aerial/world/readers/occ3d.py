"""Occ3D-nuScenes: ``gts/<scene>/<token>/labels.npz`` (array ``semantics``, 17 is free) and ``annotations.json``.

The annotations' ``scene_infos`` give each frame ``timestamp``, ``gt_path`` and ``ego_pose`` (``translation`` and
``rotation``, the quaternion scalar FIRST). Layout: Tian et al. 2023, arXiv:2304.14365. A scene whose annotations name
its ``location`` lies there; without one, scenes are taken to lie on one map.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from scripts.aerial.world.options import WorldDataOptions
from scripts.aerial.world.poses import BadPose, checked, pose_from_wxyz
from scripts.aerial.world.sessions import Frame, Session, in_order, load_npz
from scripts.lib.cli import UserError
from scripts.lib.curation import Row, quarantined
from scripts.lib.files import below, read_json

ANNOTATIONS = "annotations.json"
MICROSECONDS = 1e6  # nuScenes counts its time stamps in them


def sessions(root: Path, options: WorldDataOptions, aside: list[Row]) -> Iterator[Session]:
    """Every scene of annotations.json.

    Raises:
        UserError: annotations.json is missing, or has no scenes.
    """
    scenes = read_json(root / ANNOTATIONS).get("scene_infos")
    if not isinstance(scenes, dict):
        raise UserError(f"{root / ANNOTATIONS}: no `scene_infos`; give the folder that holds Occ3D's gts/.")
    for name in sorted(scenes):
        rows = scenes[name] if isinstance(scenes[name], dict) else {}
        frames = (read_frame(name, token, row, options, aside) for token, row in rows.items() if isinstance(row, dict))
        yield in_order(Session(name, rows.get("location", root.name), [frame for frame in frames if frame]), aside)


def read_frame(
    scene: str, token: str, row: dict[str, Any], options: WorldDataOptions, aside: list[Row]
) -> Frame | None:
    """One frame, or None where it is set aside; `in_order` gives it its number."""
    try:
        file = row.get("gt_path", f"gts/{scene}/{token}/labels.npz")
        below(Path(), file)
        ego = row["ego_pose"]
        pose = checked(pose_from_wxyz(ego["translation"], ego["rotation"]), options.unit_tolerance)
        return Frame(0, file, pose, float(row["timestamp"]) / MICROSECONDS)
    except (BadPose, UserError) as error:
        message = str(error)
    except (KeyError, TypeError, ValueError) as error:
        message = f"{type(error).__name__}: {error}"
    aside.append(quarantined(ANNOTATIONS, f"{scene}.{token}", "pose", message))
    return None


def grid(path: Path, pose: np.ndarray, options: WorldDataOptions) -> np.ndarray:
    """The array ``semantics``, uint8 [x, y, z]."""
    return load_npz(path, "semantics")
