"""Map exports: geometry by hand, both layouts and vertex orders, and every kind of bad tile told by its reason."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from terrain_export import chunk_heights, slope, tile_json, write_export, write_minimap

from scripts.lib.cli import UserError
from scripts.terrain import check
from scripts.terrain.export import Fault, by_name, find_exports, find_tiles, pictures_of, tiles_in
from scripts.terrain.geometry import CORNER, GRID, TILE, stitch, to_placement, to_world, unstitch, within_tile
from scripts.terrain.options import TerrainCheckOptions
from scripts.terrain.pictures import (
    alike,
    difference_hash,
    read_heights,
    read_picture,
    resized,
    write_heights,
    write_picture,
)
from scripts.terrain.tile import Liquid, Thing, TileError, read_tile

ON_GRID = np.fromfunction(slope, (GRID, GRID))


@pytest.fixture
def export(tmp_path):
    return write_export(tmp_path / "made", (32, 48))


def only_tile(export):
    (file,), faults = find_tiles(export)
    assert faults == []
    return file


def read(export):
    return read_tile(only_tile(export), TerrainCheckOptions())


def spoil(export, **changes):
    """Changes fields of the only tile's terrain_data."""
    path = export / "dataset" / "Made_32_48.json"
    path.write_text(json.dumps(tile_json(32, 48, **changes)))


@pytest.mark.parametrize("interleaved", [True, False])
def test_a_slope_is_stitched_to_a_slope(interleaved):
    heights = np.array([chunk_heights(chunk, interleaved) for chunk in range(256)])
    field = stitch(heights, interleaved)
    np.testing.assert_allclose(field, ON_GRID)
    np.testing.assert_allclose(unstitch(field, interleaved), heights)


def test_shared_vertices_are_averaged_and_edges_are_halfway():
    heights = np.zeros((256, 145))
    heights[0, 8] = 10.0  # the north-east corner of chunk 0 is the north-west corner of chunk 1, where it is 0
    field = stitch(heights)
    assert (field[0, 16], field[0, 15], field[0, 17], field[1, 15]) == (5.0, 2.5, 2.5, 0.0)
    assert field.sum() == pytest.approx(5.0 + 3 * 2.5)


def test_places_by_hand():
    # the middle of the map is the world's origin; placement (0, 0, 0) is the north-west corner
    assert to_world(np.array([CORNER, 12.0, CORNER])).tolist() == [0.0, 0.0, 12.0]
    assert to_world(np.zeros(3)) == pytest.approx([17066.66656, 17066.66656, 0.0], abs=1e-3)
    placement = np.array([[100.0, 5.0, 20_000.0]])
    np.testing.assert_allclose(to_placement(to_world(placement)), placement)
    assert within_tile(np.array([32.25 * TILE, 0, 48.75 * TILE]), 32, 48) == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize("older", [False, True])
def test_a_whole_tile(tmp_path, older):
    export = write_export(tmp_path / "made", (32, 48), older=older)
    tile = read(export)
    np.testing.assert_allclose(tile.field, ON_GRID)
    assert np.argwhere(tile.holes).tolist() == [[1, 0]]  # bit 4: column 0 of row 1
    assert tile.shares == pytest.approx([255.5 / 256, 0.5 / 256])
    assert (tile.layers.tolist()[:2], tile.blended.sum(), tile.shadows) == ([2, 1], 1, True)
    assert tile.liquids == [Liquid(0, "water", 20.0, 20.0)]
    assert tile.objects == [
        Thing("m2", "pine", pytest.approx(0.75), pytest.approx(0.25), 1.0),
        Thing("m2", "pine", pytest.approx(0.76), pytest.approx(0.26), 1.0),
        Thing("wmo", "house", pytest.approx(0.5), pytest.approx(0.5), 1.0),
    ]
    assert read_picture(tile, "minimap", [256]).shape == (256, 256, 3)


