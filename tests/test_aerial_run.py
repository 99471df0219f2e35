"""A world model's options from its presets, and that its data are what its sessions are."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from scripts.aerial import check, warm
from scripts.aerial.options import AerialGridOptions, AerialMeshOptions, AerialSessionOptions
from scripts.aerial.world import sheet
from scripts.aerial.world.options import WorldDataOptions
from scripts.aerial.world.run_options import derived_data
from scripts.config import load, load_files
from scripts.lib.cli import UserError
from tests.aerial_fixtures import box_obj, write

PRESETS = ("demo", "learn", "full")


def with_aerial(**aerial):
    return {"preset": "x", "scope": "road", "bases": {}, "aerial": {"runs": {"world": {}}, **aerial}}


@pytest.mark.parametrize("name", PRESETS)
def test_data_are_those_of_the_sessions(name):
    config = load_files(Path(f"config/{name}.yaml"))
    run, aerial = config.run("aerial", "world"), config.aerial
    assert run.data.grid.shape == aerial.voxels.grid.shape
    assert run.data.dt == aerial.sessions.dt
    assert run.data.classes.names == ["free", "ground", "tree", "building"]
    assert {run.data.classes.names[number]: number for number in aerial.mesh.numbers.values()} == aerial.mesh.numbers


def test_full_is_tokyos_size():
    run = load_files(Path("config/full.yaml")).run("aerial", "world")
    assert run.data.grid.shape == (200, 200, 121)
    assert (run.train.epochs, run.train.learning_rate, run.model.codes) == (50, 1e-4, 512)


@pytest.mark.parametrize("name", sorted(path.stem for path in Path("config/aerial").glob("*.yaml")))
def test_every_file_of_settings_makes_a_run_of_recorded_sessions(name):
    values = with_aerial(recorded="somewhere", settings=name)
    run = load(values).run("aerial", "world")
    told = yaml.safe_load(Path(f"config/aerial/{name}.yaml").read_text())
    assert run.model.dof == told.get("model", {}).get("dof", 4)
    assert run.data.layout == told.get("data", {}).get("layout", "session")


def test_a_run_goes_on_top_of_its_system_and_that_on_top_of_its_settings():
    values = with_aerial(recorded="x", settings="test_local", train={"epochs": 3}, model={"codes": 32})
    values["aerial"]["runs"] = {"a": {"train": {"epochs": 1}}, "b": {"settings": "nuscenes"}}
    one, other = load(values).runs()
    assert (one.train.epochs, one.train.vae_epochs, one.model.codes, one.model.width) == (1, 8, 32, 32)
    assert (other.train.epochs, other.train.vae_epochs, other.data.classes.free) == (3, 50, 17)


@pytest.mark.parametrize(
    ("aerial", "told"),
    [
        ({"settings": "tokio"}, r"settings: no config/aerial/tokio\.yaml; known: .*tokyo"),
        ({"data": {"grid": {"range": [-8, -8, 0, 8, 8, 8]}}}, r"data\.grid has .* leave data\.grid out"),
        ({"voxels": {"grid": {"heights": "relative"}}}, "choose heights absolute, or rotation full"),
        ({"cities": {"a": {"path": "x"}}, "recorded": "y"}, "not both"),
        ({"generate": [{"seed": 1}, {"seed": 2}]}, "name each city once"),
        ({"train": {"epoch": 1}}, "did you mean 'epochs'"),
        ({"runs": {"wo_rld": {}}}, "ASCII letters and digits"),
    ],
)
def test_what_does_not_fit_is_one_sentence(aerial, told):
    with pytest.raises(UserError, match=told):
        load(with_aerial(**aerial))


def test_a_grid_that_reaches_beyond_its_range_and_one_that_tilts():
    mesh, sessions = AerialMeshOptions(), AerialSessionOptions(dt=0.25)
    taller = AerialGridOptions(top="extend")
    data = WorldDataOptions.parse(derived_data(mesh, taller, sessions))
    assert data.grid.shape == taller.shape == (200, 200, 122)
    tilting = AerialGridOptions(heights="relative", rotation="full")
    assert derived_data(mesh, tilting, sessions)["grid"]["anchor"] == "ego"
    gap = AerialMeshOptions.parse({"classes": {"building": {"number": 5, "names": ["*"]}}})
    with pytest.raises(UserError, match="without a gap"):
        derived_data(gap, taller, sessions)


def test_a_city_s_report_names_every_mesh_by_hash_and_stops_for_nothing_but_an_empty_one(tmp_path):
    good = write(tmp_path / "city/good.obj", box_obj((0, 0, 0), (30, 30, 10)))
    write(tmp_path / "city/bad.obj", "v 0 0 0\nf 1 2 3\n")
    write(tmp_path / "city/x_streets.json", "[]")
    out = tmp_path / "meshes.json"
    assert check.main(check.parser().parse_args([str(tmp_path / "city"), "--out", str(out)])) == 0
    told = json.loads(out.read_text())
    assert [Path(row["file"]).name for row in told["meshes"] if row["usable"]] == ["good.obj"]
    assert [row["problems"] != [] for row in told["meshes"]] == [True, False]
    assert len(told["streets"]) == 1 and all(len(row["sha256"]) == 64 for row in told["meshes"])
    good.unlink()
    with pytest.raises(UserError, match="no triangle in it"):
        check.main(check.parser().parse_args([str(tmp_path / "city"), "--out", str(out)]))


def test_kernels_are_compiled_by_a_run_of_the_stages(capsys):
    warm.main(warm.parser().parse_args([]))
    assert "2 sessions, 4 frames" in capsys.readouterr().err


def test_pictures_show_an_answer_beside_what_came():
    grid = {"range": [-8, -8, 0, 8, 8, 8], "voxel": [1, 1, 1]}
    options = WorldDataOptions.parse({"grid": grid})
    look = sheet.look_of(options)
    came = np.zeros((16, 16, 8), np.uint8)
    came[..., 0], came[8:12, 4:8, :5] = 1, 3
    row = sheet.line("came", [came, None], None, options, look)
    height = sheet.SIZE + sheet.side_height(look) + sheet.HEAD + sheet.GAP
    assert row.shape == (height, sheet.NAME + 2 * (sheet.SIZE + sheet.GAP), 3)
    assert (row[:, -sheet.SIZE :] == 255).all()  # what is not there stays empty
    assert sheet.iou(came, came, options) == 1
    side = sheet.from_right(came, look, 80)
    assert (side[-1] != 255).any(-1).all()  # ground all along the lower edge
    assert sheet.ahead(6) == [0, 2, 5] and sheet.ahead(1) == [0]
