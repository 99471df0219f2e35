"""Unpacks zip archives of unknown origin: only regular files, and only into the given folder."""

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
    """Unpacks the files with some suffixes (in lower case) under their own names.

    Returns:
        The names relative to the folder, sorted, and the number of files that were not unpacked.

    Raises:
        UserError: not a zip archive, or a damaged one; a name that leaves the folder, a link, a duplicate name, a file
            with a password, or more than ``most_bytes`` unpacked.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            files = [(entry.filename.replace("\\", "/"), entry) for entry in entries]
            _refuse(archive, folder, files)
            wanted = {name: entry for name, entry in files if Path(name).suffix.lower() in suffixes}
            size = sum(entry.file_size for entry in wanted.values())
            if size > most_bytes:
                raise UserError(
                    f"{archive}: holds {size / 1e9:.1f} GB, more than "
                    f"max_unpacked_gb {most_bytes / 1e9:g} allows; raise it if that is right."
                )
            for name, entry in wanted.items():
                path = inside(folder, name)
                # zipfile itself stops at the size that the archive states.
                with atomic_path(path) as part, opened.open(entry) as source, part.open("wb") as stream:
                    shutil.copyfileobj(source, stream, CHUNK)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UserError(f"{archive}: not a sound zip archive ({error}); download it again.") from error
    return sorted(wanted), len(files) - len(wanted)


def _refuse(archive: Path, folder: Path, files: list[tuple[str, zipfile.ZipInfo]]) -> None:
    """Rejects archives with entries that a regular archive does not have.

    Raises:
        UserError: such an entry.
    """
    seen: set[str] = set()
    for name, entry in files:
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
