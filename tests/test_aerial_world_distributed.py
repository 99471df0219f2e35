"""Two processes share a step of the world model: the losses and weights of one process, also after a kill."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_aerial_world_train import PARAMS as USUAL
from test_aerial_world_train import arguments as usual_arguments
from world_sessions import DATA, write_sessions
from world_sessions import MODEL as TINY

from scripts.aerial.world import curate
from scripts.aerial.world import train as stage
from scripts.aerial.world.options import WorldTrainOptions
from scripts.lib import launch
from scripts.lib.files import write_json

# Thirteen windows in steps of four: the last step of an epoch has one window, which leaves the second process none. Of
# three val windows the second process gets one.
PARAMS = USUAL | {"max_steps": 5, "eval_windows": 3}
WINDOWS = 13
# Half the codes are moved onto vectors of both processes.
MODEL = {**TINY, "revive_below": 0.995}
# Losses are near 3, where neighbouring float32 numbers are 2.4e-7 apart: some of them, for sums in another order.
LOSS_TOLERANCE = 5e-6
# Weights that learn move by up to 1.5e-2 here. Adam divides a gradient by its own size, which enlarges its rounding.
WEIGHT_TOLERANCE = 5e-4
# A softmax does not depend on the bias of its keys: their gradient is 0 but for rounding, and their move is random.
KEY_BIASES = ("k.bias", "qkv.bias")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    write_sessions(folder / "sessions", count=8, frames=12)
    curated = ["--input", str(folder / "sessions"), "--out", str(folder), "--params", json.dumps(DATA)]
    curate.main(curate.parser().parse_args(curated))
    windows = (folder / "train.jsonl").read_text().splitlines(keepends=True)
    assert len(windows) >= WINDOWS
    (folder / "train.jsonl").write_text("".join(windows[:WINDOWS]))
    return folder


def arguments(data, out, processes):
    return usual_arguments(data, out, PARAMS | {"processes": processes}, "--model", json.dumps(MODEL))


def train(data, out, processes):
    torch.set_num_threads(1)
    assert not stage.main(stage.parser().parse_args(arguments(data, out, processes)))
    return out


@pytest.fixture(scope="module")
def one(data, tmp_path_factory):
    return train(data, tmp_path_factory.mktemp("one"), 1)


@pytest.fixture(scope="module")
def two(data, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "2")
        return train(data, tmp_path_factory.mktemp("two"), 2)


def losses(out, key="loss"):
    rows = map(json.loads, (out / "run/training/loss.jsonl").read_text().splitlines())
    return [row[key] for row in rows if key in row]


def metadata(out):
    return json.loads((out / "run/training/training_metadata.json").read_text())


def weights(out):
    return load_file(out / "run/model/model.safetensors")


def assert_like(out, other):
    for key, count in (("loss", 10), ("eval_loss", 4)):
        assert len(losses(out, key)) == count
        assert losses(out, key) == pytest.approx(losses(other, key), abs=LOSS_TOLERANCE)
    ours, theirs = weights(out), weights(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        if not name.endswith(KEY_BIASES):
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-5, atol=WEIGHT_TOLERANCE)


def test_two_processes_learn_what_one_learns(one, two):
    assert_like(two, one)
    assert (metadata(two)["processes"], metadata(two)["threads"], metadata(two)["batch_size"]) == (2, 1, 4)
    [work], [alone] = ((out / "work").iterdir() for out in (two, one))
    assert work.name == alone.name  # the number of processes makes no other run
    assert (work / "process-1.log").is_file()


@pytest.fixture(scope="module")
def killed(data, one, tmp_path_factory):
    """A run of two processes, one killed in the third step of the second stage."""
    out = tmp_path_factory.mktemp("killed")
    [work] = (one / "work").iterdir()
    write_json(out / "accelerate.json", launch.settings(WorldTrainOptions(processes=2), "float32"))
    given = [*arguments(data, out, 2), "--watch", '{"save_minutes": 0}']
    starts = launch.command("killed_world_training", given, out / "accelerate.json", launch.NodeRank(), threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        assert launch.start(starts) != 0
    assert (out / "work" / work.name / "transformer-last.pt").is_file()
    assert not (out / "run").exists()
    return out


def test_a_killed_run_goes_on_in_one_process_or_in_two(killed, data, one, two, tmp_path):
    shutil.copytree(killed / "work", tmp_path / "work")
    train(data, tmp_path, 1)
    assert_like(tmp_path, one)
    train(data, killed, 2)
    assert losses(killed) == losses(two)
    assert all(torch.equal(tensor, weights(two)[name]) for name, tensor in weights(killed).items())
    for out in (tmp_path, killed):
        assert metadata(out)["resumed_from"] == "transformer, epoch 0"


def test_the_best_checkpoint_is_evaluated_by_both_processes(two, data, capfd):
    given = [*arguments(data, two, 2), "--evaluate-only"]
    assert not stage.main(stage.parser().parse_args(given))
    [line] = capfd.readouterr().out.splitlines()
    assert json.loads(line)["val_loss"] == pytest.approx(metadata(two)["eval_loss"], abs=1e-5)
