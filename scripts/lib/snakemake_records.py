"""Snakemake's records of output files, one JSON file each, named by the base64 of the output's path.

Source: snakemake/persistence/file.py. A name that is too long for a file is split into folders, ``@part/@part/rest``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

METADATA = Path(".snakemake") / "metadata"


def record_files(folder: Path = METADATA) -> Iterator[tuple[str, Path]]:
    """Yields (output, its record or marker), sorted by file; files with other names are left out."""
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        encoded = "".join(part.removeprefix("@") for part in path.parts[len(folder.parts) :])
        if path.is_file():
            try:
                yield base64.urlsafe_b64decode(encoded).decode(), path
            except ValueError:
                continue
