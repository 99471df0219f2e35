"""The trainer: loss on answers only, checkpoints that survive a kill, a stop at the first number that is none."""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import Trainer, TrainerCallback, TrainingArguments

from scripts.lib.cli import UserError
from scripts.lib.options.train import TrainOptions
from scripts.model.dataset import IGNORED
from scripts.model.vision import FAMILIES

# Their logits are the plain product of hidden states and output embeddings, so that it can be taken at the few
# positions that carry loss. Others scale or cap their logits and go the long way.
PLAIN_HEADS = frozenset({"llama", "gpt2", "qwen2", "qwen3", "mistral", "smollm3", *FAMILIES})


class AnswerTrainer(Trainer):
    """`transformers.Trainer` that computes logits only where a token carries loss.

    With a vocabulary of 49k the output layer is a fifth of SmolLM2-135M, and most tokens of a prompt need none of it.
    """

    answer_dropout = 0.0

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Cross entropy summed over the supervised tokens, divided by their number in the whole (accumulated) batch."""
        if model.training and self.answer_dropout:
            inputs = {**inputs, "input_ids": hide_answers(inputs["input_ids"], inputs["labels"], self.answer_dropout)}
        labels = inputs["labels"][:, 1:]
        logits = answer_logits(self.accelerator.unwrap_model(model), inputs, labels != IGNORED)
        targets = labels[labels != IGNORED]
        total = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum")
        loss = total / (num_items_in_batch if num_items_in_batch is not None else targets.numel())
        return (loss, {"logits": logits}) if return_outputs else loss

    def prediction_step(self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None) -> Any:
        """The loss of one evaluation batch; no logits are kept, which would be [tokens, vocabulary]."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, inputs)
        return loss.detach(), None, None


def hide_answers(ids: torch.Tensor, labels: torch.Tensor, share: float) -> torch.Tensor:
    """``ids`` [batch, length] with such a share of the supervised tokens replaced by others that the batch supervises.

    What is to be predicted stays; what comes before it is less to be relied on. The draw is of torch's global state,
    which a checkpoint keeps.
    """
    answers = labels != IGNORED
    hidden = answers & (torch.rand(ids.shape, device=ids.device) < share)
    pool = ids[answers]
    drawn = pool[torch.randint(len(pool), ids.shape, device=ids.device)]
    return torch.where(hidden, drawn, ids)


def shares_beginnings(model: Any) -> bool:
    """Whether a model takes a mask of its own for every pair of tokens, as `scripts.model.beginnings` makes them."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return inner.config.model_type in PLAIN_HEADS and inner.config._attn_implementation == "sdpa"


def answer_logits(model: Any, inputs: dict[str, Any], wanted: torch.Tensor) -> torch.Tensor:
    """Logits [n, vocabulary] that predict the n wanted tokens; ``wanted`` is a mask [batch, length - 1] of targets."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    arguments = {key: value for key, value in inputs.items() if key != "labels"} | {"use_cache": False}
    if inner.config.model_type not in PLAIN_HEADS:
        return model(**arguments).logits[:, :-1][wanted]
    hidden = getattr(inner, inner.base_model_prefix)(**arguments)[0]
    return inner.get_output_embeddings()(hidden[:, :-1][wanted])


class Progress(TrainerCallback):
    """A bar with steps, loss and time left; the numbers themselves go to loss.jsonl."""

    def __init__(self) -> None:
        self.bar: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.bar = tqdm(total=state.max_steps, initial=state.global_step, desc="train", unit="step", file=sys.stderr)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.bar.update(state.global_step - self.bar.n)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        for key in ("loss", "eval_loss"):
            if self.bar is not None and key in (logs or {}):
                self.bar.set_postfix_str(f"{key} {logs[key]:.4f}")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.bar.close()


class StopAtNan(TrainerCallback):
    """Ends a run whose loss or gradient is not a number before that step could be saved."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        for key in ("loss", "grad_norm", "eval_loss"):
            value = (logs or {}).get(key)
            if value is not None and not math.isfinite(float(value)):
                good = last_checkpoint(Path(args.output_dir))
                kept = f"the last good checkpoint is {good.name}" if good else "there is no checkpoint yet"
                raise UserError(
                    f"step {state.global_step}: {key} is {value}; {kept} in {args.output_dir}. Try a lower "
                    "train.learning_rate, more train.warmup_steps, or train.precision: float32."
                )


def last_checkpoint(work: Path) -> Path | None:
    """The newest complete checkpoint, or None. A kill inside a save leaves one without a whole trainer_state.json.

    The trainer writes that file last, so where it parses everything else is there.
    """
    found = []
    for folder in work.glob("checkpoint-*"):
        match = re.fullmatch(r"checkpoint-(\d+)", folder.name)
        if match and _parses(folder / "trainer_state.json"):
            found.append((int(match[1]), folder))
    return max(found)[1] if found else None


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The trainer's state in a complete checkpoint."""
    return json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))


def is_finished(checkpoint: Path) -> bool:
    """Whether training had ended, by its steps or early, when this was saved: the trainer would go one step further."""
    control = read_state(checkpoint)["stateful_callbacks"]["TrainerControl"]
    return control["args"]["should_training_stop"]


def best_checkpoint(work: Path) -> Path:
    """The checkpoint with the best evaluation so far, or the last where there was none."""
    last = last_checkpoint(work)
    assert last is not None, "the trainer saves at its last step"
    best = read_state(last)["best_model_checkpoint"]
    return work / Path(best).name if best else last


def drop_incomplete(work: Path) -> None:
    """Removes checkpoints that a kill left half-written: the trainer would count and keep them."""
    for folder in work.glob("checkpoint-*"):
        if not _parses(folder / "trainer_state.json"):
            shutil.rmtree(folder)


def _parses(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError):
        return False


def training_arguments(
    options: TrainOptions, work: Path, device: str, precision: str, *, evaluates: bool
) -> TrainingArguments:
    """The trainer's arguments. Every step is logged, so that a loss that is no number is seen before it is saved."""
    every = {"save_strategy": "steps", "save_steps": options.eval_steps}
    if evaluates:
        every |= {"eval_strategy": "steps", "eval_steps": options.eval_steps, "load_best_model_at_end": True}
    return TrainingArguments(
        output_dir=str(work),
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=options.batch_size,
        gradient_accumulation_steps=options.gradient_accumulation,
        num_train_epochs=options.epochs,
        max_steps=options.max_steps or -1,
        learning_rate=options.learning_rate,
        warmup_steps=options.warmup_steps,
        lr_scheduler_type=options.schedule,
        weight_decay=options.weight_decay,
        max_grad_norm=options.max_grad_norm,
        bf16=precision == "bfloat16",
        use_cpu=device == "cpu",
        gradient_checkpointing=options.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if options.gradient_checkpointing else None,
        train_sampling_strategy="group_by_length" if options.bucket else "random",
        length_column_name="length",
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=device == "cuda",
        logging_steps=1,
        logging_nan_inf_filter=False,
        metric_for_best_model="eval_loss" if evaluates else None,
        greater_is_better=False if evaluates else None,
        save_total_limit=options.keep_checkpoints,
        restore_callback_states_from_checkpoint=True,
        report_to=list(options.report_to),
        disable_tqdm=True,
        seed=options.seed,
        data_seed=options.seed,
        **every,
    )
