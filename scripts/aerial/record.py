"""Records a session to disk: the occupancy around a drone or rover, and its measurements, frame by frame.

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
from scripts.aerial.options import AerialSessionOptions
from scripts.aerial.paths.plan import number_of, plan
from scripts.aerial.paths.steer import Path as Way
from scripts.aerial.paths.streets import Streets
from scripts.aerial.picture import camera_of, class_colours, photograph
from scripts.aerial.poses import Pose
from scripts.aerial.scene import Scene
from scripts.aerial.session_names import Session
from scripts.aerial.voxelize import VoxelizeOptions, frame_file, write_frame
from scripts.aerial.voxels import occupancy, solid_numbers
from scripts.lib.cli import UserError
from scripts.lib.files import digest, manifest, write_json
from scripts.lib.identity import code_fingerprint

MANIFEST, PARTS = "session.json", ".parts"


class SessionsOptions(VoxelizeOptions):
    """The --params of `scripts.aerial.sessions`."""

    sessions: AerialSessionOptions = Field(default=AerialSessionOptions())


@dataclass(frozen=True)
class City:
    """The input that all sessions share.

    Attributes:
        content: a digest of the meshes' and streets' bytes.
        faults: the faults of the meshes, as JSON.
    """

    scene: Scene
    streets: Streets | None
    content: str
    faults: list[dict[str, Any]]


def identity_of(session: Session, city: City, options: SessionsOptions) -> str:
    """A digest of everything that a session depends on, its code included; not the number of sessions."""
    own = options.sessions.model_dump(mode="json", exclude={"sessions", "kinds", "tries"})
    rest = {"mesh": options.mesh.model_dump(mode="json"), "voxels": options.voxels.model_dump(mode="json")}
    code = code_fingerprint("scripts.aerial.record")
    return digest({"city": city.content, "session": vars(session), "options": own, "code": code, **rest})


def record(
    city: City, session: Session, options: SessionsOptions, out: Path, tick: Callable[[], object]
) -> dict[str, Any]:
    """Writes a session; its folder gets its name when it is complete. Returns its manifest.

    Args:
        tick: called after each frame.

    Raises:
        UserError: no path was found, or too many frames show nothing built.
    """
    rng = np.random.default_rng([options.sessions.seed, session.number])
    grid = options.voxels.grid.range
    reach = max(1.0, min(-grid[0], -grid[1], grid[3], grid[4]))
    way = plan(city.scene, city.streets, session.kind, options.mesh, options.sessions, rng, reach)
    linear, angular = velocities(way.positions, way.turns, options.sessions.dt)
    each = zip(way.positions, way.turns, linear, angular, strict=True)
    poses = [Pose(f"{number:06d}", *values) for number, values in enumerate(each)]
    part = out / PARTS / session.name  # one folder deeper, so that no reader takes it for a session
    shutil.rmtree(part, ignore_errors=True)
    rows = []
    for row in frames(city.scene, session, poses, options, part):
        rows.append(row)
        refuse_empty(session, rows, options.sessions)
        tick()
    contents = manifest_of(city, session, way, rows, options, part)
    write_json(part / MANIFEST, contents)
    part.rename(out / session.name)
    return contents


def frames(
    scene: Scene, session: Session, poses: list[Pose], options: SessionsOptions, part: Path
) -> Iterator[dict[str, Any]]:
    """Writes each frame's four files; yields its counts: occupied and built cells, columns left out, lidar points."""
    own, solid = options.sessions, solid_numbers(options.mesh, options.voxels)
    camera, colours = camera_of(own.camera, session.vehicle), class_colours(options.mesh.numbers)
    beams = beam_directions(own.lidar, session.vehicle)
    built = number_of(own.built, "built", options.mesh)
    for folder in ("poses", "lidar", "images"):
        (part / folder).mkdir(parents=True)
    for pose in poses:
        cells = occupancy(scene, pose, options.voxels, solid)
        points = measure(scene, pose, beams, own.lidar)
        image = photograph(scene, pose, camera, colours, own.camera.haze)
        bgr = np.ascontiguousarray(image[:, :, ::-1])
        _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, own.camera.quality])
        names = file_names(pose.frame)
        write_frame(part / names[0], cells)
        write_json(part / names[1], pose.to_json())
        np.save(part / names[2], points)
        (part / names[3]).write_bytes(jpeg.tobytes())
        yield {
            "frame": pose.frame,
            "occupied": cells.occupied,
            "built": int(cells.counts[built]),
            "left_out": cells.left_out,
            "lidar_points": len(points),
        }


def file_names(frame: str) -> list[str]:
    """A frame's files: occupancy, pose, lidar, image."""
    return [frame_file(frame), f"poses/{frame}.json", f"lidar/{frame}_LIDAR.npy", f"images/{frame}_CAM_FRONT.jpg"]


def refuse_empty(session: Session, rows: list[dict[str, Any]], options: AerialSessionOptions) -> None:
    """Stops the recording early.

    Raises:
        UserError: too many frames have no cell of the class `built`.
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
    """The content of session.json."""
    own = options.sessions
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
        "radius": own.rover.radius if session.vehicle == "rover" else own.radius,
        "quaternion_order": "xyzw",
        "velocity_frame": "world",
        "dt": own.dt,
        "drawn": way.drawn,
        "classes": {"free": 0, **options.mesh.numbers},
        "shape": list(options.voxels.grid.shape),
        "options": options.model_dump(mode="json"),
        "counts": counts,
        "frames": rows,
        "faults": city.faults,
        "files": manifest(part, [name for row in rows for name in file_names(row["frame"])]),
    }
