"""A tiny random model taken from its base to its quants by the real stages, for tests of what comes after."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from tiny_models import save_tiny

from scripts.lib.records import Record, text_message, write_records
from scripts.model import convert, merge, quantize, train

ARCHITECTURES = ("gpt2", "llama", "qwen2")
QUANTS = ("Q4_K_M", "Q8_0")
TRAINING = {
    "max_steps": 2,
    "eval_steps": 2,
    "batch_size": 2,
    "learning_rate": 5e-3,
    "warmup_steps": 1,
    "lora": {"r": 4},
    "report_to": [],
    "device": "cpu",
}


@dataclass(frozen=True)
class Exported:
    """The files of a run."""

    folder: Path

    def __getattr__(self, name: str) -> Path:
        named = {"adapter": "adapter", "f16": "model-f16.gguf", "train": "train.jsonl", "val": "val.jsonl"}
        if name not in {*named, "base", "merged"}:
            raise AttributeError(name)
        return self.folder / named.get(name, name)

    def quant(self, name: str) -> Path:
        return self.folder / f"model-{name}.gguf"


def stage(module, *arguments):
    """Runs a stage in this process."""
    module.main(module.parser().parse_args([str(argument) for argument in arguments]))


def train_and_merge(arch: str, folder: Path, *, seed: int = 0, vocab: str = "tiny") -> Exported:
    """Base, adapter and merged model."""
    torch.set_num_threads(1)
    run = Exported(folder)
    save_tiny(arch, run.base, seed, vocab=vocab)
    write_records(run.train, [conversation(f"r{n}", n) for n in range(6)])
    write_records(run.val, [conversation(f"v{n}", n) for n in range(2)])
    data = ("--base", run.base, "--train", run.train, "--val", run.val)
    stage(train, *data, "--out", folder, "--work", folder / "work", "--params", json.dumps(TRAINING))
    stage(merge, "--base", run.base, "--adapter", run.adapter, "--out", run.merged)
    return run


def convert_and_quantise(run: Exported, converter: Path) -> Exported:
    """The GGUF files."""
    stage(convert, "--model", run.merged, "--out", run.f16, "--converter", converter)
    for name in QUANTS:
        stage(quantize, "--model", run.f16, "--type", name, "--out", run.quant(name))
    return run


def conversation(name: str, number: int) -> Record:
    """Two answers, a tool's result, digits, blanks and letters outside ASCII."""
    messages = [
        text_message("system", "You are the dungeon master."),
        text_message("user", f"Pip looks  around {number} times; a café, 1234 gold, 🧀.\n\n  \tAria's turn?"),
        text_message("assistant", f"You see {number} rats. [check: perception, Pip]"),
        text_message("tool", "perception: 15 + 10(skill) = *25*"),
        text_message("user", "Thorin: I hide!"),
        text_message("assistant", "Softly, then."),
    ]
    return Record(id=name, group=name, messages=messages)
