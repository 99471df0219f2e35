"""The files of a city: meshes, and streets beside them. Imports nothing slow: the workflow reads it while planning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scripts.lib.cli import UserError

SUFFIX = ".obj"


def find_meshes(paths: Sequence[Path]) -> list[Path]:
    """OBJ files among ``paths`` and below them, each once, in the order of the paths, sorted inside a folder.

    Hidden files are left out. `scripts.aerial.fetch` unpacks archives.

    Raises:
        UserError: a path does not exist or holds no mesh.
    """
    meshes: list[Path] = []
    for path in paths:
        if path.is_dir():
            files = [file for file in sorted(path.rglob("*")) if file.suffix.lower() == SUFFIX and file.is_file()]
            files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(path).parts)]
            if not files:
                raise UserError(f"{path}: holds no OBJ file; check the folder, or unpack the archive in it first.")
            meshes += files
        elif path.is_file():
            if path.suffix.lower() == ".zip":
                raise UserError(f"{path}: an archive; first `python -m scripts.aerial.fetch {path} --out DIR`.")
            if path.suffix.lower() != SUFFIX:
                raise UserError(f"{path}: not an OBJ file; name OBJ files, or folders of them.")
            meshes.append(path)
        else:
            raise UserError(f"{path}: no such file or folder; check the path of the mesh.")
    return list(dict.fromkeys(meshes))


def street_files(inputs: Sequence[Path]) -> list[Path]:
    """Files ``*_streets.json`` in the folders, and beside the files, that meshes are read from."""
    folders = dict.fromkeys(path if path.is_dir() else path.parent for path in inputs)
    return sorted({file for folder in folders for file in folder.glob("*_streets.json")})
