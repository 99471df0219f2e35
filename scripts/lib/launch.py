"""The launcher of training processes, on one machine or several, through accelerate.

The stage that wants several processes writes accelerate's settings (`settings`) beside its checkpoints and runs `start`
with `command`. Each process that this starts runs the same stage again; `is_launched` is true there. On several
machines the same command runs on each: under Slurm by `srun_command`, elsewhere by hand, with the rank of the machine
and the address of the first one. `scripts.lib.training.Run.start_processes` puts these together.
"""

from __future__ import annotations

import ctypes
import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError, say
from scripts.lib.options.train import SharedTrainOptions

BAD_INPUT = 2  # the exit code of `scripts.lib.cli.run`
PR_SET_PDEATHSIG = 1  # linux/prctl.h
DEFAULT_PORT = 29500  # torch's own
SLURM_PORTS = 20000  # the first port under Slurm; the job's number is added, so that two jobs on a node do not collide
OF_THE_JOB = frozenset({"SLURM_JOB_ID", "SLURM_JOBID", "SLURM_CONF", "SLURM_CLUSTER_NAME"})
# By train.sharding. MULTI_GPU on CPUs, too: it is the launcher of accelerate that starts processes by torch's own.
DISTRIBUTED_TYPES = {"none": "MULTI_GPU", "fsdp": "FSDP", "zero2": "DEEPSPEED", "zero3": "DEEPSPEED"}
MIXED_PRECISION = {"bfloat16": "bf16", "float16": "fp16", "float32": "no"}  # accelerate's names
# FSDP, version 2: one unit for each transformer layer; checkpoints hold whole tensors.
FSDP = {
    "fsdp_version": 2,
    "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    "fsdp_reshard_after_forward": True,
    "fsdp_state_dict_type": "FULL_STATE_DICT",
    "fsdp_offload_params": False,
    "fsdp_cpu_ram_efficient_loading": False,
    "fsdp_activation_checkpointing": False,
}
# DeepSpeed's ZeRO; "auto" takes the trainer's value.
ZERO = {
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "offload_optimizer_device": "none",
    "offload_param_device": "none",
    "zero3_init_flag": False,
    "deepspeed_multinode_launcher": "standard",
}


@dataclass(frozen=True)
class NodeRank:
    """The rank of this machine among those that train, and the address of the first one."""

    rank: int = 0
    host: str = ""
    port: int = 0
    """0: any free port, for a single machine"""


def is_launched() -> bool:
    """Whether a launcher started this process."""
    return "LOCAL_RANK" in os.environ


def refuse_impossible(options: SharedTrainOptions, device: str) -> None:
    """Stops before anything is started.

    Raises:
        UserError: more processes than the device or this machine can run.
    """
    import torch

    here = options.processes // options.machines
    if options.processes > 1 and device == "mps":
        raise UserError("train.processes: one process alone trains on mps; set train.processes: 1, or device: cpu.")
    if device == "cuda" and 1 < here > torch.cuda.device_count():
        raise UserError(
            f"train.processes: {here} on this machine, one a GPU, and torch sees {torch.cuda.device_count()}; lower "
            "train.processes, or ask for more (the profile's train:gpu)."
        )


def settings(options: SharedTrainOptions, precision: str, sharding: str = "none") -> dict[str, Any]:
    """accelerate's settings as ``accelerate config`` writes them; the same on every machine."""
    common = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": DISTRIBUTED_TYPES[sharding],
        "mixed_precision": MIXED_PRECISION[precision],
        "num_machines": options.machines,
        "num_processes": options.processes,
        "gpu_ids": "all",
        "rdzv_backend": "static",
        "same_network": True,
        "use_cpu": False,
        "debug": False,
    }
    if sharding == "fsdp":
        return common | {"fsdp_config": FSDP}
    if sharding in ("zero2", "zero3"):
        stage = int(sharding[-1])
        return common | {"deepspeed_config": ZERO | {"zero_stage": stage, "zero3_save_16bit_model": stage == 3}}
    return common


def command(module: str, arguments: list[str], config_file: Path, node: NodeRank, threads: int) -> list[str]:
    """The command that runs a stage's module in all processes of this machine, with so many threads in each."""
    launcher = [sys.executable, "-m", "scripts.lib.launch", "--config_file", str(config_file)]
    launcher += ["--machine_rank", str(node.rank), *(["--main_process_ip", node.host] if node.host else [])]
    launcher += ["--main_process_port", str(node.port), "--num_cpu_threads_per_process", str(threads)]
    return [*launcher, "-m", module, *arguments]


