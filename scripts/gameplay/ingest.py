"""Reads one recording of any format, checks it, cuts it into segments, and writes the pictures they need.

Written are ``segments.jsonl`` (a row a segment: its time, what was held, frames for a labeller, samples),
``frames/<milliseconds>.jpg`` at the size the model sees, ``quarantine.jsonl``, and last ``manifest.json`` with counts,
health figures, and names, sizes and hashes of all of them. A recording that cannot be used leaves no segment behind,
and says why.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts.gameplay.options import GameplayCheckOptions, GameplayIngestOptions
from scripts.gameplay.pictures import PictureForm
from scripts.gameplay.readers.recording import Recording, RecordingError
from scripts.gameplay.readers.sources import recording_at
from scripts.gameplay.reading import Reading, goal_of, read, summary
from scripts.gameplay.segments import Segment, pictures_of, segments_of
from scripts.gameplay.timeline import Timeline
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
    """All outputs of a recording; the manifest comes last, and is returned."""
    segments, dropped = segments_of(reading.timeline, options)
    good, bad = write_frames(out, reading, segments, options)
    rows = [row for segment in segments if (row := row_of(reading, segment, good, options))]
    faults = [fault.to_json() for fault in reading.faults]
    write_jsonl(out / "segments.jsonl", rows)
    write_jsonl(out / "quarantine.jsonl", faults)
    names = ["segments.jsonl", "quarantine.jsonl", *sorted({name for row in rows for name in names_in(row)})]
    remove_others(out, set(names))
    seen = reading.recording
    value = {
        **summary(reading, len(seen.shots) - len(bad) if seen else 0, goals_in(rows), check.health),
        "segments": len(rows),
        "samples": sum(len(row["samples"]) for row in rows),
        "dropped": dropped_in(seen, reading.timeline, segments, bad, dropped) if seen else {},
        "quarantined": dict(sorted(Counter(fault["kind"] for fault in faults).items())),
        "recorder": seen.about if seen else {},
        "files": manifest(out, names),
    }
    write_json(out / "manifest.json", value)
    aside = f", {len(faults)} faults (quarantine.jsonl says which)" if faults else ""
    counts = f"{value['gaps']} gaps, {len(rows)} segments, {value['samples']} samples"
    say(f"{out}: {value['seconds']:.1f} s, {counts}{aside}")
    return value


def write_frames(
    out: Path, reading: Reading, segments: Sequence[Segment], options: GameplayIngestOptions
) -> tuple[set[int], set[int]]:
    """Writes the pictures that segments need; returns the numbers of the good and of the bad."""
    if reading.recording is None:
        return set(), set()
    form = PictureForm(*options.frame_size, options.jpeg_quality)
    wanted = {shot: out / name_of(reading.recording, shot) for one in segments for shot in pictures_of(one, options)}
    (out / "frames").mkdir(parents=True, exist_ok=True)
    try:
        taken = reading.take(wanted, form)
        good = set(tqdm(taken, desc=reading.source.name, total=len(wanted), unit="frame", disable=None))
    except RecordingError as error:
        reading.refuse(error)
        return set(), set()
    return good, wanted.keys() - good


def dropped_in(
    recording: Recording, timeline: Timeline, segments: Sequence[Segment], bad: set[int], dropped: Counter[str]
) -> dict[str, int]:
    """How many pictures make no sample, by reason, with those that ``dropped`` has counted."""
    more = {
        "pictures beside a nearer one, or of unknown keys": len(recording.shots) - timeline.pictures,
        "samples whose picture is bad": sum(sample.shot in bad for one in segments for sample in one.samples),
    }
    return dict(sorted((dropped + Counter(more)).items()))


def name_of(recording: Recording, shot: int) -> str:
    """What a picture is written as."""
    return f"frames/{recording.shots[shot]}.jpg"


def row_of(reading: Reading, segment: Segment, good: set[int], options: GameplayIngestOptions) -> Row | None:
    """A segment's row; None where no sample's picture is good."""
    recording = reading.recording
    samples = [one for one in segment.samples if one.shot in good]
    if recording is None or not samples:
        return None
    shown = spread([shot for shot in pictures_of(segment, options) if shot in good], options.label_frames)
    return {
        "id": f"{reading.source.name}/{segment.start}",
        "recording": reading.source.name,
        "start": segment.start,
        "end": segment.end,
        "goal": goal_of(recording, segment.shots),
        "words": segment.words,
        "frames": [frame_row(recording, shot) for shot in shown],
        "samples": [
            {"frame": name_of(recording, one.shot), "stamp": one.stamp, "now": one.now, "actions": one.actions}
            for one in samples
        ],
    }


def frame_row(recording: Recording, shot: int) -> Row:
    """A frame for a labeller, with what the game itself says of it where it does."""
    stamp = int(recording.shots[shot])
    row = {"frame": name_of(recording, shot), "stamp": stamp}
    return row | ({"objects": recording.objects[stamp]} if stamp in recording.objects else {})


def names_in(row: Row) -> set[str]:
    """The pictures that a segment's row names."""
    return {part["frame"] for key in ("frames", "samples") for part in row[key]}


def goals_in(rows: Sequence[Row]) -> Counter[str]:
    """How many segments have each goal."""
    return Counter(row["goal"] for row in rows if row["goal"])


def remove_others(out: Path, keep: set[str]) -> None:
    """Removes pictures of an earlier run that nothing names any more."""
    for path in out.glob("frames/*.jpg"):
        if path.relative_to(out).as_posix() not in keep:
            path.unlink()


if __name__ == "__main__":
    run(parser, main)
