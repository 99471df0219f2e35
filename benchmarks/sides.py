"""The sides of a benchmark, each in a process of its own: their imports, caches and peak memory do not mix.

Standard library only, because a side may run under another interpreter, without this project's packages.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def run_side(
    benchmark: str,
    side: str,
    options: Mapping[str, Any],
    *,
    python: str = sys.executable,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Runs ``python -m benchmarks.<benchmark> --side <side>`` with more options; returns the JSON of its last line."""
    command = [python, "-m", f"benchmarks.{benchmark}", "--side", side]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    granted = os.environ | (environment or {})
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=granted)
    return json.loads(done.stdout.splitlines()[-1])


def options_of(args: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Some of a command's options, to hand on."""
    return {name: getattr(args, name) for name in names}


def fastest(runs: Sequence[Mapping[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Of each side the run with the fewest seconds, because other programs only ever add to them."""
    sides = dict.fromkeys(side for run in runs for side in run)
    return {side: min((run[side] for run in runs if side in run), key=lambda row: row["seconds"]) for side in sides}


def must_exist(args: argparse.Namespace, names: Sequence[str]) -> None:
    """Stops if a path to measure is missing.

    Raises:
        SystemExit: it names what is missing and the command that makes it.
    """
    missing = [str(getattr(args, name)) for name in names if not getattr(args, name).exists()]
    if missing:
        sys.exit(f"error: no {' and no '.join(missing)}; run `make demo` first, or name other paths.")


def peak_bytes() -> int:
    """The largest resident set of this process so far (VmHWM), in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