def node_rank(machines: int, rank: int | None, address: str | None, environment: Mapping[str, str]) -> NodeRank:
    """The rank of this machine and the first one's address, from the arguments or else from Slurm.

    Raises:
        UserError: there are several machines and neither gives them, the address is malformed, or scontrol cannot
            list the nodes.
    """
    if machines == 1:
        return NodeRank()
    if rank is not None and address:
        host, _, port = address.rpartition(":") if ":" in address else (address, "", str(DEFAULT_PORT))
        if not host or not port.isdecimal() or not 0 <= rank < machines:
            raise UserError(
                f"--machine-rank {rank} --main-address {address}: expected a rank below {machines}, and HOST or "
                "HOST:PORT."
            )
        return NodeRank(rank, host, int(port))
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST")
    if not nodes or "SLURM_NODEID" not in environment:
        raise UserError(
            f"train.machines: {machines}, and nothing says which one this is; run the same command on each with "
            "--machine-rank 0, 1, ... and --main-address HOST:PORT of the first, or send it by --workflow-profile "
            "profiles/slurm."
        )
    try:
        listing = subprocess.run(["scontrol", "show", "hostnames", nodes], capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError("scontrol is not on PATH; give --machine-rank and --main-address.") from None
    hosts = listing.stdout.split()  # gpu[03-04] is listed as gpu03 and gpu04
    if listing.returncode or not hosts:
        raise UserError(f"scontrol cannot read the node list {nodes}; give --machine-rank and --main-address.")
    port = SLURM_PORTS + int(environment.get("SLURM_JOB_ID", "0")) % 10000
    return NodeRank(int(environment["SLURM_NODEID"]), hosts[0], port)


def spans_machines(machines: int, environment: Mapping[str, str]) -> bool:
    """Whether this is one task of a Slurm job that has yet to be started on its other nodes."""
    return (
        machines > 1 and "SLURM_JOB_ID" in environment and int(environment.get("SLURM_STEP_NUM_NODES", "1")) < machines
    )


def srun_command(
    module: str, arguments: list[str], options: SharedTrainOptions, device: str, threads: int
) -> list[str]:
    """The command that runs a stage once on every node of the Slurm job that this process belongs to."""
    gpus = [f"--gpus-per-node={options.processes // options.machines}"] if device == "cuda" else []
    nodes = [f"--nodes={options.machines}", f"--ntasks={options.machines}", "--ntasks-per-node=1"]
    # --overlap: the step that this process runs in holds the resources of the nodes.
    step = ["--overlap", "--kill-on-bad-exit=1", *nodes, *gpus, f"--cpus-per-task={threads}"]
    return ["srun", *step, sys.executable, "-m", module, *arguments]


def job_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a new step of a Slurm job: without the variables that describe the current step."""
    prefixes = ("SLURM_", "SRUN_", "SBATCH_")
    return {name: value for name, value in environment.items() if name in OF_THE_JOB or not name.startswith(prefixes)}


def start(command: list[str], environment: Mapping[str, str] | None = None) -> int:
    """Runs a command to its end, passes its stderr on, and returns its exit code."""
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        # newline="": a line of a progress bar ends in a carriage return, by which the log leaves it out.
        for line in io.TextIOWrapper(process.stderr, newline="", errors="replace"):
            sys.stderr.write(line)
            sys.stderr.flush()
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def end_with_parent() -> None:
    """Makes Linux kill this process when its parent ends: otherwise a killed stage would leave its processes behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def join(work: Path, device: str) -> None:
    """Connects a launched process to the others; all but the first write their messages to ``process-<rank>.log``."""
    from accelerate import PartialState

    end_with_parent()
    if (rank := int(os.environ["RANK"])) > 0:
        log = (work / f"process-{rank}.log").open("w", encoding="utf-8")
        os.dup2(log.fileno(), sys.stderr.fileno())
    PartialState(cpu=device == "cpu")


def main() -> None:
    """Runs accelerate's launcher with its own arguments; a failed process becomes one sentence and an exit code."""
    end_with_parent()
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        launch_command(launch_command_parser().parse_args())
    except ChildFailedError as error:
        failed, failure = error.get_first_failure()
        if failure.exitcode != BAD_INPUT:  # every process meets bad input, and the first one has reported it
            say(f"process {failed} ended first, with exit code {failure.exitcode}.")
        sys.exit(failure.exitcode if failure.exitcode > 0 else 1)


if __name__ == "__main__":
    main()
