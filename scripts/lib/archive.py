"""Zip archives of unknown origin: only plain files come out, and only below the folder."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path

from scripts.lib.cli import UserError
from scripts.lib.files import CHUNK, atomic_path, below, inside


def unpack(archive: Path, folder: Path, suffixes: Collection[str], most_bytes: float) -> tuple[list[str], int]:
    """Unpacks the files with some suffixes, given in small letters, under their own names.

    Returns:
        Their names, sorted, relative to the folder, and how many other files were left inside.

    Raises:
        UserError: it is no zip archive or a damaged one, holds a name that leaves the folder, a link, a name twice, a
            file with a password, or more than ``most_bytes`` unpacked.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            files = [entry for entry in opened.infolist() if not entry.is_dir()]
            _refuse(archive, folder, files)
            wanted = [entry for entry in files if Path(entry.filename).suffix.lower() in suffixes]
            if sum(entry.file_size for entry in wanted) > most_bytes:
                raise UserError(
                    f"{archive}: holds {sum(entry.file_size for entry in wanted) / 1e9:.1f} GB, more than "
                    f"max_unpacked_gb {most_bytes / 1e9:g} allows; raise it if that is right."
                )
            for entry in wanted:
                _write(opened, entry, inside(folder, _name(entry)))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UserError(f"{archive}: not a sound zip archive ({error}); download it again.") from error
    return sorted(_name(entry) for entry in wanted), len(files) - len(wanted)


def _refuse(archive: Path, folder: Path, files: list[zipfile.ZipInfo]) -> None:
    """Refuses archives with entries that no honest one has."""
    seen: set[str] = set()
    for entry in files:
        name = _name(entry)
        try:
            below(folder, name)
        except UserError as error:
            raise UserError(f"{archive}: {error} Take the archive from another source.") from None
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise UserError(f"{archive}: {name} is a link; take the archive from another source.")
        if name.lower() in seen:
            raise UserError(f"{archive}: holds {name} twice; unpack it by hand and choose.")
        if entry.flag_bits & 1:
            raise UserError(f"{archive}: {name} has a password; unpack it by hand.")
        seen.add(name.lower())


def _name(entry: zipfile.ZipInfo) -> str:
    return entry.filename.replace("\\", "/")


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Writes one file; zipfile itself stops at the size that the archive states."""
    with atomic_path(path) as part, opened.open(entry) as source, part.open("wb") as stream:
        shutil.copyfileobj(source, stream, CHUNK)
