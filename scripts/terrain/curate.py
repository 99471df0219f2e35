"""Encoded tiles to train, val and test: worth keeping, no picture twice, split by blocks with a gap, proved.

Of pictures that look the same the first is kept. The splits are proved on what was written: no two tiles of different
splits lie within the gap, and no two of their pictures look the same. Tiles of maps named ``unseen`` are a second test
set, in test.jsonl under ``meta.set``. Prompts name no tile and no place; pictures are named after their content.
"""

from __future__ import annotations

import argparse
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import below, manifest, read_jsonl, sha256_file, write_json, write_jsonl
from scripts.lib.records import Record, question_message, text_message, write_records
from scripts.lib.sampling import spread
from scripts.lib.split import SPLITS
from scripts.terrain.blocks import Place, block_of, bordering, split_tiles
from scripts.terrain.export import find_exports
from scripts.terrain.ingest import write_export
from scripts.terrain.options import TerrainCheckOptions, TerrainCurateOptions, TerrainIngestOptions
from scripts.terrain.pictures import alike
from scripts.terrain.question import QUESTION
from scripts.terrain.worth import pick

Row = dict[str, Any]


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--input", nargs="+", type=Path, required=True, help="map exports, or shards that were ingested")
    stage.add_argument("--output", type=Path, required=True, help="folder for the splits, pictures and stats.json")
    stage.add_argument("--system-prompt", default="", help="in front of every record")
    stage.add_argument("--ingest", default="{}", help="options for encoding tiles as JSON, or @file.json")
    stage.add_argument("--check", default="{}", help="options for reading exports as JSON, or @file.json")
    return stage


def main(args: argparse.Namespace) -> None:
    """Gathers the tiles, keeps, splits, proves, and writes."""
    options = TerrainCurateOptions.parse(load_params(args.params))
    ingest = TerrainIngestOptions.parse(load_params(args.ingest), "--ingest")
    check = TerrainCheckOptions.parse(load_params(args.check), "--check")
    shards = list(shards_of(args.input, args.output, ingest, check))
    rows, faults = gather(shards, check.max_bad_share)
    chosen = pick(rows, options.pick, options.seed)
    kept, copies = without_copies({name: rows[name] for name in chosen}, options.max_hash_distance)
    sides, gap = sides_of(kept, options)
    leakage = prove(kept, sides, options)
    written = {side: [name for name in sorted(sides) if sides[name] == side] for side in SPLITS}
    unseen = spread([name for name in sorted(kept) if kept[name]["map"] in options.unseen], options.max_per_split)
    for side in ("val", "test"):
        written[side] = spread(written[side], options.max_per_split)
    records = {
        side: [record_of(kept[name], args, options, "seen") for name in names] for side, names in written.items()
    }
    records["test"] += [record_of(kept[name], args, options, "unseen") for name in unseen]
    write(args.output, records, faults)
    stats = statistics(rows, faults, chosen, copies, gap, kept, records, options, ingest)
    write_json(args.output / "stats.json", stats | {"leakage": leakage})
    counts = ", ".join(f"{side} {len(records[side])}" for side in SPLITS)
    say(f"{args.output}: {len(rows)} tiles in, {len(copies)} copies, {len(gap)} in the gap; {counts}; no leakage")
    cells, yards = stats["answer"]["cells"], stats["answer"]["round_trip_yards"]
    say(f"{args.output}: answers of {cells} × {cells} cells rebuild the ground to {yards} yards")
    if beyond := stats["answer"]["beyond_scale"]["cells"]:
        say(f"{args.output}: {beyond} cells are lower or higher than terrain.ingest.answer.scale can tell; widen it")


def shards_of(
    inputs: Sequence[Path], output: Path, ingest: TerrainIngestOptions, check: TerrainCheckOptions
) -> Iterator[Path]:
    """Ingested shards as they are; map exports are ingested first, into the output's folder."""
    for path in inputs:
        if (path / "tiles.jsonl").is_file():
            yield path
            continue
        for export in find_exports([path]):
            yield from write_export(export, output / "shards" / export.name, ingest, check)


