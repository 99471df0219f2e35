"""Sharing and a clone that has nothing to do.

    python -m benchmarks.share [--files 200] [--megabytes 1024]

``make share`` of that many files (hashes, a copy in the cache, a copy at the remote) against ``cp`` to one more place
and ``md5sum`` of the same files, in turns; and a plan in a pulled clone that has nothing to do against an empty
workflow's. The stages are played by tests/standin.py.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.noop import EMPTY, noop

ROOT = Path(__file__).resolve().parents[1]
PLANS = 5  # they take two seconds, and the first finds nothing in the page cache
LIMITS = {"share against cp and md5sum": 3.0, "no-op in a clone against an empty workflow": 2.0}


def parser() -> argparse.ArgumentParser:
    """The benchmark's arguments."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--files", type=int, default=200)
    options.add_argument("--megabytes", type=int, default=1024)
    options.add_argument("--repeats", type=int, default=2)
    return options


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Builds a small part with many bytes beside it, shares, clones, pulls, plans."""
    sys.path.insert(0, str(ROOT / "tests"))
    from checkouts import Checkout

    with tempfile.TemporaryDirectory(prefix="share-") as name:
        (Path(name) / "first").mkdir()
        checkout = Checkout(Path(name) / "first").populate().under_git()
        checkout.build()
        beside = checkout.folder / "models/dnd/dm/adapter"
        times: dict[str, list[float]] = {"share": [], "cp_md5sum": [], "clone": [], "empty": []}
        for _ in range(args.repeats):
            fill(beside, args.files, args.megabytes)
            times["share"].append(seconds(lambda: checkout.command("scripts.share")))
            times["cp_md5sum"].append(seconds(lambda: copy_and_hash(checkout.folder, Path(name) / "copy")))
        checkout.git("add", "-A")
        checkout.git("commit", "-qm", "shared")
        clone = checkout.clone(Path(name) / "second")
        times["pull"] = [seconds(lambda: clone.command("scripts.pull"))]
        empty = Path(name) / "empty"
        empty.mkdir()
        (empty / "Snakefile").write_text(EMPTY)
        (empty / "there.txt").write_text("")
        for _ in range(PLANS):
            times["clone"].append(noop(clone.folder, []))
            times["empty"].append(noop(empty, []))
    sides = {side: round(statistics.median(values), 2) for side, values in times.items()}
    ratios = {
        "share against cp and md5sum": sides["share"] / sides["cp_md5sum"],
        "no-op in a clone against an empty workflow": sides["clone"] / sides["empty"],
    }
    return {"benchmark": "share", "sides": sides, "ratios": ratios, "at_most": LIMITS}


def fill(folder: Path, files: int, megabytes: int) -> None:
    """New random bytes, as after a training."""
    for number in range(files):
        (folder / f"beside{number}.bin").write_bytes(os.urandom(megabytes * 1_048_576 // files))


def copy_and_hash(folder: Path, copy: Path) -> None:
    """What one would type instead."""
    shutil.rmtree(copy, ignore_errors=True)
    subprocess.run(["cp", "-r", str(folder / "models"), str(copy)], check=True)
    subprocess.run(f'find "{copy}" -type f -print0 | xargs -0 md5sum > "{copy}.md5"', shell=True, check=True)


def seconds(what: Any) -> float:
    """Wall time of a call."""
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


if __name__ == "__main__":
    print(json.dumps(measure(parser().parse_args())))
