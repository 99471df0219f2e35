"""From a trained world model to its package: counts by hand, baselines, scores, ONNX, gate, package, replay."""

import json

import numpy as np
import pytest
import torch
from world_sessions import DATA, DT, MODEL, pose_json, write_sessions

from scripts.aerial.system import SYSTEM
from scripts.aerial.world import baselines, counts, curate, deploy, export, poses, replay, runners, score, train
from scripts.aerial.world.above import sentence
from scripts.aerial.world.dataset import Row, load_dataset
from scripts.aerial.world.options import WorldDataOptions
from scripts.aerial.world.weights import load_model
from scripts.lib.cli import UserError
from scripts.lib.files import read_json, read_jsonl, sha256_file, write_json
from scripts.lib.metrics import Bootstrap
from scripts.lib.scoring import Scores
from scripts.packaging import gate

TRAIN = {
    "vae_epochs": 3,
    "epochs": 3,
    "batch_size": 4,
    "eval_windows": 4,
    "learning_rate": 5e-3,
    "warmup_steps": 3,
    "precision": "float32",
    "report_to": [],
    "device": "cpu",
    "loss": {"focal_alpha": 0.75},
}
SCORE = {"resamples": 200, "threshold_windows": 4, "device": "cpu"}
CLASSES = WorldDataOptions.parse(DATA).classes


