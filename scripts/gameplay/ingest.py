"""Reads one recording of any format, checks it, cuts it into segments, and writes the pictures these need.

The output folder holds ``segments.jsonl`` (one row a segment: its time, the keys held, frames for a labeller, samples),
``frames/<milliseconds>.jpg`` at the size the model takes, ``quarantine.jsonl``, and last ``manifest.json`` with counts,
health figures, and the names, sizes and hashes of all files. A recording that cannot be used has no segments, and its
quarantine gives the reason.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from scripts.gameplay.options import GameplayCheckOptions, GameplayIngestOptions
from scripts.gameplay.pictures import PictureForm
from scripts.gameplay.raw import UNLABELED
from scripts.gameplay.readers.sources import recording_at
from scripts.gameplay.reading import Reading, read, summary
from scripts.gameplay.segments import Segment, pictures_of, segments_of
from scripts.lib.cli import StageParser, load_params, run, say
from scripts.lib.files import manifest, write_json, write_jsonl
from scripts.lib.sampling import spread

Row = dict[str, Any]


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--recording", type=Path, required=True, help="a raw folder, an .mcap, or a VPT .mp4")
    stage.add_argument("--out", type=Path, required=True, help="folder to write")
    stage.add_argument("--check", default="{}", help="options for reading recordings as JSON, or @file.json")
    return stage


def main(args: argparse.Namespace) -> None:
    """Writes one recording."""
    options = GameplayIngestOptions.parse(load_params(args.params))
    check = GameplayCheckOptions.parse(load_params(args.check), "--check")
    write_recording(args.out, read(recording_at(args.recording), check), options, check)


def write_recording(out: Path, reading: Reading, options: GameplayIngestOptions, check: GameplayCheckOptions) -> Row:
    """Writes all outputs of a recording; returns the manifest, which is written last."""
    segments, dropped = segments_of(reading.timeline, options)
    wanted: dict[int, Path | None] = {}
    if reading.recording is not None:
        (out / "frames").mkdir(parents=True, exist_ok=True)
        shots = [shot for segment in segments for shot in pictures_of(segment, options)]
        wanted = {shot: out / "frames" / f"{reading.recording.shots[shot]}.jpg" for shot in shots}
    good = reading.take(wanted, PictureForm(*options.frame_size, options.jpeg_quality))
    bad = wanted.keys() - good
    rows = [row for segment in segments if (row := row_of(reading, segment, good, options))]
    faults = [fault._asdict() for fault in reading.faults]
    write_jsonl(out / "segments.jsonl", rows)
    write_jsonl(out / "quarantine.jsonl", faults)
    frames = {part["frame"] for row in rows for key in ("frames", "samples") for part in row[key]}
    for path in out.glob("frames/*.jpg"):
        if f"frames/{path.name}" not in frames:  # of an earlier run
            path.unlink()
    recording = reading.recording
    if recording is not None:
        unused = len(recording.shots) - reading.timeline.pictures
        dropped["pictures beside a nearer one, or of unknown keys"] = unused
        dropped["samples whose picture is bad"] = sum(sample.shot in bad for seg in segments for sample in seg.samples)
    usable = len(recording.shots) - len(bad) if recording else 0
    value = {
        **summary(reading, usable, Counter(row["goal"] for row in rows if row["goal"]), check.health),
        "segments": len(rows),
        "samples": sum(len(row["samples"]) for row in rows),
        "dropped": dict(sorted((+dropped).items())) if recording else {},
        "quarantined": dict(sorted(Counter(fault["kind"] for fault in faults).items())),
        "recorder": recording.about if recording else {},
        "files": manifest(out, ["segments.jsonl", "quarantine.jsonl", *sorted(frames)]),
    }
    write_json(out / "manifest.json", value)
    aside = f", {len(faults)} faults (quarantine.jsonl says which)" if faults else ""
    counts = f"{value['gaps']} gaps, {len(rows)} segments, {value['samples']} samples"
    say(f"{out}: {value['seconds']:.1f} s, {counts}{aside}")
    return value


def row_of(reading: Reading, segment: Segment, good: set[int], options: GameplayIngestOptions) -> Row | None:
    """A segment's row; None if no sample has a good picture.

    Its goal is the one that most of its pictures name, and a frame for the labeller carries the game's own state
    (``objects``) where there is one.
    """
    recording = reading.recording
    samples = [sample for sample in segment.samples if sample.shot in good]
    if recording is None or not samples:
        return None
    goals = Counter(recording.goals[shot] for shot in segment.shots if recording.goals)
    goals.pop(UNLABELED, None)
    frames = []
    for shot in spread([shot for shot in pictures_of(segment, options) if shot in good], options.label_frames):
        stamp = int(recording.shots[shot])
        frames.append({"frame": f"frames/{stamp}.jpg", "stamp": stamp})
        if stamp in recording.objects:
            frames[-1]["objects"] = recording.objects[stamp]
    return {
        "id": f"{reading.source.name}/{segment.start}",
        "recording": reading.source.name,
        "start": segment.start,
        "end": segment.end,
        "goal": min(goals, key=lambda goal: (-goals[goal], goal), default=None),
        "words": segment.words,
        "frames": frames,
        "samples": [
            {"frame": f"frames/{recording.shots[shot]}.jpg", "stamp": stamp, "now": now, "actions": actions}
            for shot, stamp, now, actions in samples
        ],
    }


if __name__ == "__main__":
    run(parser, main)
