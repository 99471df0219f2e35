"""Two processes share a step: the same losses and weights as one at the same effective batch, also after a kill."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_train import command, records
from tiny_models import save_tiny

from scripts.lib import launch
from scripts.lib.files import write_json
from scripts.lib.options.train import TrainOptions
from scripts.lib.records import write_records
from scripts.model import train as stage
from scripts.model.shares import OwnBatches, deal

# Nine records, four a step: the third step of an epoch has one, which leaves the second process none. 8 steps are 2.7
# epochs. In float32, so that what differs is the order of additions alone.
PARAMS = {
    "max_steps": 8,
    "eval_steps": 2,
    "batch_size": 2,
    "gradient_accumulation": 2,
    "learning_rate": 5e-3,
    "warmup_steps": 1,
    "lora": {"r": 4},
    "report_to": [],
    "device": "cpu",
    "precision": "float32",
    "answer_dropout": 0.1,
}
# Losses are near 6, where neighbouring float32 numbers are 5e-7 apart: four of them, for sums in another order.
LOSS_TOLERANCE = 2e-6
# Weights that learn move by up to 2e-2 here. Adam divides a gradient by its own size, which enlarges a rounding of it.
WEIGHT_TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    folder = tmp_path_factory.mktemp("setup")
    write_records(folder / "train.jsonl", records(9))
    write_records(folder / "val.jsonl", records(5, "v"))
    return save_tiny("llama", folder / "base"), folder


def arguments(setup, out, processes):
    return list(map(str, command(*setup, out, PARAMS | {"processes": processes})))


def train(setup, out, processes):
    torch.set_num_threads(1)
    assert not stage.main(stage.parser().parse_args(arguments(setup, out, processes)))
    return out


@pytest.fixture(scope="module")
def one(setup, tmp_path_factory):
    return train(setup, tmp_path_factory.mktemp("one"), 1)


@pytest.fixture(scope="module")
def two(setup, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "2")
        return train(setup, tmp_path_factory.mktemp("two"), 2)


def losses(out, key="loss"):
    rows = map(json.loads, (out / "run/training/loss.jsonl").read_text().splitlines())
    return [row[key] for row in rows if key in row]


def weights(out):
    return load_file(out / "run/adapter/adapter_model.safetensors")


def assert_like(out, other):
    for key, count in (("loss", 8), ("eval_loss", 4)):
        assert len(losses(out, key)) == count
        assert losses(out, key) == pytest.approx(losses(other, key), abs=LOSS_TOLERANCE)
    ours, theirs = weights(out), weights(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=WEIGHT_TOLERANCE)


def test_two_processes_learn_what_one_learns(one, two):
    assert_like(two, one)
    metadata = json.loads((two / "run/training/training_metadata.json").read_text())
    assert (metadata["processes"], metadata["threads"]) == (2, 1)
    [work], [alone] = ((out / "work").iterdir() for out in (two, one))
    assert work.name == alone.name  # the number of processes makes no other run
    assert not any("rng_state_" in path.name for path in work.rglob("*"))


@pytest.fixture(scope="module")
def killed(setup, one, tmp_path_factory):
    """A run of two processes, one killed after five steps: its last checkpoint is inside the second epoch."""
    out = tmp_path_factory.mktemp("killed")
    [work] = (one / "work").iterdir()
    write_json(out / "accelerate.json", launch.settings(TrainOptions(processes=2, gradient_accumulation=2), "float32"))
    starts = launch.command(
        "killed_training", arguments(setup, out, 2), out / "accelerate.json", launch.NodeRank(), threads=1
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        assert launch.start(starts) != 0
    found = sorted(path.name for path in (out / "work" / work.name).glob("checkpoint-*"))
    assert found == ["checkpoint-2", "checkpoint-4"]
    assert not (out / "run").exists()
    return out


def test_a_killed_run_goes_on_in_one_process_or_in_two(killed, setup, one, two, tmp_path):
    import shutil

    shutil.copytree(killed / "work", tmp_path / "work")
    train(setup, tmp_path, 1)
    assert_like(tmp_path, one)
    train(setup, killed, 2)
    assert losses(killed) == losses(two)
    assert all(torch.equal(tensor, weights(two)[name]) for name, tensor in weights(killed).items())
    for out in (tmp_path, killed):
        assert json.loads((out / "run/training/training_metadata.json").read_text())["resumed_from"] == 4


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 6, 12])
def test_a_step_sees_the_same_records_whatever_the_processes(processes):
    options = TrainOptions(batch_size=4, gradient_accumulation=3, processes=processes)
    size, accumulation = deal(options)
    assert size * accumulation * processes == options.records_a_step == 12
    order = [(7 * n) % 31 for n in range(31)]
    shares = [list(OwnBatches(order, size, rank, processes)) for rank in range(processes)]
    assert {len(share) for share in shares} == {len(OwnBatches(order, size, 0, processes))}
    for step in range(3):
        rows = [batch for share in shares for batch in share[step * accumulation : (step + 1) * accumulation]]
        seen = sorted(record for batch in rows for record in batch if record < len(order))
        assert seen == sorted(order[step * 12 : (step + 1) * 12])