def run(stage, *arguments):
    torch.set_num_threads(1)
    return stage.main(stage.parser().parse_args(list(map(str, arguments))))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A small model trained for seconds, scored, exported, scored again with its exports, gated and packed."""
    root = tmp_path_factory.mktemp("world")
    write_sessions(root / "sessions", count=12, frames=13)
    run(curate, "--input", root / "sessions", "--out", root / "data", "--params", json.dumps(DATA))
    files = ["--train", root / "data/train.jsonl", "--val", root / "data/val.jsonl"]
    where = ["--out", root / "models", "--work", root / "work"]
    given = ["--params", json.dumps(TRAIN), "--model", json.dumps(MODEL)]
    run(train, "--input", root / "sessions", *files, *where, *given)
    onnx = ["--test", root / "data/test.jsonl", "--model", root / "models/model", "--out", root / "models/onnx"]
    run(export, "--input", root / "sessions", *onnx, "--params", '{"windows": 2}')
    exported = [f"{name}={root / 'models/onnx' / f'model-{name}.onnx'}" for name in ("f32", "int8")]
    scored = ["--test", root / "data/test.jsonl", "--val", root / "data/val.jsonl", "--model", root / "models/model"]
    scored += ["--onnx", *exported, "--out", root / "reports/metrics.json", "--scope", "road"]
    run(score, "--input", root / "sessions", *scored, "--params", json.dumps(SCORE))
    limits = {"metric": "iou_no_ground", "beat": ["copy_last"], "tolerance": 0.05}
    judged = ["--metrics", root / "reports/metrics.json", "--certificate", root / "models/onnx/certificate.json"]
    judged += ["--quant", *exported, "--out", root / "reports/gate.json", "--params", json.dumps(limits)]
    run(gate, *judged)
    run(deploy, *deploy_arguments(root))
    return root


def deploy_arguments(root, out="dist"):
    return [
        *("--gate", root / "reports/gate.json", "--model", root / "models/model", "--onnx", root / "models/onnx"),
        *("--metrics", root / "reports/metrics.json", "--certificate", root / "models/onnx/certificate.json"),
        *("--training", root / "models/training/training_metadata.json", "--stats", root / "data/stats.json"),
        *("--input", root / "sessions", "--test", root / "data/test.jsonl", "--out", root / out),
    ]


# --- counts and baselines --------------------------------------------------------------------------------------------


def test_counts_are_those_a_person_counts():
    true = np.array([[[0, 1, 2, 2, 3, 0]]], np.uint8)
    said = np.array([[[0, 1, 2, 1, 2, 2]]], np.uint8)
    found = counts.count(true, said, CLASSES)
    assert found[:, :4].tolist() == [[1, 1, 1, 0], [2, 1, 2, 1], [1, 2, 3, 0]]
    assert found[:, 4].tolist() == [4, 4, 5]  # all but free: 4 of both, true 4, said 5
    assert found[:, 5].tolist() == [2, 3, 3]  # without ground: cells 2 and 4; cell 3 was said to be ground


def estimates(tally):
    """Scores of one window with one frame ahead."""
    given = {"torch": counts.counts_of(tally, CLASSES, 1)}
    return Scores(SYSTEM, given, counts.formulas(CLASSES, 1), ["a"], Bootstrap(resamples=100), "iou").estimates("torch")


def test_scores_follow_from_counts():
    true = np.array([[[0, 1, 2, 2, 3, 0]]], np.uint8)
    said = np.array([[[0, 1, 2, 1, 2, 2]]], np.uint8)
    tally = counts.Tally([counts.count(true, said, CLASSES)[None]])
    found = estimates(tally)
    values = {name: row["value"] for name, row in found.items()}
    assert values["iou"] == pytest.approx(4 / 5)
    assert values["precision"] == pytest.approx(4 / 5)
    assert values["recall"] == 1.0
    assert values["iou_no_ground"] == pytest.approx(2 / 4)
    assert values["miou"] == pytest.approx((1 / 2 + 1 / 4 + 0) / 3, abs=1e-6)
    assert values["miou_no_ground"] == pytest.approx((1 / 4 + 0) / 2)
    assert values["iou_no_ground_1"] == values["iou_no_ground"]
    assert "position_error" not in found


def test_a_class_that_is_nowhere_is_no_part_of_the_mean():
    grid = np.array([[[0, 1, 2]]], np.uint8)
    tally = counts.Tally([counts.count(grid, grid, CLASSES)[None]])
    found = estimates(tally)
    assert found["miou"]["value"] == 1.0


def test_baselines_on_a_world_of_which_a_person_knows_the_future():
    """A wall two cells ahead of a vehicle that goes one cell a frame: it comes nearer by one each frame."""
    options = WorldDataOptions.parse(DATA)
    grids = np.zeros((4, 16, 16, 8), np.uint8)
    grids[..., 0] = 1
    grids[3, 10, :, :4] = 2
    path = [poses.pose_from_json(pose_json((at, 0, 5), 0)) for at in range(10)]
    row = Row("x", "g", DT, [], np.stack(path))
    said = baselines.answers(grids, row, options)
    assert set(said) == set(baselines.NAMES)
    assert (said["copy_last"].grids == grids[3]).all()
    for at in range(6):
        wall = np.argwhere(said["ego_warped"].grids[at] == 2)[:, 0]
        assert set(wall.tolist()) == {10 - (at + 1)}
        assert (said["ego_warped"].grids[at, 16 - (at + 1) :] == 0).all()  # not seen yet: free
    assert np.array_equal(said["ego_warped"].grids, said["ego_warped_true"].grids)
    assert np.array_equal(said["history_warped"].grids, said["ego_warped"].grids)  # nothing before saw further
    assert set(np.unique(said["ground_only"].grids)) == {0, 1}
    np.testing.assert_allclose(said["constant_velocity"].poses[:, 0], range(4, 10))
    np.testing.assert_allclose(said["copy_last"].poses[:, 0], 3)
    assert said["constant_velocity"].grids is None


def test_what_the_last_grid_does_not_reach_is_taken_from_the_grids_before_it():
    """A vehicle that backs off sees less behind itself than it did; what lay there it has shown before."""
    options = WorldDataOptions.parse(DATA)
    grids = np.zeros((4, 16, 16, 8), np.uint8)
    grids[0, 15] = 3
    path = np.stack([poses.pose_from_json(pose_json((at, 0, 5), 0)) for at in (3, 2, 1, 0)])
    back = np.stack([poses.pose_from_json(pose_json((at, 0, 5), 0)) for at in (1, 2, 3)])
    said = baselines.fill_from_before(grids, np.concatenate([path, back]), options)
    assert (said[2, 15] == 3).all()  # where the first frame stood
    assert (said[1, 15] == 0).all() and (said[:, :15] == 0).all()


def test_a_cell_is_occupied_from_the_threshold_on_by_its_likeliest_class():
    chances = np.array([[0.5, 0.2, 0.3, 0], [0.51, 0.49, 0, 0], [0.0, 0.4, 0.6, 0]], np.float32)
    assert runners.decided(chances, 0.5, 0).tolist() == [2, 0, 2]
    assert runners.decided(chances, 0.4, 0).tolist() == [2, 1, 2]


def test_thresholds_are_tried_on_counts():
    options = WorldDataOptions.parse(DATA)
    chances = np.array([[[[[0.65, 0.0, 0.35, 0.0], [0.15, 0.0, 0.85, 0.0], [0.9, 0.05, 0.05, 0.0]]]]], np.float32)
    found = score.threshold_counts(chances, np.array([[[[2, 2, 0]]]], np.uint8), options)
    at = {round(float(value), 2): found[place].tolist() for place, value in enumerate(score.THRESHOLDS)}
    assert at[0.3] == [2, 2]
    assert at[0.5] == [1, 2]
    assert at[0.9] == [0, 2]


# --- the trained model -----------------------------------------------------------------------------------------------


def test_the_trained_model_beats_copy_last_without_ground_while_the_vehicle_moves(world):
    metrics = read_json(world / "reports/metrics.json")
    assert metrics["baselines"]["copy_last"]["position_error_6"]["value"] > 1.0  # metres: it does move
    assert metrics["beats"]["copy_last"]
    ours, theirs = (metrics[kind][name]["iou_no_ground"]["value"] for kind, name in SIDES)
    assert ours > theirs + 0.05
    assert ours > metrics["baselines"]["shuffled"]["iou_no_ground"]["value"] + 0.1
    assert metrics["baselines"]["ground_only"]["iou_no_ground"]["value"] == 0


SIDES = (("variants", "torch"), ("baselines", "copy_last"))


def test_metrics_have_the_shape_that_page_and_gate_read(world):
    metrics = read_json(world / "reports/metrics.json")
    assert (metrics["system"], metrics["run"], metrics["scope"]) == ("aerial", "world", "road")
    assert set(metrics["variants"]) == {"torch", "f32", "int8"}
    names = {
        "copy_last",
        "ego_warped",
        "history_warped",
        "ego_warped_true",
        "ground_only",
        "constant_velocity",
        "shuffled",
    }
    assert set(metrics["baselines"]) == names
    row = metrics["variants"]["torch"]
    for stem in (*counts.OCCUPANCY, *counts.MEANS, *counts.POSES):
        for at in range(1, 7):
            assert set(row[f"{stem}_{at}"]) == {"value", "low", "high", "n"}
    assert row["iou"]["n"] == metrics["cases"] > 0
    assert metrics["higher_is_better"]["position_error_3"] is False
    assert metrics["higher_is_better"]["iou_no_ground_3"] is True
    assert 0 < metrics["threshold"] < 1
    assert "val" in metrics["threshold_from"]
    assert metrics["oracles"] == ["ego_warped_true"]
    told = {(one["metric"], one["variant"], one["against"]) for one in metrics["paired"]}
    failed = [row for _, row in read_jsonl(world / "reports/failures.jsonl")]
    assert {row["variant"] for row in failed} <= {"torch", "f32", "int8"}
    assert all(row["iou_no_ground"] < row["ego_warped"] for row in failed)
    assert ("iou_no_ground_6", "torch", "ego_warped") in told
    assert ("iou_no_ground", "int8", "torch") in told
    verdict = read_json(world / "reports/gate.json")
    assert verdict["checks"][0] == {
        "name": "integrity",
        "passed": True,
        "detail": "certificate passed, files as certified",
    }


def test_another_grid_than_the_models_is_refused(world, tmp_path):
    other = write_sessions(tmp_path / "sessions", 4, 12)
    run(curate, "--input", other, "--out", tmp_path, "--params", json.dumps(DATA | {"history": 3}))
    arguments = ["--input", other, "--test", tmp_path / "test.jsonl", "--model", world / "models/model"]
    with pytest.raises(UserError, match=r"data\.history is not what the model was trained with"):
        run(score, *arguments, "--out", tmp_path / "m.json", "--params", '{"threshold": 0.5}')


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("model.onnx", r"--onnx model\.onnx: write it as NAME=FILE, such as int8=model-int8\.onnx"),
        ("torch=model.onnx", "torch names another variant; choose another name"),
        ("shuffled=model.onnx", "shuffled names another variant"),
    ],
)
def test_exported_files_are_named_and_never_as_the_models_own_variants(world, tmp_path, argument, message):
    arguments = ["--input", world / "sessions", "--test", world / "data/test.jsonl", "--model", world / "models/model"]
    with pytest.raises(UserError, match=message):
        run(score, *arguments, "--onnx", argument, "--out", tmp_path / "m.json", "--params", '{"threshold": 0.5}')


def test_a_threshold_without_val_is_asked_for(world, tmp_path):
    arguments = ["--input", world / "sessions", "--test", world / "data/test.jsonl", "--model", world / "models/model"]
    with pytest.raises(UserError, match="threshold: auto needs --val"):
        run(score, *arguments, "--out", tmp_path / "m.json")


# --- weights, export, package ----------------------------------------------------------------------------------------


def test_published_weights_load_strictly(world, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_bytes((world / "models/model/config.json").read_bytes())
    weights = load_file(world / "models/model/model.safetensors")
    model = load_model(world / "models/model")
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    weights.pop("transformer.head.bias")
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"missing: transformer\.head\.bias \[64\]"):
        load_model(folder)
    (folder / "model.safetensors").write_bytes(b"not")
    with pytest.raises(UserError, match="not a whole safetensors file"):
        load_model(folder)


def test_onnxruntime_says_what_pytorch_says_and_int8_states_its_loss(world):
    certificate = read_json(world / "models/onnx/certificate.json")
    assert certificate["passed"]
    assert {row["name"]: row["sha256"] for row in certificate["files"]} == {
        name: sha256_file(world / "models/onnx" / name) for name in ("model-f32.onnx", "model-int8.onnx")
    }
    data = load_dataset(world / "data/test.jsonl", world / "sessions")
    told = runners.history_of(data.batch([len(data) - 1]), 4)
    ours, motion = runners.torch_runner(load_model(world / "models/model"))(told)
    theirs, steps = runners.onnx_runner(world / "models/onnx/model-f32.onnx")(told)
    np.testing.assert_allclose(theirs, ours, atol=1e-3)
    np.testing.assert_allclose(steps, motion, atol=1e-3)
    [loss] = [check for check in certificate["checks"] if check["name"] == "loss:int8"]
    assert loss["kind"] == "quality"
    assert "IoU without ground" in loss["detail"]
    metrics = read_json(world / "reports/metrics.json")
    of_int8 = {row["against"]: row for row in metrics["paired"] if row["variant"] == "int8"}
    rivals = {"copy_last", "ego_warped", "history_warped", "ground_only", "shuffled"}
    assert set(of_int8) == {"torch", *rivals}
    lost = of_int8["torch"]
    assert of_int8["ego_warped"]["value"] == pytest.approx(
        metrics["variants"]["int8"]["iou_no_ground"]["value"]
        - metrics["baselines"]["ego_warped"]["iou_no_ground"]["value"],
        abs=1e-5,
    )
    assert abs(lost["value"]) < 0.1
    assert metrics["variants"]["f32"]["iou"]["value"] == pytest.approx(
        metrics["variants"]["torch"]["iou"]["value"], abs=1e-3
    )


def test_a_graph_that_says_something_else_stops_the_export(world, tmp_path, monkeypatch):
    whole = export.onnx_runner

    def off(path):
        runner = whole(path)
        return lambda told: (1 - runner(told)[0], runner(told)[1])

    monkeypatch.setattr(export, "onnx_runner", off)
    arguments = ["--input", world / "sessions", "--test", world / "data/test.jsonl", "--model", world / "models/model"]
    with pytest.raises(UserError, match="does not say what PyTorch says"):
        run(export, *arguments, "--out", tmp_path, "--params", '{"windows": 1}')
    assert read_json(tmp_path / "certificate.json")["passed"] is False


def test_the_package_is_whole_and_answers_as_it_did(world, capsys):
    package = world / "dist"
    names = {path.name for path in package.iterdir()}
    assert {
        "model.safetensors",
        "model-f32.onnx",
        "model-int8.onnx",
        "config.json",
        "example.npz",
        "README.md",
    } <= names
    assert {"SHA256SUMS", "test_results.json", "deployment_config.json"} <= names
    assert run(replay, package) == 0
    assert "verified" in capsys.readouterr().out
    config = read_json(package / "deployment_config.json")
    assert config["default"] == f"model-{read_json(world / 'reports/gate.json')['variant']}.onnx"
    assert config["shape"] == [16, 16, 8]


def test_the_card_tells_scores_threshold_and_baselines_and_its_code_runs(world, monkeypatch):
    text = (world / "dist/README.md").read_text()
    metrics = read_json(world / "reports/metrics.json")
    for words in (
        "ego_warped (baseline)",
        "copy_last (baseline)",
        "ego_warped_true (oracle)",
        "IoU without ground",
        f"occupied at {metrics['threshold']:g}",
        "x y z w",
    ):
        assert words in text
    assert "Quote no score of it" in text
    code = text.split("```python\n")[1].split("```")[0]
    values = {}
    monkeypatch.chdir(world / "dist")
    exec(code, values)  # what the card tells to run
    published = read_json(world / "dist/test_results.json")["occupied"]
    assert values["occupied"][0].reshape(6, -1).sum(1).tolist() == published


def test_deploying_again_gives_the_same_bytes(world):
    run(deploy, *deploy_arguments(world, "again"))
    assert (world / "again/SHA256SUMS").read_bytes() == (world / "dist/SHA256SUMS").read_bytes()


def test_an_altered_package_is_not_loaded(world, tmp_path, capsys):
    import shutil

    copy = shutil.copytree(world / "dist", tmp_path / "copy")
    (copy / "model-f32.onnx").write_bytes(b"other")
    assert run(replay, copy) == 1
    told = capsys.readouterr().out
    assert "altered: model-f32.onnx" in told
    assert "NOT verified" in told


def test_what_was_not_certified_does_not_ship(world, tmp_path):
    certificate = read_json(world / "models/onnx/certificate.json")
    certificate["files"][0]["sha256"] = "0" * 64
    write_json(tmp_path / "certificate.json", certificate)
    arguments = deploy_arguments(world, "never")
    arguments[arguments.index("--certificate") + 1] = tmp_path / "certificate.json"
    with pytest.raises(UserError, match="not as it was certified"):
        run(deploy, *arguments)
    assert not (world / "never").exists()


def test_above_by_chance_is_not_called_clear():
    rows = [
        {"metric": f"iou_no_ground_{at}", "against": "ego_warped", "low": low} for at, low in ((1, 0.01), (2, -0.01))
    ]
    metrics = {"horizons": [{"frame": 1}, {"frame": 2}], "paired": rows, "beats": {"ego_warped": [1, 2], "none": []}}
    assert sentence(metrics, "ego_warped").startswith("ego warped: the model is above it at frames 1, 2, clearly")
    assert sentence(metrics, "ego_warped").endswith("at 1.")
    assert sentence(metrics, "none") == "none: the model is above it at no frame."
    assert sentence({**metrics, "paired": rows[1:]}, "ego_warped").endswith("nowhere clearly.")
