"""Inputs whose content was replaced under an old time stamp (cp -p, rsync -a, an unpacked archive).

Snakemake compares an input with the checksum it recorded only if the input is newer than what was made from it. So
before a plan every other input that some record knows by checksum is looked at: one with another content gets a new
time stamp, and Snakemake finds the rest by itself. Files are hashed anew only where size or time changed.
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
STEP = 0.01  # seconds by which a replaced input is newer than what was made from it


def notice_replaced() -> list[str]:
    """Gives replaced inputs a new time stamp; returns and says their names."""
    if not RECORDS.is_dir():
        return []
    contents = Contents()
    found: dict[str, float] = {}
    for made, name, checksum, ended in recorded():
        stamp, before = newest(name), newest(made) or ended
        if stamp is None or stamp > before:
            continue  # gone, or Snakemake looks by itself
        if contents.sha256(name) != checksum:
            found[name] = max(found.get(name, 0.0), before + STEP)
    for name, stamp in found.items():
        stamp = max(stamp, time.time())
        os.utime(name, (stamp, stamp), follow_symlinks=os.utime not in os.supports_follow_symlinks)
        say(f"{name}: another content under an old time stamp; what was made from it is planned again")
    contents.remember()
    newest.cache_clear()
    return list(found)


class Contents:
    """SHA-256 of files, remembered from plan to plan by name, size, time stamp and inode."""

    def __init__(self) -> None:
        self.known, self.seen = _remembered(), {}

    def sha256(self, name: str) -> str:
        """The file's hash, read only where its state is a new one."""
        state = Path(name).stat()
        key = f"{name} {state.st_size} {state.st_mtime_ns} {state.st_ino}"
        if key not in self.seen:
            self.seen[key] = self.known.get(key) or sha256_file(Path(name))
        return self.seen[key]

    def remember(self) -> None:
        """Keeps what was seen for the next plan."""
        if self.seen != self.known:
            write_text(MEMORY, json.dumps(self.seen))


@cache
def newest(name: str) -> float | None:
    """The time stamp that Snakemake compares: a link's own or its target's, the newer one; None where nothing is."""
    try:
        return max(Path(name).lstat().st_mtime, Path(name).stat().st_mtime)
    except OSError:
        return None


def recorded() -> Iterator[tuple[str, str, str, float]]:
    """(made file, input, the input's SHA-256, when the job ended) of every record that holds checksums."""
    for file in sorted(RECORDS.rglob("*")):
        try:
            record = json.loads(file.read_bytes()) if file.is_file() else {}
            checksums = record.get("input_checksums") or {}
            checksums = ast.literal_eval(checksums) if isinstance(checksums, str) else checksums
            made = base64.urlsafe_b64decode(
                "".join(part.removeprefix("@") for part in file.relative_to(RECORDS).parts)
            ).decode()
            for name, checksum in checksums.items():
                kind, _, value = str(checksum).partition(":")
                if kind == "sha256" and len(value) == hashlib.sha256().digest_size * 2:
                    yield made, name, value, float(record["endtime"])
        except (ValueError, SyntaxError, KeyError, TypeError, AttributeError, binascii.Error):
            continue  # a record of another form: Snakemake judges it by itself


def _remembered() -> dict[str, str]:
    try:
        found = json.loads(MEMORY.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
