"""The frame of a training stage, the same for language models and world models.

The stage's ``main`` reads: `parse_options`, `resolve_device`, its own checks and precision, then `open_run`. If the run
needs several processes, the stage started by the user only starts them (`Run.start_processes`), and each of them runs
the same ``main`` as far as `Run.join`. Then the stage trains in ``run.work``, where a killed run resumes, and publishes
its model and, last, `publish_records`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from scripts.lib import launch
from scripts.lib.cli import StageParser, UserError, load_params, say
from scripts.lib.devices import peak_memory, pick_device, versions
from scripts.lib.files import write_json, write_jsonl
from scripts.lib.identity import code_fingerprint, run_identity
from scripts.lib.options.train import SharedTrainOptions
from scripts.lib.process import job_threads

OptionsT = TypeVar("OptionsT", bound=SharedTrainOptions)
NOT_PASSED_ON = ("log", "from_scratch")  # arguments that only the process started by the user acts on


def add_arguments(stage: StageParser) -> Any:
    """Adds the arguments of every training stage; returns the group of those that exclude ``--from-scratch``."""
    stage.add_argument("--work", type=Path, required=True, help="checkpoints live in a folder of this one")
    stage.add_argument("--watch", default="{}", help="more parameters: where it runs and how it is watched")
    stage.add_argument("--processes", type=int, default=0, help="in all, one a GPU; 0: as the parameters say")
    stage.add_argument("--machines", type=int, default=0, help="they are spread over; 0: as the parameters say")
    stage.add_argument("--machine-rank", type=int, help="this machine's number, from 0, where Slurm does not tell")
    stage.add_argument("--main-address", help="HOST:PORT at which machine 0 may listen, where Slurm does not tell")
    group = stage.add_mutually_exclusive_group()
    group.add_argument("--from-scratch", action="store_true", help="put earlier checkpoints of this run aside")
    return group


def parse_options(args: argparse.Namespace, kind: type[OptionsT], settings: dict[str, Any] | None = None) -> OptionsT:
    """The options: ``settings`` or else --params, then --watch, then the granted --processes and --machines on top.

    Raises:
        UserError: a key or value is wrong.
    """
    granted = {name: getattr(args, name) for name in ("processes", "machines") if getattr(args, name)}
    params = load_params(args.params) if settings is None else settings
    return kind.parse(params | load_params(args.watch) | granted)


def resolve_device(options: SharedTrainOptions) -> str:
    """``cuda``, ``mps`` or ``cpu``.

    Raises:
        UserError: the device is missing, cannot run so many processes, or a logger is not installed.
    """
    device = pick_device(options.device)
    launch.refuse_impossible(options, device)
    for name in options.report_to:
        if importlib.util.find_spec(name) is None:
            raise UserError(f"train.report_to: {name} is not installed; pip install {name}, or take it off the list.")
    return device


@dataclass(frozen=True)
class Run:
    """A training run, its options resolved for this machine.

    Attributes:
        module: of the stage, such as ``scripts.model.train``.
        args: of the stage.
        identity: the hash of what makes the run what it is.
        started: seconds of the monotonic clock.
    """

    module: str
    args: argparse.Namespace
    options: SharedTrainOptions
    device: str
    precision: str
    identity: str
    started: float

    @property
    def work(self) -> Path:
        """The folder of the checkpoints."""
        return self.args.work / self.identity

    @property
    def needs_processes(self) -> bool:
        """Whether several processes train, and this is the stage that starts them."""
        return self.options.processes > 1 and not launch.is_launched()

    def start_processes(self, sharding: str = "none", resolved: dict[str, Any] | None = None) -> int:
        """Runs this stage in as many processes as were asked for, on all machines; returns an exit code.

        Args:
            resolved: options that were measured here; every process must take the same value.
        """
        options, threads = self.options, job_threads()
        arguments = same_arguments(self.args, resolved or {})
        if launch.spans_machines(options.machines, os.environ):
            command = launch.srun_command(self.module, arguments, options, self.device, threads)
            return launch.start(command, launch.job_environment(os.environ))
        node = launch.node_rank(options.machines, self.args.machine_rank, self.args.main_address, os.environ)
        settings = self.work / "accelerate.json"
        write_json(settings, launch.settings(options, self.precision, sharding))
        threads = max(1, threads * options.machines // options.processes)
        code = launch.start(launch.command(self.module, arguments, settings, node, threads))
        if code not in (0, launch.BAD_INPUT):
            say(
                f"training ended with exit code {code}; processes past the first wrote to {self.work / 'process-*.log'}"
            )
        return code

    def join(self) -> None:
        """Connects this process to the others, if a launcher started it."""
        if launch.is_launched():
            launch.join(self.work, self.device)

    def metadata(self, packages: Sequence[str], **facts: Any) -> dict[str, Any]:
        """What training_metadata.json holds: ``facts`` of the stage, and what is common to all stages."""
        import torch

        return {
            "identity": self.identity,
            "settings": self.options.model_dump(),
            "device": self.device,
            "precision": self.precision,
            "processes": self.options.processes,
            "threads": torch.get_num_threads(),
            **facts,
            "seconds": round(time.monotonic() - self.started, 1),
            "peak_memory_bytes": peak_memory(self.device),
            "versions": versions(packages),
        }


def open_run(
    module: str,
    args: argparse.Namespace,
    options: SharedTrainOptions,
    device: str,
    precision: str,
    contents: dict[str, Any],
    not_identity: Collection[str],
) -> Run:
    """The run that these inputs and options make, with its work folder.

    Args:
        contents: digests of the inputs; never a path.
        not_identity: options that label a run, or say where it runs and how it is watched.
    """
    parts = {
        **contents,
        "options": options.model_dump(exclude=set(not_identity)),
        "precision": precision,
        "code": code_fingerprint(module),
    }
    run = Run(module, args, options, device, precision, run_identity(parts), time.monotonic())
    if args.from_scratch and not launch.is_launched() and not args.machine_rank and run.work.is_dir():
        number = 1
        while (archive := run.work.with_name(f"{run.identity}.{number}")).exists():
            number += 1
        run.work.rename(archive)
        say(f"earlier checkpoints are now in {archive}")
    run.work.mkdir(parents=True, exist_ok=True)
    return run


def same_arguments(args: argparse.Namespace, resolved: dict[str, Any]) -> list[str]:
    """The stage's arguments for another process, with ``resolved`` options on top of --watch."""
    given = {name: value for name, value in vars(args).items() if value is not None and value is not False}
    if resolved:
        given["watch"] = json.dumps(load_params(args.watch) | resolved)
    return [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, value in given.items()
        if name not in NOT_PASSED_ON
    ]


def final_loss(rows: Sequence[dict[str, Any]]) -> float:
    """The mean loss of the last tenth of the steps, at least one; rows without ``loss`` are evaluations."""
    losses = [row["loss"] for row in rows if "loss" in row]
    tail = losses[-max(1, len(losses) // 10) :]
    return sum(tail) / len(tail)


def publish_records(out: Path, curve: Sequence[dict[str, Any]], metadata: dict[str, Any]) -> None:
    """Writes training/loss.jsonl and, last of all that a stage publishes, training/training_metadata.json."""
    write_jsonl(out / "training" / "loss.jsonl", curve)
    write_json(out / "training" / "training_metadata.json", metadata)
