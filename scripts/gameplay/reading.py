"""A recording of any format, read as far as its pictures: its timeline and its faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts.gameplay.health import Counts, figures, warnings
from scripts.gameplay.options import GameplayCheckOptions, HealthOptions
from scripts.gameplay.pictures import PictureForm
from scripts.gameplay.raw import Fault
from scripts.gameplay.readers.owamcap import read_owamcap
from scripts.gameplay.readers.raw_folder import read_raw
from scripts.gameplay.readers.recording import Recording, RecordingError
from scripts.gameplay.readers.sources import Source
from scripts.gameplay.readers.vpt import read_vpt
from scripts.gameplay.timeline import Timeline, build
from scripts.lib.cli import describe_os_error


@dataclass
class Reading:
    """A recording with its timeline; without both if it cannot be used at all, for the reason in ``faults``."""

    source: Source
    recording: Recording | None = None
    timeline: Timeline = field(default_factory=lambda: Timeline([], []))
    faults: list[Fault] = field(default_factory=list)

    def take(self, wanted: Mapping[int, Path | None], form: PictureForm | None) -> set[int]:
        """Reads and writes pictures as `Pictures.take` does; returns the numbers of the good ones.

        The faults of the others are added. If the pictures turn out to be those of another recording, it is refused.
        """
        if self.recording is None:
            return set()
        good = set()
        results = self.recording.pictures.take(wanted, form)
        try:
            for number, fault in tqdm(results, desc=self.source.name, total=len(wanted), unit="frame", disable=None):
                if fault is None:
                    good.add(number)
                elif fault not in self.faults[-1:]:  # a video has one fault for all missing frames
                    self.faults.append(fault)
        except RecordingError as error:
            self.refuse(error)
            return set()
        return good

    def refuse(self, error: RecordingError) -> None:
        """Discards the recording; the error becomes a fault."""
        self.recording, self.timeline = None, Timeline([], [])
        self.faults.append(Fault(self.source.path.as_posix(), error.kind, str(error)))


def read_source(source: Source, options: GameplayCheckOptions) -> Recording:
    """Reads a recording without its pictures.

    Raises:
        RecordingError: it cannot be used at all.
    """
    if source.kind == "raw":
        return read_raw(source.path)
    reader = read_owamcap if source.kind == "owamcap" else read_vpt
    return reader(source.path, options.mouse, options.video)


def read(source: Source, options: GameplayCheckOptions) -> Reading:
    """Reads a recording without its pictures; every problem becomes a fault."""
    reading = Reading(source)
    try:
        recording = read_source(source, options)
    except RecordingError as error:
        reading.refuse(error)
        return reading
    except OSError as error:
        reading.refuse(RecordingError("unreadable", describe_os_error(error)))
        return reading
    reading.recording = recording
    reading.timeline = build(recording, options.timeline, options.mouse.threshold)
    reading.faults += recording.faults
    if not len(recording.shots):
        reading.refuse(RecordingError("empty", "holds no frame that can be used; record again, or remove it."))
    for gap in reading.timeline.gaps:
        if gap.seconds > options.timeline.max_pause:
            message = (
                f"nothing was recorded for {gap.seconds / 60:.0f} minutes after {gap.at} ms; "
                "both sides are used as if they were two recordings."
            )
            reading.faults.append(Fault(source.path.as_posix(), "gap", message))
    return reading


def summary(reading: Reading, frames: int, goals: Mapping[str, int], health: HealthOptions) -> dict[str, Any]:
    """The figures of a recording that `check` prints and manifests hold.

    Args:
        frames: how many frames can be used.
        goals: how often each goal occurs.
    """
    timeline = reading.timeline
    counts = Counts(timeline.words(), frames, goals)
    return {
        "recording": reading.source.name,
        "kind": reading.source.kind,
        "frames": frames,
        "seconds": round(timeline.seconds, 1),
        "stretches": len(timeline.stretches),
        "gaps": len(timeline.gaps),
        "longest_gap": round(max((gap.seconds for gap in timeline.gaps), default=0.0), 3),
        **figures(counts),
        "ticks": dict(sorted(counts.words.items())),
        "goals": dict(sorted(goals.items())),
        "warnings": [warning.to_json() for warning in warnings(counts, health)],
        "ignored_keys": dict(sorted(reading.recording.ignored.items())) if reading.recording else {},
    }