def gather(shards: Sequence[Path], limit: float) -> tuple[dict[str, Row], list[Row]]:
    """All tiles by name and every fault; rows gain ``folder``, from which their pictures are relative.

    Raises:
        UserError: two exports have a tile of the same name, or more tiles are bad than the limit allows.
    """
    rows: dict[str, Row] = {}
    faults: list[Row] = []
    for shard in shards:
        faults += [row for _, row in read_jsonl(shard / "quarantine.jsonl")]
        for _, row in read_jsonl(shard / "tiles.jsonl"):
            if row["tile"] in rows:
                raise UserError(
                    f"{shard}: {row['tile']} is in {rows[row['tile']]['folder']} too; name one map otherwise."
                )
            rows[row["tile"]] = row | {"folder": shard}
    bad = len({row["tile"] for row in faults} - rows.keys())
    if not rows or bad > limit * (len(rows) + bad):
        shown = "; ".join(f"{row['file']}: {row['message']}" for row in faults[:3])
        raise UserError(
            f"{bad} of {len(rows) + bad} tiles are bad, more than check.max_bad_share {limit:g}: {shown or 'none.'} "
            "`python -m scripts.terrain.check` lists all."
        )
    return rows, faults


def without_copies(rows: Mapping[str, Row], most: int) -> tuple[dict[str, Row], dict[str, str]]:
    """The rows without those whose picture looks like an earlier one's, and of each copy what it is a copy of."""
    names = sorted(rows)
    copies: dict[str, str] = {}
    for first, other in alike(hashes_of([rows[name] for name in names]), most):
        if names[first] not in copies:
            copies.setdefault(names[other], names[first])
    return {name: rows[name] for name in names if name not in copies}, copies


def hashes_of(rows: Sequence[Row]) -> np.ndarray:
    """The rows' hashes, uint64 [rows, 4]."""
    return np.array([np.frombuffer(bytes.fromhex(row["hash"]), np.uint64) for row in rows]).reshape(-1, 4)


def place_of(row: Row) -> Place:
    """Where a row's tile lies."""
    return Place(row["map"], row["x"], row["y"])


def sides_of(kept: Mapping[str, Row], options: TerrainCurateOptions) -> tuple[dict[str, str], list[str]]:
    """The split of each tile of the maps that are trained on, and the tiles of the gap.

    Raises:
        UserError: there are too few blocks, or a split is empty.
    """
    places = {name: place_of(row) for name, row in kept.items() if row["map"] not in options.unseen}
    sides, gap = split_tiles(places, options)
    empty = [side for side in SPLITS if side not in sides.values()]
    if empty:
        raise UserError(
            f"no tile is left in {' and '.join(empty)} once the gap is taken out; add tiles, or lower curate.block."
        )
    return sides, gap


def prove(kept: Mapping[str, Row], sides: Mapping[str, str], options: TerrainCurateOptions) -> dict[str, int]:
    """Counts neighbours and look-alikes across splits, afresh; both must be 0. Unseen maps are a split of their own.

    Raises:
        UserError: they are not; it names the pairs.
    """
    whole = dict(sides) | {name: "unseen" for name, row in kept.items() if row["map"] in options.unseen}
    near = bordering({name: place_of(kept[name]) for name in sides}, sides, options.gap)
    names = sorted(whole)
    pairs = alike(hashes_of([kept[name] for name in names]), options.max_hash_distance)
    same = [(names[one], names[other]) for one, other in pairs if whole[names[one]] != whole[names[other]]]
    if near or same:
        shown = "; ".join(f"{one} ({whole[one]}) and {other} ({whole[other]})" for one, other in [*near, *same][:5])
        raise UserError(f"{len(near)} neighbours and {len(same)} look-alikes lie across splits: {shown}.")
    return {"neighbours": len(near), "look_alikes": len(same)}


