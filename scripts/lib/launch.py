"""Several training processes, on one machine or more, through accelerate's launcher.

A stage that wants more than one writes accelerate's settings (`settings`) beside its checkpoints and runs `start` with
`command`; the processes that this brings up run the same stage again and find out by `is_launched`. On several machines
the same command runs on each: under Slurm by `srun_command`, elsewhere by hand, with the machine's rank and the address
of the first one.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError, say
from scripts.lib.options.train import TrainOptions

BAD_INPUT = 2  # the exit code of `scripts.lib.cli.run`
PR_SET_PDEATHSIG = 1  # linux/prctl.h
DEFAULT_PORT = 29500  # torch's own
SLURM_PORTS = 20000  # from here on: two jobs on one node get different ones
OF_THE_JOB = frozenset({"SLURM_JOB_ID", "SLURM_JOBID", "SLURM_CONF", "SLURM_CLUSTER_NAME"})
KINDS = {"none": "MULTI_GPU", "fsdp": "FSDP", "zero2": "DEEPSPEED", "zero3": "DEEPSPEED"}


@dataclass(frozen=True)
class Place:
    """This machine among those that train: its rank, and where the first one listens."""

    rank: int = 0
    host: str = ""
    port: int = 0
    """0: any free one, where there is one machine"""


def is_launched() -> bool:
    """Whether this process is one of those that a launcher brought up."""
    return "LOCAL_RANK" in os.environ


def rank() -> int:
    """This process's number among all; the first one writes."""
    return int(os.environ.get("RANK", "0"))


def refuse_impossible(options: TrainOptions, device: str) -> None:
    """Stops before anything is started.

    Raises:
        UserError: sharding where there is nothing to divide or no program for it; more processes than GPUs.
    """
    if options.sharding != "none" and options.processes == 1:
        raise UserError(
            f"train.sharding: {options.sharding} divides a model between processes, and there is one; set "
            "train.processes to the number of GPUs, or sharding: none."
        )
    if options.sharding != "none" and device != "cuda":
        raise UserError(f"train.sharding: {options.sharding} needs CUDA devices, not {device}; set sharding: none.")
    if options.sharding.startswith("zero") and importlib.util.find_spec("deepspeed") is None:
        raise UserError(
            f"train.sharding: {options.sharding} needs DeepSpeed; pip install deepspeed, or set sharding: fsdp."
        )
    each = options.processes // options.machines
    if options.processes > 1 and device == "mps":
        raise UserError("train.processes: one process alone trains on mps; set train.processes: 1, or device: cpu.")
    if device == "cuda" and each > 1 and each > (there := count_gpus()):
        raise UserError(
            f"train.processes: {each} on this machine, one a GPU, and torch sees {there}; lower train.processes, or "
            "ask for more (the profile's train:gpu)."
        )


def count_gpus() -> int:
    """CUDA devices that this process may use."""
    import torch

    return torch.cuda.device_count()


def settings(options: TrainOptions, precision: str) -> dict[str, Any]:
    """accelerate's settings, as ``accelerate config`` would write them; the same on every machine.

    On CPUs the kind is MULTI_GPU, too: that of accelerate's launchers which starts one process each by torch's own.
    """
    common = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": KINDS[options.sharding],
        "mixed_precision": "bf16" if precision == "bfloat16" else "no",
        "num_machines": options.machines,
        "num_processes": options.processes,
        "gpu_ids": "all",
        "rdzv_backend": "static",
        "same_network": True,
        "use_cpu": False,
        "debug": False,
    }
    if options.sharding == "fsdp":
        return common | {"fsdp_config": fsdp_settings()}
    if options.sharding.startswith("zero"):
        return common | {"deepspeed_config": zero_settings(int(options.sharding[-1]))}
    return common


def fsdp_settings() -> dict[str, Any]:
    """FSDP (its second version): a unit for each transformer layer; checkpoints hold whole tensors."""
    return {
        "fsdp_version": 2,
        "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "fsdp_reshard_after_forward": True,
        "fsdp_state_dict_type": "FULL_STATE_DICT",
        "fsdp_offload_params": False,
        "fsdp_cpu_ram_efficient_loading": False,
        "fsdp_activation_checkpointing": False,
    }


def zero_settings(stage: int) -> dict[str, Any]:
    """DeepSpeed's ZeRO; auto: as the trainer is told."""
    return {
        "zero_stage": stage,
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "offload_optimizer_device": "none",
        "offload_param_device": "none",
        "zero3_init_flag": False,
        "zero3_save_16bit_model": stage == 3,
        "deepspeed_multinode_launcher": "standard",
    }


