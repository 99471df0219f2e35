"""One hour of recording: timeline, segments and pictures, against decoding the same JPEGs and nothing else.

    python -m benchmarks.gameplay [--frames 36000]

A generated recording, 640 × 480, a frame each 100 ms; a few hundred distinct pictures stand in it many times. Every
side has two processes, and its imports are left out. ``ingest`` is the whole stage: every frame read, checked, decoded,
resized and written, samples and hashes too. ``timeline`` reads the frames' JSON and cuts segments, no picture.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.sides import fastest, peak_bytes, run_side

SIDES = ("ingest", "timeline", "jpegs")
PROCESSES = 2
DISTINCT = 200  # pictures that are drawn
START = 1_795_271_103_000
LIMITS = {"ingest / decoding alone": 1.5, "timeline, seconds": 10.0}


def parser() -> argparse.ArgumentParser:
    """The benchmark's arguments."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--frames", type=int, default=36_000)
    options.add_argument("--repeats", type=int, default=2, help="runs a side")
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--side", choices=SIDES, help="measure one side in this process; --folder names the recording")
    return options


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Generates the recording, then runs the sides in turns; the fastest run of each counts."""
    with tempfile.TemporaryDirectory(prefix="gameplay-") as name:
        folder = Path(name) / "play"
        generate(folder, Path(name) / "distinct", args.frames)
        granted = {"OMP_NUM_THREADS": str(PROCESSES)}
        runs = [
            {side: run_side("gameplay", side, {"folder": folder}, environment=granted) for side in SIDES}
            for _ in range(args.repeats)
        ]
    sides = fastest(runs)
    ratios = {
        "ingest / decoding alone": sides["ingest"]["seconds"] / sides["jpegs"]["seconds"],
        "ingest / decoding alone, CPU time": sides["ingest"]["cpu_seconds"] / sides["jpegs"]["cpu_seconds"],
        "timeline / decoding alone": sides["timeline"]["seconds"] / sides["jpegs"]["seconds"],
        "timeline, seconds": sides["timeline"]["seconds"],
    }
    return {"benchmark": "gameplay", "sides": {**sides, "frames": args.frames}, "ratios": ratios, "at_most": LIMITS}


def generate(folder: Path, distinct: Path, count: int) -> None:
    """Writes the frames; their images are links to a few drawn ones: a floor, a sky, things on the floor."""
    from scripts.gameplay.raw import frame_name

    for made in (folder, distinct):
        made.mkdir()
    rng = np.random.default_rng(7)
    for number in range(DISTINCT):
        picture = np.repeat(np.linspace(60, 200, 480)[:, None, None], 640, axis=1).repeat(3, axis=2)
        picture += rng.normal(0, 6, picture.shape)  # a game's textures are not plain
        picture = picture.clip(0, 255).astype(np.uint8)
        for left, top in rng.integers(0, 440, (12, 2)).tolist():
            cv2.rectangle(picture, (left, top), (left + 90, top + 60), rng.integers(0, 255, 3).tolist(), -1)
        (distinct / f"{number}.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    words = [["w"], ["left", "w"], ["none"], ["w"], ["d"], ["right", "w"]]
    for tick in range(count):
        name = frame_name(START + 100 * tick)
        (folder / f"{name}.jpg").symlink_to(distinct / f"{tick % DISTINCT}.jpg")
        keys = words[tick // 23 % len(words)]
        value = {"action_sequence": keys, "mouse_look": {"x": 0, "y": 0}, "goal_prompt": "UNLABELED"}
        (folder / f"{name}.json").write_text(json.dumps(value))


def one_side(side: str, folder: Path) -> dict[str, Any]:
    """Seconds, CPU seconds of all processes (other work on the machine stretches them less), this one's peak memory."""
    started = cpu_seconds()
    seconds = WORK[side](folder)
    cpu = cpu_seconds() - started
    return {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "peak_bytes": peak_bytes()}


def cpu_seconds() -> float:
    """CPU time of this process and its finished children."""
    return sum(sum(resource.getrusage(which)[:2]) for which in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def ingest(folder: Path) -> float:
    """The stage as it runs."""
    from scripts.gameplay.ingest import write_recording
    from scripts.gameplay.options import GameplayCheckOptions, GameplayIngestOptions
    from scripts.gameplay.readers.sources import recording_at
    from scripts.gameplay.reading import read

    check = GameplayCheckOptions()
    with tempfile.TemporaryDirectory(prefix="ingested-", dir=folder.parent) as out:
        started = time.perf_counter()
        made = write_recording(Path(out), read(recording_at(folder), check), GameplayIngestOptions(), check)
        seconds = time.perf_counter() - started
    assert made["samples"] == made["frames"]
    return seconds


def timeline(folder: Path) -> float:
    """Timeline, segments and windows, in one process."""
    from scripts.gameplay.options import GameplayCheckOptions, GameplayIngestOptions
    from scripts.gameplay.readers.sources import recording_at
    from scripts.gameplay.reading import read
    from scripts.gameplay.segments import segments_of

    started = time.perf_counter()
    segments, _ = segments_of(read(recording_at(folder), GameplayCheckOptions()).timeline, GameplayIngestOptions())
    seconds = time.perf_counter() - started
    assert segments
    return seconds


def jpegs(folder: Path) -> float:
    """Every JPEG read and decoded in full; nothing is done with it."""
    paths = sorted(path for path in folder.iterdir() if path.suffix == ".jpg")
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        list(pool.map(decode_all, [[]] * PROCESSES))  # starts both processes and imports everything
        started = time.perf_counter()
        done = list(pool.map(decode_all, [paths[at::PROCESSES] for at in range(PROCESSES)]))
        seconds = time.perf_counter() - started
    assert sum(done) == len(paths)
    return seconds


def decode_all(paths: list[Path]) -> int:
    """Decodes pictures; returns how many there are."""
    cv2.setNumThreads(1)
    return sum(cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR) is not None for path in paths)


WORK = {"ingest": ingest, "timeline": timeline, "jpegs": jpegs}

if __name__ == "__main__":
    arguments = parser().parse_args()
    print(json.dumps(one_side(arguments.side, arguments.folder) if arguments.side else measure(arguments)))
