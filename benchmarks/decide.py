"""Decisions a second of an agent: the package through llama.cpp, against its base and adapter in transformers.

    python -m benchmarks.decide --package dist/gameplay/agent

The same frames of test recordings on both sides, one at a time, greedily, each side in a process of its own. Loading
and the first decision are left out. A decision is for the 0.3 seconds that its first three slots last.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.sides import must_exist, options_of, run_side

SIDES = ("questline", "transformers")
PATHS = ("package", "adapter", "records")


def parser() -> argparse.ArgumentParser:
    """The benchmark's arguments."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--package", type=Path, default=Path("dist/gameplay/agent"))
    options.add_argument("--adapter", type=Path, default=Path("models/gameplay/agent/adapter"), help="the package's")
    options.add_argument("--records", type=Path, default=Path("data/curated/gameplay/agent/test.jsonl"))
    options.add_argument("--frames", type=int, default=40, help="at most so many")
    options.add_argument("--side", choices=SIDES, help="measure one side in this process")
    return options


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Each side in a process of its own; decisions a second and the ratio.

    Raises:
        SystemExit: something to measure is missing.
    """
    must_exist(args, PATHS)
    options = options_of(args, (*PATHS, "frames"))
    sides = {side: run_side("decide", side, options) for side in SIDES}
    ours, peer = (sides[side]["decisions_per_second"] for side in SIDES)
    return {"benchmark": "decide", "sides": sides, "ratios": {"ours / transformers": ours / peer}}


def one_side(args: argparse.Namespace) -> dict[str, Any]:
    """Decides on all frames in this process."""
    from scripts.gameplay.answer import AnswerError
    from scripts.gameplay.minds import mind_of
    from scripts.model.logits import let_idle_threads_sleep

    let_idle_threads_sleep()
    shown = frames(args.records, args.frames + 1)
    spent, unread = [], 0
    with mind_of(args.package if args.side == "questline" else args.adapter, 0.0, 0) as mind:
        for picture, goal in shown:
            started = time.perf_counter()
            try:
                mind.player.decide(picture, goal)
            except AnswerError:
                unread += 1
            spent.append(time.perf_counter() - started)
    rate = len(spent[1:]) / sum(spent[1:])
    return {
        "decisions_per_second": round(rate, 2),
        "first_seconds": round(spent[0], 3),
        "frames": len(spent) - 1,
        "unread": unread,
    }


def frames(records: Path, count: int) -> list[tuple[Any, str]]:
    """Frames of test records, drawn evenly, as a game shows them (red first), with their goals."""
    from scripts.lib.records import read_records
    from scripts.lib.sampling import spread
    from scripts.model.viewer import open_picture

    chosen = spread(read_records(records), count)
    return [
        (open_picture(records.parent / record.images[0])[..., ::-1].copy(), record.meta["goal"]) for record in chosen
    ]


if __name__ == "__main__":
    arguments = parser().parse_args()
    print(json.dumps(one_side(arguments) if arguments.side else measure(arguments)))
