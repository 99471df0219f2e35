"""Reads mesh files, and folders of them, into one mesh with a class for each triangle."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from fnmatch import translate
from pathlib import Path

import numpy as np
from tqdm import tqdm

from scripts.aerial.mesh import Fault, Mesh, joined
from scripts.aerial.mesh_files import find_meshes
from scripts.aerial.obj import Classify, ObjFile, read_obj
from scripts.aerial.options import AerialMeshOptions
from scripts.lib.cli import UserError, say


def classifier(options: AerialMeshOptions, file: Path) -> Classify:
    """The function from a name inside a file to its class: by the name, else by the file's name, else `otherwise`."""

    @functools.cache
    def classify(name: str | None) -> tuple[int, bool]:
        own = class_of(options, name) if name is not None and options.by == "name" else None
        if own is None and name is not None:
            return classify(None)[0], False
        number = class_of(options, file.stem) if own is None else own
        return (options.classes[options.otherwise].number, False) if number is None else (number, True)

    return classify


def class_of(options: AerialMeshOptions, name: str) -> int | None:
    """The number of the first class with a pattern that fits a name; None if none does."""
    small = name.lower()
    matching = (known.number for known in options.classes.values() if pattern_of(*known.names).match(small))
    return next(matching, None)


@functools.cache
def pattern_of(*names: str) -> re.Pattern[str]:
    """One expression for several patterns with * and ?, for names in lower case."""
    return re.compile("|".join(translate(name.lower()) for name in names))


def read_meshes(files: Sequence[Path], options: AerialMeshOptions) -> Iterator[ObjFile]:
    """Each file, with z up and in metres, whatever its own axes and units (`up`, `metres_per_unit`)."""
    for path in tqdm(files, desc="read", unit="mesh", disable=None):
        file = read_obj(path, classifier(options, path))
        vertices = file.mesh.vertices
        if options.up == "y":
            vertices = np.stack([vertices[:, 0], -vertices[:, 2], vertices[:, 1]], axis=1)
        if options.metres_per_unit != 1:
            vertices = vertices * options.metres_per_unit
        yield file._replace(mesh=file.mesh._replace(vertices=vertices))


def load_mesh(paths: Sequence[Path], options: AerialMeshOptions) -> tuple[Mesh, list[Fault]]:
    """All meshes of some paths as one, and their faults, which are printed as warnings.

    Raises:
        UserError: a path holds no mesh, nothing of it can be used, too much of a file had to be set aside, or the
            files lie too far apart to be one city.
    """
    meshes, faults = [], []
    for file in read_meshes(find_meshes(paths), options):
        faults += file.faults
        bad = file.faces - file.used
        if bad > options.max_bad_share * file.faces:
            first = next(fault for fault in file.faults if fault.lines)
            raise UserError(
                f"{first.place}: {first.message} {bad} of {file.faces} faces cannot be used, "
                f"more than mesh.max_bad_share {options.max_bad_share:g} allows; ask "
                f"`python -m scripts.aerial.check {first.file}`."
            )
        meshes.append(file.mesh)
    mesh = joined(meshes)
    if not len(mesh.triangles):
        raise UserError(f"{paths[0]}: holds no face that can be used; export the mesh again.")
    wide = float(np.ptp(mesh.bounds, axis=0)[:2].max())
    if wide > 1000 * options.max_extent_km:
        raise UserError(
            f"{mesh.names[0]} and {len(mesh.names) - 1} more files reach over {wide / 1000:.0f} km, more than "
            f"mesh.max_extent_km {options.max_extent_km:g}; give files of one coordinate system and one city."
        )
    for fault in faults:
        say(f"warning: {fault.place}: {fault.count} × {fault.kind}: {fault.message}")
    return mesh, faults
