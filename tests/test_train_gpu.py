"""Training on a GPU: the weights' widths and the engine that a CPU cannot run."""

import importlib.util
import json

import pytest
import torch
from tiny_models import save_tiny

from scripts.lib.options.train import TrainOptions
from scripts.lib.records import Record, text_message, write_records
from scripts.model import train as stage

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU: run `make test-gpu` on a machine with one"),
]
PARAMS = {"max_steps": 8, "batch_size": 2, "learning_rate": 5e-3, "warmup_steps": 1, "report_to": [], "device": "cuda"}


@pytest.mark.parametrize(
    ("engine", "load_in"), [("hf", "16bit"), ("hf", "8bit"), ("hf", "4bit"), ("unsloth", "16bit"), ("unsloth", "4bit")]
)
def test_an_adapter_learns_on_the_gpu(engine, load_in, tmp_path):
    if engine == "unsloth" and importlib.util.find_spec("unsloth") is None:
        pytest.skip("no unsloth: pip install -r envs/gpu.txt")
    base = save_tiny("llama", tmp_path / "base")
    answers = [text_message("user", "Look."), text_message("assistant", "You see two rats.")]
    for side in ("train", "val"):
        write_records(
            tmp_path / f"{side}.jsonl", [Record(id=f"{side}{n}", group=side, messages=answers) for n in range(6)]
        )
    options = TrainOptions.model_validate({**PARAMS, "engine": engine, "load_in": load_in})
    files = [f"--{side}={tmp_path / side}.jsonl" for side in ("train", "val")]
    where = [f"--base={base}", f"--out={tmp_path / 'run'}", f"--work={tmp_path / 'work'}"]
    stage.main(stage.parser().parse_args([*where, *files, "--params", options.model_dump_json()]))
    curve = [json.loads(line) for line in (tmp_path / "run/training/loss.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in curve if "loss" in row]
    assert losses[-1] < losses[0]
    assert (tmp_path / "run/adapter/adapter_model.safetensors").is_file()
