"""The command that brings several processes up, from options and Slurm's variables, as accelerate reads it."""

import subprocess

import pytest
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser

from scripts.lib import launch, training
from scripts.lib.cli import UserError
from scripts.lib.files import write_json
from scripts.lib.options.train import TrainOptions
from scripts.model import engine
from scripts.model import train as stage

OPTIONS = TrainOptions(processes=8, machines=2, gradient_accumulation=4)
SECOND = launch.NodeRank(1, "gpu03", 21234)
SLURM = {"SLURM_JOB_ID": "41234", "SLURM_NODEID": "1", "SLURM_STEP_NODELIST": "gpu[03-04]", "SLURM_NTASKS": "2"}


def read_by_accelerate(options, tmp_path, precision="bfloat16", node=SECOND):
    """What accelerate's launcher makes of our command."""
    settings = tmp_path / "accelerate.json"
    write_json(settings, launch.settings(options, precision, options.sharding))
    command = launch.command("scripts.model.train", ["--work=w"], settings, node, threads=3)
    args = launch_command_parser().parse_args(command[3:])
    args, _, _ = _validate_launch_command(args)
    assert command[1:3] == ["-m", "scripts.lib.launch"]
    assert (args.training_script, args.training_script_args, args.module) == ("scripts.model.train", ["--work=w"], True)
    return args


def test_accelerate_reads_processes_and_machines(tmp_path):
    args = read_by_accelerate(OPTIONS, tmp_path)
    assert (args.num_processes, args.num_machines, args.machine_rank) == (8, 2, 1)
    assert (args.main_process_ip, args.main_process_port) == ("gpu03", 21234)
    assert (args.multi_gpu, args.use_fsdp, args.use_deepspeed, args.cpu) == (True, False, False, False)
    assert (args.mixed_precision, args.num_cpu_threads_per_process) == ("bf16", 3)


def test_accelerate_reads_fsdp(tmp_path):
    args = read_by_accelerate(OPTIONS.model_copy(update={"sharding": "fsdp"}), tmp_path)
    assert (args.use_fsdp, args.multi_gpu, args.use_deepspeed) == (True, False, False)
    assert (args.fsdp_version, args.fsdp_state_dict_type) == (2, "FULL_STATE_DICT")
    assert args.fsdp_auto_wrap_policy == "TRANSFORMER_BASED_WRAP"


@pytest.mark.parametrize("stage", [2, 3])
def test_accelerate_reads_zero(stage, tmp_path):
    args = read_by_accelerate(OPTIONS.model_copy(update={"sharding": f"zero{stage}"}), tmp_path)
    assert (args.use_deepspeed, args.multi_gpu, args.use_fsdp) == (True, False, False)
    assert (args.zero_stage, args.zero3_save_16bit_model) == (stage, stage == 3)
    assert args.gradient_accumulation_steps == args.gradient_clipping == "auto"


def test_slurm_tells_the_place_of_a_node(monkeypatch):
    answers = subprocess.CompletedProcess([], 0, "gpu03\ngpu04\n")
    monkeypatch.setattr(launch.subprocess, "run", lambda command, **_: answers)
    assert launch.node_rank(2, None, None, SLURM) == launch.NodeRank(1, "gpu03", 21234)
    assert launch.node_rank(2, 0, "10.0.0.1:3000", SLURM) == launch.NodeRank(0, "10.0.0.1", 3000)
    assert launch.node_rank(2, 1, "10.0.0.1", {}) == launch.NodeRank(1, "10.0.0.1", 29500)
    assert launch.node_rank(1, None, None, SLURM) == launch.NodeRank()


@pytest.mark.parametrize(
    ("rank", "address", "words"),
    [(None, None, "--machine-rank 0, 1"), (2, "a:1", "a rank below 2"), (0, "a:b", "HOST or HOST:PORT")],
)
def test_a_place_that_nothing_tells_is_asked_for(rank, address, words):
    with pytest.raises(UserError, match=words):
        launch.node_rank(2, rank, address, {})


