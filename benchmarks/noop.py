"""A run of the whole workflow that has nothing to do, against an empty workflow's.

    python -m benchmarks.noop [--repeats 5]

Median wall time of `snakemake` in this checkout, which must be built, and of `snakemake` in a folder whose only rule
has an input that is there, taken in turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CEILING = 1.5
EMPTY = 'rule all:\n    input:\n        "there.txt",\n'


def parser() -> argparse.ArgumentParser:
    """The benchmark's arguments."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--configfile", nargs="*", default=[])
    return options


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of both sides and their ratio."""
    ours = ["--configfile", *args.configfile] if args.configfile else []
    must_be_built(Path.cwd(), ours)
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder)
        (empty / "Snakefile").write_text(EMPTY)
        (empty / "there.txt").write_text("")
        times: dict[str, list[float]] = {"questline": [], "empty": []}
        for _ in range(args.repeats):
            times["questline"].append(noop(Path.cwd(), ours))
            times["empty"].append(noop(empty, []))
    seconds = {side: round(statistics.median(values), 2) for side, values in times.items()}
    ratio = seconds["questline"] / seconds["empty"]
    name = "no-op against an empty workflow"
    return {"benchmark": "noop", "sides": seconds, "ratios": {name: ratio}, "at_most": {name: CEILING}}


def must_be_built(folder: Path, arguments: list[str]) -> None:
    """Stops where a run would have something to do, before it does it.

    Raises:
        SystemExit: there is something to do.
    """
    if "Nothing to be done" not in snakemake(folder, ["-n", *arguments]):
        sys.exit(
            f"error: {folder} has something to do; run `make demo` first, or name the --configfile it was built by."
        )


def noop(folder: Path, arguments: list[str]) -> float:
    """Seconds of a run that has nothing to do."""
    started = time.perf_counter()
    snakemake(folder, arguments)
    return time.perf_counter() - started


def snakemake(folder: Path, arguments: list[str]) -> str:
    """What a run in the folder says."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr


if __name__ == "__main__":
    print(json.dumps(measure(parser().parse_args())))
