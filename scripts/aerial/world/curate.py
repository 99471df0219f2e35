"""Cuts sessions into windows of history and future, splits them by place with a buffer, and checks the split.

    python -m scripts.aerial.world.curate --config config/aerial/tokyo.yaml --input sessions \
        --out data/curated/aerial/world

Every frame is opened once. Written are train.jsonl, val.jsonl, test.jsonl, dataset.json (the options that rows are read
with), stats.json (what came in, what went out and why), quarantine.jsonl and frames.json (names, sizes, hashes).
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scripts.aerial.world.frames import Reader, merge_table, open_grid, reader_of
from scripts.aerial.world.options import WorldDataOptions
from scripts.aerial.world.poses import POSE_FIELDS, QUATERNION_ORDER
from scripts.aerial.world.sessions import BadFrame, Session
from scripts.aerial.world.settings import add_config, section
from scripts.aerial.world.windows import Window, cut, prove
from scripts.lib.cli import StageParser, UserError, run
from scripts.lib.curation import Row, as_clause, quarantined, refuse_too_many_bad, write_curated
from scripts.lib.files import digest, manifest, write_json
from scripts.lib.sampling import spread
from scripts.lib.split import SPLITS

MEASURED_LAYOUTS = frozenset({"occ3d", "uavscenes"})  # their frames have time stamps


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    add_config(stage)
    stage.add_argument("--input", type=Path, required=True, help="the folder that holds the sessions")
    stage.add_argument(
        "--place", nargs="*", default=[], help="only these folders below --input, each a city of its own"
    )
    stage.add_argument("--out", type=Path, required=True, help="windows are written here")
    return stage


def main(args: argparse.Namespace) -> None:
    """Reads, cuts windows, splits, checks the split, and writes; the check comes before a window is written."""
    options: WorldDataOptions = section(args, "data")
    sessions, aside, cells = read_sessions(args.input, args.place, options)
    windows = cut(sessions, options)
    distances = prove(windows.splits, options.split.buffer)
    splits = {
        split: rows if split == "train" else spread(rows, options.split.max_per_split)
        for split, rows in windows.splits.items()
    }
    frames = manifest(args.input, sorted({frame.file for session in sessions for frame in session.frames}))
    write_json(args.out / "frames.json", frames)
    dataset = {
        "pose": list(POSE_FIELDS),
        "quaternion_order": QUATERNION_ORDER,
        "shape": list(options.grid.shape),
        "options": options.model_dump(),
        "frames_digest": digest(frames),
    }
    write_json(args.out / "dataset.json", dataset)

    good, total = sum(len(session.frames) for session in sessions), cells.total()
    grid = options.grid
    axes = zip(grid.range[:3], grid.range[3:], grid.shape, grid.voxel, strict=True)
    stats = {
        "sessions": {session.name: len(session.frames) for session in sessions},
        "frames": {"read": good + len(aside), "used": good, "quarantined": len(aside)},
        "missing_in_a_row": windows.gaps,
        "windows": {split: len(splits[split]) for split in SPLITS},
        "windows_dropped": windows.dropped,
        "thinned_out": {split: len(windows.splits[split]) - len(splits[split]) for split in SPLITS},
        "squares": windows.squares,
        "least_distance_m": {key: None if value is None else round(value, 3) for key, value in distances.items()},
        "buffer_m": options.split.buffer,
        "classes": {name: cells[number] / total for number, name in enumerate(options.classes.names)},
        "occupied_share": 1 - cells[options.classes.free] / total,
        "range_without_cells_m": [round(high - low - n * voxel, 6) for low, high, n, voxel in axes],
    }
    rows = {split: [row_of(window, options) for window in splits[split]] for split in SPLITS}
    summary = f"{good} frames, {sum(windows.dropped.values())} windows dropped"
    write_curated(args.out, rows, aside, stats, summary)


def read_sessions(
    root: Path, places: Sequence[str], options: WorldDataOptions
) -> tuple[list[Session], list[Row], Counter[int]]:
    """Sessions with the frames that could be opened, rows of quarantine.jsonl, and cells by class number over all.

    Raises:
        UserError: there is no session, or too large a share of the frames is bad.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; generate sessions first, or check the path.")
    reader, table = reader_of(options.layout), merge_table(options.classes)
    aside: list[Row] = []
    cells: Counter[int] = Counter()
    sessions = []
    for session in sessions_below(reader, root, places, options, aside):
        kept = []
        for frame in session.frames:
            try:
                grid = open_grid(reader, root, frame.file, frame.pose, options, table)
            except BadFrame as error:
                aside.append(quarantined(frame.file, None, "occupancy", error))
                continue
            cells.update(dict(enumerate(np.bincount(grid.reshape(-1), minlength=len(options.classes.names)).tolist())))
            kept.append(frame)
        sessions.append(replace(session, frames=kept))
    good = sum(len(session.frames) for session in sessions)
    if not good:
        first = f"; the first: {as_clause(aside[0])}" if aside else ""
        raise UserError(
            f"{root}: no frame of the layout {options.layout!r}{first}; check data.layout, or give another folder."
        )
    advice = "mend the data, or raise the limit"
    refuse_too_many_bad(aside, good + len(aside), options.max_bad_share, "data.max_bad_share", "frames", advice)
    return sessions, aside, cells


def sessions_below(
    reader: Reader, root: Path, places: Sequence[str], options: WorldDataOptions, aside: list[Row]
) -> Iterator[Session]:
    """Sessions of the folder itself, or of the named ones below it, with the folder in front of names and files."""
    if not places:
        yield from reader.sessions(root, options, aside)
    for place in places:
        for session in reader.sessions(root / place, options, aside):
            frames = [replace(frame, file=f"{place}/{frame.file}") for frame in session.frames]
            yield replace(session, name=f"{place}/{session.name}", frames=frames)


def row_of(window: Window, options: WorldDataOptions) -> dict[str, Any]:
    """A line of train.jsonl: ``{"id", "group", "dt", "frames": [file, ...], "poses": [[13 numbers], ...]}``."""
    steps = np.diff([frame.seconds for frame in window.frames])
    dt = float(np.median(steps)) if options.layout in MEASURED_LAYOUTS else options.dt
    return {
        "id": window.id,
        "group": window.group,
        "dt": round(dt, 6),
        "frames": [frame.file for frame in window.frames],
        "poses": [[round(number, 6) for number in frame.pose.tolist()] for frame in window.frames],
    }


if __name__ == "__main__":
    run(parser, main)
