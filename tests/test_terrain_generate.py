"""Made-up terrain exports: repeatable, seamless, of the layout of real ones, and with pictures that show the ground."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scripts.lib.cli import UserError
from scripts.lib.files import sha256_file
from scripts.terrain import generate
from scripts.terrain.generator.cover import MATERIALS, PIXELS, cover_of, pixels
from scripts.terrain.generator.ground import INNER, ground_of
from scripts.terrain.generator.minimap import minimap, shading
from scripts.terrain.generator.styles import STYLES
from scripts.terrain.generator.things import things_of
from scripts.terrain.generator.world import world_of
from scripts.terrain.geometry import CORNER, TILE, stitch, to_placement, within_tile

SEED, WET_SEED = 7, 5
NAME = "Eastvale_32_32"


def call(out: Path, **options: Any) -> Path:
    generate.main(generate.parser().parse_args(["--out", str(out), "--params", json.dumps({"seed": SEED, **options})]))
    return out


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tile(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / "dataset" / f"{name}.json").read_bytes())["terrain_data"]


def field(data: dict[str, Any]) -> np.ndarray:
    return stitch(np.array([chunk["h"] for chunk in data["heights"]]), data["is_interleaved"])


def picture(folder: Path, path: str) -> np.ndarray:
    return cv2.imread(str(folder / path), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return call(tmp_path_factory.mktemp("export"), tiles=4)


@pytest.fixture(scope="module")
def wet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of another world, which has water in its middle."""
    return call(tmp_path_factory.mktemp("wet"), tiles=4, seed=WET_SEED)


@pytest.fixture(scope="module")
def block() -> list[tuple[Any, Any]]:
    """Ground and cover of tiles that lie apart, so that they differ."""
    world = world_of(SEED)
    grounds = [ground_of(world, x, y) for y in (22, 29, 36) for x in (20, 28, 36)]
    return [(ground, cover_of(SEED, ground)) for ground in grounds]


def test_a_tile_has_the_same_bytes_again_and_among_more_tiles(export: Path, tmp_path: Path) -> None:
    few, again = bytes_of(call(tmp_path / "few", tiles=1)), bytes_of(call(tmp_path / "again", tiles=1))
    assert few == again
    tiles = {name: content for name, content in few.items() if NAME in name}
    assert len(tiles) >= 8
    assert tiles.items() <= bytes_of(export).items()
    world_of.cache_clear()
    assert bytes_of(call(tmp_path / "anew", tiles=1)) == few


def test_another_seed_is_another_world(export: Path, wet: Path) -> None:
    assert (wet / f"images/{NAME}.png").read_bytes() != (export / f"images/{NAME}.png").read_bytes()


def test_the_file_list_names_every_file_and_a_smaller_run_leaves_none_behind(export: Path, tmp_path: Path) -> None:
    listed = json.loads((export / "files.json").read_text())
    assert {row["name"] for row in listed["files"]} == bytes_of(export).keys() - {"files.json"}
    assert all(sha256_file(export / row["name"]) == row["sha256"] for row in listed["files"])
    assert (listed["seed"], listed["options"]["tiles"]) == (SEED, 4)
    (tmp_path / "notes.txt").write_text("mine")
    call(tmp_path, tiles=2)
    left = set(bytes_of(call(tmp_path, tiles=1)))
    assert "notes.txt" in left
    assert {name for name in left if "Eastvale" in name and NAME not in name} == set()


def test_neighbours_agree_on_their_border(export: Path) -> None:
    heights = {(x, y): field(tile(export, f"Eastvale_{x}_{y}")) for x in (31, 32) for y in (31, 32)}
    for at in (31, 32):
        assert (heights[31, at][:, -1] == heights[32, at][:, 0]).all()
        assert (heights[at, 31][-1] == heights[at, 32][0]).all()


