"""Removes what the workflow made: data it made, models, reports, dist, logs and Snakemake's records.

    python3 -m scripts.clean            lists by size and removes
    python3 -m scripts.clean --keep-work    leaves the trainers' checkpoints

Standard library only.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MADE = (
    "data/curated",
    "data/exported",
    "data/fetched",
    "data/generated",
    "data/ingested",
    "data/labelled",
    "models",
    "reports",
    "dist",
    "logs",
    "benchmarks/out",
    ".snakemake",
)
WORK = "models/.work"


def main() -> int:
    """Removes; returns 0."""
    command = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    command.add_argument("--keep-work", action="store_true", help=f"leave {WORK}: checkpoints of training runs")
    args = command.parse_args()
    for name in MADE:
        folder = ROOT / name
        if not folder.exists():
            continue
        gone = [path for path in folder.iterdir() if not (args.keep_work and path == ROOT / WORK)]
        print(f"removing {name} ({sum(map(size, gone)) / 1e6:.0f} MB)")
        for path in gone:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return 0


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())


if __name__ == "__main__":
    sys.exit(main())
