"""A path of any kind, from the first start that leads through all frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scripts.aerial.paths.drone import fly
from scripts.aerial.paths.room import Room
from scripts.aerial.paths.rover import drive
from scripts.aerial.paths.steer import NoWay, Path
from scripts.lib.cli import UserError

if TYPE_CHECKING:
    from scripts.aerial.options import AerialMeshOptions, AerialSessionOptions
    from scripts.aerial.paths.streets import Streets
    from scripts.aerial.scene import Scene


def plan(
    scene: Scene,
    streets: Streets | None,
    kind: str,
    mesh: AerialMeshOptions,
    options: AerialSessionOptions,
    rng: np.random.Generator,
    reach: float,
) -> Path:
    """A path without collision, with the number of starts that were given up.

    A start is also given up if more than `max_empty_share` of its path has nothing built within ``reach`` metres, seen
    from above. If no start does better, the path with the smallest such share is taken; its frames decide then whether
    it is used.

    Raises:
        UserError: none of ``tries`` starts leads through all frames, or there is no ground for a rover.
    """
    ground = ground_numbers(scene, kind, mesh, options)
    radius = options.rover.radius if kind == "rover" else options.radius
    room = Room(scene, radius, number_of(options.built, "built", mesh))
    best, least = None, np.inf
    for given_up in range(options.tries):
        try:
            if kind == "rover":
                path = drive(room, streets, options, ground, rng)
            else:
                path = fly(room, kind, options, ground, rng)
        except NoWay:
            continue
        bare = room.bare(path.positions, reach)
        if bare < least:
            best, least = path._replace(starts=given_up), bare
        if bare <= options.max_empty_share:
            break
    if best is None:
        raise UserError(
            f"{kind}: none of {options.tries} starts leads through {options.frames} frames {radius:g} m away from "
            f"every surface of {scene.mesh.names[0]}; lower the radius, change sessions.{kind}, or leave it out of "
            "sessions.kinds."
        )
    return best


def ground_numbers(scene: Scene, kind: str, mesh: AerialMeshOptions, options: AerialSessionOptions) -> tuple[int, ...]:
    """Class numbers of the ground that the scene has.

    Raises:
        UserError: there is no ground for a rover.
    """
    numbers = [number_of(name, "rover.ground", mesh) for name in options.rover.ground]
    present = tuple(number for number in numbers if (scene.classes == number).any())
    if kind == "rover" and not present:
        raise UserError(
            f"rover: {scene.mesh.names[0]} and the other meshes have no surface of the classes "
            f"{', '.join(options.rover.ground)}; add the terrain's mesh, or leave rover out of sessions.kinds."
        )
    return present


def number_of(name: str, key: str, mesh: AerialMeshOptions) -> int:
    """The number of a class that the option ``sessions.<key>`` names.

    Raises:
        UserError: there is no such class.
    """
    if name not in mesh.classes:
        raise UserError(f"sessions.{key}: {name!r} is none of the classes {', '.join(mesh.classes)}.")
    return mesh.classes[name].number
