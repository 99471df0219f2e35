"""One hash for a folder of many small files; only files that changed are read again.

A folder of 36,000 frames is too large to declare file by file, and to read for every plan. Each file is read once;
after that, only files whose size or modification time changed.
"""

from __future__ import annotations

from pathlib import Path

from scripts.lib.files import digest, read_json, sha256_file, write_json

MEMORY = Path(".snakemake/questline-folders")


def folder_digest(folder: Path, memory: Path = MEMORY) -> str:
    """The hash of the names and contents of all files directly in a folder."""
    cache = memory / f"{digest(folder.resolve().as_posix())[:16]}.json"
    cached = read_json(cache) if cache.is_file() else {}
    rows = {}
    for file in sorted(folder.iterdir()):
        if file.is_file():
            size, modified = file.stat().st_size, file.stat().st_mtime_ns
            row = cached.get(file.name)
            rows[file.name] = row if row and row[:2] == [size, modified] else [size, modified, sha256_file(file)]
    if rows != cached:
        write_json(cache, rows)
    return digest({name: row[2] for name, row in rows.items()})[:16]
