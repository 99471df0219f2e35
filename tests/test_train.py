"""Training on tiny models: what is learnt, what is refused, and that a killed run ends with the same bytes."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny_models import save_tiny

from scripts.lib.cli import UserError
from scripts.lib.devices import pick_device
from scripts.lib.files import sha256_file
from scripts.lib.options.train import TrainOptions
from scripts.lib.records import Record, text_message, write_records
from scripts.model import engine
from scripts.model import train as stage

ROOT = Path(__file__).resolve().parents[1]
PARAMS = {
    "max_steps": 8,
    "eval_steps": 2,
    "batch_size": 2,
    "learning_rate": 5e-3,
    "warmup_steps": 1,
    "lora": {"r": 4},
    "report_to": [],
    "device": "cpu",
    "answer_dropout": 0.1,
}


def records(count, prefix="r"):
    """Conversations of unlike lengths with one or two answers."""
    return [
        Record(
            id=f"{prefix}{n}",
            group=f"{prefix}{n}",
            messages=[
                text_message("user", "Pip looks around. " * (1 + n % 3)),
                text_message("assistant", f"You see {n} rats. [check: perception, Pip]"),
                *([text_message("tool", "12"), text_message("assistant", "Nothing.")] if n % 2 else []),
            ],
        )
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_records(folder / "train.jsonl", records(8))
    write_records(folder / "val.jsonl", records(3, "v"))
    return folder


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    return {arch: save_tiny(arch, tmp_path_factory.mktemp("base") / arch) for arch in ("llama", "gpt2", "qwen2")}


def command(base, data, out, params=PARAMS):
    files = ["--train", data / "train.jsonl", "--val", data / "val.jsonl"]
    where = ["--out", out / "run", "--work", out / "work"]
    return ["--base", base, *files, *where, "--params", json.dumps(params)]


def train(base, data, out, params=PARAMS):
    """Runs the stage in this process."""
    torch.set_num_threads(1)
    stage.main(stage.parser().parse_args(list(map(str, command(base, data, out, params)))))


def train_in_a_trap(base, data, out, trap):
    """Runs the stage in a process of its own, after the code of ``trap``, which kills it somewhere."""
    program = f"{TRAP}\n{trap}\nstage.main(stage.parser().parse_args())"
    arguments = [sys.executable, "-c", program, *map(str, command(base, data, out))]
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)


def adapter_bytes(out):
    return {path.name: sha256_file(path) for path in sorted((out / "run" / "adapter").iterdir())}


@pytest.fixture(scope="module")
def undisturbed(bases, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    train(bases["llama"], data, out)
    return out


@pytest.mark.parametrize("arch", ["llama", "gpt2", "qwen2"])
def test_adapter_learns_and_base_stays(arch, bases, data, tmp_path):
    from safetensors.numpy import load_file

    before = sha256_file(bases[arch] / "model.safetensors")
    train(bases[arch], data, tmp_path)
    assert sha256_file(bases[arch] / "model.safetensors") == before
    tensors = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    moved = [name for name, tensor in tensors.items() if "lora_B" in name and (tensor != 0).any()]
    assert len(moved) == sum("lora_B" in name for name in tensors) > 0
    curve = [json.loads(line) for line in (tmp_path / "run" / "training" / "loss.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in curve if "loss" in row]
    assert len(losses) == 8
    assert min(losses[-2:]) < losses[0]
    assert [row["step"] for row in curve if "eval_loss" in row] == [2, 4, 6, 8]


def test_metadata_says_what_was_done(undisturbed):
    metadata = json.loads((undisturbed / "run" / "training" / "training_metadata.json").read_text())
    assert metadata["steps"] == 8
    assert metadata["peak_memory_bytes"]["process"] > 50_000_000
    assert metadata["settings"]["learning_rate"] == 5e-3
    audit = metadata["audit"]["train"]
    assert audit["used"] == audit["records"] == 8
    assert 0 < audit["supervised_share"]["lowest"] <= audit["supervised_share"]["highest"] < 1
    assert metadata["trainable_parameters"] < metadata["parameters"]


def test_adapter_config_names_no_path_of_this_machine(undisturbed, bases):
    text = (undisturbed / "run" / "adapter" / "adapter_config.json").read_text()
    assert str(bases["llama"]) not in text
    modules = json.loads(text)["target_modules"]
    assert modules == sorted(modules)


TRAP = """
import os, signal, torch
from transformers import Trainer, TrainerCallback, TrainerState
from scripts.model import train as stage
from scripts.model.trainer import AnswerTrainer

