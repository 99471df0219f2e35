"""Labelled segments to train, val and test: a record a frame, split by recording, proved.

    python -m scripts.gameplay.curate --ingested DIR... --labels FILE... --output DIR

No recording lies on two sides, and no picture either: one that stands in several recordings (a title screen) is left
out of all but the first. Prompts name the goal and nothing else; pictures are named after their content.
"""

from __future__ import annotations

import argparse
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scripts.gameplay.answer import question, to_text
from scripts.gameplay.health import Counts, figures, warnings
from scripts.gameplay.keys import NONE, keys_of
from scripts.gameplay.options import GameplayCurateOptions, HealthOptions
from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import below, digest, manifest, read_json, read_jsonl, write_json, write_jsonl
from scripts.lib.records import Record, question_message, text_message, write_records
from scripts.lib.sampling import spread
from scripts.lib.split import SPLITS, Group, split_groups

Row = dict[str, Any]
Goals = dict[str, str]


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
    """Gathers the samples, splits, proves, and writes."""
    options = GameplayCurateOptions.parse(load_params(args.params))
    health = HealthOptions.parse(load_params(args.health), "--health")
    goals, refused = read_labels(args.labels)
    manifests = {folder: read_json(folder / "manifest.json") for folder in args.ingested}
    every = {manifests[folder]["recording"]: list(samples_of(folder, manifests[folder], goals)) for folder in manifests}
    must_be_labelled(refused, goals, options.max_bad_share)
    samples, repeated = without_repeats({name: rows for name, rows in every.items() if rows})
    sides = sides_of(samples, options)
    prove(samples, sides)
    chosen = choose(samples, sides, options)
    records = {side: [record_of(one, args.output, args.system_prompt) for one in chosen[side]] for side in SPLITS}
    write(args.output, records, refused)
    counts = counts_of(manifests.values(), goals)
    stats = statistics(every, samples, refused, repeated, sides, records, manifests.values())
    stats |= {"health": figures(counts), "warnings": [one.to_json() for one in warnings(counts, health)]}
    write_json(args.output / "stats.json", stats)
    for one in stats["warnings"]:
        say(f"{one['level']}: {one['message']}")
    said = ", ".join(f"{side} {len(records[side])}" for side in SPLITS)
    say(f"{args.output}: {len(samples)} recordings, {stats['samples']} frames; {said}; no leakage")


def read_labels(files: Sequence[Path]) -> tuple[Goals, list[Row]]:
    """Goals by segment, and the rows of segments that have none.

    Raises:
        UserError: a segment is labelled twice.
    """
    goals: Goals = {}
    refused = []
    for file in files:
        for number, row in read_jsonl(file):
            if row["segment"] in goals:
                raise UserError(f"{file}, line {number}: {row['segment']} is labelled twice; name recordings apart.")
            if "goal" in row:
                goals[row["segment"]] = row["goal"]
            else:
                refused.append({**row, "file": file.as_posix()})
    return goals, refused


def must_be_labelled(refused: Sequence[Row], goals: Goals, limit: float) -> None:
    """Stops where too many segments have no goal.

    Raises:
        UserError: with the first reasons.
    """
    whole = len(refused) + len(goals)
    if not goals or len(refused) > limit * whole:
        shown = "; ".join(f"{row['segment']}: {row['why']}" for row in refused[:3])
        raise UserError(
            f"{len(refused)} of {whole} segments have no goal, more than curate.max_bad_share {limit:g} "
            f"({shown or 'there are none'}); label them."
        )


def samples_of(folder: Path, told: Row, goals: Goals) -> Iterator[Sample]:
    """The samples of an ingested recording whose segments have a goal."""
    content = {row["name"]: row["sha256"] for row in told["files"]}
    for _, row in read_jsonl(folder / "segments.jsonl"):
        if row["id"] not in goals:
            continue
        for one in row["samples"]:
            picture, goal = below(folder, one["frame"]), goals[row["id"]]
            hashed = content[one["frame"]]
            yield Sample(row["recording"], one["stamp"], picture, hashed, goal, one["now"], one["actions"])


def without_repeats(samples: Mapping[str, Sequence[Sample]]) -> tuple[dict[str, list[Sample]], int]:
    """The samples whose picture stands in no earlier recording, and how many were left out."""
    first: dict[str, str] = {}
    for name in sorted(samples):
        for one in samples[name]:
            first.setdefault(one.content, name)
    kept = {name: [one for one in rows if first[one.content] == name] for name, rows in samples.items()}
    left_out = sum(map(len, samples.values())) - sum(map(len, kept.values()))
    return {name: rows for name, rows in kept.items() if rows}, left_out


def sides_of(samples: Mapping[str, Sequence[Sample]], options: GameplayCurateOptions) -> dict[str, str]:
    """The split of each recording, drawn by its content.

    Raises:
        UserError: there are fewer than three recordings.
    """
    groups = {name: Group(digest(sorted({one.content for one in rows})), "all") for name, rows in samples.items()}
    return split_groups(groups, options.val_share, options.test_share, options.seed)


def prove(samples: Mapping[str, Sequence[Sample]], sides: Mapping[str, str]) -> None:
    """Looks afresh for a recording or a picture on two sides.

    Raises:
        UserError: there is one; it names it.
    """
    seen: dict[str, Sample] = {}
    for name in sorted(samples):
        for one in samples[name]:
            other = seen.setdefault(one.content, one)
            if sides[other.recording] != sides[name] or one.recording != name:
                raise UserError(f"{one.picture} ({sides[name]}) is {other.picture} ({sides[other.recording]}) again.")


