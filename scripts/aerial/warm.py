"""Compiles the aerial system's kernels ahead of their first use: records a few frames of a small made-up city.

python -m scripts.aerial.warm
"""

from __future__ import annotations

import argparse
import json
import tempfile

from scripts.aerial import check, generate, sessions
from scripts.lib.cli import StageParser, run

CITY = {"size": 120, "tallest": 20}
SESSIONS = {
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
    """Generates, checks and records in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="warm-") as folder:
        city, out, report = (f"{folder}/{name}" for name in ("city", "sessions", "meshes.json"))
        stages = [
            (generate, ["--out", city, "--params", json.dumps(CITY)]),
            (check, [city, "--out", report]),
            (sessions, ["--input", city, "--output", out, "--params", json.dumps(SESSIONS)]),
        ]
        for stage, arguments in stages:
            stage.main(stage.parser().parse_args(arguments))


if __name__ == "__main__":
    run(parser, main)
