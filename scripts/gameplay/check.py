"""Checks recordings one by one, as a summary or as one JSON line a recording.

Exit code 0: no problem in any recording. 1: at least one problem, each reported with its file and what to do; the
sound part can still be used. 2: there is nothing to check. Warnings about the shares of keys and goals do not change
the exit code.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from scripts.gameplay.options import GameplayCheckOptions
from scripts.gameplay.raw import UNLABELED
from scripts.gameplay.readers.sources import find_recordings
from scripts.gameplay.reading import read, summary
from scripts.lib.cli import StageParser, load_params, run, say

SHOWN = 20


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("paths", nargs="+", type=Path, help="recordings, or folders of them")
    result.add_argument("--json", action="store_true", help="one JSON line a recording on stdout")
    result.add_argument("--no-pictures", action="store_true", help="leave pictures and videos unread")
    return result


def main(args: argparse.Namespace) -> int:
    """Checks all recordings; 1 if there is a problem in any."""
    options = GameplayCheckOptions.parse(load_params(args.params))
    problems = 0
    for source in find_recordings(args.paths):
        reading = read(source, options)
        shots = range(len(reading.recording.shots)) if reading.recording else ()
        frames = len(shots) if args.no_pictures else len(reading.take(dict.fromkeys(shots), None))
        # Before segments are cut, a goal counts once for each frame that names it.
        goals = Counter(reading.recording.goals if reading.recording else ())
        goals.pop(UNLABELED, None)
        row = {
            "file": source.path.as_posix(),
            "usable": bool(frames and reading.timeline.ticks),
            **summary(reading, frames, goals, options.health),
            "problems": [fault._asdict() for fault in reading.faults],
        }
        problems += len(row["problems"])
        if args.json:
            print(orjson.dumps(row).decode(), flush=True)
        else:
            print_row(row)
    return int(problems > 0)


def print_row(row: dict[str, Any]) -> None:
    """Prints a recording for a person: figures on stdout, problems and warnings on stderr."""
    keys = ", ".join(f"{key} {share:.0%}" for key, share in row["keys"].items())
    gaps = f"{row['gaps']} gaps" + (f" (longest {row['longest_gap']:.1f} s)" if row["gaps"] else "")
    print(f"{row['file']}: {row['kind']}, {row['frames']} frames, {row['seconds']:.1f} s, {gaps}; {keys or 'no keys'}")
    for name, count in row["ignored_keys"].items():
        print(f"  key {name!r} is not in the vocabulary: pressed {count} times, left out")
    for warning in row["warnings"]:
        say(f"{warning['level']}: {row['recording']}: {warning['message']}")
    for fault in row["problems"][:SHOWN]:
        say(f"error: {fault['file']}: {fault['kind']}: {fault['message']}")
    if len(row["problems"]) > SHOWN:
        say(f"... and {len(row['problems']) - SHOWN} more; --json lists all.")


if __name__ == "__main__":
    run(parser, main)
