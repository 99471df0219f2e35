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
from scripts.lib.cli import StageParser, UserError, run
from scripts.lib.files import inside, read_json, write_json
from scripts.packaging.sums import check_sums, read_sums

EXAMPLE, RESULTS = "example.npz", "test_results.json"
CELLS = 1e-3  # share of cells that may differ: another processor rounds otherwise, and a code may flip at a tie
METRES = 1e-2


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    stage = StageParser(__doc__, params=False)
    stage.add_argument("package", type=Path, help="a folder such as dist/aerial/world")
    stage.add_argument("--sums-only", action="store_true", help="do not load the model")
    stage.add_argument("--out", type=Path, help="also write the result as JSON")
    return stage


def main(args: argparse.Namespace) -> int:
    """Checks sums, then answers the example again; an altered file is never loaded."""
    problems = check_sums(args.package)
    for problem in problems:
        print(f"{problem.kind}: {problem.name}: {problem.detail}")
    if not problems:
        print(f"{args.package}: {len(read_sums(args.package))} files, all as published")
    differs = [] if problems or args.sums_only else replayed(args.package)
    for sentence in differs:
        print(f"differs: {sentence}")
    passed = not problems and not differs
    print("verified" if passed else "NOT verified")
    if args.out:
        write_json(args.out, {"passed": passed, "files": [vars(problem) for problem in problems], "replay": differs})
    return 0 if passed else 1


def answer_of(runner: Runner, told: dict[str, np.ndarray], threshold: float, free: int) -> dict[str, Any]:
    """Occupied cells by horizon, how many cells a grid has, and the foretold motion."""
    probabilities, steps = runner(told)
    said = decided(probabilities[0], threshold, free)
    occupied = (said != free).reshape(len(said), -1).sum(1).tolist()
    return {"occupied": occupied, "cells": int(said[0].size), "steps": np.round(steps[0], 4).tolist()}


def replayed(package: Path) -> list[str]:
    """How the default file's answer differs from the one that was published.

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
    differs = [
        f"frame +{at}: {new} occupied cells, published were {old}"
        for at, (old, new) in enumerate(pairs, start=1)
        if abs(old - new) > allowed
    ]
    return differs + ([f"the motion is {apart:.3g} off (m or rad)"] if apart > METRES else [])


if __name__ == "__main__":
    run(parser, main)
