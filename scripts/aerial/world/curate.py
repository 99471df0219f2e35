"""Cuts sessions into windows of history and future, split by place with a buffer, and proves the split.

    python -m scripts.aerial.world.curate --config config/aerial/tokyo.yaml --input sessions \
        --out data/curated/aerial/world

Every frame is opened once. Beside train.jsonl, val.jsonl and test.jsonl stand dataset.json (what a reader of the rows
must know), stats.json (what came in, what went out and why), quarantine.jsonl and frames.json (names, sizes, hashes).
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scripts.aerial.world.frames import BadFrame, Reader, Refusals, Session, merge_table, open_grid, reader_of
from scripts.aerial.world.options import WorldDataOptions
from scripts.aerial.world.poses import POSE_FIELDS, QUATERNION_ORDER
from scripts.aerial.world.settings import add_config, section
from scripts.aerial.world.windows import Cut, Window, cut, prove
from scripts.lib.cli import StageParser, UserError, run, say
from scripts.lib.files import digest, manifest, write_json, write_jsonl
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
    """Reads, checks, splits, proves, writes; the proof comes before a window is written."""
    options: WorldDataOptions = section(args, "data")
    refused = Refusals()
    sessions, cells = read_sessions(args.input, args.place, options, refused)
    found = cut(sessions, options)
    proof = prove(found.splits, options.split.buffer)
    names = sorted({frame.file for session in sessions for frame in session.frames})
    frames = manifest(args.input, names)
    for split in SPLITS:
        write_jsonl(args.out / f"{split}.jsonl", (row_of(window, options) for window in found.splits[split]))
    write_jsonl(args.out / "quarantine.jsonl", refused.rows)
    write_json(args.out / "frames.json", frames)
    write_json(args.out / "stats.json", stats_of(sessions, found, refused, proof, cells, options))
    write_json(args.out / "dataset.json", dataset_of(options, digest(frames)))
    say(
        f"{args.out}: "
        + ", ".join(f"{len(found.splits[split])} {split}" for split in SPLITS)
        + f" windows; {sum(found.dropped.values())} dropped, {len(refused.rows)} frames quarantined"
    )


def read_sessions(
    root: Path, places: Sequence[str], options: WorldDataOptions, refused: Refusals
) -> tuple[list[Session], Counter[int]]:
    """Sessions with the frames that could be opened, and cells by class number over all of them.

    Raises:
        UserError: there is no session, or too large a share of the frames is bad.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; generate sessions first, or check the path.")
    reader, table = reader_of(options.layout), merge_table(options.classes)
    cells: Counter[int] = Counter()
    sessions = []
    for session in found_sessions(reader, root, places, options, refused):
        kept = []
        for frame in session.frames:
            try:
                grid = open_grid(reader, root, frame.file, frame.pose, options, table)
            except BadFrame as error:
                refused.add(frame.file, "occupancy", error)
                continue
            cells.update(dict(enumerate(np.bincount(grid.reshape(-1), minlength=len(options.classes.names)).tolist())))
            kept.append(frame)
        sessions.append(replace(session, frames=kept))
    refuse_few(root, sessions, refused, options)
    return sessions, cells


def found_sessions(
    reader: Reader, root: Path, places: Sequence[str], options: WorldDataOptions, refused: Refusals
) -> Iterator[Session]:
    """Sessions of the folder itself, or of the named ones below it, with the folder in front of names and files."""
    if not places:
        yield from reader.sessions(root, options, refused)
    for place in places:
        for session in reader.sessions(root / place, options, refused):
            frames = [replace(frame, file=f"{place}/{frame.file}") for frame in session.frames]
            yield replace(session, name=f"{place}/{session.name}", frames=frames)


def refuse_few(root: Path, sessions: Sequence[Session], refused: Refusals, options: WorldDataOptions) -> None:
    """Stops where nothing, or too little, could be read."""
    good = sum(len(session.frames) for session in sessions)
    first = "; the first: {file}, {where}: {reason}".format(**refused.rows[0]) if refused.rows else ""
    if not good:
        raise UserError(
            f"{root}: no frame of the layout {options.layout!r}{first}; check data.layout, or give another folder."
        )
    share = len(refused.rows) / (good + len(refused.rows))
    if share > options.max_bad_share:
        raise UserError(
            f"{root}: {len(refused.rows)} frames cannot be used, {share:.0%} where data.max_bad_share allows "
            f"{options.max_bad_share:.0%}{first}; mend the data, or raise the limit."
        )


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


def dataset_of(options: WorldDataOptions, frames: str) -> dict[str, Any]:
    """What dataset.json holds: the options that rows are read with, and a digest of every frame's content."""
    return {
        "pose": list(POSE_FIELDS),
        "quaternion_order": QUATERNION_ORDER,
        "shape": list(options.grid.shape),
        "options": options.model_dump(),
        "frames_digest": frames,
    }


def stats_of(
    sessions: Sequence[Session],
    found: Cut,
    refused: Refusals,
    proof: dict[str, float | None],
    cells: Counter[int],
    options: WorldDataOptions,
) -> dict[str, Any]:
    """What stats.json holds: counts of everything that came in, and where it went."""
    good = sum(len(session.frames) for session in sessions)
    total = sum(cells.values())
    lost = [high - low - n * voxel for low, high, n, voxel in axes_of(options)]
    return {
        "sessions": {session.name: len(session.frames) for session in sessions},
        "frames": {"read": good + len(refused.rows), "used": good, "quarantined": len(refused.rows)},
        "missing_in_a_row": found.gaps,
        "windows": {split: len(found.splits[split]) for split in SPLITS},
        "windows_dropped": found.dropped,
        "squares": found.squares,
        "least_distance_m": {key: None if value is None else round(value, 3) for key, value in proof.items()},
        "buffer_m": options.split.buffer,
        "classes": {name: cells[number] / total for number, name in enumerate(options.classes.names)},
        "occupied_share": 1 - cells[options.classes.free] / total,
        "range_without_cells_m": [round(rest, 6) for rest in lost],
    }


def axes_of(options: WorldDataOptions) -> list[tuple[float, float, int, float]]:
    """Lowest and highest metre, cells and voxel of each axis."""
    grid = options.grid
    return list(zip(grid.range[:3], grid.range[3:], grid.shape, grid.voxel, strict=True))


if __name__ == "__main__":
    run(parser, main)
