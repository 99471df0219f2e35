"""Encoded tiles to train, val and test: tiles are picked, copies removed, and blocks split with a gap between splits.

Of images that look the same the first is kept. The split is checked again: no two tiles of different splits lie within
the gap, and no two of their images look the same. Tiles of maps named ``unseen`` are a second test set, in test.jsonl
under ``meta.set``. Prompts name no tile and no place; images are named after their content.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.curation import (
    Row,
    check_no_leakage,
    keys_by_split,
    quarantined,
    refuse_too_many_bad,
    stored,
    thinned_out,
    write_curated,
)
from scripts.lib.files import below, read_jsonl
from scripts.lib.records import Record, question_message, text_message
from scripts.lib.sampling import spread
from scripts.lib.split import SPLITS
from scripts.terrain.blocks import Place, block_of, bordering, split_tiles
from scripts.terrain.export import find_exports
from scripts.terrain.ingest import write_export
from scripts.terrain.options import TerrainCheckOptions, TerrainCurateOptions, TerrainIngestOptions
from scripts.terrain.pictures import alike
from scripts.terrain.question import QUESTION
from scripts.terrain.worth import pick


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
    """Gathers the tiles, picks, removes copies, splits, checks the split, and writes."""
    options = TerrainCurateOptions.parse(load_params(args.params))
    ingest = TerrainIngestOptions.parse(load_params(args.ingest), "--ingest")
    check = TerrainCheckOptions.parse(load_params(args.check), "--check")
    out = args.output
    tiles, aside = gather(list(shards_of(args.input, out, ingest, check)), check.max_bad_share)
    picked = pick(tiles, options.pick, options.seed)
    kept, copies = without_copies({name: tiles[name] for name in picked}, options.max_hash_distance)
    sides, gap = sides_of(kept, options)
    leakage = prove(kept, sides, options)
    unseen = [name for name in kept if kept[name]["map"] in options.unseen]
    chosen = keys_by_split(sides, options.max_per_split)
    splits = {side: [record_of(kept[name], args, options, "seen") for name in names] for side, names in chosen.items()}
    splits["test"] += [record_of(kept[name], args, options, "unseen") for name in spread(unseen, options.max_per_split)]
    stats = statistics(tiles, aside, picked, copies, gap, kept, splits, options, ingest)
    stats |= {"leakage": leakage, "thinned_out": thinned_out(sides, chosen)}
    every = [record for side in SPLITS for record in splits[side]]
    files = {name for record in every for name in [*record.images, record.expect[0]["truth"]["file"]]}
    summary = f"{len(tiles)} tiles in, {len(copies)} copies, {len(gap)} in the gap"
    write_curated(out, splits, aside, stats, summary, files)
    cells, yards = stats["answer"]["cells"], stats["answer"]["round_trip_yards"]
    say(f"{out}: answers of {cells} × {cells} cells rebuild the ground to {yards} yards")
    if beyond := stats["answer"]["beyond_scale"]["cells"]:
        say(f"{out}: {beyond} cells are lower or higher than terrain.ingest.answer.scale allows; widen it")


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
    """All tiles by name, and the rows of quarantine.jsonl; tiles gain ``folder``, to which their images are relative.

    Raises:
        UserError: two exports have a tile of the same name, or a larger share of tiles is bad than the limit.
    """
    tiles: dict[str, Row] = {}
    aside: list[Row] = []
    for shard in shards:
        for _, row in read_jsonl(shard / "quarantine.jsonl"):
            aside.append(quarantined(row["file"], None, row["kind"], row["message"], tile=row["tile"]))
        for _, row in read_jsonl(shard / "tiles.jsonl"):
            name = row["tile"]
            if name in tiles:
                raise UserError(f"{shard}: {name} is in {tiles[name]['folder']} too; rename one of the maps.")
            tiles[name] = row | {"folder": shard}
    bad: dict[str, Row] = {}
    for row in aside:
        if row["tile"] not in tiles:
            bad.setdefault(row["tile"], row)
    advice = "mend them; `python -m scripts.terrain.check` lists all"
    bad_rows, total = list(bad.values()), len(tiles) + len(bad)
    refuse_too_many_bad(bad_rows, total, limit, "check.max_bad_share", "tiles", advice)
    return tiles, aside


def without_copies(rows: Mapping[str, Row], most: int) -> tuple[dict[str, Row], dict[str, str]]:
    """The rows without those whose image looks like an earlier one's, and the original of each copy.

    Args:
        most: bits in which two hashes of copies differ at most.
    """
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
    """Counts of neighbours and look-alikes across splits, searched again; all are 0. Unseen maps are a split of theirs.

    Raises:
        UserError: there are such pairs; it names them.
    """
    whole = dict(sides) | {name: "unseen" for name, row in kept.items() if row["map"] in options.unseen}
    names = sorted(whole)
    pairs = {
        "neighbours": bordering({name: place_of(kept[name]) for name in sides}, sides, options.gap),
        "look_alikes": (
            (names[first], names[other])
            for first, other in alike(hashes_of([kept[name] for name in names]), options.max_hash_distance)
        ),
    }
    return check_no_leakage(pairs, whole, "Report this: the split should have kept them apart.")


def record_of(row: Row, args: argparse.Namespace, options: TerrainCurateOptions, kind: str) -> Record:
    """The tile in the one record shape; its images and height field are copied under names of their content."""
    images = [stored(args.output, below(row["folder"], name), "images") for name in row["images"]]
    truth = row["truth"] | {"file": stored(args.output, below(row["folder"], row["truth"]["file"]), "truth")}
    system = [text_message("system", args.system_prompt)] if args.system_prompt else []
    return Record(
        id=row["tile"],
        group=block_of(place_of(row), options.block),
        messages=[*system, question_message(QUESTION, len(images)), text_message("assistant", row["answer"])],
        images=images,
        expect=[{"truth": truth, "kind": "ground"}],
        meta={"set": kind, "worth": row["worth"]},
    )


def statistics(
    tiles: Mapping[str, Row],
    aside: Sequence[Row],
    picked: Mapping[str, str],
    copies: Mapping[str, str],
    gap: Sequence[str],
    kept: Mapping[str, Row],
    splits: Mapping[str, Sequence[Record]],
    options: TerrainCurateOptions,
    ingest: TerrainIngestOptions,
) -> Row:
    """Counts of what came in, what went out and why; figures of the answers."""
    errors, clipped = ([row[key] for row in kept.values()] for key in ("round_trip_yards", "beyond_scale"))
    trained_on = {name: row for name, row in kept.items() if row["map"] not in options.unseen}
    unseen = sum(record.meta["set"] == "unseen" for record in splits["test"])
    return {
        "rows_in": len(tiles.keys() | {row["tile"] for row in aside}),
        "tiles": len(tiles),
        "maps": dict(sorted(Counter(row["map"] for row in tiles.values()).items())),
        "quarantined": dict(sorted(Counter(row["reason"] for row in aside).items())),
        "picked": dict(sorted(Counter(picked.values()).items())),
        "look_alikes": copies,
        "gap": len(gap),
        "rows": {side: len(splits[side]) for side in SPLITS} | {"unseen": unseen},
        "naive_split": naive(trained_on, options),
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