def test_chunks_may_be_objects(export):
    """As exporters write them whose chunks carry more than layers."""
    data = tile_json(32, 48)["terrain_data"]
    as_lists = read(export)
    layers = [{"idx": chunk, "layers": rows, "normals": []} for chunk, rows in enumerate(data["chunk_layers"])]
    shadows = [{"idx": 0, "bits": data["shadow_bits"][0]}]
    spoil(export, chunk_layers=layers[::-1], shadow_bits=shadows)
    as_objects = read(export)
    np.testing.assert_array_equal(as_objects.shares, as_lists.shares)
    np.testing.assert_array_equal(as_objects.layers, as_lists.layers)
    assert as_objects.shadows


BAD = {
    "chunk beyond": ({"chunk_layers": [{"idx": 256, "layers": []}]}, "an idx 256 that is no chunk"),
    "few chunks": ({"chunk_layers": [[]]}, "has 1 entries, not 256"),
    "too high": ({"heights": [{"idx": n, "h": [2e4 + n] * 145} for n in range(256)]}, "beyond check.max_height 20000"),
    "144 heights": ({"heights": [{"idx": n, "h": [0.0] * (145 - (n == 3))} for n in range(256)]}, "chunk 3 has 144"),
    "255 chunks": ({"heights": [{"idx": n, "h": [0.0] * 145} for n in range(255)]}, "255 chunks, not 256"),
    "a chunk twice": ({"heights": [{"idx": 0, "h": [0.0] * 145} for _ in range(256)]}, "each of 0 to 255 once"),
    "no number": ({"heights": [{"idx": n, "h": [None] * 145} for n in range(256)]}, "chunk 0: a height is no number"),
    "NaN": ({"heights": [{"idx": n, "h": [float("nan")] * 145} for n in range(256)]}, "holds NaN"),
    "another tile": ({"adt_tile": "Made_1_1"}, "says it is 'Made_1_1'"),
    "short alpha": ({"chunk_layers": [[{"tex_id": 0, "alpha_bits": "AAAA"}], *[[]] * 255]}, "holds 3 bytes, not 4096"),
    "no base64": ({"chunk_layers": [[{"tex_id": 0, "alpha_bits": "!" * 5464}], *[[]] * 255]}, "is no base64"),
    "long alpha": (
        {"chunk_layers": [[{"tex_id": 0, "alpha_bits": base64.b64encode(bytes(4098)).decode()}], *[[]] * 255]},
        "holds 4098 bytes, not 4096",
    ),
    "long shadow": ({"shadow_bits": [base64.b64encode(bytes(513)).decode(), *[""] * 255]}, "holds 513 bytes, not 512"),
    "no textures": ({"textures": [], "chunk_layers": [[{"tex_id": 0}], *[[]] * 255]}, "tex_id 0 is none of 0"),
    "idx is no number": ({"heights": [{"idx": None, "h": [0.0] * 145} for _ in range(256)]}, "each of 0 to 255 once"),
    "positions are no list": ({"chunk_positions": 5}, "no chunk_positions"),
    "liquid heights": (
        {"liquids": [{"idx": 1, "min_height": 0, "max_height": 0, "heights": 12.0}]},
        "no heights, not 81",
    ),
    "order of vertices": ({"is_interleaved": "false"}, "'false', neither true nor false"),
    "unheard of": ({"liquids": [{"idx": 1, "min_height": [], "max_height": 0}, 7]}, "`liquids` is no list of objects"),
    "unknown texture": ({"chunk_layers": [[{"tex_id": 2}], *[[]] * 255]}, "tex_id 2 is none of 2"),
    "short shadow": ({"shadow_bits": ["AAAA", *[""] * 255]}, "holds 3 bytes, not 512"),
    "wide hole": ({"holes": [65536, *[0] * 255]}, "more than 16 bits"),
    "few holes": ({"holes": [0]}, "not 256 whole numbers"),
    "positions": ({"chunk_positions": [0.0] * 3}, "3 chunk_positions, not 768"),
    "liquid nowhere": ({"liquids": [{"idx": 256, "min_height": 0, "max_height": 0}]}, "idx 256 is no chunk"),
    "liquid of 80": ({"liquids": [{"idx": 1, "min_height": 0, "max_height": 0, "heights": [0] * 80}]}, "80 heights"),
    "object": ({"objects": [{"name": "a", "category": "tree", "x": 0, "y": 0, "z": 0}]}, "is neither m2 nor wmo"),
    "object nowhere": ({"objects": [{"name": "a", "category": "m2", "x": 0, "y": 0}]}, "no finite number"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_fields_are_told(export, name):
    changes, said = BAD[name]
    spoil(export, **changes)
    with pytest.raises(TileError, match=said):
        read(export)


def test_all_faults_of_a_tile_are_told(export):
    spoil(export, holes=[0], liquids=[{"idx": 256, "min_height": 0, "max_height": 0}], textures=None, chunk_layers=None)
    with pytest.raises(TileError, match="not 256 whole numbers") as caught:
        read(export)
    assert [one.kind for one in caught.value.every] == ["holes", "liquids"]


def test_outer_vertices_may_come_first(export):
    heights = [{"idx": chunk, "h": chunk_heights(chunk, interleaved=False)} for chunk in range(256)]
    spoil(export, is_interleaved=False, heights=heights)
    np.testing.assert_allclose(read(export).field, ON_GRID)
    spoil(export, is_interleaved=True, heights=heights)
    assert np.abs(read(export).field - ON_GRID).max() > 5


def test_pictures_are_found_by_tile(tmp_path):
    export = write_export(tmp_path / "made", (1, 2), (11, 2))
    (export / "stitched").mkdir()
    for name in ("Made_1_2_shadow.png", "Made_1_2_alpha_l1.png", "Made_11_2_shadow.png", "other.png"):
        (export / "stitched" / name).touch()
    found = {tile: [path.name for path in paths] for tile, paths in pictures_of(export).items()}
    assert found == {
        "Made_1_2": ["Made_1_2.png", "Made_1_2_alpha_l1.png", "Made_1_2_shadow.png"],
        "Made_11_2": ["Made_11_2.png", "Made_11_2_shadow.png"],
    }


def test_maps_of_one_name_and_maps_without_tiles_are_refused(tmp_path):
    with pytest.raises(UserError, match="have the same name; rename one"):
        by_name([tmp_path / "a/Made", tmp_path / "b/Made"])
    export = write_export(tmp_path / "made", (1, 2))
    (export / "dataset/Made_1_2.json").rename(export / "dataset/odd.json")
    with pytest.raises(UserError, match=r"no tile .*odd\.json: is not of the form"):
        tiles_in(export)
    with pytest.raises(UserError, match="no tile"):
        check.main(check.parser().parse_args([str(export)]))


def test_json_cut_off_is_told(export):
    path = export / "dataset" / "Made_32_48.json"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(TileError, match="may be cut off"):
        read(export)


def test_a_large_file_is_not_read(export):
    with pytest.raises(TileError, match=r"more than check.max_file_mb 0.1"):
        read_tile(only_tile(export), TerrainCheckOptions(max_file_mb=0.1))


def test_pictures_missing_damaged_or_of_another_size_are_told(export):
    tile, path = read(export), export / "images" / "Made_32_48.png"
    write_minimap(export, 32, 48, side=100)
    with pytest.raises(TileError, match=r"is 100×100; check.image_sizes allows squares of 256, 512"):
        read_picture(tile, "minimap", [256, 512])
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(TileError, match="cannot be decoded"):
        read_picture(tile, "minimap", [256])
    path.unlink()
    with pytest.raises(TileError, match="is not there"):
        read_picture(tile, "minimap", [256])


@pytest.mark.parametrize("image", ["../../secret.png", "/etc/passwd", "..\\..\\secret.png"])
def test_a_picture_outside_the_export_is_refused(export, image):
    path = export / "dataset" / "Made_32_48.json"
    path.write_text(json.dumps(tile_json(32, 48) | {"image": image}))
    with pytest.raises(TileError, match="this path leaves"):
        read_picture(read(export), "minimap", [256])


def test_names_coordinates_and_manifest(tmp_path):
    export = write_export(tmp_path / "made", (1, 2), (3, 4))
    dataset = export / "dataset"
    (dataset / "Made_3_4.json").rename(dataset / "Made_5_4.json")
    for name in ("Made_01_2", "Made_64_0", "notes"):
        (dataset / f"{name}.json").write_text("{}")
    tiles, faults = find_tiles(export)
    assert [tile.path.stem for tile in tiles] == ["Made_01_2", "Made_5_4"]
    assert {(fault.kind, fault.tile) for fault in faults} == {
        ("duplicate_coordinates", "Made_1_2"),
        ("coordinates", "Made_64_0"),
        ("name", "notes"),
        ("missing_file", "Made_1_2"),
        ("missing_file", "Made_3_4"),
        ("unlisted_file", "Made_01_2"),
        ("unlisted_file", "Made_5_4"),
    }


def test_exports_below_a_folder_are_found(tmp_path):
    for name in ("b", "a"):
        write_export(tmp_path / name, (0, 0))
    assert find_exports([tmp_path]) == [tmp_path / "a", tmp_path / "b"]
    assert find_exports([tmp_path / "a"]) == [tmp_path / "a"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no map export"):
        find_exports([tmp_path / "empty"])


def test_check_command(tmp_path, capsys):
    export = write_export(tmp_path / "made", (1, 2), (3, 4))
    (export / "images" / "Made_3_4.png").unlink()
    (export / "dataset" / "notes.json").write_text("{}")
    assert check.main(check.parser().parse_args([str(export), "--json"])) == 1
    rows = {row["tile"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert rows["Made_1_2"]["usable"] and rows["Made_1_2"]["heights"] == [0.0, 768.0]
    assert [one["kind"] for one in rows["Made_3_4"]["problems"]] == ["image_missing"]
    assert [one["kind"] for one in rows["notes"]["problems"]] == ["name"]
    assert check.main(check.parser().parse_args([str(export)])) == 1
    assert capsys.readouterr().out == "1 tiles can be used; problems: 1 image_missing, 1 name\n"


def test_check_looks_at_every_picture_that_is_there_and_at_those_that_are_asked_for(tmp_path, capsys):
    export = write_export(tmp_path / "made", (1, 2))
    (export / "stitched").mkdir()
    (export / "stitched/Made_1_2_alpha_l1.png").write_bytes(b"no picture")
    assert check.main(check.parser().parse_args([str(export), "--json"])) == 1
    told = json.loads(capsys.readouterr().out)["problems"]
    assert [one["message"].split(";")[0] for one in told] == ["Made_1_2_alpha_l1.png cannot be decoded"]
    write_picture(export / "stitched/Made_1_2_alpha_l1.png", np.zeros((64, 64), np.uint8))
    assert check.main(check.parser().parse_args([str(export), "--json"])) == 0
    assert json.loads(capsys.readouterr().out)["usable"]
    asked = [str(export), "--json", "--inputs", "minimap", "shadow", "alpha1"]
    assert check.main(check.parser().parse_args(asked)) == 1
    told = json.loads(capsys.readouterr().out)["problems"]
    assert [(one["kind"], one["message"].split(" ")[0]) for one in told] == [("image_missing", "Made_1_2_shadow.png")]


def test_hashes_tell_pictures_apart():
    dice = np.random.default_rng(0)
    pictures = [resized(dice.integers(0, 255, (16, 16, 3), np.uint8), 256) for _ in range(3)]
    darker = (pictures[0] * 0.8).astype(np.uint8)
    hashes = np.array([difference_hash(picture) for picture in [*pictures, resized(darker, 512)]])
    assert alike(hashes, 12) == [(0, 3)]


def test_height_pictures_keep_heights(tmp_path):
    low, step = write_heights(tmp_path / "h.png", ON_GRID)
    assert (low, step) == (0.0, pytest.approx(768 / 65535))
    np.testing.assert_allclose(read_heights(tmp_path / "h.png", low, step), ON_GRID, atol=step / 2 + 1e-9)


def test_faults_are_rows():
    assert Fault("f", "t", "kind", "why").to_json() == {"file": "f", "tile": "t", "kind": "kind", "message": "why"}
