"""The training loop of both stages. Whatever is drawn is drawn from seed, stage and epoch: a resumed run repeats it.

A long epoch is saved on the way, too: its checkpoint holds the rows of the steps that are done, and a resumed run draws
what they drew without doing them again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from scripts.aerial.world import checkpoints
from scripts.aerial.world.dataset import Dataset
from scripts.aerial.world.logs import Loggers, bar
from scripts.aerial.world.model.transvqvae import freeze
from scripts.aerial.world.objective import losses_of
from scripts.aerial.world.options import PARTS, WorldTrainOptions
from scripts.aerial.world.watch import Watch, stop_at_nan

State = dict[str, Any]
SEEN = ("pred/mean", "pred/min", "pred/max", "pred/occupancy_rate", "target/occupancy_rate")


@dataclass(frozen=True)
class Job:
    """What a run is made of; ``batch`` is windows for each process."""

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
        """A last batch that is not full counts, unless several processes share it."""
        whole = self.batch * self.accelerator.num_processes
        return max(
            1, len(self.train) // whole if self.accelerator.num_processes > 1 else math.ceil(len(self.train) / whole)
        )


def learning_rate(step: int, total: int, options: WorldTrainOptions) -> float:
    """Linear warm-up, then a cosine from ``learning_rate`` to ``final_learning_rate``; ``step`` counts from 0."""
    if step < options.warmup_steps:
        return options.learning_rate * (step + 1) / options.warmup_steps
    share = min(1.0, (step - options.warmup_steps) / max(1, total - options.warmup_steps - 1))
    low = options.final_learning_rate
    return low + (options.learning_rate - low) * (1 + math.cos(math.pi * share)) / 2


def stages_of(options: WorldTrainOptions) -> list[tuple[str, int, set[str]]]:
    """Name, epochs and frozen parts of each stage that is run."""
    frozen = {part for part in PARTS if getattr(options, f"freeze_{part}")}
    stages = [("vae", options.vae_epochs, {"transformer", "pose"}), ("transformer", options.epochs, frozen)]
    return [stage for stage in stages if stage[1]]


def fit(job: Job, state: State | None) -> list[dict[str, Any]]:
    """Runs every stage to its end, from ``state`` if there is one; returns the rows of the loss curve."""
    history: list[dict[str, Any]] = list(state["history"]) if state else []
    stages = stages_of(job.options)
    at = next((place for place, stage in enumerate(stages) if state and stage[0] == state["stage"]), 0)
    for place in range(at, len(stages)):
        stage, epochs, frozen = stages[place]
        mine = state if state and state["stage"] == stage else None
        if mine is None and place:
            best = checkpoints.path_of(job.work, stages[place - 1][0], "best")
            # A file that ends the stage before may have been named by --resume, and then lies alone.
            ended = state if state and not best.is_file() else checkpoints.load(best)
            job.model.load_state_dict(ended["model"])
        history = Stage(job, stage, epochs, frozen, history).run(mine)
    return history


class Stage:
    """One stage of a job."""

    def __init__(self, job: Job, name: str, epochs: int, frozen: set[str], history: list[dict[str, Any]]) -> None:
        self.job, self.name, self.frozen, self.history = job, name, frozen, history
        self.total = min(epochs * job.steps_per_epoch, job.options.max_steps or math.inf)
        self.epochs = math.ceil(self.total / job.steps_per_epoch)
        self.before = max((row["step"] for row in history if row["stage"] != name), default=0)
        self.step, self.best = 0, math.inf

    def run(self, state: State | None) -> list[dict[str, Any]]:
        """Runs the epochs that are left."""
        job, options = self.job, self.job.options
        learning = set(freeze(job.model, self.frozen))
        parameters = [value for name, value in job.model.named_parameters() if name in learning]
        optimizer = torch.optim.AdamW(parameters, lr=options.learning_rate, weight_decay=options.weight_decay)
        first, done = 0, []
        if state:
            job.model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            self.step, self.best, first = state["step"], state["best"], state["epoch"]
            done = state.get("rows", [])
        self.network, self.optimizer = job.accelerator.prepare(job.model, optimizer)
        if state and state.get("scaler") and job.accelerator.scaler is not None:
            job.accelerator.scaler.load_state_dict(state["scaler"])
        self.bar = bar(self.name, int(self.total), self.step) if job.accelerator.is_main_process else None
        for epoch in range(first, self.epochs):
            self.one_epoch(epoch, done if epoch == first else [])
        if self.bar is not None:
            self.bar.close()
        return self.history

    def one_epoch(self, epoch: int, rows: list[dict[str, float]]) -> None:
        """Trains, evaluates, logs and saves; ``rows`` are of the steps that a run before did."""
        torch.manual_seed(seed_of(self.job.options.seed, self.name, epoch))
        self.network.train()
        rows, saved = list(rows), time.monotonic()
        for batch in self.batches(epoch, len(rows)):
            rows.append(self.one_step(epoch, batch))
            if time.monotonic() - saved >= 60 * self.job.options.save_minutes:
                self.save_on_the_way(epoch, rows)
                saved = time.monotonic()
        means = {key: sum(row[key] for row in rows) / len(rows) for key in ("loss", *SEEN)}
        self.job.watch.after_epoch(self.name, epoch, means["loss"], means)
        loss = evaluate(self.job, self.network, self.name)
        stop_at_nan(loss, "validation loss", self.global_step, self.job.options.learning_rate, self.last)
        rate = self.optimizer.param_groups[0]["lr"]
        self.history.append(
            {"step": self.global_step, "epoch": epoch + 1, "stage": self.name, "eval_loss": loss, "learning_rate": rate}
        )
        self.job.loggers.log({"epoch/val_loss": loss, "epoch/lr": rate}, self.global_step)
        self.save(epoch + 1, loss)

    @property
    def global_step(self) -> int:
        """Steps of this stage and those before it."""
        return self.before + self.step

    @property
    def last(self) -> Path | None:
        """The newest good checkpoint."""
        return checkpoints.newest(self.job.work)

    def batches(self, epoch: int, done: int) -> Iterator[dict[str, torch.Tensor]]:
        """The windows of an epoch in an order drawn for it, first steps left out; the VQ-VAE stage sees some frames."""
        job = self.job
        draw = torch.Generator().manual_seed(seed_of(job.options.seed, self.name, epoch))
        order = torch.randperm(len(job.train), generator=draw).tolist()
        processes, mine = job.accelerator.num_processes, job.accelerator.process_index
        whole = job.batch * processes
        for at in range(int(min(job.steps_per_epoch, self.total - self.step + done))):
            chosen = torch.randperm(job.train.options.frames, generator=draw)[: job.options.vae_frames]
            if at < done:
                continue
            places = order[at * whole : (at + 1) * whole][mine::processes] or order[:1]
            batch = {key: value.to(job.accelerator.device) for key, value in job.train.batch(places).items()}
            yield {"grids": batch["grids"][:, chosen.sort().values]} if self.name == "vae" else batch

    def one_step(self, epoch: int, batch: dict[str, torch.Tensor]) -> dict[str, float]:
        """Forward, backward, step; returns loss, gradient norm and what the predictions looked like."""
        job, options = self.job, self.job.options
        rate = learning_rate(self.step, int(self.total), options)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with job.accelerator.autocast():
            parts, seen = losses_of(self.network, self.name, batch, job.train.options, options)
            loss = torch.stack([part.float() for part in parts.values()]).sum()
        self.step += 1
        stop_at_nan(loss.item(), "loss", self.global_step, options.learning_rate, self.last)
        self.optimizer.zero_grad()
        job.accelerator.backward(loss)
        norm = float(job.accelerator.clip_grad_norm_(self.learning(), options.max_grad_norm))
        if job.accelerator.scaler is None:  # a scaler looks for such gradients itself, and leaves the step out
            stop_at_nan(norm, "gradient norm", self.global_step, options.learning_rate, self.last)
        self.optimizer.step()
        row = {"loss": loss.item(), **{name: float(value) for name, value in seen.items()}}
        self.note(epoch, row, norm, rate)
        return row

    def learning(self) -> list[torch.Tensor]:
        """What the optimizer moves."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def note(self, epoch: int, row: dict[str, float], norm: float, rate: float) -> None:
        """Puts a step into the history, the logs and the bar."""
        entry = {"step": self.global_step, "epoch": epoch + 1, "stage": self.name, "loss": row["loss"]}
        self.history.append(entry | {"learning_rate": rate, "grad_norm": norm})
        seen = {key: row[key] for key in SEEN}
        self.job.loggers.log({"train/loss": row["loss"], "train/lr": rate, **seen}, self.global_step)
        if self.bar is not None:
            self.bar.update(1)
            self.bar.set_postfix_str(f"loss {row['loss']:.4f}")

    def save(self, epoch: int, loss: float) -> None:
        """Best first, last one last; see `scripts.aerial.world.checkpoints`."""
        job = self.job
        better = loss < self.best
        self.best = min(self.best, loss)
        if job.accelerator.is_main_process:
            self.write(epoch, better)
        job.accelerator.wait_for_everyone()

    def save_on_the_way(self, epoch: int, rows: list[dict[str, float]]) -> None:
        """Writes the last checkpoint in the middle of an epoch; ``epoch`` of them are done."""
        if self.job.accelerator.is_main_process:
            checkpoints.save(checkpoints.path_of(self.job.work, self.name, "last"), self.state(epoch, rows))
        self.job.accelerator.wait_for_everyone()

    def write(self, epoch: int, better: bool) -> None:
        """Writes the checkpoints of an epoch (counted from 1)."""
        job, state = self.job, self.state(epoch, [])
        which = (["best"] if better else []) + ([epoch] if epoch % job.options.save_epochs == 0 else []) + ["last"]
        for name in which:
            checkpoints.save(checkpoints.path_of(job.work, self.name, name), state)

    def state(self, epoch: int, rows: list[dict[str, float]]) -> State:
        """What a checkpoint holds: whole epochs that are done, and rows of the steps after them."""
        job = self.job
        scaler = job.accelerator.scaler
        return {
            "stage": self.name,
            "epoch": epoch,
            "rows": rows,
            "step": self.step,
            "model": {name: value.cpu() for name, value in job.model.state_dict().items()},
            "optimizer": self.optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else None,
            "best": self.best,
            "history": self.history,
        }


def seed_of(seed: int, stage: str, epoch: int) -> int:
    """A seed for each epoch of each stage."""
    return (seed * 2 + (stage == "transformer")) * 100_003 + epoch


@torch.no_grad()
def evaluate(job: Job, network: Any, stage: str) -> float:
    """The mean loss over windows of val, every process its share; the VQ-VAE stage sees all frames."""
    network.eval()
    held = job.val.evenly(job.options.eval_windows)
    processes, mine = job.accelerator.num_processes, job.accelerator.process_index
    total = torch.zeros(2, device=job.accelerator.device, dtype=torch.float64)
    places = list(range(len(held)))[mine::processes]
    for start in range(0, len(places), job.batch):
        here = places[start : start + job.batch]
        batch = {key: value.to(job.accelerator.device) for key, value in held.batch(here).items()}
        with job.accelerator.autocast():
            parts, _ = losses_of(job.model, stage, batch, held.options, job.options)
        loss = torch.stack([part.float() for part in parts.values()]).sum().double()
        total += torch.stack([loss * len(here), torch.tensor(float(len(here)), device=total.device)])
    total = job.accelerator.reduce(total, "sum")
    return float(total[0] / total[1])
