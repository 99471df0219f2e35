"""Curating many tool-call examples: rows a second of our stage against `datasets` and `datasketch` on the same file.

    python -m benchmarks.curate [--rows 100000]

The file is JSONL in OpenAI's form: rows of our generator, and among them repeats under other ids, near repeats (a
value spelled otherwise, a word more) and calls with an unknown parameter. Timed is from the file to proven splits:
read, validate against the schema, drop repeats, find near texts, group them, split by group, prove that no pair lies
across splits. Imports are left out. Each side runs in a process of its own; memory is VmHWM, for the peer that of its
main process and, beside it, of its largest worker.

``datasketch`` is the peer as the documentation of its parts has it: jsonschema, a signature for every row, the default
hash. ``datasketch-tuned`` takes every shortcut that we know of, ours among them: compiled validators, one signature for
equal texts, a faster hash. It stands beside for reference.
"""

from __future__ import annotations

import argparse
import copy
import functools
import json
import os
import random
import re
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.sides import fastest, peak_bytes, run_side
from scripts.tools.options import ToolsCurateOptions

SIDES = ("questline", "datasketch", "datasketch-tuned")
FLOORS = {"rows/s against datasketch": 5.0}
SCHEMA = Path("data/raw/tools/schema.json")
REPEATS, NEAR, BAD = 0.1, 0.1, 0.01  # shares of the rows
MORE = ("please", "now", "again", "for me", "as before", "right away")


def parser() -> argparse.ArgumentParser:
    """The benchmark's arguments."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--repeats", type=int, default=2, help="runs a side")
    options.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--side", choices=SIDES, help="measure one side in this process; --file names its rows")
    return options


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Writes the rows, then runs the sides in turns; the fastest run of each counts."""
    with tempfile.TemporaryDirectory(prefix="curate-") as folder:
        file = Path(folder) / "rows.jsonl"
        count = write_rows(file, args.rows, args.seed)
        runs = [{side: run_side("curate", side, {"file": file}) for side in SIDES} for _ in range(args.repeats)]
    sides = fastest(runs)
    for side in sides.values():
        side["rows_per_second"] = round(count / side["seconds"])
    own, peer = sides["questline"], sides["datasketch"]
    speed = {f"rows/s against {side}": own["rows_per_second"] / sides[side]["rows_per_second"] for side in SIDES[1:]}
    memory = {"peak memory, ours / datasketch": own["peak_bytes"] / peer["peak_bytes"]}
    return {"benchmark": "curate", "sides": {**sides, "rows": count}, "ratios": speed | memory, "at_least": FLOORS}


def one_side(side: str, file: Path) -> dict[str, Any]:
    """Curates the file in this process: seconds, memory and counts of rows."""
    run = ours() if side == "questline" else peer(tuned=side == "datasketch-tuned")
    started = time.perf_counter()
    outcome = run(file)
    result = {"seconds": round(time.perf_counter() - started, 2), "peak_bytes": peak_bytes()}
    own, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    result["cpu_seconds"] = round(sum(used.ru_utime + used.ru_stime for used in (own, workers)), 2)
    return {**result, "worker_peak_bytes": workers.ru_maxrss * 1024, **outcome}


def ours() -> Any:
    """Our stage up to the proof, as a function of the file."""
    import scipy.sparse  # noqa: F401 (loaded at its first use, which is inside what is timed)

    from scripts.lib.process import uncollected
    from scripts.tools.curate import divide
    from scripts.tools.options import ToolsCheckOptions
    from scripts.tools.schema import load_schema

    def run(file: Path) -> dict[str, Any]:
        with uncollected():
            divided = divide([file], load_schema(SCHEMA), ToolsCurateOptions(), ToolsCheckOptions())
        pool, texts = divided.pool, len(set(divided.pool.masked.values()))
        dropped = len(divided.valid.faults), len(pool.duplicates), len(pool.near_duplicates)
        return outcome_of(*dropped, texts, divided.groups, divided.sides, divided.leakage)

    return run


def peer(tuned: bool) -> Any:
    """The same steps with `datasets` and `datasketch`, as a function of the file."""
    from benchmarks.curate_peer import curate

    def run(file: Path) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="curate-cache-") as cache:
            return outcome_of(*curate(file, SCHEMA, ToolsCurateOptions(), Path(cache), os.cpu_count() or 1, tuned))

    return run


def outcome_of(
    faults: int, repeats: int, near: int, texts: int, groups: dict[str, str], sides: dict[str, str], leaks: Any
) -> dict[str, Any]:
    """The counts of both sides, which show that they have done the same work."""
    dropped = {"bad": faults, "repeats": repeats, "near_repeats": near}
    return {**dropped, "texts": texts, "groups": len(set(groups.values())), **Counter(sides.values()), "leaks": leaks}


def write_rows(file: Path, count: int, seed: int) -> int:
    """Writes generated rows with repeats and near repeats among them, in a drawn order; returns how many."""
    from scripts.tools.curate import make_record, openai_row
    from scripts.tools.examples import Source, from_raw
    from scripts.tools.generate import fits
    from scripts.tools.generator.assemble import examples
    from scripts.tools.schema import load_schema

    rng = random.Random(seed)
    own = round(count * (1 - REPEATS - NEAR - BAD))
    generated = examples(own, seed, functools.partial(fits, load_schema(SCHEMA)))
    rows = [openai_row(make_record(from_raw(row, Source("rows", 1)), "", [], "")) for row in generated]
    repeats = enumerate(rng.choices(rows, k=round(count * REPEATS)))
    rows += [renamed(row, f"repeat-{number}") for number, row in repeats]
    rows += near_repeated(rows[:own], round(count * NEAR), rng)
    rows += spoiled([row for row in rows[:own] if "tool_calls" in row["messages"][1]], count - len(rows), rng)
    rng.shuffle(rows)
    with file.open("w") as stream:
        stream.writelines(json.dumps({key: row[key] for key in ("messages", "metadata")}) + "\n" for row in rows)
    return len(rows)


def near_repeated(rows: Sequence[dict[str, Any]], count: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Rows again under other ids, the first message with ``0x`` for ``$`` where there is one, or with a word more."""
    for number, row in enumerate(rng.choices(rows, k=count)):
        first, *rest = row["messages"]
        text = re.sub(r"\$(?=[0-9A-Fa-f])", "0x", first["content"]) if rng.random() < 0.5 else first["content"]
        text = text if text != first["content"] else f"{text} {rng.choice(MORE)}"
        yield {**renamed(row, f"near-{number}"), "messages": [{**first, "content": text}, *rest]}


def spoiled(rows: Sequence[dict[str, Any]], count: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Rows with a call again, with a parameter that no tool has."""
    for number, row in enumerate(rng.choices(rows, k=count)):
        messages = copy.deepcopy(row["messages"])
        messages[1]["tool_calls"][0]["function"]["arguments"] = json.dumps({"colour": number})
        yield {**renamed(row, f"bad-{number}"), "messages": messages}


def renamed(row: dict[str, Any], name: str) -> dict[str, Any]:
    """The row under another id."""
    return {**row, "metadata": {**row["metadata"], "id": name}}


if __name__ == "__main__":
    arguments = parser().parse_args()
    print(json.dumps(one_side(arguments.side, arguments.file) if arguments.side else measure(arguments)))
