"""Answers that decode to what was encoded, blocks with a gap, and the proof that nothing lies across splits."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from terrain_export import tile_json, write_export, write_minimap

from scripts.lib.cli import UserError
from scripts.lib.files import read_json, sha256_file
from scripts.lib.records import read_records
from scripts.terrain import curate, ingest
from scripts.terrain.answer import AnswerError, Ground, beyond, describe, from_text, rebuild, to_text
from scripts.terrain.blocks import Place, bordering, split_tiles
from scripts.terrain.export import find_tiles
from scripts.terrain.options import (
    AnswerOptions,
    PickOptions,
    ScaleOptions,
    TerrainCheckOptions,
    TerrainCurateOptions,
    WorthOptions,
)
from scripts.terrain.tile import read_tile
from scripts.terrain.worth import Riches, pick, riches, worth

OPTIONS = AnswerOptions()


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    (file,), _ = find_tiles(write_export(tmp_path_factory.mktemp("export") / "made", (32, 48)))
    return read_tile(file, TerrainCheckOptions())


def drawn(seed: int, options: AnswerOptions) -> Ground:
    """Any ground that the form allows."""
    dice = np.random.default_rng(seed)
    cells = (options.cells, options.cells)
    low = int(dice.integers(-500, 500))
    places = [(int(row), int(column)) for row, column in dice.integers(0, options.cells, (3, 2))]
    return Ground(
        low=low,
        high=low + int(dice.integers(1, 900)),
        steps=dice.integers(0, options.levels, cells),
        textures={"grass": 60, "rock": int(dice.integers(0, 40))},
        liquids={"water": dice.random(cells) > 0.5} if seed % 2 else {},
        holes=dice.random(cells) > (0.9 if seed % 3 else 1),
        objects={"pine": (int(dice.integers(1, 99)), places), "house": (1, [])},
    )


@pytest.mark.parametrize(("seed", "cells"), list(product(range(6), (2, 8, 32))))
def test_decoding_is_the_inverse_of_encoding(seed, cells):
    options = AnswerOptions(cells=cells)
    text = to_text(drawn(seed, options), options)
    again = from_text(text, options)
    assert to_text(again, options) == text
    np.testing.assert_array_equal(again.steps, drawn(seed, options).steps)
    assert len(text.encode()) <= options.longest


def test_liquids_stand_where_they_are_above_the_ground(tmp_path):
    """The fixture rises by 2 a grid step to the south: water at 100 yards floods the first 50 rows of its chunks."""
    export = write_export(tmp_path / "made", (1, 1))
    flood = [{"idx": chunk, "min_height": 0, "max_height": 100 + chunk % 16, "type": "Water"} for chunk in range(256)]
    (export / "dataset/Made_1_1.json").write_text(json.dumps(tile_json(1, 1, liquids=flood, adt_tile="Made_1_1")))
    (file,), _ = find_tiles(export)
    tile = read_tile(file, TerrainCheckOptions())
    ground = describe(tile, AnswerOptions(cells=8))
    level = 100 + np.arange(256) // 16
    wet = (tile.field[:-1, :-1] < level).reshape(8, 32, 8, 32).mean(axis=(1, 3)) >= 0.5
    assert 0 < wet.sum() < 64
    np.testing.assert_array_equal(ground.liquids["water"], wet)


@pytest.mark.parametrize("step", [1, 5, 6, 13, 15, 50])
def test_a_tile_of_one_texture_has_100_percent(tmp_path, step):
    export = write_export(tmp_path / "made", (1, 1))
    value = tile_json(1, 1, adt_tile="Made_1_1", chunk_layers=[[{"tex_id": 0}]] * 256)
    (export / "dataset/Made_1_1.json").write_text(json.dumps(value))
    (file,), _ = find_tiles(export)
    options = AnswerOptions(texture_step=step)
    text = to_text(describe(read_tile(file, TerrainCheckOptions()), options), options)
    (share,) = from_text(text, options).textures.values()
    assert share <= 100


def test_the_longest_answer_is_as_long_as_said():
    options = AnswerOptions(cells=4, textures=3, kinds=2, places=5, liquids=2)
    full = np.ones((4, 4), bool)
    names = [f"{at:016}" for at in range(3)]
    ground = Ground(
        low=-20_000,
        high=20_000,
        steps=np.zeros((4, 4), int),
        textures=dict.fromkeys(names, 100),
        liquids=dict.fromkeys(names[:2], full),
        holes=full,
        objects={name: (99_999, [(0, 0)] * 5) for name in names[:2]},
    )
    assert len(to_text(ground, options)) == options.longest


def test_the_slope_is_described(tile):
    ground = describe(tile, OPTIONS)
    assert (ground.low, ground.high) == (48, 720)  # at the middles of the corner cells: 3 · 16 and 3 · 240
    assert ground.textures == {"grass": 100}
    assert ground.objects == {"pine": (2, [(6, 2)]), "house": (1, [(4, 4)])}
    assert np.argwhere(ground.holes).tolist() == [[0, 0]]
    assert ground.liquids == {}  # the pond covers less than half of a cell
    step = (ground.high - ground.low) / 99
    np.testing.assert_allclose(np.diff(ground.heights(100), axis=0), 64, atol=step)


@pytest.mark.parametrize(
    ("scale", "low", "high", "clipped"),
    [
        (ScaleOptions(lowest=-60, highest=900, step=10), 40, 720, 0),
        (ScaleOptions(lowest=100, highest=900, step=50), 100, 750, 2),  # two cells lie lower: 48 and 80
        (ScaleOptions(lowest=0, highest=50), 48, 50, 63),
        (ScaleOptions(lowest=1000, highest=2000, step=7), 1000, 1000, 64),
    ],
)
def test_heights_beyond_the_scale_are_counted(tile, scale, low, high, clipped):
    options = AnswerOptions(scale=scale)
    ground = describe(tile, options)
    assert (ground.low, ground.high) == (low, high)
    assert beyond(tile, options) == clipped
    again = from_text(to_text(ground, options), options)
    np.testing.assert_array_equal(again.heights(100), ground.heights(100))


def test_the_ground_is_rebuilt_from_its_description(tile):
    rebuilt = rebuild(describe(tile, OPTIONS).heights(OPTIONS.levels))
    inner = slice(48, -48)  # beyond the middles of the outermost cells nothing is known
    np.testing.assert_allclose(rebuilt[inner, inner], tile.field[inner, inner], atol=5)  # a step is 6.8 yards
    assert ingest.encode_tile(tile, ingest.TerrainIngestOptions())["round_trip_yards"] < 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"lowest":[1,2', "not valid JSON"),
        ("[]", "no JSON object"),
        ('{"lowest":20001}', "`lowest` is not 5 digits"),
        ('{"lowest":"00002","rise":"+0002"}', "`rise` is not 5 digits"),
        ('{"lowest":"20001","rise":"00002","heights":["00"]}', "not 8 rows of 16 digits"),
        (
            '{"lowest":"20001","rise":"00002","heights":' + json.dumps(["0" * 16] * 8) + ',"textures":{"a":101}}',
            "percent",
        ),
    ],
)
def test_what_is_no_answer_says_why(text, said):
    with pytest.raises(AnswerError, match=said):
        from_text(text, OPTIONS)


def test_worth_by_hand(tile):
    assert riches(tile)._replace(relief=0.0) == Riches(0.0, 2, 257 / 256, 1 / 256, 3, 2, 1, True, 1)
    has = Riches(
        relief=4.0, textures=3, layers=2.0, blended=0.5, objects=50, names=4, liquid_types=1, shadows=True, holes=9
    )
    assert worth(has, WorthOptions()) == 8 + 3 + 6 + 7.5 + 5 + 4 + (5 + 2) + 5 + 5
    assert (
        worth(Riches(99, 99, 99, 1, 9999, 99, 9, True, 99), WorthOptions()) == 30 + 10 + 10 + 15 + 10 + 10 + 10 + 5 + 5
    )


def test_picking_takes_each_share():
    rows = {
        f"t{at:02}": {"worth": at, "riches": {"liquid_types": at == 1, "objects": 5 * (at == 2), "holes": at == 3}}
        for at in range(40)
    }
    kept = pick(rows, PickOptions(count=20), seed=7)
    assert [name for name, why in kept.items() if why == "best"] == [f"t{at}" for at in range(32, 40)]
    assert {kept["t01"], kept["t02"], kept["t03"]} == {"liquid", "objects", "holes"}
    assert len(kept) == 20 and kept == pick(rows, PickOptions(count=20), seed=7)
    assert set(pick(rows, PickOptions(), 7).values()) == {"all"}


@pytest.mark.parametrize("seed", range(4))
def test_no_two_splits_touch(seed):
    places = {f"{x}_{y}": Place("m", x, y) for x, y in product(range(16), range(16))}
    sides, gap = split_tiles(places, TerrainCurateOptions(seed=seed))
    assert set(sides.values()) == {"train", "val", "test"} and set(sides) | set(gap) == set(places)
    assert bordering(places, sides, 1) == []
    wrong = dict(sides)
    name = next(name for name, side in sides.items() if side == "train")
    wrong[name] = "test"
    assert bordering(places, wrong, 1)
    moved, _ = split_tiles(
        {f"m{name}": place for name, place in reversed(places.items())}, TerrainCurateOptions(seed=seed)
    )
    assert {f"m{name}": side for name, side in sides.items()} == moved


GRID = [(x, y) for x in range(28, 36) for y in range(28, 34)]
PARAMS = {"block": 2, "val_share": 0.2, "test_share": 0.3}


def run_curate(export, out, **params):
    given = ["--input", str(export), "--output", str(out), "--params", json.dumps(PARAMS | params)]
    curate.main(curate.parser().parse_args([*given, "--system-prompt", "You see."]))
    return read_json(out / "stats.json")


@pytest.fixture(scope="module")
def curated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curated")
    export = write_export(folder / "made", *GRID)
    (export / "dataset" / "Made_28_28.json").write_text("{}")
    (export / "images" / "Made_35_33.png").write_bytes((export / "images" / "Made_29_29.png").read_bytes())
    return export, folder / "out", run_curate(export, folder / "out")


def test_counts_add_up(curated):
    _, out, stats = curated
    records = {side: read_records(out / f"{side}.jsonl") for side in ("train", "val", "test")}
    assert stats["rows"] == {side: len(rows) for side, rows in records.items()} | {"unseen": 0}
    assert (stats["rows_in"], stats["tiles"], stats["quarantined"]) == (48, 47, {"terrain_data": 1})
    assert stats["look_alikes"] == {"Made_35_33": "Made_29_29"}
    assert sum(map(len, records.values())) + stats["gap"] + 2 == 48
    assert stats["leakage"] == {"neighbours": 0, "look_alikes": 0}
    assert stats["naive_split"]["beside_training"] > 0
    assert stats["answer"]["longest_bytes"] <= stats["answer"]["longest_allowed_bytes"]


def test_records_show_a_picture_and_no_place(curated):
    _, out, _ = curated
    for record in read_records(out / "test.jsonl"):
        said = json.dumps([message.model_dump() for message in record.messages]) + record.images[0]
        assert "Made" not in said and not any(f"{x}_{y}" in said for x, y in GRID)
        assert [part.type for part in record.messages[1].content] == ["text", "image"]
        assert sha256_file(out / record.images[0])[:16] in record.images[0]
        assert from_text(record.messages[-1].text, OPTIONS).textures == {"grass": 100}


def test_curating_again_gives_the_same_bytes(curated, tmp_path):
    export, out, _ = curated
    run_curate(export, tmp_path)
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        assert sha256_file(path) == sha256_file(tmp_path / path.relative_to(out)), path


def test_unseen_maps_are_tested_on_only(curated, tmp_path):
    export, _, _ = curated
    other = write_export(tmp_path / "other", (1, 1))
    for path in (other / "dataset" / "Made_1_1.json", other / "images" / "Made_1_1.png"):
        path.rename(path.with_name(path.name.replace("Made", "Other")))
    path = other / "dataset" / "Other_1_1.json"
    path.write_text(path.read_text().replace("Made_", "Other_"))
    (other / "manifest.json").unlink()
    params = json.dumps(PARAMS | {"unseen": ["Other"]})
    given = ["--input", str(export), str(other), "--output", str(tmp_path / "out"), "--params", params]
    curate.main(curate.parser().parse_args(given))
    sets = {record.id: record.meta["set"] for record in read_records(tmp_path / "out" / "test.jsonl")}
    assert sets.pop("Other_1_1") == "unseen" and set(sets.values()) == {"seen"}
    for side in ("train", "val"):
        assert all(not record.id.startswith("Other") for record in read_records(tmp_path / "out" / f"{side}.jsonl"))


def test_leakage_stops_the_build(curated):
    _, out, _ = curated
    rows, _ = curate.gather(sorted((out / "shards" / "made").iterdir()), 0.5)
    kept = {name: rows[name] for name in ("Made_30_30", "Made_31_31")}
    options = TerrainCurateOptions()
    with pytest.raises(UserError, match=r"1 neighbours and 0 look-alikes .* Made_30_30 \(train\) and Made_31_31"):
        curate.prove(kept, {"Made_30_30": "train", "Made_31_31": "test"}, options)
    far = {"Made_29_29": rows["Made_29_29"], "Made_35_33": rows["Made_35_33"]}
    with pytest.raises(UserError, match="0 neighbours and 1 look-alikes"):
        curate.prove(far, {"Made_29_29": "train", "Made_35_33": "test"}, options)


def test_too_many_bad_tiles_stop_the_build(tmp_path):
    export = write_export(tmp_path / "made", (1, 1), (2, 2))
    (export / "images" / "Made_1_1.png").unlink()
    with pytest.raises(UserError, match=r"1 of 2 tiles are bad, more than check.max_bad_share 0.2: .*is not there"):
        run_curate(export, tmp_path / "out")


def test_an_edited_tile_rewrites_its_own_shard_only(curated, tmp_path):
    export, _, _ = curated
    shards = tmp_path / "shards"
    given = ["--export", str(export), "--out", str(shards)]
    ingest.main(ingest.parser().parse_args(given))
    before = {path: sha256_file(path) for path in shards.rglob("manifest.json")}
    write_minimap(export, 29, 30, side=512)
    ingest.main(ingest.parser().parse_args(given))
    changed = [path.parent.name for path, digest in before.items() if sha256_file(path) != digest]
    write_minimap(export, 29, 30)
    assert (sorted(path.parent.name for path in before), changed) == (["3_3", "3_4", "4_3", "4_4"], ["3_3"])
    with pytest.raises(UserError, match="has no tile in shard 0_0; its shards: 3_3, 3_4, 4_3, 4_4"):
        ingest.main(ingest.parser().parse_args([*given, "--shard", "0_0"]))