def record_of(row: Row, args: argparse.Namespace, options: TerrainCurateOptions, kind: str) -> Record:
    """The tile in the one record shape; its pictures and height field are copied under names of their content."""
    images = [stored(args.output, row["folder"], name, "images") for name in row["images"]]
    truth = row["truth"] | {"file": stored(args.output, row["folder"], row["truth"]["file"], "truth")}
    system = [text_message("system", args.system_prompt)] if args.system_prompt else []
    return Record(
        id=row["tile"],
        group=block_of(place_of(row), options.block),
        messages=[*system, question_message(QUESTION, len(images)), text_message("assistant", row["answer"])],
        images=images,
        expect=[{"truth": truth, "kind": "ground"}],
        meta={"set": kind, "worth": row["worth"]},
    )


def stored(out: Path, folder: Path, name: str, where: str) -> str:
    """Copies a file of a shard to ``<where>/<hash of its content>.png``; returns that name."""
    source = below(folder, name)
    target = f"{where}/{sha256_file(source)[:16]}.png"
    (out / where).mkdir(parents=True, exist_ok=True)
    if not (out / target).is_file():
        shutil.copyfile(source, out / target)
    return target


def write(out: Path, records: Mapping[str, Sequence[Record]], faults: Sequence[Row]) -> None:
    """The splits, the quarantine, and the manifest of all pictures; pictures that no record names go."""
    for side in SPLITS:
        write_records(out / f"{side}.jsonl", records[side])
    write_jsonl(out / "quarantine.jsonl", faults)
    every = [record for side in SPLITS for record in records[side]]
    names = {name for one in every for name in [*one.images, one.expect[0]["truth"]["file"]]}
    for path in [*out.glob("images/*.png"), *out.glob("truth/*.png")]:
        if path.relative_to(out).as_posix() not in names:
            path.unlink()
    write_json(out / "pictures.json", {"files": manifest(out, sorted(names))})


def statistics(
    rows: Mapping[str, Row],
    faults: Sequence[Row],
    chosen: Mapping[str, str],
    copies: Mapping[str, str],
    gap: Sequence[str],
    kept: Mapping[str, Row],
    records: Mapping[str, Sequence[Record]],
    options: TerrainCurateOptions,
    ingest: TerrainIngestOptions,
) -> Row:
    """What came in, what went out and why."""
    errors, clipped = ([row[key] for row in kept.values()] for key in ("round_trip_yards", "beyond_scale"))
    used = {name: row for name, row in kept.items() if row["map"] not in options.unseen}
    return {
        "rows_in": len(rows) + len({row["tile"] for row in faults} - rows.keys()),
        "tiles": len(rows),
        "maps": dict(sorted(Counter(row["map"] for row in rows.values()).items())),
        "quarantined": dict(sorted(Counter(row["kind"] for row in faults).items())),
        "picked": dict(sorted(Counter(chosen.values()).items())),
        "look_alikes": copies,
        "gap": len(gap),
        "rows": {side: len(records[side]) for side in SPLITS}
        | {"unseen": sum(record.meta["set"] == "unseen" for record in records["test"])},
        "naive_split": naive(used, options),
        "pictures": {"image_size": ingest.image_size, "inputs": ingest.inputs},
        "answer": {
            "form": ingest.answer.model_dump(),
            "cells": ingest.answer.cells,
            "longest_allowed_bytes": ingest.answer.longest,
            "longest_bytes": max(len(row["answer"]) for row in kept.values()),
            "round_trip_yards": round(float(np.sqrt(np.mean(np.square(errors)))), 3),
            "round_trip_yards_worst": max(errors),
            "beyond_scale": {"cells": sum(clipped), "tiles": sum(map(bool, clipped))},
        },
    }


def naive(kept: Mapping[str, Row], options: TerrainCurateOptions) -> dict[str, int]:
    """How many test tiles a random split of the same shares would have left beside a training tile."""
    names = sorted(kept)
    random.Random(options.seed).shuffle(names)
    count = round(len(names) * options.test_share)
    sides = {name: "test" if at < count else "train" for at, name in enumerate(names)}
    pairs = bordering({name: place_of(row) for name, row in kept.items()}, sides, max(1, options.gap))
    return {"test_rows": count, "beside_training": len({test for _, test in pairs})}


if __name__ == "__main__":
    run(parser, main)
