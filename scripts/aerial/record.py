"""A session on disk: what a drone or rover has around it and measures, frame by frame.

::

    drone_20240517_081500/
      occupancy/000000_occupancy.npz   key occupancy, uint8 of the grid's shape, class numbers, 0 is free
      poses/000000.json                see `scripts.aerial.poses`; the quaternion by name, x y z w
      lidar/000000_LIDAR.npy           float32 [n, 4], x y z intensity in the body's frame
      images/000000_CAM_FRONT.jpg
      session.json                     the manifest, written last
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydantic import Field

from scripts.aerial.lidar import beam_directions, measure
from scripts.aerial.motion import velocities
from scripts.aerial.options import AerialMeshOptions, AerialSessionOptions, AerialVoxelOptions
from scripts.aerial.paths.plan import number_of, plan
from scripts.aerial.paths.steer import Path as Way
from scripts.aerial.paths.streets import Streets
from scripts.aerial.picture import camera_of, class_colours, photograph
from scripts.aerial.poses import Pose
from scripts.aerial.scene import Scene
from scripts.aerial.session_names import Session
from scripts.aerial.voxelize import frame_file, write_frame
from scripts.aerial.voxels import Frame, occupancy, solid_numbers
from scripts.lib.cli import UserError
from scripts.lib.files import digest, manifest, write_json
from scripts.lib.identity import code_fingerprint
from scripts.lib.options.strict import Options

MANIFEST, PARTS = "session.json", ".parts"


class SessionsOptions(Options):
    """What the command takes as --params."""

    mesh: AerialMeshOptions = Field(default=AerialMeshOptions())
    voxels: AerialVoxelOptions = Field(default=AerialVoxelOptions())
    sessions: AerialSessionOptions = Field(default=AerialSessionOptions())


@dataclass(frozen=True)
class City:
    """What all sessions share.

    Attributes:
        content: a digest of the meshes' and streets' bytes.
        faults: what of the meshes was set aside, as JSON.
    """

    scene: Scene
    streets: Streets | None
    content: str
    faults: list[dict[str, Any]]


def identity_of(session: Session, city: City, options: SessionsOptions) -> str:
    """What makes a session what it is, code that records it included; not how many others there are."""
    own = options.sessions.model_dump(mode="json", exclude={"sessions", "kinds", "tries"})
    rest = {"mesh": options.mesh.model_dump(mode="json"), "voxels": options.voxels.model_dump(mode="json")}
    code = code_fingerprint("scripts.aerial.record")
    return digest({"city": city.content, "session": vars(session), "options": own, "code": code, **rest})


def record(
    city: City, session: Session, options: SessionsOptions, out: Path, tick: Callable[[], object]
) -> dict[str, Any]:
    """Writes a session; its folder takes its name when it is whole. Returns its manifest.

    Args:
        tick: called after each frame.

    Raises:
        UserError: no path was found, or too many frames show nothing built.
    """
    dice = np.random.default_rng([options.sessions.seed, session.number])
    grid = options.voxels.grid.range
    reach = max(1.0, min(-grid[0], -grid[1], grid[3], grid[4]))
    way = plan(city.scene, city.streets, session.kind, options.mesh, options.sessions, dice, reach)
    part = out / PARTS / session.name  # one folder deeper, so that no reader takes it for a session
    shutil.rmtree(part, ignore_errors=True)
    rows = []
    for row in frames(city.scene, session, poses_of(way, options.sessions.dt), options, part):
        rows.append(row)
        refuse_empty(session, rows, options.sessions)
        tick()
    found = manifest_of(city, session, way, rows, options, part)
    write_json(part / MANIFEST, found)
    part.rename(out / session.name)
    return found


def poses_of(way: Way, dt: float) -> list[Pose]:
    """A path's poses with their velocities."""
    linear, angular = velocities(way.positions, way.turns, dt)
    each = zip(way.positions, way.turns, linear, angular, strict=True)
    return [Pose(f"{number:06d}", *values) for number, values in enumerate(each)]


