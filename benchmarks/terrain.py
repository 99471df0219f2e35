"""Reading, checking, scoring and encoding terrain tiles against bare parses of the same files.

    python -m benchmarks.terrain [--tiles 1024]

Generated tiles, each read several times under other names. Every side has two processes. ``orjson`` parses the files
and does nothing else; ``loops`` is the same work as ours with the standard library's json and a Python loop over every
value. Imports are left out. Memory is VmHWM of the larger process, ours for all tiles and for an eighth of them.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import orjson

from benchmarks.sides import fastest, peak_bytes, run_side

SIDES = ("questline", "orjson", "loops")
PROCESSES = 2
DISTINCT = 64  # tiles that are generated
LIMITS = {"ours / bare orjson": 1.6, "memory, all tiles / an eighth": 1.2}
FLOORS = {"loops / ours": 10.0}


def parser() -> argparse.ArgumentParser:
    """The benchmark's arguments."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--tiles", type=int, default=1024)
    options.add_argument("--repeats", type=int, default=2, help="runs a side; the slow one has one")
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--side", choices=SIDES, help="measure one side in this process; --folder names its tiles")
    return options


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Generates the tiles, then runs the sides in turns; the fastest run of each counts."""
    with tempfile.TemporaryDirectory(prefix="terrain-") as name:
        made, whole, part = (Path(name) / folder for folder in ("made", "whole", "part"))
        command = [sys.executable, "-m", "scripts.terrain.generate", "--out", str(made)]
        params = json.dumps({"tiles": DISTINCT})
        subprocess.run([*command, "--params", params], stderr=subprocess.DEVNULL, check=True)
        spread(made, whole, args.tiles)
        spread(made, part, args.tiles // 8)
        runs = [
            {side: run_side("terrain", side, {"folder": whole}) for side in ("questline", "orjson")}
            for _ in range(args.repeats)
        ]
        runs.append({"loops": run_side("terrain", "loops", {"folder": part})})
        eighth = run_side("terrain", "questline", {"folder": part})
    sides = fastest(runs)
    per_tile = {side: sides[side]["seconds"] / sides[side]["tiles"] for side in SIDES}
    ratios = {
        "ours / bare orjson": per_tile["questline"] / per_tile["orjson"],
        "loops / ours": per_tile["loops"] / per_tile["questline"],
        "memory, all tiles / an eighth": sides["questline"]["peak_bytes"] / eighth["peak_bytes"],
    }
    return {
        "benchmark": "terrain",
        "sides": {**sides, "tiles": args.tiles},
        "ratios": ratios,
        "at_most": LIMITS,
        "at_least": FLOORS,
    }


def spread(made: Path, out: Path, count: int) -> None:
    """Links the tiles' files under the names of so many tiles; the name inside a file is removed."""
    (out / "dataset").mkdir(parents=True)
    files = sorted((made / "dataset").glob("*.json"))
    nameless = made / "nameless"
    nameless.mkdir(exist_ok=True)
    for file in files:
        if not (nameless / file.name).exists():
            value = orjson.loads(file.read_bytes())
            value["terrain_data"].pop("adt_tile")
            (nameless / file.name).write_bytes(orjson.dumps(value))
    for number in range(count):
        target = nameless / files[number % len(files)].name
        (out / "dataset" / f"Bench_{number % 64}_{number // 64}.json").symlink_to(target)


def one_side(side: str, folder: Path) -> dict[str, Any]:
    """Reads all tiles in two processes: seconds, and the larger process's peak memory."""
    files = sorted((folder / "dataset").glob("*.json"))
    with ProcessPoolExecutor(PROCESSES, get_context("spawn"), initializer=WORK[side], initargs=(None,)) as pool:
        list(pool.map(WORK[side], [None] * PROCESSES))  # starts both processes and imports everything
        started = time.perf_counter()
        peaks = list(pool.map(run, [side] * PROCESSES, [files[at::PROCESSES] for at in range(PROCESSES)]))
        seconds = time.perf_counter() - started
    return {"seconds": round(seconds, 2), "tiles": len(files), "peak_bytes": max(peaks)}


def run(side: str, files: list[Path]) -> int:
    """Reads the files one after the other; returns the process's peak memory."""
    for file in files:
        WORK[side](file)
    return peak_bytes()


