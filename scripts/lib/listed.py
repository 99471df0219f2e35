"""Folders whose files a command lists when it has written them all, so that its next run can clear them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError
from scripts.lib.files import inside, read_json, write_json

FILES = "files.json"


def clear_listed(folder: Path) -> None:
    """Removes the files of an earlier run that ended; others stay.

    Raises:
        UserError: the list is none that `write_list` wrote.
    """
    if not (folder / FILES).is_file():
        return
    listed = read_json(folder / FILES)
    if not isinstance(listed, dict) or not {"options", "files"} <= listed.keys():
        raise UserError(f"{folder / FILES}: not a file list of this command; choose another --out.")
    (folder / FILES).unlink()
    for row in listed["files"]:
        inside(folder, row["name"]).unlink(missing_ok=True)


def write_list(folder: Path, seed: int, options: dict[str, Any], files: list[dict[str, Any]]) -> None:
    """Writes ``files.json``, last of all: what the files were made with, and each one's name, size and hash."""
    write_json(folder / FILES, {"seed": seed, "options": options, "files": files})
