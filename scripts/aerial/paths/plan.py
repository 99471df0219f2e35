"""A path of any kind, from the first start that leads through all frames."""

from __future__ import annotations

import numpy as np

from scripts.aerial.options import AerialMeshOptions, AerialSessionOptions
from scripts.aerial.paths.drone import fly
from scripts.aerial.paths.room import Room
from scripts.aerial.paths.rover import drive
from scripts.aerial.paths.steer import NoWay, Path
from scripts.aerial.paths.streets import Streets
from scripts.aerial.scene import Scene
from scripts.lib.cli import UserError


def plan(
    scene: Scene,
    streets: Streets | None,
    kind: str,
    mesh: AerialMeshOptions,
    options: AerialSessionOptions,
    dice: np.random.Generator,
    reach: float,
) -> Path:
    """A path without collision; starts that had to be given up are counted in it.

    A start is given up as well where more than `max_empty_share` of the path has nothing built within ``reach`` metres,
    seen from above. If all that lead on are so, the path that has least of it is taken: what its frames show decides.

    Raises:
        UserError: none of ``tries`` starts leads through all frames, or there is no ground for a rover.
    """
    numbers = ground_numbers(scene, kind, mesh, options)
    radius = options.rover.radius if kind == "rover" else options.radius
    room = Room(scene, radius, number_of(options.built, "built", mesh))
    best, least = None, np.inf
    for given_up in range(options.tries):
        try:
            if kind == "rover":
                path = drive(room, streets, options, numbers, dice)
            else:
                path = fly(room, kind, options, numbers, dice)
        except NoWay:
            continue
        bare = room.bare(path.positions, reach)
        if bare < least:
            best, least = path._replace(starts=given_up), bare
        if bare <= options.max_empty_share:
            return path._replace(starts=given_up)
    if best is not None:
        return best
    raise UserError(
        f"{kind}: none of {options.tries} starts leads through {options.frames} frames {radius:g} m away from every "
        f"surface of {scene.mesh.names[0]}; lower the radius, change sessions.{kind}, or leave it out of "
        "sessions.kinds."
    )


def ground_numbers(scene: Scene, kind: str, mesh: AerialMeshOptions, options: AerialSessionOptions) -> tuple[int, ...]:
    """Class numbers of the ground, those that the scene has.

    Raises:
        UserError: a rover has nothing to stand on.
    """
    wanted = [number_of(name, "rover.ground", mesh) for name in options.rover.ground]
    found = tuple(number for number in wanted if (scene.classes == number).any())
    if kind == "rover" and not found:
        raise UserError(
            f"rover: {scene.mesh.names[0]} and the other meshes have no surface of the classes "
            f"{', '.join(options.rover.ground)}; add the terrain's mesh, or leave rover out of sessions.kinds."
        )
    return found


def number_of(name: str, key: str, mesh: AerialMeshOptions) -> int:
    """A class's number.

    Raises:
        UserError: there is no such class.
    """
    if name not in mesh.classes:
        raise UserError(f"sessions.{key}: {name!r} is none of the classes {', '.join(mesh.classes)}.")
    return mesh.classes[name].number
