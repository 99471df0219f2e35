"""The training loop of both stages.

Whatever is random follows from seed, stage and epoch, so that a resumed run draws the same. A long epoch is saved on
the way, too: its checkpoint holds the rows of the steps that are done, and a resumed run draws what these steps drew
without repeating them. The windows of a step do not depend on the number of processes, which share them, nor does the
loss (`scripts.aerial.world.model.step_sums`): a checkpoint continues on any number of processes.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from scripts.aerial.world import checkpoints
from scripts.aerial.world.dataset import Dataset
from scripts.aerial.world.logs import Loggers
from scripts.aerial.world.model.step_sums import without_weight
from scripts.aerial.world.model.transvqvae import freeze
from scripts.aerial.world.objective import losses_of
from scripts.aerial.world.options import PARTS, WorldTrainOptions
from scripts.aerial.world.watch import Watch, stop_at_nan

State = dict[str, Any]
Batch = dict[str, torch.Tensor]
SEEN = ("pred/mean", "pred/min", "pred/max", "pred/occupancy_rate", "target/occupancy_rate")


@dataclass(frozen=True)
class Job:
    """What a run is made of; ``batch`` is the number of windows of a step, which the processes share."""

    model: Any
    options: WorldTrainOptions
    train: Dataset
    val: Dataset
    work: Path
    accelerator: Any
    batch: int
    loggers: Loggers
    watch: Watch

    @property
    def steps_per_epoch(self) -> int:
        """The last one may have fewer windows."""
        return math.ceil(len(self.train) / self.batch)

    def own_part(self, data: Dataset, windows: list[int]) -> tuple[Batch, bool]:
        """This process's part of a step's windows, as tensors on its device.

        Returns:
            The batch, and whether it only stands in for an empty part and must not count.
        """
        size = self.batch // self.accelerator.num_processes
        start = self.accelerator.process_index * size
        own = windows[start : start + size]
        batch = data.batch(own or windows[:1])
        return {key: value.to(self.accelerator.device) for key, value in batch.items()}, not own


def learning_rate(step: int, total: int, options: WorldTrainOptions) -> float:
    """Linear warm-up, then a cosine from ``learning_rate`` to ``final_learning_rate``; ``step`` counts from 0."""
    if step < options.warmup_steps:
        return options.learning_rate * (step + 1) / options.warmup_steps
    progress = min(1.0, (step - options.warmup_steps) / max(1, total - options.warmup_steps - 1))
    low = options.final_learning_rate
    return low + (options.learning_rate - low) * (1 + math.cos(math.pi * progress)) / 2


def stages_of(options: WorldTrainOptions) -> list[tuple[str, int, set[str]]]:
    """Name, epochs and frozen parts of each stage that is run."""
    frozen = {part for part in PARTS if getattr(options, f"freeze_{part}")}
    stages = [("vae", options.vae_epochs, {"transformer", "pose"}), ("transformer", options.epochs, frozen)]
    return [stage for stage in stages if stage[1]]


def fit(job: Job, state: State | None) -> list[dict[str, Any]]:
    """Runs every stage to its end, from ``state`` if there is one; returns the rows of the loss curve."""
    history: list[dict[str, Any]] = list(state["history"]) if state else []
    stages = stages_of(job.options)
    names = [name for name, _, _ in stages]
    first = names.index(state["stage"]) if state and state["stage"] in names else 0
    for number in range(first, len(stages)):
        name, epochs, frozen = stages[number]
        resumed = state if state and state["stage"] == name else None
        if resumed is None and number:
            best = checkpoints.path_of(job.work, names[number - 1], "best")
            # A checkpoint at the end of the previous stage may come from --resume; the folder then lacks its best one.
            previous = state if state and not best.is_file() else checkpoints.load(best)
            job.model.load_state_dict(previous["model"])
        history = Stage(job, name, epochs, frozen, history).run(resumed)
    return history


class Stage:
    """One stage of a job."""

    def __init__(self, job: Job, name: str, epochs: int, frozen: set[str], history: list[dict[str, Any]]) -> None:
        self.job, self.name, self.history = job, name, history
        self.total = min(epochs * job.steps_per_epoch, job.options.max_steps or math.inf)
        self.epochs = math.ceil(self.total / job.steps_per_epoch)
        self.before = max((row["step"] for row in history if row["stage"] != name), default=0)
        self.step, self.best = 0, math.inf
        learning = set(freeze(job.model, frozen))
        self.parameters = [value for name, value in job.model.named_parameters() if name in learning]

    @property
    def global_step(self) -> int:
        """Steps of this stage and those before it."""
        return self.before + self.step

    def run(self, state: State | None) -> list[dict[str, Any]]:
        """Runs the epochs that are left."""
        accelerator, options = self.job.accelerator, self.job.options
        optimizer = torch.optim.AdamW(self.parameters, lr=options.learning_rate, weight_decay=options.weight_decay)
        first, rows = 0, []
        if state:
            self.job.model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            self.step, self.best, first = state["step"], state["best"], state["epoch"]
            rows = state.get("rows", [])
        self.network, self.optimizer = accelerator.prepare(self.job.model, optimizer)
        if state and state.get("scaler") and accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(state["scaler"])
        self.bar = tqdm(
            total=int(self.total),
            initial=self.step,
            desc=self.name,
            unit="step",
            file=sys.stderr,
            disable=not accelerator.is_main_process,
        )
        for epoch in range(first, self.epochs):
            self.one_epoch(epoch, list(rows) if epoch == first else [])
        self.bar.close()
        return self.history

    def one_epoch(self, epoch: int, rows: list[dict[str, float]]) -> None:
        """Trains, evaluates, logs and saves; ``rows`` are of the steps that an earlier run did."""
        job = self.job
        torch.manual_seed(seed_of(job.options.seed, self.name, epoch))
        self.network.train()
        saved = time.monotonic()
        for batch, weightless in self.batches(epoch, len(rows)):
            rows.append(self.one_step(epoch, batch, weightless))
            if time.monotonic() - saved >= 60 * job.options.save_minutes:
                self.save(["last"], epoch, rows)
                saved = time.monotonic()
        means = {key: sum(row[key] for row in rows) / len(rows) for key in ("loss", *SEEN)}
        job.watch.after_epoch(self.name, epoch, means["loss"], means)
        loss = evaluate(job, self.network, self.name)
        self.stop_at_nan(loss, "validation loss")
        rate = self.optimizer.param_groups[0]["lr"]
        entry = {"step": self.global_step, "epoch": epoch + 1, "stage": self.name}
        self.history.append(entry | {"eval_loss": loss, "learning_rate": rate})
        job.loggers.log({"epoch/val_loss": loss, "epoch/lr": rate}, self.global_step)
        # The best first and the last one last; see `scripts.aerial.world.checkpoints`.
        best = ["best"] if loss < self.best else []
        kept = [epoch + 1] if (epoch + 1) % job.options.save_epochs == 0 else []
        self.best = min(self.best, loss)
        self.save([*best, *kept, "last"], epoch + 1, [])
        job.accelerator.wait_for_everyone()

    def batches(self, epoch: int, done: int) -> Iterator[tuple[Batch, bool]]:
        """What `Job.own_part` gives for each step of an epoch but the first ``done``; the order is drawn for it.

        The VQ-VAE stage takes ``vae_frames`` frames of each window, the same of all windows of a step.
        """
        job = self.job
        draw = torch.Generator().manual_seed(seed_of(job.options.seed, self.name, epoch))
        order = torch.randperm(len(job.train), generator=draw).tolist()
        for step in range(int(min(job.steps_per_epoch, self.total - self.step + done))):
            frames = torch.randperm(job.train.options.frames, generator=draw)[: job.options.vae_frames]
            if step < done:
                continue
            batch, weightless = job.own_part(job.train, order[step * job.batch : (step + 1) * job.batch])
            if self.name == "vae":
                batch = {"grids": batch["grids"][:, frames.sort().values]}
            yield batch, weightless

    def one_step(self, epoch: int, batch: Batch, weightless: bool) -> dict[str, float]:
        """Forward, backward, update; returns the loss and statistics of the predictions."""
        job, options = self.job, self.job.options
        accelerator = job.accelerator
        rate = learning_rate(self.step, int(self.total), options)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with accelerator.autocast(), without_weight(weightless):
            parts, seen = losses_of(self.network, self.name, batch, job.train.options, options)
            loss = torch.stack([part.float() for part in parts.values()]).sum()
        self.step += 1
        self.stop_at_nan(loss.item(), "loss")
        self.optimizer.zero_grad()
        # Every process has the loss of the whole step, and gradients are averaged over the processes.
        accelerator.backward(loss * accelerator.num_processes)
        norm = float(accelerator.clip_grad_norm_(self.parameters, options.max_grad_norm))
        if accelerator.scaler is None:  # a scaler detects such gradients itself, and skips the step
            self.stop_at_nan(norm, "gradient norm")
        self.optimizer.step()
        row = {"loss": loss.item(), **{name: float(value) for name, value in seen.items()}}
        entry = {"step": self.global_step, "epoch": epoch + 1, "stage": self.name, "loss": row["loss"]}
        self.history.append(entry | {"learning_rate": rate, "grad_norm": norm})
        shown = {key: row[key] for key in SEEN}
        job.loggers.log({"train/loss": row["loss"], "train/lr": rate, **shown}, self.global_step)
        self.bar.update(1)
        self.bar.set_postfix_str(f"loss {row['loss']:.4f}")
        return row

    def stop_at_nan(self, value: float, name: str) -> None:
        """Aborts on NaN or Inf.

        Raises:
            UserError: names the newest checkpoint.
        """
        newest = checkpoints.newest(self.job.work)
        stop_at_nan(value, name, self.global_step, self.job.options.learning_rate, newest)

    def save(self, names: list[str | int], epoch: int, rows: list[dict[str, float]]) -> None:
        """Writes checkpoints, in the first process: ``epoch`` epochs are done, and ``rows`` of the steps after them."""
        accelerator = self.job.accelerator
        if not accelerator.is_main_process:
            return
        state = {
            "stage": self.name,
            "epoch": epoch,
            "rows": rows,
            "step": self.step,
            "model": {name: value.cpu() for name, value in self.job.model.state_dict().items()},
            "optimizer": self.optimizer.state_dict(),
            "scaler": accelerator.scaler.state_dict() if accelerator.scaler is not None else None,
            "best": self.best,
            "history": self.history,
        }
        for name in names:
            checkpoints.save(checkpoints.path_of(self.job.work, self.name, name), state)


def seed_of(seed: int, stage: str, epoch: int) -> int:
    """A seed for each epoch of each stage."""
    return (seed * 2 + (stage == "transformer")) * 100_003 + epoch


@torch.no_grad()
def evaluate(job: Job, network: Any, stage: str) -> float:
    """The mean loss over windows of val, in batches of a step's size; the VQ-VAE stage takes all frames."""
    network.eval()
    held = job.val.evenly(job.options.eval_windows)
    total = 0.0
    for start in range(0, len(held), job.batch):
        windows = list(range(start, min(start + job.batch, len(held))))
        batch, weightless = job.own_part(held, windows)
        with job.accelerator.autocast(), without_weight(weightless):
            parts, _ = losses_of(job.model, stage, batch, held.options, job.options)
        total += torch.stack([part.float() for part in parts.values()]).sum().item() * len(windows)
    return total / len(held)
