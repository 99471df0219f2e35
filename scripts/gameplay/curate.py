"""Labelled segments to train, val and test: one record for each frame, split by recording.

    python -m scripts.gameplay.curate --ingested DIR... --labels FILE... --output DIR

No recording is in two splits, and no image either: an image that several recordings have (a title screen) is left out
of all but the first. Prompts name the goal and nothing else; images are named after their content.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.gameplay.answer import question, to_text
from scripts.gameplay.health import Counts, figures, warnings
from scripts.gameplay.keys import NONE, keys_of
from scripts.gameplay.options import GameplayCurateOptions, HealthOptions
from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.curation import (
    Row,
    check_no_leakage,
    quarantined,
    refuse_too_many_bad,
    stored,
    thinned_out,
    write_curated,
)
from scripts.lib.files import below, digest, read_json, read_jsonl
from scripts.lib.leakage import repeats
from scripts.lib.records import Record, question_message, text_message
from scripts.lib.sampling import spread
from scripts.lib.split import SPLITS, Group, split_groups


class Sample(NamedTuple):
    """A frame of a recording, its picture by content, the goal, and what was pressed then and after it."""

    recording: str
    stamp: int
    picture: Path
    content: str
    goal: str
    now: str
    actions: Sequence[str]


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--ingested", nargs="+", type=Path, required=True, help="folders of ingested recordings")
    stage.add_argument("--labels", nargs="+", type=Path, required=True, help="labels.jsonl files of all of them")
    stage.add_argument("--output", type=Path, required=True, help="folder for the splits, pictures and stats.json")
    stage.add_argument("--system-prompt", default="", help="in front of every record")
    stage.add_argument("--health", default="{}", help="limits of warnings as JSON, or @file.json")
    return stage


def main(args: argparse.Namespace) -> None:
    """Gathers the samples, removes repeats, splits, checks the split, and writes."""
    options = GameplayCurateOptions.parse(load_params(args.params))
    health = HealthOptions.parse(load_params(args.health), "--health")
    goals, aside = read_labels(args.labels)
    segments, advice = len(goals) + len(aside), "label them"
    refuse_too_many_bad(aside, segments, options.max_bad_share, "curate.max_bad_share", "segments", advice)
    manifests = {folder: read_json(folder / "manifest.json") for folder in args.ingested}
    every = {told["recording"]: list(samples_of(folder, told, goals)) for folder, told in manifests.items()}
    samples, repeated = without_repeats({name: rows for name, rows in every.items() if rows})
    groups = {name: Group(digest(sorted({row.content for row in rows})), "all") for name, rows in samples.items()}
    sides = split_groups(groups, options.val_share, options.test_share, options.seed)
    leakage = prove(samples, sides)
    chosen = choose(samples, sides, options)
    splits = {side: [record_of(row, args.output, args.system_prompt) for row in chosen[side]] for side in SPLITS}

    keys, dropped, quarantine = (
        sum((Counter(told[what]) for told in manifests.values()), Counter())
        for what in ("ticks", "dropped", "quarantined")
    )
    counts = Counts(keys, sum(told["frames"] for told in manifests.values()), Counter(goals.values()))
    warned = warnings(counts, health)
    frames = {f"{name} {number}": sides[name] for name, rows in samples.items() for number in range(len(rows))}
    stats = {
        "recordings": len(every),
        "unusable": sorted(name for name, rows in every.items() if not rows),
        "samples": len(frames),
        "dropped": dict(sorted(dropped.items())),
        "quarantined": dict(sorted(quarantine.items())),
        "segments_without_goal": len(aside),
        "repeated_pictures": repeated,
        "split": {side: sorted(name for name in sides if sides[name] == side) for side in SPLITS},
        "rows": {side: len(splits[side]) for side in SPLITS},
        "thinned_out": thinned_out(frames, splits),
        "goals": {side: dict(sorted(Counter(row.goal for row in chosen[side]).items())) for side in SPLITS},
        "leakage": leakage,
        "health": figures(counts),
        "warnings": [warning.to_json() for warning in warned],
    }
    for warning in warned:
        say(f"{warning.level}: {warning.message}")
    files = {name for side in SPLITS for record in splits[side] for name in record.images}
    summary = f"{len(samples)} recordings, {len(frames)} frames"
    write_curated(args.output, splits, aside, stats, summary, files)


def read_labels(files: Sequence[Path]) -> tuple[dict[str, str], list[Row]]:
    """Goals by segment, and the rows of quarantine.jsonl: segments without a goal.

    Raises:
        UserError: a segment is labelled twice.
    """
    goals: dict[str, str] = {}
    aside = []
    for file in files:
        for number, row in read_jsonl(file):
            segment = row["segment"]
            if segment in goals:
                raise UserError(f"{file}, line {number}: {segment} is labelled twice; rename one of the recordings.")
            if "goal" in row:
                goals[segment] = row["goal"]
            else:
                aside.append(quarantined(file.as_posix(), segment, "no_goal", row["why"]))
    return goals, aside


def samples_of(folder: Path, told: Row, goals: Mapping[str, str]) -> Iterator[Sample]:
    """The samples of an ingested recording whose segments have a goal; ``told`` is its manifest."""
    content = {row["name"]: row["sha256"] for row in told["files"]}
    for _, segment in read_jsonl(folder / "segments.jsonl"):
        for row in segment["samples"] if segment["id"] in goals else ():
            yield Sample(
                recording=segment["recording"],
                stamp=row["stamp"],
                picture=below(folder, row["frame"]),
                content=content[row["frame"]],
                goal=goals[segment["id"]],
                now=row["now"],
                actions=row["actions"],
            )


def without_repeats(samples: Mapping[str, Sequence[Sample]]) -> tuple[dict[str, list[Sample]], int]:
    """The samples whose image is in no earlier recording, and how many were left out."""
    first: dict[str, str] = {}
    for name in sorted(samples):
        for sample in samples[name]:
            first.setdefault(sample.content, name)
    kept = {name: [row for row in rows if first[row.content] == name] for name, rows in samples.items()}
    left_out = sum(map(len, samples.values())) - sum(map(len, kept.values()))
    return {name: rows for name, rows in kept.items() if rows}, left_out


def prove(samples: Mapping[str, Sequence[Sample]], sides: Mapping[str, str]) -> dict[str, int]:
    """Counts of recordings and of images in two splits, searched again; both are 0.

    Raises:
        UserError: there is one; it names both frames.
    """
    frames = {f"{name}, {row.picture}": (name, row) for name in sorted(samples) for row in samples[name]}
    recordings = repeats({frame: row.recording for frame, (_, row) in frames.items()})
    pictures = repeats({frame: row.content for frame, (_, row) in frames.items()})
    pairs = {
        "recordings": [(first, frame) for frame, first in recordings.items()],
        "pictures": [(first, frame) for frame, first in pictures.items()],
    }
    where = {frame: sides[name] for frame, (name, _) in frames.items()}
    return check_no_leakage(pairs, where, "Report this: the split should have kept them apart.")


def choose(
    samples: Mapping[str, Sequence[Sample]], sides: Mapping[str, str], options: GameplayCurateOptions
) -> dict[str, list[Sample]]:
    """The samples of each split, by recording and time, thinned out evenly where there are too many."""
    most = {"train": options.max_train, "val": options.max_per_split, "test": options.max_per_split}
    every = {side: [row for name in sorted(samples) if sides[name] == side for row in samples[name]] for side in SPLITS}
    every["train"] = without_much_rest(every["train"], options.max_idle)
    chosen = {side: spread(every[side], most[side]) for side in SPLITS}
    count = len(chosen["train"])
    if len(resting(chosen["train"])) > options.max_idle * count:
        # At equal distances all frames of a player who rests at every second frame may rest: draw each kind by itself.
        idle = resting(every["train"])
        busy = sorted(set(range(len(every["train"]))) - set(idle))
        few = int(options.max_idle * count)
        drawn = sorted([*spread(idle, few), *spread(busy, count - few)])
        chosen["train"] = [every["train"][number] for number in drawn]
    return chosen


def resting(samples: Sequence[Sample]) -> list[int]:
    """The places of the samples without a key in any slot."""
    return [place for place, row in enumerate(samples) if set(row.actions) == {NONE}]


def without_much_rest(samples: Sequence[Sample], share: float) -> list[Sample]:
    """The samples, of which at most this share rests (no key in any slot); resting ones are thinned out evenly.

    A player who stands still makes as many frames as one who walks, and all those frames are alike.

    Raises:
        UserError: no sample has a key, so that none would be left.
    """
    if share == 1:
        return list(samples)
    idle = resting(samples)
    if len(idle) == len(samples):
        raise UserError(f"no frame of train presses a key: with curate.max_idle {share:g} none is left; leave it at 1.")
    gone = set(idle) - set(spread(idle, int(share * (len(samples) - len(idle)) / (1 - share))))
    return [row for place, row in enumerate(samples) if place not in gone]


def record_of(sample: Sample, out: Path, system_prompt: str) -> Record:
    """A sample in the one record shape; its image is copied under a name of its content."""
    system = [text_message("system", system_prompt)] if system_prompt else []
    answer = to_text([keys_of(word) for word in sample.actions])
    return Record(
        id=f"{sample.recording}/{sample.stamp}",
        group=sample.recording,
        messages=[*system, question_message(question(sample.goal), 1), text_message("assistant", answer)],
        images=[stored(out, sample.picture, "images", sample.content)],
        expect=[{"now": sample.now}],
        meta={"goal": sample.goal},
    )


if __name__ == "__main__":
    run(parser, main)
