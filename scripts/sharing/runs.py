"""The state of this folder: a run in progress, a run that was killed, a pull that was interrupted."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError, say
from scripts.lib.files import json_object, write_text
from scripts.lib.snakemake_records import METADATA

LOCKS = Path(".snakemake") / "locks"
RUN = Path(".snakemake") / "questline-run.json"
NO_CONTENT = f"sha256:{'0' * 64}"  # the hash of no file
PULLING = Path(".snakemake") / "questline-pull-interrupted"


def run_begins(dag: Any) -> None:
    """Writes down this process, and the state of every file that the run reads and does not make itself."""
    jobs = [job for job in dag.jobs if dag.needrun(job)]
    made = {str(file) for job in jobs for file in job.output}
    read = {str(file) for job in jobs for file in job.input} - made
    who = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    states = {name: state_of(name) for name in sorted(read) if Path(name).is_file()}
    write_text(RUN, json.dumps(who | {"started": time.time(), "read": states}))


def run_ends() -> None:
    """Removes the note of `run_begins`, and invalidates records of inputs that were edited during the run.

    Snakemake records the content that an input has when its job ends, not the content that the job read. So if an input
    changed after the job began, its recorded checksum is replaced by one that fits no file: the next plan runs the job
    again.
    """
    who = holder()
    if who is None:
        return
    edited = {name for name, state in who.get("read", {}).items() if state_of(name) != state}
    if edited:
        for path in METADATA.rglob("*"):
            if path.is_file() and path.stat().st_mtime >= who["started"]:
                forget(path, edited)
    RUN.unlink(missing_ok=True)


def forget(path: Path, edited: set[str]) -> None:
    """Invalidates in one record the checksums of inputs that changed after its job began."""
    try:
        record = json.loads(path.read_bytes())
        checksums, began = record["input_checksums"], float(record["starttime"])
        wrong = {name for name in edited & checksums.keys() if changed_at(name) >= began}
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    if wrong:
        record["input_checksums"] = checksums | dict.fromkeys(wrong, NO_CONTENT)
        write_text(path, json.dumps(record))
        say(f"{', '.join(sorted(wrong))}: edited while a job read it; what was made from it is planned again")


def state_of(name: str) -> list[int]:
    """Size, times (ns) and inode of a file; an edit changes them whatever time stamp it sets. Empty if it is gone."""
    try:
        state = Path(name).stat()
    except OSError:
        return []
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]


def changed_at(name: str) -> float:
    """Seconds since the epoch of a file's last change (ctime); 0 for a file that is gone."""
    state = state_of(name)
    return state[2] / 1e9 if state else 0.0


def nothing_runs(*, pulling: bool = False) -> None:
    """Stops where a run is going on, or was killed, or (unless ``pulling``) where a pull was interrupted.

    Raises:
        UserError: who holds the lock and what to do.
    """
    if PULLING.is_file() and not pulling:
        raise UserError("a pull was interrupted here, so that files and records may not agree; run `make pull` again.")
    if not (LOCKS.is_dir() and any(LOCKS.iterdir())):
        return
    who = holder()
    if who and is_alive(who):
        raise UserError(
            f"a run is going on in this folder (process {who['pid']} on {who['host']}, since {who['since']}); "
            "wait until it has ended."
        )
    if who:
        raise UserError(
            f"a run in this folder was killed (process {who['pid']} on {who['host']}, since {who['since']}) and left "
            "its lock; `.venv/bin/snakemake --unlock` takes it away, then run this again."
        )
    raise UserError(
        "another snakemake holds this folder's lock, or left it when it was killed; wait for it, or, if there is none, "
        "`.venv/bin/snakemake --unlock`."
    )


def holder() -> dict[str, Any] | None:
    """The note of `run_begins`; None if there is none."""
    note = json_object(RUN) or {}
    return note if {"pid", "host", "since"} <= note.keys() else None


def is_alive(who: dict[str, Any]) -> bool:
    """Whether that process may still run; a process on another machine counts as alive."""
    if who["host"] != socket.gethostname():
        return True
    try:
        os.kill(int(who["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs as another user
    return True


def nobody_else() -> None:
    """Before a plan: prints which process works here; Snakemake only reports that there is a lock.

    Raises:
        UserError: a pull was interrupted.
    """
    if PULLING.is_file():
        nothing_runs()
    try:
        nothing_runs()
    except UserError as error:
        say(f"note: {error}")
    who = holder()
    if who and not is_alive(who):
        run_ends()  # that run was killed before it could
