"""Detects inputs whose content changed while their timestamp stayed old (cp -p, rsync -a, an unpacked archive).

Snakemake compares an input with its recorded checksum only if the input is newer than the output. Before planning,
this module therefore compares every other input that has a recorded checksum; an input with another content gets a new
timestamp, so that Snakemake plans the rest. A file is hashed again only if its size, timestamp or inode changed.
"""

from __future__ import annotations

import ast
import base64
import binascii
import hashlib
import json
import os
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from scripts.lib.cli import say
from scripts.lib.files import sha256_file, write_text

RECORDS = Path(".snakemake") / "metadata"
MEMORY = Path(".snakemake") / "questline-contents.json"
STEP = 0.01  # seconds by which the timestamp of a changed input is later than that of the output


def notice_replaced() -> list[str]:
    """Gives changed inputs a new timestamp; prints and returns their names."""
    if not RECORDS.is_dir():
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
    """SHA-256 of files, cached between plans by name, size, timestamp and inode."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        try:
            known = json.loads(MEMORY.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        self.known = known if isinstance(known, dict) else {}

    def sha256(self, name: str) -> str:
        """The file's hash; the file is read only if its state changed."""
        state = Path(name).stat()
        key = f"{name} {state.st_size} {state.st_mtime_ns} {state.st_ino}"
        if key not in self.seen:
            self.seen[key] = self.known.get(key) or sha256_file(Path(name))
        return self.seen[key]

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
    """Yields (output, input, the input's SHA-256, end time of the job) from Snakemake's records.

    Source: snakemake/persistence/file.py; a record's file name is the base64 of the output's path.
    """
    for file in sorted(RECORDS.rglob("*")):
        try:
            record = json.loads(file.read_bytes()) if file.is_file() else {}
            checksums = record.get("input_checksums") or {}
            checksums = ast.literal_eval(checksums) if isinstance(checksums, str) else checksums
            output = base64.urlsafe_b64decode(
                "".join(part.removeprefix("@") for part in file.relative_to(RECORDS).parts)
            ).decode()
            for name, checksum in checksums.items():
                kind, _, value = str(checksum).partition(":")
                if kind == "sha256" and len(value) == hashlib.sha256().digest_size * 2:
                    yield output, name, value, float(record["endtime"])
        except (ValueError, SyntaxError, KeyError, TypeError, AttributeError, binascii.Error):
            continue  # a record in another format, which Snakemake itself handles