def ours(file: Path | None) -> Any:
    """Read, check, score and encode."""
    from scripts.lib.process import uncollected
    from scripts.terrain.export import TileFile, tile_file
    from scripts.terrain.ingest import encode_tile
    from scripts.terrain.options import TerrainCheckOptions, TerrainIngestOptions
    from scripts.terrain.tile import read_tile

    if file is None:
        return None
    tile = tile_file(file.parent.parent, file)
    assert isinstance(tile, TileFile)
    with uncollected():  # as in the stage
        return encode_tile(read_tile(tile, TerrainCheckOptions()), TerrainIngestOptions())


def bare(file: Path | None) -> Any:
    """A parse and nothing else."""
    return orjson.loads(file.read_bytes()) if file else None


def loops(file: Path | None) -> Any:
    """The work of ours, value by value: ground, cell means, textures, liquids, holes, objects, the rebuilt ground."""
    if file is None:
        return None
    data = json.loads(file.read_text())["terrain_data"]
    total, count = [[0.0] * 257 for _ in range(257)], [[0] * 257 for _ in range(257)]
    for chunk in data["heights"]:
        top, left = 16 * (chunk["idx"] // 16), 16 * (chunk["idx"] % 16)
        for at, height in enumerate(chunk["h"]):
            if not math.isfinite(height):
                raise ValueError(file)
            pair, place = divmod(at, 17)
            row, column = (2 * pair, 2 * place) if place < 9 else (2 * pair + 1, 2 * (place - 9) + 1)
            total[top + row][left + column] += height
            count[top + row][left + column] += 1
    field = [[total[r][c] / max(1, count[r][c]) for c in range(257)] for r in range(257)]
    for r, c in ((r, c) for r in range(257) for c in range(257) if not count[r][c]):  # edges between two vertices
        down, right = r % 2, 1 - r % 2
        field[r][c] = (field[r - down][c - right] + field[r + down][c + right]) / 2
    cells = [[cell(field, row, column) for column in range(8)] for row in range(8)]
    shares = [0.0] * len(data["textures"])
    for chunk in data["chunk_layers"]:
        for layer in chunk["layers"]:
            bits = layer.get("alpha_bits")
            shares[layer["tex_id"]] += sum(base64.b64decode(bits)) / 4096 / 255 if bits else 1.0
    holes = sum(bin(mask).count("1") for mask in data["holes"])
    x, y = map(int, file.stem.split("_")[1:])
    things: dict[tuple[str, int, int], int] = {}
    for thing in data["objects"]:
        row, column = thing["z"] / (1600 / 3) - y, thing["x"] / (1600 / 3) - x
        if 0 <= row < 1 and 0 <= column < 1:
            key = (thing["name"], int(8 * row), int(8 * column))
            things[key] = things.get(key, 0) + 1
    wet = {}
    for liquid in data["liquids"]:
        top, left = 16 * (liquid["idx"] // 16), 16 * (liquid["idx"] % 16)
        below = (field[top + r][left + c] < liquid["max_height"] for r in range(16) for c in range(16))
        wet[liquid["idx"]] = sum(below)
    return statistics.pstdev(chain.from_iterable(field)), cells, shares, holes, things, wet, way_back(field, cells)


def way_back(field: list[list[float]], cells: list[list[float]]) -> float:
    """RMSE between the ground and its rebuilt cells: each value a sum over the 8 cells of its column."""
    spread = spread_of(len(cells))
    wide = [[sum(a * b for a, b in zip(weights, row, strict=True)) for row in cells] for weights in spread]
    total = 0.0
    for row, weights in zip(field, spread, strict=True):
        for true, column in zip(row, wide, strict=True):
            total += (sum(a * b for a, b in zip(weights, column, strict=True)) - true) ** 2
    return math.sqrt(total / 257**2)


@cache
def spread_of(cells: int) -> list[list[float]]:
    """Each cell's weight in each grid point along a side; our function, called once, because it is not compared."""
    from scripts.terrain.answer import between

    return between(cells).tolist()


def cell(field: list[list[float]], row: int, column: int) -> float:
    """The mean of a cell's heights."""
    rows, columns = range(32 * row, 32 * row + 33), range(32 * column, 32 * column + 33)
    values = [field[r][c] for r in rows for c in columns]
    return sum(values) / len(values)


WORK = {"questline": ours, "orjson": bare, "loops": loops}

if __name__ == "__main__":
    arguments = parser().parse_args()
    print(json.dumps(one_side(arguments.side, arguments.folder) if arguments.side else measure(arguments)))