def command(module: str, arguments: list[str], config_file: Path, place: Place, threads: int) -> list[str]:
    """The command that runs a stage's module in all processes of this machine; ``threads`` are those of each."""
    first = ["--main_process_ip", place.host] if place.host else []
    launcher = [sys.executable, "-m", "scripts.lib.launch", "--config_file", str(config_file)]
    launcher += ["--machine_rank", str(place.rank), *first, "--main_process_port", str(place.port)]
    return [*launcher, "--num_cpu_threads_per_process", str(threads), "-m", module, *arguments]


def place_of(machines: int, rank: int | None, address: str | None, environment: Mapping[str, str]) -> Place:
    """This machine's place, from what was given by hand or else from Slurm.

    Raises:
        UserError: several machines, and neither tells which this is; or the address is none.
    """
    if machines == 1:
        return Place()
    if rank is not None and address:
        host, _, port = address.rpartition(":") if ":" in address else (address, "", str(DEFAULT_PORT))
        if not host or not port.isdecimal() or not 0 <= rank < machines:
            raise UserError(
                f"--machine-rank {rank} --main-address {address}: expected a rank below {machines}, and HOST or "
                "HOST:PORT."
            )
        return Place(rank, host, int(port))
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST")
    if nodes and "SLURM_NODEID" in environment:
        port = SLURM_PORTS + int(environment.get("SLURM_JOB_ID", "0")) % 10000
        return Place(int(environment["SLURM_NODEID"]), first_host(nodes), port)
    raise UserError(
        f"train.machines: {machines}, and nothing says which one this is; run the same command on each with "
        "--machine-rank 0, 1, ... and --main-address HOST:PORT of the first, or send it by --workflow-profile "
        "profiles/slurm."
    )


def first_host(nodes: str) -> str:
    """The first name of a Slurm node list such as ``gpu[03-04]``.

    Raises:
        UserError: scontrol is not there, or cannot read it.
    """
    try:
        done = subprocess.run(["scontrol", "show", "hostnames", nodes], capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError("scontrol is not on PATH; give --machine-rank and --main-address.") from None
    names = done.stdout.split()
    if done.returncode or not names:
        raise UserError(f"scontrol cannot read the node list {nodes}; give --machine-rank and --main-address.")
    return names[0]


def spans_machines(machines: int, environment: Mapping[str, str]) -> bool:
    """Whether this is one task of a Slurm job that has yet to be started on its other nodes."""
    return (
        machines > 1 and "SLURM_JOB_ID" in environment and int(environment.get("SLURM_STEP_NUM_NODES", "1")) < machines
    )


def srun_command(module: str, arguments: list[str], options: TrainOptions, device: str, threads: int) -> list[str]:
    """The command that runs a stage once on every node of the Slurm job that this process belongs to."""
    gpus = [f"--gpus-per-node={options.processes // options.machines}"] if device == "cuda" else []
    nodes = [f"--nodes={options.machines}", f"--ntasks={options.machines}", "--ntasks-per-node=1"]
    # --overlap: the nodes' resources are held by the step that this process runs in.
    how = ["--overlap", "--kill-on-bad-exit=1", *nodes, *gpus, f"--cpus-per-task={threads}"]
    return ["srun", *how, sys.executable, "-m", module, *arguments]


def job_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a new step of a Slurm job: without what describes the step that this process runs in."""
    steps = ("SLURM_", "SRUN_", "SBATCH_")
    return {name: value for name, value in environment.items() if name in OF_THE_JOB or not name.startswith(steps)}


def start(command: list[str], environment: Mapping[str, str] | None = None) -> int:
    """Runs a command to its end and returns its exit code; what it says goes where this process says things."""
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    with ended_with(process):
        assert process.stderr is not None
        # A line ends in a line feed, or in a carriage return where a bar moved: bars stay out of logs by that.
        for line in io.TextIOWrapper(process.stderr, newline="", errors="replace"):
            sys.stderr.write(line)
            sys.stderr.flush()
        return process.wait()


@contextlib.contextmanager
def ended_with(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever ends this block early ends the process, too."""
    try:
        yield
    except BaseException:
        process.terminate()
        process.wait()
        raise


def end_with_parent() -> None:
    """Has Linux kill this process when the one that started it is gone: nobody would be left to stop it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """accelerate's launcher, given its own arguments; a process that failed is a sentence and an exit code."""
    end_with_parent()
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        launch_command(launch_command_parser().parse_args())
    except ChildFailedError as error:
        failed, failure = error.get_first_failure()
        if failure.exitcode != BAD_INPUT:  # which every process finds, and the first one has told of
            say(f"process {failed} ended first, with exit code {failure.exitcode}.")
        sys.exit(failure.exitcode if failure.exitcode > 0 else 1)


if __name__ == "__main__":
    main()
