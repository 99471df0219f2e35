"""The list of the files that a command has written to a folder, with which its next run removes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError
from scripts.lib.files import inside, read_json, write_json

FILES = "files.json"


def clear_listed(folder: Path) -> None:
    """Removes the files of an earlier, completed run; other files stay.

    Raises:
        UserError: the list was not written by `write_list`.
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
    """Writes ``files.json`` as the last file: the seed, the options, and the name, size and hash of each file."""
    write_json(folder / FILES, {"seed": seed, "options": options, "files": files})
