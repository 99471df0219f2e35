"""The files that aerial's rules read; imports nothing that a plan would wait for."""

from __future__ import annotations

from pathlib import Path

from scripts.aerial.mesh_files import find_meshes, street_files
from scripts.aerial.options import AerialSourceOptions
from scripts.aerial.session_names import sessions_of
from scripts.aerial.system import AerialOptions
from scripts.lib.cli import UserError
from scripts.lib.files import digest
from scripts.lib.folder_digest import folder_digest

UNREAD = {"lidar", "images"}  # folders of sessions in the project's own layout that curation does not read


def is_fetched(source: AerialSourceOptions) -> bool:
    """Whether meshes are downloaded or come out of an archive."""
    return source.url is not None or Path(source.path).suffix.lower() == ".zip"


def city_meshes(options: AerialOptions, city: str) -> Path:
    """Where a city's meshes are read from: the user's own place, or what the workflow fetched or made."""
    source = options.cities.get(city)
    if source is None:
        return Path(f"data/generated/aerial/{city}")
    return Path(f"data/fetched/aerial/{city}") if is_fetched(source) else Path(source.path)


def city_files(options: AerialOptions, city: str) -> list[str]:
    """A city's files; of a fetched or generated one the list with the hashes of all of them.

    Raises:
        UserError: the place of its meshes does not exist or holds none.
    """
    source, folder = options.cities.get(city), city_meshes(options, city)
    if source is None:
        return [f"{folder.as_posix()}/files.json"]
    if is_fetched(source):
        return [f"{folder.as_posix()}/source.json"]
    return [file.as_posix() for file in [*find_meshes([folder]), *street_files([folder])]]


def source_flags(source: AerialSourceOptions) -> list[str]:
    """How a city's source is named to the stage that fetches it."""
    return [source.url or source.path, *(["--sha256", source.sha256] if source.sha256 else [])]


def session_manifests(options: AerialOptions, city: str) -> list[str]:
    """The manifest of every session in a city."""
    return [f"data/ingested/aerial/{city}/{session.name}.json" for session in sessions_of(options.sessions)]


def recorded_content(options: AerialOptions) -> str:
    """A digest of sessions that the user brings: too many files to be declared one by one.

    Raises:
        UserError: there is no such folder.
    """
    if not options.recorded:
        return ""
    root = Path(options.recorded)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; check aerial.recorded.")
    folders = sorted({file.parent for file in root.rglob("*") if file.is_file()})
    kept = [folder for folder in folders if folder.name not in UNREAD]
    return digest([[folder.relative_to(root).as_posix(), folder_digest(folder)] for folder in kept])