def test_a_task_of_a_job_on_two_nodes_starts_the_stage_on_both():
    assert launch.spans_machines(2, SLURM)
    assert not launch.spans_machines(2, SLURM | {"SLURM_STEP_NUM_NODES": "2"})
    assert not launch.spans_machines(1, SLURM)
    assert not launch.spans_machines(2, {})
    command = launch.srun_command("scripts.model.train", ["--work=w"], OPTIONS, "cuda", threads=12)
    assert command[0] == "srun"
    assert {"--overlap", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--gpus-per-node=4"} <= set(command)
    assert command[-3:] == ["-m", "scripts.model.train", "--work=w"]
    assert launch.job_environment({**SLURM, "PATH": "p"}) == {"SLURM_JOB_ID": "41234", "PATH": "p"}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"processes": 3}, "3 processes cannot share the 4 records of a step evenly"),
        ({"processes": 4, "machines": 3}, "do not spread evenly over 3 machines"),
        ({"processes": 2, "engine": "unsloth"}, "trains in one process"),
        ({"processes": 2, "sharding": "fsdp", "load_in": "4bit"}, "sharding: fsdp takes load_in: 16bit"),
        ({"sharding": "zero4"}, "zero4"),
    ],
)
def test_options_that_do_not_fit_are_refused(params, words):
    with pytest.raises(UserError, match=words):
        TrainOptions.parse(params)


@pytest.mark.parametrize(
    ("params", "device", "words"),
    [
        ({"sharding": "fsdp"}, "cuda", "there is one; set train.processes"),
        ({"sharding": "fsdp", "processes": 2}, "cpu", "needs CUDA devices, not cpu"),
        ({"sharding": "zero2", "processes": 2}, "cuda", "pip install deepspeed"),
        ({"processes": 4}, "cuda", "4 on this machine, one a GPU, and torch sees 2"),
        ({"processes": 2}, "mps", "one process alone trains on mps"),
    ],
)
def test_what_this_machine_cannot_do_is_refused(params, device, words, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: None)
    options = TrainOptions.parse(params)
    with pytest.raises(UserError, match=words):
        launch.refuse_impossible(options, device)
        engine.refuse_impossible(options, device)


def test_what_a_job_was_granted_comes_before_the_parameters():
    given = ["--base=b", "--train=t", "--out=o", "--work=w", '--params={"processes": 2}']
    assert training.parse_options(stage.parser().parse_args(given), TrainOptions).processes == 2
    args = stage.parser().parse_args([*given, "--processes=4", "--machines=2"])
    granted = training.parse_options(args, TrainOptions)
    assert (granted.processes, granted.machines) == (4, 2)


def test_other_processes_get_the_arguments_but_not_the_log():
    given = ["--base=b", "--train=t", "--out=o", "--work=w", "--log=l", "--system-prompt=- You are", "--machine-rank=0"]
    args = stage.parser().parse_args([*given, "--from-scratch", '--watch={"seed": 1}'])
    again = stage.parser().parse_args(training.same_arguments(args, {}))
    assert vars(again) == vars(args) | {"log": None, "from_scratch": False}
    again = stage.parser().parse_args(training.same_arguments(args, {"batch_size": 6}))
    assert training.parse_options(again, TrainOptions) == TrainOptions(seed=1, batch_size=6)


def test_checkpoints_of_divided_weights_go_on_among_as_many_only(tmp_path):
    from scripts.model.trainer import PROGRESS

    torch.save({"processes": 2, "began": None}, tmp_path / PROGRESS)
    stage.refuse_other_shares(tmp_path, TrainOptions(processes=4))
    stage.refuse_other_shares(tmp_path, TrainOptions(processes=2, sharding="fsdp"))
    with pytest.raises(UserError, match="2 processes wrote it with sharding: zero2"):
        stage.refuse_other_shares(tmp_path, TrainOptions(processes=4, sharding="zero2"))
