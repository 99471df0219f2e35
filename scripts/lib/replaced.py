"""Detects inputs whose content changed while their timestamp stayed old (cp -p, rsync -a, an unpacked archive).

Snakemake compares an input with its recorded checksum only if the input is newer than the output. Before planning,
this module therefore compares every other input that has a recorded checksum; an input with another content gets a new
timestamp, so that Snakemake plans the rest. A file is hashed again only if its size, timestamp or inode changed.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from scripts.lib.cli import say
from scripts.lib.files import json_object, sha256_file, write_text
from scripts.lib.snakemake_records import METADATA, record_files

MEMORY = Path(".snakemake") / "questline-contents.json"
STEP = 0.01  # seconds by which the timestamp of a changed input is later than that of the output


def notice_replaced() -> list[str]:
    """Gives changed inputs a new timestamp; prints and returns their names."""
    if not METADATA.is_dir():
        return []
    contents = Contents()
    stamps: dict[str, float] = {}
    for output, name, checksum, ended in recorded():
        stamp, before = newest(name), newest(output) or ended
        if stamp is None or stamp > before:
            continue  # the input is gone, or Snakemake itself compares it
        if contents.sha256(name) != checksum:
            stamps[name] = max(stamps.get(name, 0.0), before + STEP)
    for name, stamp in stamps.items():
        stamp = max(stamp, time.time())
        os.utime(name, (stamp, stamp), follow_symlinks=os.utime not in os.supports_follow_symlinks)
        say(f"{name}: another content under an old time stamp; what was made from it is planned again")
    contents.remember()
    newest.cache_clear()
    return list(stamps)


class Contents:
    """SHA-256 of files, each looked at once, and cached between plans by name, size, timestamp and inode."""

    def __init__(self) -> None:
        self.hashes: dict[str, str] = {}
        self.seen: dict[str, str] = {}
        self.known: dict[str, str] = json_object(MEMORY) or {}

    def sha256(self, name: str) -> str:
        """The file's hash; the file is read only if its state changed."""
        if name not in self.hashes:
            state = Path(name).stat()
            key = f"{name} {state.st_size} {state.st_mtime_ns} {state.st_ino}"
            self.hashes[name] = self.seen[key] = self.known.get(key) or sha256_file(Path(name))
        return self.hashes[name]

    def remember(self) -> None:
        """Writes the hashes for the next plan."""
        if self.seen != self.known:
            write_text(MEMORY, json.dumps(self.seen))


@cache
def newest(name: str) -> float | None:
    """The timestamp that Snakemake compares, the later one of a link and its target; None if there is no file."""
    try:
        return max(Path(name).lstat().st_mtime, Path(name).stat().st_mtime)
    except OSError:
        return None


def recorded() -> Iterator[tuple[str, str, str, float]]:
    """Yields (output, input, the input's SHA-256, end time of the job) from Snakemake's records."""
    for output, file in record_files():
        try:
            record = json_object(file) or {}
            checksums = record.get("input_checksums") or {}
            checksums = ast.literal_eval(checksums) if isinstance(checksums, str) else checksums
            for name, checksum in checksums.items():
                kind, _, value = str(checksum).partition(":")
                if kind == "sha256" and len(value) == hashlib.sha256().digest_size * 2:
                    yield output, name, value, float(record["endtime"])
        except (ValueError, SyntaxError, KeyError, TypeError, AttributeError):
            continue  # a record in another format, which Snakemake itself handles
