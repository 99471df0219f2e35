"""The trainer: loss on answers only, checkpoints that survive a kill, an abort on NaN or Inf.

Several processes train as one does. A step takes the same records in the same order (`scripts.model.shares`), its loss
is the sum over all their answer tokens divided by the number of these tokens, and what is random in a batch follows
from the seed and the batch's number. With P processes, process p has the loss

    loss_p = P / N * sum over its own answer tokens of -log p(token),    N = answer tokens of the step, all processes

and DDP averages the gradients over the processes: the P cancels, and the gradient is that of one process.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, SequentialSampler
from tqdm import tqdm
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler, safe_globals
from transformers.trainer_utils import EvalLoopOutput

from scripts.lib.cli import UserError
from scripts.lib.options.train import TrainOptions
from scripts.model.dataset import IGNORED
from scripts.model.shares import EpochOrder, OwnBatches, Silenced, deal, draws_of
from scripts.model.vision import FAMILIES

# Model types whose logits are the plain product of hidden states and output embeddings, which is then taken only at the
# few positions that carry loss. Other types scale or cap their logits, and all of their logits are computed.
PLAIN_HEADS = frozenset({"llama", "gpt2", "qwen2", "qwen3", "mistral", "smollm3", *FAMILIES})

UNHIDDEN = 0.75  # fraction of the steps after which no token is replaced any more
PROGRESS = "progress.pth"  # in a checkpoint: how many processes wrote it, and the random state its epoch began with


class AnswerTrainer(Trainer):
    """`transformers.Trainer` that computes logits only where a token carries loss.

    With a vocabulary of 49k the output layer is a fifth of SmolLM2-135M, and most tokens of a prompt do not need it.
    """

    def __init__(self, *args: Any, options: TrainOptions, resume: Path | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.answer_dropout = options.answer_dropout
        self.step_records = options.records_a_step
        self.order: EpochOrder | None = None
        self.again = read_progress(resume)["began"] if resume else None
        self.batches_of_step = (-1, 0)  # a step's number, and how many batches of it this process has read
        # `compute_loss` divides by the tokens of the whole step itself.
        self.model_accepts_loss_kwargs = True

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Any:
        """The loss and gradients of one batch; its number among all batches seeds its random numbers."""
        step, (last_step, read) = self.state.global_step, self.batches_of_step
        within = read if last_step == step else 0
        self.batches_of_step = (step, within + 1)
        row = step * self.args.gradient_accumulation_steps + within
        with draws_of(self.args.seed, row * self.args.world_size + self.args.process_index):
            return super().training_step(model, inputs, num_items_in_batch)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Cross entropy summed over the answer tokens of a batch, divided by those of the whole step.

        In training a fraction of the answer tokens in the input is replaced. It falls evenly from ``answer_dropout`` to
        0 at `UNHIDDEN` of all steps: after that the model learns to spell from whole answers.
        """
        left = max(0.0, 1 - self.state.global_step / (UNHIDDEN * self.state.max_steps)) if model.training else 0.0
        if fraction := self.answer_dropout * left:
            inputs = {**inputs, "input_ids": hide_answers(inputs["input_ids"], inputs["labels"], fraction)}
        labels = inputs["labels"][:, 1:]
        wanted = labels != IGNORED
        logits = passed_through(model, self.accelerator.unwrap_model(model), answer_logits, inputs, wanted)
        targets = labels[wanted]
        total = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum")
        if num_items_in_batch is None:
            loss = total / targets.numel()
        else:
            loss = total / num_items_in_batch * self.accelerator.num_processes
        return (loss, {"logits": logits}) if return_outputs else loss

    def prediction_step(self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None) -> Any:
        """The loss of one evaluation batch; no logits are kept, which would be [tokens, vocabulary]."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, inputs)
        return loss.detach(), None, None

    def evaluation_loop(self, dataloader: Any, description: str, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """The mean of the batches' losses, weighted by their records; several processes share the batches."""
        if self.args.world_size == 1:
            return super().evaluation_loop(dataloader, description, *args, **kwargs)
        model = self.model_wrapped.eval()
        total = torch.zeros((), device=self.args.device)
        for row, inputs in enumerate(dataloader):
            loss, _, _ = self.prediction_step(model, inputs, True)
            if held := dataloader.batch_sampler.held(row):
                total += loss * held
        records = len(dataloader.dataset)
        loss = self.accelerator.reduce(total, "sum").item() / records
        return EvalLoopOutput(None, None, {f"{kwargs.get('metric_key_prefix', 'eval')}_loss": loss}, records)

    def get_train_dataloader(self) -> Any:
        """The batches of this process."""
        if self.args.world_size == 1:
            return super().get_train_dataloader()
        return self.own_batches(self.train_dataset, self._get_train_sampler(), self.args.per_device_train_batch_size)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """The batches of this process."""
        if self.args.world_size == 1:
            return super().get_eval_dataloader(eval_dataset)
        rows = self.eval_dataset if eval_dataset is None else eval_dataset
        order = self._get_eval_sampler(rows) or SequentialSampler(rows)
        return self.own_batches(rows, order, self.args.per_device_eval_batch_size)

    def own_batches(self, rows: Any, order: Sampler[int], size: int) -> DataLoader[Any]:
        """The batches of this process, from records in this order."""
        batches = OwnBatches(order, size, self.args.process_index, self.args.world_size)
        pin = self.args.dataloader_pin_memory
        return DataLoader(Silenced(rows), batch_sampler=batches, collate_fn=self.data_collator, pin_memory=pin)

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Sampler[int]:
        """With train.bucket the records of a step have similar lengths; the order is the same in every process."""
        rows: Any = self.train_dataset if train_dataset is None else train_dataset
        if self.args.train_sampling_strategy == "group_by_length":
            lengths = rows[self.args.length_column_name]
            self.order = EpochOrder(LengthGroupedSampler(self.step_records, lengths=lengths), self.again)
            return self.order
        if self.args.world_size == 1:
            return super()._get_train_sampler(train_dataset)
        from accelerate.data_loader import SeedableRandomSampler

        return SeedableRandomSampler(rows, data_seed=self.args.data_seed)

    def _save_rng_state(self, output_dir: str) -> None:
        """Saves one state for all processes: outside `draws_of` all draw the same, so any number of them can resume."""
        if not self.args.should_save:
            return
        folder = Path(output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        states: dict[str, Any] = {"python": random.getstate(), "numpy": numpy.random.get_state()}
        states["cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            states["cuda"] = torch.cuda.get_rng_state()
        torch.save(states, folder / "rng_state.pth")
        began = self.order.began if self.order else None
        torch.save({"processes": self.args.world_size, "began": began}, folder / PROGRESS)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Called when an epoch starts, or when a resumed epoch has drawn again what its checkpoint had used."""
        if checkpoint is None:
            return
        if self.order:
            self.order.again = None
        with safe_globals():
            states = torch.load(Path(checkpoint) / "rng_state.pth", weights_only=True)
        random.setstate(states["python"])
        numpy.random.set_state(states["numpy"])
        torch.set_rng_state(states["cpu"])
        if torch.cuda.is_available() and "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"])


class Arguments(TrainingArguments):
    """`transformers.TrainingArguments` with one name for the CPU."""

    @property
    def device(self) -> torch.device:
        """With several processes accelerate names it cpu:0, which torch.load does not accept."""
        device = super().device
        return torch.device("cpu") if device.type == "cpu" else device


def read_progress(checkpoint: Path) -> dict[str, Any]:
    """``processes`` that wrote a checkpoint, and ``began``: torch's random state when its epoch started, or None."""
    return torch.load(checkpoint / PROGRESS, weights_only=True)


def passed_through(outer: Any, inner: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """``function(inner, *arguments)`` as the forward pass of ``outer``, which is ``inner`` or wraps it.

    DDP, FSDP and DeepSpeed gather weights and send gradients around their own forward pass; a function that calls parts
    of the model has to run inside it. So for one call ``function`` takes the place of the inner forward pass.
    """
    own = inner.__dict__.get("forward")

    def restore() -> None:
        if own is None:
            inner.__dict__.pop("forward", None)
        else:
            inner.forward = own

    def once(*given: Any) -> Any:
        restore()
        return function(inner, *given)

    inner.forward = once
    try:
        return outer(*arguments)
    finally:
        restore()


def hide_answers(ids: torch.Tensor, labels: torch.Tensor, fraction: float) -> torch.Tensor:
    """``ids`` [batch, length], a fraction of the answer tokens replaced by other answer tokens of the batch.

    The labels stay, so the model has to rely on the prompt more than on the answer so far. Word dropout: Bowman et al.
    2016, arXiv:1511.06349. The draw uses torch's global state.
    """
    answers = labels != IGNORED
    pool = ids[answers]
    if not len(pool):
        return ids
    hidden = answers & (torch.rand(ids.shape, device=ids.device) < fraction)
    drawn = pool[torch.randint(len(pool), ids.shape, device=ids.device)]
    return torch.where(hidden, drawn, ids)


def shares_beginnings(model: Any) -> bool:
    """Whether a model takes a mask [1, 1, T, T] of pairs of tokens, as `scripts.model.beginnings` makes them."""
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
    """A progress bar with steps, loss and time left; the numbers go to loss.jsonl."""

    def __init__(self) -> None:
        self.bar: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.bar = tqdm(
            total=state.max_steps,
            initial=state.global_step,
            desc="train",
            unit="step",
            file=sys.stderr,
            disable=not state.is_world_process_zero,
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.bar.update(state.global_step - self.bar.n)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        for key in ("loss", "eval_loss"):
            if self.bar is not None and key in (logs or {}):
                self.bar.set_postfix_str(f"{key} {logs[key]:.4f}")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.bar.close()


class StopAtNan(TrainerCallback):
    """Aborts on NaN or Inf in a loss or gradient, before that step is saved."""

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
    """The newest complete checkpoint, or None."""
    steps = {folder: folder.name.removeprefix("checkpoint-") for folder in work.glob("checkpoint-*")}
    complete = [folder for folder, step in steps.items() if step.isdecimal() and is_complete(folder)]
    return max(complete, key=lambda folder: int(steps[folder]), default=None)


def is_complete(checkpoint: Path) -> bool:
    """Whether a checkpoint was saved to its end: the trainer writes trainer_state.json last, and it parses."""
    try:
        return isinstance(read_state(checkpoint), dict)
    except (OSError, ValueError):
        return False


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The trainer's state in a complete checkpoint."""
    return json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))


def is_finished(checkpoint: Path) -> bool:
    """Whether training had ended when this was saved, by its steps or early: the trainer would do one more step."""
    control = read_state(checkpoint)["stateful_callbacks"]["TrainerControl"]
    return control["args"]["should_training_stop"]


def drop_incomplete(work: Path) -> None:
    """Removes checkpoints that a kill left half-written: the trainer would count and keep them."""
    for folder in work.glob("checkpoint-*"):
        if not is_complete(folder):
            shutil.rmtree(folder)


def training_arguments(
    options: TrainOptions, work: Path, device: str, precision: str, *, evaluates: bool, sees: bool = False
) -> TrainingArguments:
    """The trainer's arguments. Every step is logged, so that NaN or Inf aborts the run before it is saved."""
    every: dict[str, Any] = {"save_strategy": "steps", "save_steps": options.eval_steps}
    if evaluates:
        # The best checkpoint's folder is published; sharded weights need not be gathered for it.
        best = {"load_best_model_at_end": options.sharding == "none"}
        every |= {"eval_strategy": "steps", "eval_steps": options.eval_steps, **best}
    batch_size, accumulation = deal(options)
    return Arguments(
        output_dir=str(work),
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=options.batch_size,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=options.epochs,
        max_steps=options.max_steps or -1,
        learning_rate=options.learning_rate,
        warmup_steps=options.warmup_steps,
        lr_scheduler_type=options.schedule,
        weight_decay=options.weight_decay,
        max_grad_norm=options.max_grad_norm,
        bf16=precision == "bfloat16",
        use_cpu=device == "cpu",
        # A batch without an image leaves the adapter of the image encoder without a gradient.
        ddp_find_unused_parameters=sees,
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