def test_the_manifest(export: Path) -> None:
    index = json.loads((export / "manifest.json").read_text())
    assert index["schema_version"] == "mk-dataset-manifest.v1"
    assert [row["tile_name"] for row in index["tiles"]] == [f"Eastvale_{x}_{y}" for y in (31, 32) for x in (31, 32)]
    assert index["coverage"]["tiles_with_source_minimap"] == 4
    assert all((export / path).is_file() for row in index["tiles"] for path in generate.paths_of(row))


def test_the_fields_of_a_tile(export: Path) -> None:
    paths = sorted((export / "dataset").glob("*.json"))
    assert [path.stem for path in paths] == sorted(f"Eastvale_{x}_{y}" for x, y in generate.block(4))
    for path in paths:
        sample, data = json.loads(path.read_bytes()), tile(export, path.stem)
        assert sample["image"] == f"images/{path.stem}.png"
        assert sample["depth"] is None
        assert data["adt_tile"] == path.stem
        assert [chunk["idx"] for chunk in data["heights"]] == list(range(256))
        assert {len(chunk["h"]) for chunk in data["heights"]} == {145}
        assert (len(data["chunk_positions"]), len(data["holes"]), len(data["chunk_layers"])) == (768, 256, 256)
        assert all(0 <= mask < 1 << 16 for mask in data["holes"])
        assert {len(base64.b64decode(row["bits"])) for row in data["shadow_bits"]} <= {512}
        assert (len(data["wdl_heights"]["outer_17"]), len(data["wdl_heights"]["inner_16"])) == (289, 256)
        heights = field(data)
        assert (data["height_min"], data["height_max"]) == (heights.min(), heights.max())
        assert data["height_global_min"] <= data["height_min"] < data["height_max"] <= data["height_global_max"]
        assert 200_000 < path.stat().st_size < 3_000_000


def test_the_layers_of_chunks(export: Path) -> None:
    for x, y in generate.block(4):
        name, alphas = f"Eastvale_{x}_{y}", np.zeros((5, 1024, 1024), np.uint16)
        data = tile(export, name)
        for chunk in data["chunk_layers"]:
            assert 1 <= len(chunk["layers"]) <= 4
            assert len(chunk["normals"]) == 145 * 3
            assert chunk["mccv_colors"] is None or len(base64.b64decode(chunk["mccv_colors"])) == 145 * 4
            assert chunk["layers"][0]["alpha_bits"] is None
            row, column = divmod(chunk["idx"], 16)
            for slot, layer in enumerate(chunk["layers"]):
                assert layer["texture_path"] == data["textures"][layer["tex_id"]]
                if slot:
                    alpha = np.frombuffer(base64.b64decode(layer["alpha_bits"]), np.uint8).reshape(64, 64)
                    alphas[slot + 1, row * 64 : row * 64 + 64, column * 64 : column * 64 + 64] = alpha
        for slot in (2, 3, 4):
            assert (picture(export, f"stitched/{name}_alpha_l{slot}.png") == alphas[slot]).all()


def test_objects_stand_on_their_tile_and_its_ground(export: Path) -> None:
    numbers: list[int] = []
    for x, y in generate.block(4):
        data = tile(export, f"Eastvale_{x}_{y}")
        heights = field(data)
        numbers += [thing["unique_id"] for thing in data["objects"]]
        for thing in data["objects"]:
            row, column = within_tile(np.array([thing["x"], thing["y"], thing["z"]]), x, y)
            assert -1e-5 <= row <= 1 + 1e-5
            assert -1e-5 <= column <= 1 + 1e-5
            if "bridge" not in thing["name"]:
                assert abs(heights[round(row * 256), round(column * 256)] - thing["y"]) < 6
            assert thing["category"] == ("wmo" if thing["name"].endswith(".wmo") else "m2")
    assert len(numbers) == len(set(numbers)) > 50


