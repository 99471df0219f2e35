"""Checks a package of the world model: every byte as published, and its example answered as it was.

    python -m scripts.aerial.world.replay dist/aerial/world

Exit code 0 when all holds, 1 when something does not, 2 when the folder is no package.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from scripts.aerial.world.runners import INPUTS, Runner, decided, onnx_runner
from scripts.lib.cli import UserError, run
from scripts.lib.files import inside, read_json
from scripts.packaging.verification import Verdict, verify, verify_parser

EXAMPLE, RESULTS = "example.npz", "test_results.json"
CELLS = 1e-3  # share of cells that may differ: another processor rounds otherwise, and a code may flip at a tie
METRES = 1e-2


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    return verify_parser(__doc__, "dist/aerial/world")


def main(args: argparse.Namespace) -> int:
    """Checks sums, then answers the example again."""
    return verify(args, replayed)


def answer_of(runner: Runner, told: dict[str, np.ndarray], threshold: float, free: int) -> dict[str, Any]:
    """Occupied cells by horizon, how many cells a grid has, and the foretold motion."""
    probabilities, steps = runner(told)
    said = decided(probabilities[0], threshold, free)
    occupied = (said != free).reshape(len(said), -1).sum(1).tolist()
    return {"occupied": occupied, "cells": int(said[0].size), "steps": np.round(steps[0], 4).tolist()}


def replayed(package: Path) -> list[Verdict]:
    """How the default file's answer compares with the one that was published.

    Raises:
        UserError: the example or its answer is not of the form that deploy writes.
    """
    published = read_json(package / RESULTS)
    config = read_json(package / "deployment_config.json")
    try:
        with np.load(package / EXAMPLE, allow_pickle=False) as arrays:
            told = {name: arrays[name] for name in INPUTS}
        free = config["data"]["classes"]["free"]
        now = answer_of(onnx_runner(inside(package, published["file"])), told, published["threshold"], free)
        allowed = CELLS * published["cells"]
        pairs = list(zip(published["occupied"], now["occupied"], strict=True))
        apart = float(np.abs(np.array(published["steps"]) - np.array(now["steps"])).max())
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{package}: no example as deploy writes it ({error}); get the package again.") from error
    frames = [
        Verdict(f"frame +{at}", compared(abs(old - new), allowed), f"{new} occupied cells, published were {old}")
        for at, (old, new) in enumerate(pairs, start=1)
    ]
    return [*frames, Verdict("motion", compared(apart, METRES), f"{apart:.3g} off at most (m or rad)")]


def compared(off: float, allowed: float) -> str:
    """same, near or differs."""
    return "same" if off == 0 else "near" if off <= allowed else "differs"


if __name__ == "__main__":
    run(parser, main)
