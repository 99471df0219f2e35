"""What a folder of many small files holds, as one hash, without reading again what did not change.

A folder of 36,000 frames is too much to declare file by file, and to read for every plan. Files are read once; after
that only those whose size or time changed.
"""

from __future__ import annotations

from pathlib import Path

from scripts.lib.files import digest, read_json, sha256_file, write_json

MEMORY = Path(".snakemake/questline-folders")


def folder_digest(folder: Path, memory: Path = MEMORY) -> str:
    """The hash of names and contents of all files directly in a folder."""
    path = memory / f"{digest(folder.resolve().as_posix())[:16]}.json"
    known = read_json(path) if path.is_file() else {}
    found = {}
    for file in sorted(folder.iterdir()):
        if not file.is_file():
            continue
        stat = file.stat()
        seen = [stat.st_size, stat.st_mtime_ns]
        before = known.get(file.name)
        found[file.name] = before if before and before[:2] == seen else [*seen, sha256_file(file)]
    if found != known:
        write_json(path, found)
    return digest({name: row[2] for name, row in found.items()})[:16]