def test_chunk_positions_are_world_places(export: Path) -> None:
    places = np.array(tile(export, NAME)["chunk_positions"]).reshape(256, 3)
    east, _, south = to_placement(places)[17]
    assert east == pytest.approx(32 * TILE + TILE / 16, abs=0.01)
    assert south == pytest.approx(32 * TILE + TILE / 16, abs=0.01)
    assert places[0, 0] == pytest.approx(CORNER - 32 * TILE, abs=0.01)


def test_the_heightmap_and_the_shadow_picture_agree_with_the_record(export: Path) -> None:
    data = tile(export, NAME)
    grey = picture(export, f"images/{NAME}_heightmap.png")
    low, high = data["height_min"], data["height_max"]
    assert grey.dtype == np.uint16
    assert np.abs(low + grey / 65535 * (high - low) - field(data)).max() < 0.02
    shadow = picture(export, f"stitched/{NAME}_shadow.png")
    assert data["shadow_bits"]
    for row in data["shadow_bits"]:
        bits = np.unpackbits(np.frombuffer(base64.b64decode(row["bits"]), np.uint8), bitorder="little")
        top, left = row["idx"] // 16 * 64, row["idx"] % 16 * 64
        assert (bits.reshape(64, 64) * 255 == shadow[top : top + 64, left : left + 64]).all()


def test_liquids_and_their_mask_agree_with_the_heights(wet: Path) -> None:
    found = 0
    for x, y in generate.block(4):
        data = tile(wet, f"Eastvale_{x}_{y}")
        if data["liquid_mask"] is None:
            assert data["liquids"] == []
            continue
        heights, found = field(data), found + 1
        mask = picture(wet, data["liquid_mask"])[::4, ::4] > 0
        chunks = mask.reshape(16, 16, 16, 16).any(axis=(1, 3))
        assert [row["idx"] for row in data["liquids"]] == np.flatnonzero(chunks).tolist()
        for row in data["liquids"]:
            top, left = row["idx"] // 16 * 16, row["idx"] % 16 * 16
            ground = heights[top : top + 16, left : left + 16][mask[top : top + 16, left : left + 16]]
            assert len(row["heights"]) == 81
            assert row["min_height"] == min(row["heights"]) <= row["max_height"] == max(row["heights"])
            assert ground.min() < row["max_height"]
            assert row["type"] in ("water", "ocean")
    assert found


def test_water_lies_below_its_surface_in_the_low_places(block: list[tuple[Any, Any]]) -> None:
    wet, dry = [], []
    for ground, cover in block:
        assert (ground.heights[ground.water] < ground.surface[ground.water]).all()
        standing = ~np.isfinite(ground.river)
        assert (ground.heights[standing & ~ground.water] >= ground.surface[standing & ~ground.water]).all()
        wet.append(cover.heights[cover.depth > 0])
        dry.append(cover.heights[cover.depth == 0])
    assert np.concatenate(wet).mean() < np.concatenate(dry).mean() - 20


def test_rivers_run_downhill() -> None:
    ends = world_of(SEED).rivers.ends
    assert len(ends) > 1000
    assert (ends[:, 1, 2] <= ends[:, 0, 2] + 1e-9).all()


def test_snow_lies_high_and_rock_is_steep(block: list[tuple[Any, Any]]) -> None:
    heights = np.concatenate([cover.heights.ravel() for _, cover in block])
    slope = np.concatenate([cover.slope.ravel() for _, cover in block])
    shares = np.concatenate([cover.shares.reshape(len(MATERIALS), -1) for _, cover in block], axis=1)
    assert shares.sum(axis=0) == pytest.approx(np.ones(len(heights)), abs=1e-4)
    snow = [
        shares[MATERIALS.index("snow")][(heights >= low) & (heights < low + 130)].mean() for low in (0, 130, 260, 390)
    ]
    assert snow == sorted(snow)
    assert snow[0] < 0.01 < 0.4 < snow[3]
    rock = shares[MATERIALS.index("rock")]
    assert rock[slope > 1].mean() > rock[slope < 0.4].mean() + 0.4