def frames(
    scene: Scene, session: Session, poses: list[Pose], options: SessionsOptions, part: Path
) -> Iterator[dict[str, Any]]:
    """Writes each frame's four files; yields what was counted."""
    own, solid = options.sessions, solid_numbers(options.mesh, options.voxels)
    camera, colours = camera_of(own.camera, session.vehicle), class_colours(options.mesh.numbers)
    beams = beam_directions(own.lidar, session.vehicle)
    built = number_of(own.built, "built", options.mesh)
    for folder in ("poses", "lidar", "images"):
        (part / folder).mkdir(parents=True)
    for pose in poses:
        cells = occupancy(scene, pose, options.voxels, solid)
        points = measure(scene, pose, beams, own.lidar)
        picture = photograph(scene, pose, camera, colours, own.camera.haze)
        names = file_names(pose.frame)
        write_frame(part / names[0], cells)
        write_json(part / names[1], pose.to_json())
        np.save(part / names[2], points)
        (part / names[3]).write_bytes(jpeg(picture, own.camera.quality))
        yield frame_row(pose.frame, cells, len(points), built)


def file_names(frame: str) -> list[str]:
    """A frame's files: occupancy, pose, lidar, image."""
    return [
        frame_file(frame),
        f"poses/{frame}.json",
        f"lidar/{frame}_LIDAR.npy",
        f"images/{frame}_CAM_FRONT.jpg",
    ]


def jpeg(picture: np.ndarray, quality: int) -> bytes:
    """A picture [h, w, 3], red first, as a JPEG file."""
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(picture[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def frame_row(frame: str, cells: Frame, points: int, built: int) -> dict[str, Any]:
    """What a frame has: cells that are occupied and that are built, columns left out, lidar points."""
    counts = {"occupied": cells.occupied, "built": int(cells.counts[built])}
    return {"frame": frame, **counts, "left_out": cells.left_out, "lidar_points": points}


def refuse_empty(session: Session, rows: list[dict[str, Any]], options: AerialSessionOptions) -> None:
    """Stops as soon as too many frames show nothing built.

    Raises:
        UserError: they do.
    """
    empty = [row["frame"] for row in rows if not row["built"]]
    if len(empty) > options.max_empty_share * options.frames:
        raise UserError(
            f"{session.name} ({session.kind}): {len(empty)} of the first {len(rows)} frames have no cell of "
            f"{options.built!r} (the first: {empty[0]}), more than sessions.max_empty_share "
            f"{options.max_empty_share:g} of {options.frames} allows; check with `python -m scripts.aerial.check` that "
            "the meshes have this class and lie in the grid's height (voxels.grid.datum), or raise the limit."
        )


def manifest_of(
    city: City, session: Session, way: Way, rows: list[dict[str, Any]], options: SessionsOptions, part: Path
) -> dict[str, Any]:
    """What session.json holds."""
    drone_radius, own = options.sessions.radius, options.sessions.rover
    counts = {
        "frames": len(rows),
        "without_built": sum(not row["built"] for row in rows),
        "without_lidar": sum(not row["lidar_points"] for row in rows),
        "columns_left_out": sum(row["left_out"] for row in rows),
        "starts_given_up": way.starts,
        "steps_turned_away": way.steps,
    }
    return {
        **vars(session),
        "identity": identity_of(session, city, options),
        "radius": own.radius if session.vehicle == "rover" else drone_radius,
        "quaternion_order": "xyzw",
        "velocity_frame": "world",
        "dt": options.sessions.dt,
        "drawn": way.drawn,
        "classes": {"free": 0, **options.mesh.numbers},
        "shape": list(options.voxels.grid.shape),
        "options": options.model_dump(mode="json"),
        "counts": counts,
        "frames": rows,
        "faults": city.faults,
        "files": manifest(part, [name for row in rows for name in file_names(row["frame"])]),
    }