torch.set_num_threads(1)
optimizer, rng, state = Trainer._save_optimizer_and_scheduler, AnswerTrainer._save_rng_state, TrainerState.save_to_json

def die():
    os.kill(os.getpid(), signal.SIGKILL)
"""

KILLS = {
    "before the first save": (
        "TrainerCallback.on_step_end = lambda self, a, s, c, **k: die() if s.global_step == 1 else None"
    ),
    "between saves": "TrainerCallback.on_step_end = lambda self, a, s, c, **k: die() if s.global_step == 3 else None",
    "inside a save, before the optimizer": (
        "Trainer._save_optimizer_and_scheduler = lambda self, to: die() if to.endswith('-4') else optimizer(self, to)"
    ),
    "inside a save, before the random state": (
        "AnswerTrainer._save_rng_state = lambda self, to: die() if to.endswith('-4') else rng(self, to)"
    ),
    "inside the writing of the trainer's state": """
def half(self, path):
    if '-4/' not in path.replace(os.sep, '/'):
        return state(self, path)
    with open(path, 'w') as stream:
        stream.write('{"epoch": 1')
    die()
TrainerState.save_to_json = half
""",
    "inside the second epoch": (
        "TrainerCallback.on_step_end = lambda self, a, s, c, **k: die() if s.global_step == 7 else None"
    ),
    "after the last step": "stage.publish = lambda *a: die()",
}


@pytest.mark.parametrize("kill", KILLS)
def test_killed_run_ends_with_the_same_bytes(kill, undisturbed, bases, data, tmp_path):
    killed = train_in_a_trap(bases["llama"], data, tmp_path, KILLS[kill])
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert not (tmp_path / "run" / "adapter").exists()
    train(bases["llama"], data, tmp_path)
    metadata = json.loads((tmp_path / "run" / "training" / "training_metadata.json").read_text())
    expected = {"before the first save": None, "inside the second epoch": 6, "after the last step": 8}.get(kill, 2)
    assert metadata["resumed_from"] == expected
    assert adapter_bytes(tmp_path) == adapter_bytes(undisturbed)
    curves = [(out / "run" / "training" / "loss.jsonl").read_text() for out in (tmp_path, undisturbed)]
    assert curves[0] == curves[1]


def test_only_tokens_of_answers_are_hidden_and_only_in_training():
    from scripts.model.trainer import AnswerTrainer, hide_answers

    torch.manual_seed(0)
    ids = torch.arange(4000).reshape(4, 1000)
    labels = torch.where(torch.arange(1000) < 300, -100, ids)
    seen = hide_answers(ids, labels, 0.25)
    assert torch.equal(seen[:, :300], ids[:, :300])
    changed = seen[:, 300:] != ids[:, 300:]
    assert 0.2 < changed.float().mean() < 0.3
    assert torch.isin(seen[:, 300:], ids[:, 300:]).all()  # in place of a token stands another of the answers

    class Seen(torch.nn.Module):
        """Keeps what it is asked to read, instead of predicting."""

        config = SimpleNamespace(model_type="other")

        def forward(self, input_ids, **_):
            self.read = input_ids
            return SimpleNamespace(logits=torch.zeros(*input_ids.shape, 4000))

    model, state = Seen(), SimpleNamespace(global_step=0, max_steps=100)
    accelerator = SimpleNamespace(unwrap_model=lambda model: model)
    trainer = SimpleNamespace(answer_dropout=0.25, accelerator=accelerator, state=state)
    shares = []
    for training, step in ((True, 0), (True, 40), (True, 75), (False, 0)):
        state.global_step = step
        AnswerTrainer.compute_loss(trainer, model.train(training), {"input_ids": ids, "labels": labels})
        shares.append((model.read != ids).float().mean().item())
    assert shares[0] > shares[1] > 0 and shares[2:] == [0, 0]


def test_identity_ignores_where_and_how_it_is_watched(undisturbed, bases, data, tmp_path):
    [identity] = [path.name for path in (undisturbed / "work").iterdir()]
    train(bases["llama"], data, tmp_path, {**PARAMS, "keep_checkpoints": 1})
    assert [path.name for path in (tmp_path / "work").iterdir()] == [identity]
    train(bases["llama"], data, tmp_path, {**PARAMS, "max_steps": 2})
    assert len(list((tmp_path / "work").iterdir())) == 2


def test_nan_stops_and_keeps_the_last_good_checkpoint(bases, data, tmp_path, monkeypatch):
    from scripts.model import trainer

    good, calls = trainer.answer_logits, []

    def logits(*arguments):
        calls.append(1)
        return good(*arguments) * (float("nan") if len(calls) > 6 else 1)

    monkeypatch.setattr(trainer, "answer_logits", logits)
    with pytest.raises(
        UserError, match=r"loss is nan; the last good checkpoint is checkpoint-2 .*train\.learning_rate"
    ):
        train(bases["llama"], data, tmp_path)
    [work] = (tmp_path / "work").iterdir()
    assert (work / "checkpoint-2" / "trainer_state.json").is_file()
    assert not (tmp_path / "run" / "adapter").exists()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"load_in": "4bit"}, "does not learn on cpu"),
        ({"engine": "unsloth"}, "engine: unsloth"),
        ({"device": "cuda"}, "torch sees none"),
        ({"max_tokens": 16}, r"longer than train\.max_tokens = 16"),
        ({"lr": 1}, "unknown key 'lr'"),
        ({"report_to": ["wandb"]}, "wandb is not installed"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(params, words, bases, data, tmp_path):
    with pytest.raises(UserError, match=words):
        train(bases["llama"], data, tmp_path, {**PARAMS, **params})


def test_early_stop_ends_the_run_and_a_rerun_adds_no_step(bases, data, tmp_path):
    params = {**PARAMS, "max_steps": 40, "early_stopping_patience": 1, "learning_rate": 1e-12}
    train(bases["llama"], data, tmp_path, params)
    first = adapter_bytes(tmp_path)
    metadata = json.loads((tmp_path / "run" / "training" / "training_metadata.json").read_text())
    assert metadata["steps"] < 40
    train(bases["llama"], data, tmp_path, params)
    again = json.loads((tmp_path / "run" / "training" / "training_metadata.json").read_text())
    assert again["steps"] == again["resumed_from"] == metadata["steps"]
    assert adapter_bytes(tmp_path) == first


def test_long_records_are_set_aside_and_counted(bases, data, tmp_path):
    lengths = [len(" ".join(message.text for message in record.messages)) for record in records(8)]
    assert min(lengths) < max(lengths)
    train(bases["llama"], data, tmp_path, {**PARAMS, "max_tokens": 60, "max_steps": 2})
    audit = json.loads((tmp_path / "run" / "training" / "training_metadata.json").read_text())["audit"]["train"]
    assert audit["used"] + len(audit["set_aside"]) == 8
    assert all(row["tokens"] > 60 for row in audit["set_aside"])
    assert audit["set_aside"]


def test_device_that_is_not_there_is_named():
    with pytest.raises(UserError, match="device: cuda was asked for"):
        pick_device("cuda")


@pytest.mark.parametrize(("in_hardware", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_cpu_without_bfloat16_computes_in_float32(monkeypatch, in_hardware, precision):
    monkeypatch.setattr(engine, "computes_bfloat16", lambda device: in_hardware)
    assert engine.pick_precision(TrainOptions(), "cpu") == precision
