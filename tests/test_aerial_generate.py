"""The made-up city: the same for the same seed, whole, and as a city is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scripts.aerial import check, generate
from scripts.aerial.mesh import closed_shells
from scripts.aerial.meshes import load_mesh
from scripts.aerial.options import AerialMeshOptions
from scripts.aerial.scene import scene_of
from scripts.lib.cli import UserError

SMALL = {"size": 240.0, "seed": 5}
GROUND, TREE, BUILDING = 1, 2, 3
UP = np.array([0, 0, 1.0])


def make(folder, **options):
    arguments = ["--out", str(folder), "--params", json.dumps(SMALL | options)]
    generate.main(generate.parser().parse_args(arguments))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("city")
    make(folder)
    return folder


@pytest.fixture(scope="module")
def mesh(folder):
    return load_mesh([folder], AerialMeshOptions())[0]


def test_the_same_seed_gives_the_same_bytes(folder, tmp_path):
    before = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    assert make(tmp_path / "again") == before
    other = make(tmp_path / "other", seed=6)
    assert all(other[name] != before[name] for name in before)
    assert list(before) == [
        "Hillford_building.obj",
        "Hillford_ground.obj",
        "Hillford_streets.json",
        "Hillford_tree.obj",
        "files.json",
    ]


def test_check_finds_nothing_wrong(folder, capsys):
    assert check.main(check.parser().parse_args([str(folder), "--json"])) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["degenerate"] for row in rows] == [0, 0, 0] and [row["unnamed"] for row in rows] == [0, 0, 0]
    assert all(row["triangles"][name] > 100 for row, name in zip(rows, ("building", "ground", "tree"), strict=True))


def test_buildings_and_trees_are_closed_and_look_outwards(mesh):
    shells = closed_shells(mesh)
    solid = mesh.classes != GROUND
    assert (shells[solid] >= 0).all() and (shells[~solid] < 0).all()
    a, b, c = (mesh.vertices[mesh.triangles[solid][:, corner]] - mesh.bounds.mean(axis=0) for corner in range(3))
    volumes = np.bincount(shells[solid], np.einsum("ij,ij->i", a, np.cross(b, c)) / 6)
    assert (volumes[np.unique(shells[solid])] > 0).all()


def test_everything_stands_on_the_ground(mesh):
    scene = scene_of(mesh)
    for number in (TREE, BUILDING):
        corners = mesh.vertices[np.unique(mesh.triangles[mesh.classes == number])]
        ground = scene.below(corners + 500 * UP, (GROUND,))
        assert np.isfinite(ground).all()
        assert (corners[:, 2] > ground - 15).all()
        low, high = np.percentile(corners[:, 2] - ground, [0, 100])
        assert low < 0 and high > 5


def test_heights_vary_and_the_ground_slopes(mesh):
    heights = mesh.vertices[np.unique(mesh.triangles[mesh.classes == BUILDING])][:, 2]
    ground = mesh.vertices[np.unique(mesh.triangles[mesh.classes == GROUND])][:, 2]
    assert len(np.unique(heights.round(1))) > 30 and heights.max() > 40
    assert np.ptp(ground) > 2
    assert np.abs(mesh.bounds.mean(axis=0)[:2] - [-8234, -37036]).max() < 30


def test_streets_are_free_to_drive_on(folder, mesh):
    scene, lines = scene_of(mesh), json.loads((folder / "Hillford_streets.json").read_text())
    points = np.concatenate([line["points"] for line in lines])
    assert scene.free(points + 1.5 * UP, 1.2).mean() > 0.97
    np.testing.assert_allclose(scene.below(points + 1.5 * UP, (GROUND,)), points[:, 2], atol=0.3)


def test_options_have_their_effect(tmp_path):
    flat = make(tmp_path / "flat", slope=0.0, trees=0.0, name="Level")
    assert "Level_tree.obj" not in flat
    low = load_mesh([tmp_path / "flat"], AerialMeshOptions())[0]
    assert (low.classes != TREE).all()


def test_files_of_an_earlier_run_go_and_others_stay(tmp_path):
    make(tmp_path, name="First")
    (tmp_path / "mine.txt").write_text("kept")
    again = make(tmp_path, name="Second")
    assert "mine.txt" in again and not any(name.startswith("First") for name in again)
    (tmp_path / "files.json").write_text("[]")
    with pytest.raises(UserError, match="not a file list of this command"):
        make(tmp_path)