def test_things_stand_where_they_belong(block: list[tuple[Any, Any]]) -> None:
    """Trees in forests on dry land, pines where it is colder than where oaks stand, houses in towns off the road."""
    cold: dict[str, list[float]] = {"pine": [], "oak": []}
    thick, houses = [], 0
    for ground, cover in block:
        for thing in things_of(world_of(SEED), ground, cover):
            at = round(thing.row) - ground.origin[0], round(thing.column) - ground.origin[1]
            if thing.kind in cold:
                assert not ground.water[at]
                cold[thing.kind].append(ground.heights[at] / 140 - ground.warmth[at])
                thick.append(cover.forest[at])
            elif thing.kind in ("house", "inn"):
                houses += 1
                assert ground.town[at] > 0.5 and ground.road[at] > 4.5
                assert ground.heights[at] > ground.surface[at]
    assert houses > 5 and min(map(len, cold.values())) > 100
    assert np.mean(cold["pine"]) > np.mean(cold["oak"]) + 0.3
    assert np.mean(thick) > 2 * np.mean([cover.forest.mean() for _, cover in block])


@pytest.mark.parametrize("style", STYLES)
def test_the_minimap_shows_slopes_in_the_light(block: list[tuple[Any, Any]], style: str) -> None:
    found = []
    for ground, cover in block:
        land = cover.depth == 0
        plain = land & (cover.shares[MATERIALS.index("snow")] < 0.05)
        if cover.slope.mean() < 0.3 or plain.mean() < 0.4:
            continue
        flat = np.zeros(ground.heights.shape, np.float32)
        image = minimap(SEED, ground, cover, flat, [], STYLES[style], PIXELS).mean(axis=2)
        light = pixels(shading(ground.heights, STYLES[style]))
        found.append(np.corrcoef(image[plain], light[plain])[0, 1])
    assert len(found) >= 2
    assert min(found) > 0.4


def test_styles_differ_in_the_picture_and_not_in_the_ground(export: Path, tmp_path: Path) -> None:
    other = call(tmp_path, tiles=1, style="atlas", image_size=512)
    image, painted = picture(other, f"images/{NAME}.png"), picture(export, f"images/{NAME}.png")
    assert (image.shape, painted.shape) == ((512, 512, 3), (256, 256, 3))
    assert np.abs(image[::2, ::2].astype(int) - painted).mean() > 15
    assert tile(other, NAME)["heights"] == tile(export, NAME)["heights"]


def test_the_older_layout_and_vertex_order(export: Path, tmp_path: Path) -> None:
    older = call(tmp_path, tiles=1, layout="older", interleaved=False, map="Westfen")
    sample = json.loads((older / "dataset" / "Westfen_32_32.json").read_bytes())
    assert sample["image_path"] == "images/Westfen_32_32.png"
    assert "image" not in sample
    assert not (older / "manifest.json").exists()
    assert json.loads((older / "ml_dataset_manifest.json").read_text())["dataset_name"] == "Westfen"
    data = sample["terrain_data"]
    assert not data["is_interleaved"]
    assert data["heights"][0]["h"] != tile(export, NAME)["heights"][0]["h"]
    assert (field(data) == field(tile(export, NAME))).all()
    assert INNER.stop - INNER.start == 257


def test_blocks_stay_on_the_map() -> None:
    assert generate.block(1) == [(32, 32)]
    for count in (2, 7, 64, 100, 3844):
        places = generate.block(count)
        assert len(set(places)) == count
        assert all(0 <= place <= 63 for pair in places for place in pair)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tiles": 0}, "tiles"),
        ({"tiles": 5000}, "tiles"),
        ({"style": "oil"}, "style"),
        ({"image_size": 300}, "image_size"),
        ({"map": "../x"}, "map"),
        ({"til": 3}, "did you mean 'tiles'"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        call(tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_file_list_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "files.json").write_text("[]")
    with pytest.raises(UserError, match=r"choose another --out"):
        call(tmp_path, tiles=1)
