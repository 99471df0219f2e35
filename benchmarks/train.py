"""Real (unpadded) training tokens a second: our trainer against TRL's SFTTrainer on the same records.

    python -m benchmarks.train --base models/base/smollm2 --records data/curated/dnd/dm/train.jsonl

The same records, batches, precision, adapter and no checkpointing on each side, each in a process of its own; TRL with
its defaults, with batches of like lengths, and with the allocator told to keep memory as our stage tells it. The first
step of each is not counted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.sides import options_of, run_side

SIDES = ("questline", "trl", "trl-bucketed", "trl-keep-memory")
FLOOR = 1.1


def parser() -> argparse.ArgumentParser:
    """The benchmark's arguments."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--base", type=Path, default=Path("models/base/smollm2"))
    options.add_argument("--records", type=Path, default=Path("data/curated/dnd/dm/train.jsonl"))
    options.add_argument("--batch", type=int, default=4)
    options.add_argument("--steps", type=int, default=5, help="steps a side; the first is not counted")
    options.add_argument("--side", choices=SIDES, help="measure one side in this process")
    return options


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Each side in a process of its own; tokens a second and the ratios."""
    options = options_of(args, ("base", "records", "batch", "steps"))
    speeds = {side: run_side("train", side, options) for side in SIDES}
    own = speeds["questline"]["tokens_per_second"]
    ratios = {f"tokens/s against {side}": own / speeds[side]["tokens_per_second"] for side in SIDES[1:]}
    floors = {"tokens/s against trl": FLOOR}
    return {"benchmark": "train", "sides": speeds, "ratios": ratios, "at_least": floors}


def one_side(args: argparse.Namespace) -> dict[str, Any]:
    """Trains a few steps and counts real tokens a second."""
    import torch

    from scripts.lib import devices
    from scripts.lib.options.train import TrainOptions
    from scripts.lib.process import keep_memory
    from scripts.model import engine

    if args.side in ("questline", "trl-keep-memory"):
        keep_memory()
    options = TrainOptions(max_steps=args.steps, batch_size=args.batch, eval_steps=10_000, report_to=[], warmup_steps=0)
    device = devices.pick_device("auto")
    precision = engine.pick_precision(options, device)
    torch.manual_seed(options.seed)
    meter = Meter()
    with tempfile.TemporaryDirectory() as folder:
        make = own_trainer if args.side == "questline" else trl_trainer
        trainer = make(args, options, device, precision, Path(folder))
        trainer.add_callback(meter.callback())
        meter.count_batches(trainer)
        trainer.train()
    speed = {"tokens_per_second": round(meter.speed(), 1), "precision": precision, "device": device}
    return {"side": args.side, **speed, "tokens": meter.tokens, "batch": args.batch}


class Meter:
    """Counts real tokens of the batches after the first, and the time they take."""

    def __init__(self) -> None:
        self.tokens = self.step = 0
        self.started = self.ended = 0.0

    def count_batches(self, trainer: Any) -> None:
        """Counts the attended tokens of every batch that enters the loss."""
        compute = trainer.compute_loss

        def counting(model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
            if self.step:
                self.tokens += int(inputs["attention_mask"].sum())
            return compute(model, inputs, *rest, **named)

        trainer.compute_loss = counting

    def callback(self) -> Any:
        """Notes the end of the first step and of the last."""
        from transformers import TrainerCallback

        meter = self

        class Clock(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                meter.step += 1
                meter.ended = time.perf_counter()
                meter.started = meter.started or meter.ended

        return Clock()

    def speed(self) -> float:
        """Tokens a second."""
        return self.tokens / (self.ended - self.started)


def own_trainer(args: argparse.Namespace, options: Any, device: str, precision: str, folder: Path) -> Any:
    """The trainer of `scripts.model.train`."""
    from scripts.model import engine
    from scripts.model.dataset import PadRight, load_examples
    from scripts.model.trainer import AnswerTrainer, training_arguments

    tokenizer = engine.load_tokenizer(args.base)
    examples, _ = load_examples(args.records, tokenizer, options.max_tokens)
    return AnswerTrainer(
        model=engine.load_for_training(args.base, options, device, precision),
        args=training_arguments(options, folder, device, precision, evaluates=False),
        train_dataset=examples,
        data_collator=PadRight(tokenizer.pad_token_id),
        options=options,
    )


def trl_trainer(args: argparse.Namespace, options: Any, device: str, precision: str, folder: Path) -> Any:
    """TRL's SFTTrainer on the same token ids, its completion mask where our loss mask is."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from scripts.model import engine
    from scripts.model.dataset import IGNORED, load_examples

    tokenizer = engine.load_tokenizer(args.base)
    examples, _ = load_examples(args.records, tokenizer, options.max_tokens)
    rows = [
        {"input_ids": row["input_ids"], "completion_mask": [int(label != IGNORED) for label in row["labels"]]}
        for row in examples
    ]
    bucketed = {"train_sampling_strategy": "group_by_length"} if args.side == "trl-bucketed" else {}
    config = SFTConfig(
        output_dir=str(folder),
        max_steps=options.max_steps,
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        max_length=options.max_tokens,
        completion_only_loss=True,
        gradient_checkpointing=False,
        bf16=precision == "bfloat16",
        use_cpu=device == "cpu",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_steps=10_000,
        **bucketed,
    )
    model = engine.load_for_training(args.base, options, device, precision)
    return SFTTrainer(model=model, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)


if __name__ == "__main__":
    arguments = parser().parse_args()
    print(json.dumps(one_side(arguments) if arguments.side else measure(arguments)))