def choose(
    samples: Mapping[str, Sequence[Sample]], sides: Mapping[str, str], options: GameplayCurateOptions
) -> dict[str, list[Sample]]:
    """The samples of each split, by recording and time, thinned out evenly where there are too many."""
    most = {"train": options.max_train, "val": options.max_per_split, "test": options.max_per_split}
    every = {side: [one for name in sorted(samples) if sides[name] == side for one in samples[name]] for side in SPLITS}
    every["train"] = without_much_rest(every["train"], options.max_idle)
    chosen = {side: spread(every[side], most[side]) for side in SPLITS}
    if len(resting(chosen["train"])) > options.max_idle * len(chosen["train"]):
        # Who rests at every second frame may be drawn while resting only: then each kind is drawn by itself.
        chosen["train"] = drawn_by_kind(every["train"], len(chosen["train"]), options.max_idle)
    return chosen


def resting(samples: Sequence[Sample]) -> list[int]:
    """Which of the samples press no key in all slots."""
    return [number for number, one in enumerate(samples) if set(one.actions) == {NONE}]


def without_much_rest(samples: Sequence[Sample], share: float) -> list[Sample]:
    """The samples of which at most this share press no key in all slots; those too many are thinned out evenly.

    A player who stands still makes as many frames as one who walks, and they all say the same.

    Raises:
        UserError: no sample presses a key, so that none would be left.
    """
    idle = resting(samples)
    if share == 1:
        return list(samples)
    if len(idle) == len(samples):
        raise UserError(f"no frame of train presses a key: with curate.max_idle {share:g} none is left; leave it at 1.")
    gone = set(idle) - set(spread(idle, int(share * (len(samples) - len(idle)) / (1 - share))))
    return [one for number, one in enumerate(samples) if number not in gone]


def drawn_by_kind(samples: Sequence[Sample], count: int, share: float) -> list[Sample]:
    """So many of the samples, those that rest and the others each drawn evenly; at most this share rests."""
    idle = resting(samples)
    busy = sorted(set(range(len(samples))) - set(idle))
    few = int(share * count)
    return [samples[number] for number in sorted([*spread(idle, few), *spread(busy, count - few)])]


def record_of(sample: Sample, out: Path, system_prompt: str) -> Record:
    """A sample in the one record shape; its picture is copied under a name of its content."""
    name = f"images/{sample.content[:16]}.jpg"
    (out / "images").mkdir(parents=True, exist_ok=True)
    if not (out / name).is_file():
        shutil.copyfile(sample.picture, out / name)
    system = [text_message("system", system_prompt)] if system_prompt else []
    answer = to_text([keys_of(word) for word in sample.actions])
    return Record(
        id=f"{sample.recording}/{sample.stamp}",
        group=sample.recording,
        messages=[*system, question_message(question(sample.goal), 1), text_message("assistant", answer)],
        images=[name],
        expect=[{"now": sample.now}],
        meta={"goal": sample.goal},
    )


def write(out: Path, records: Mapping[str, Sequence[Record]], refused: Sequence[Row]) -> None:
    """The splits, what has no goal, and the manifest of all pictures; pictures that no record names go."""
    for side in SPLITS:
        write_records(out / f"{side}.jsonl", records[side])
    write_jsonl(out / "quarantine.jsonl", refused)
    names = {name for side in SPLITS for one in records[side] for name in one.images}
    for path in out.glob("images/*.jpg"):
        if path.relative_to(out).as_posix() not in names:
            path.unlink()
    write_json(out / "pictures.json", {"files": manifest(out, sorted(names))})


def counts_of(manifests: Any, goals: Goals) -> Counts:
    """What health is judged by, of all recordings together."""
    words: Counter[str] = Counter()
    frames = 0
    for told in manifests:
        words.update(told["ticks"])
        frames += told["frames"]
    return Counts(words, frames, Counter(goals.values()))


def statistics(
    every: Mapping[str, Sequence[Sample]],
    samples: Mapping[str, Sequence[Sample]],
    refused: Sequence[Row],
    repeated: int,
    sides: Mapping[str, str],
    records: Mapping[str, Sequence[Record]],
    manifests: Any,
) -> Row:
    """What came in, what went out and why."""
    dropped: Counter[str] = Counter()
    quarantined: Counter[str] = Counter()
    for told in manifests:
        dropped.update(told["dropped"])
        quarantined.update(told["quarantined"])
    return {
        "recordings": len(every),
        "unusable": sorted(name for name, rows in every.items() if not rows),
        "samples": sum(map(len, samples.values())),
        "dropped": dict(sorted(dropped.items())),
        "quarantined": dict(sorted(quarantined.items())),
        "segments_without_goal": len(refused),
        "repeated_pictures": repeated,
        "split": {side: sorted(name for name in sides if sides[name] == side) for side in SPLITS},
        "rows": {side: len(records[side]) for side in SPLITS},
        "thinned_out": {
            side: sum(len(samples[name]) for name in sides if sides[name] == side) - len(records[side])
            for side in SPLITS
        },
        "goals": {side: dict(sorted(Counter(one.meta["goal"] for one in records[side]).items())) for side in SPLITS},
        "leakage": {"recordings": 0, "pictures": 0},
    }


if __name__ == "__main__":
    run(parser, main)
