"""Inputs whose content was replaced under an old time stamp (cp -p, rsync -a, an unpacked archive).

Snakemake compares an input with the checksum it recorded only if the input is newer than what was made from it. So
before a plan every input that some record knows by checksum is looked at: one with another content and an old time
stamp gets a new one, and Snakemake finds the rest by itself. Files are hashed anew only where size or time changed.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from scripts.lib.cli import say
from scripts.lib.files import sha256_file, write_text

RECORDS = Path(".snakemake") / "metadata"
MEMORY = Path(".snakemake") / "questline-contents.json"


def notice_replaced() -> list[str]:
    """Gives replaced inputs a new time stamp; returns and says their names."""
    if not RECORDS.is_dir():
        return []
    known, seen = _remembered(), {}
    found = []
    for name, checksum, made in recorded():
        path = Path(name)
        if not path.is_file() or path.stat().st_mtime > made:
            continue
        state = path.stat()
        key = f"{name} {state.st_size} {state.st_mtime_ns} {state.st_ino}"
        seen[key] = seen.get(key) or known.get(key) or sha256_file(path)
        if seen[key] != checksum and name not in found:
            found.append(name)
    for name in found:
        os.utime(name)
        say(f"{name}: another content under an old time stamp; what was made from it is planned again")
    if seen != known:
        write_text(MEMORY, json.dumps(seen))
    return found


def recorded() -> Iterator[tuple[str, str, float]]:
    """(input, its SHA-256, when the job ended) of every record that holds checksums."""
    for file in sorted(RECORDS.rglob("*")):
        try:
            record = json.loads(file.read_bytes()) if file.is_file() else {}
            checksums = record.get("input_checksums") or {}
            checksums = ast.literal_eval(checksums) if isinstance(checksums, str) else checksums
            for name, checksum in checksums.items():
                kind, _, value = str(checksum).partition(":")
                if kind == "sha256" and len(value) == hashlib.sha256().digest_size * 2:
                    yield name, value, float(record["endtime"])
        except (ValueError, SyntaxError, KeyError, TypeError, AttributeError):
            continue  # a record of another form: Snakemake judges it by itself


def _remembered() -> dict[str, str]:
    try:
        found = json.loads(MEMORY.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
