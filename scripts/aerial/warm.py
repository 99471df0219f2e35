"""Compiles the aerial system's kernels, so that no first use waits for it: records one frame of a small made-up city.

python -m scripts.aerial.warm
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from scripts.aerial import check, generate, sessions
from scripts.lib.cli import StageParser, run

CITY = {"size": 120, "tallest": 20}
ONE = {
    "voxels": {"grid": {"range": [-8, -8, -4, 8, 8, 12], "voxel": [1, 1, 1]}, "solid": ["building"]},
    "sessions": {
        "sessions": 2,
        "frames": 2,
        "kinds": ["walk", "rover"],
        "max_empty_share": 1,
        "lidar": {"beams": 2, "azimuths": 8},
        "camera": {"width": 16, "height": 16},
    },
}


def parser() -> argparse.ArgumentParser:
    """The command's arguments: none."""
    return StageParser(__doc__, params=False)


def main(args: argparse.Namespace) -> None:
    """Generates, checks and records in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="warm-") as name:
        city, out = Path(name) / "city", Path(name) / "sessions"
        stage(generate, "--out", city, "--params", json.dumps(CITY))
        stage(check, city, "--out", Path(name) / "meshes.json")
        stage(sessions, "--input", city, "--output", out, "--params", json.dumps(ONE))


def stage(module: object, *words: object) -> None:
    """A stage in this process."""
    module.main(module.parser().parse_args([str(word) for word in words]))  # type: ignore[attr-defined]


if __name__ == "__main__":
    run(parser, main)
