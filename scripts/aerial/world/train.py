"""Trains TransVQVAE on curated windows; a killed run resumes and ends with the same bytes on a CPU.

    python -m scripts.aerial.world.train --config config/aerial/test_local.yaml --input sessions \
        --train data/curated/aerial/world/train.jsonl --val data/curated/aerial/world/val.jsonl \
        --out models/aerial/world --work models/.work/aerial/world

Checkpoints live in ``<work>/<identity>/`` and are never deleted by the workflow. Publishing into ``<out>/model`` and
``<out>/training`` is the last step.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from scripts.aerial.world.dataset import Dataset, load_dataset
from scripts.aerial.world.memory import estimate, pick_precision
from scripts.aerial.world.options import WORLD_NOT_IDENTITY, WorldModelOptions, WorldTrainOptions
from scripts.aerial.world.settings import add_config, section
from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.devices import check_loggers, peak_memory, pick_device, versions
from scripts.lib.files import digest, read_json, sha256_file, write_json, write_jsonl
from scripts.lib.identity import code_fingerprint, run_identity
from scripts.lib.process import keep_memory

MIXED = {"bfloat16": "bf16", "float16": "fp16", "float32": "no"}
PACKAGES = ("torch", "accelerate", "numpy")


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    add_config(stage)
    stage.add_argument("--model", default="{}", help="parameters of the model as JSON, on top of --config's")
    stage.add_argument("--input", type=Path, required=True, help="the folder that holds the sessions")
    stage.add_argument("--train", type=Path, required=True, help="windows to learn from (JSONL)")
    stage.add_argument("--val", type=Path, required=True, help="windows for evaluation during training (JSONL)")
    stage.add_argument("--out", type=Path, required=True, help="model/ and training/ are written here")
    stage.add_argument("--work", type=Path, required=True, help="checkpoints live in a folder of this one")
    stage.add_argument("--watch", default="{}", help="more parameters: device, gpus, report_to, wandb_name, ...")
    how = stage.add_mutually_exclusive_group()
    how.add_argument("--resume", type=Path, help="a checkpoint to go on from where the work folder has none")
    how.add_argument("--from-scratch", action="store_true", help="put earlier checkpoints of this run aside")
    how.add_argument("--evaluate-only", action="store_true", help="print the validation loss of the best checkpoint")
    return stage


def main(args: argparse.Namespace) -> int | None:
    """Trains, or resumes, and publishes; with several GPUs this process only starts those that do."""
    keep_memory()
    options, model = options_of(args)
    alone = "LOCAL_RANK" not in os.environ
    if len(options.gpus) == 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(options.gpus[0])
    check_loggers(options.report_to)
    device = pick_device(options.device)
    data, held = load_dataset(args.train, args.input), load_dataset(args.val, args.input)
    batch, precision = resolve(data, model, options, device)
    identity = run_identity(identity_parts(args, options, model, batch, precision))
    work = args.work / identity
    if args.from_scratch and alone:
        put_aside(work)
    work.mkdir(parents=True, exist_ok=True)
    if len(options.gpus) > 1 and alone:
        return subprocess.run(launch_command(options.gpus, sys.argv[1:])).returncode
    say(f"training on {device} in {precision}, {batch} windows a batch; checkpoints in {work}")
    started = time.monotonic()
    setup = {"identity": identity, "device": device, "precision": precision, "batch_size": batch}
    facts = train(args, data, held, work, options, model, setup)
    if facts is None:
        return None
    facts |= {
        "settings": options.model_dump(),
        "seconds": round(time.monotonic() - started, 1),
        "peak_memory_bytes": peak_memory(device),
        "versions": versions(PACKAGES),
    }
    publish(args.out, work, options, model, data, setup | facts)
    return None


def options_of(args: argparse.Namespace) -> tuple[WorldTrainOptions, WorldModelOptions]:
    """The sections train and model, the arguments on top."""
    given = argparse.Namespace(config=args.config, params="{}")
    train = section(args, "train").model_dump(exclude_unset=True) | load_params(args.watch)
    base = section(given, "model").model_dump(exclude_unset=True) | load_params(args.model)
    return WorldTrainOptions.parse(train), WorldModelOptions.parse(base, "--model")


def launch_command(gpus: list[int], arguments: list[str]) -> list[str]:
    """The command that runs this one on several GPUs, a process each."""
    ids = ",".join(map(str, gpus))
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"]
    launcher += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    return [
        *launcher,
        "--num_processes",
        str(len(gpus)),
        "--gpu_ids",
        ids,
        "-m",
        "scripts.aerial.world.train",
        *arguments,
    ]


def resolve(data: Dataset, model: WorldModelOptions, options: WorldTrainOptions, device: str) -> tuple[int, str]:
    """Windows a batch and precision; where either is auto the estimate is printed."""
    precision = pick_precision(options, device)
    if options.batch_size != "auto":
        return options.batch_size, precision
    found = estimate(data.options, model, options, device)
    batch = min(found.batch, len(data))
    say(f"memory: {found}; batch_size auto: {batch}, precision {options.precision}: {precision}")
    if found.fixed + found.window > found.free:
        say("warning: even one window may not fit; lower model.channels, model.carry_width or the grid.")
    return batch, precision


def identity_parts(
    args: argparse.Namespace, options: WorldTrainOptions, model: WorldModelOptions, batch: int, precision: str
) -> dict[str, Any]:
    """What makes a run what it is: contents, settings, code; never a path, a log setting or a device."""
    pretrained = Path(options.pretrained) if options.pretrained else None
    if pretrained and not pretrained.is_file():
        raise UserError(f"{pretrained}: no such file; check train.pretrained.")
    if args.resume and not args.resume.is_file():
        raise UserError(f"{args.resume}: no such checkpoint; check --resume.")
    told = read_json(args.train.parent / "dataset.json")
    return {
        "train": sha256_file(args.train),
        "val": sha256_file(args.val),
        "data": [told["options"], told["frames_digest"]],
        "options": options.model_dump(exclude=set(WORLD_NOT_IDENTITY)),
        "model": model.model_dump(),
        "pretrained": sha256_file(pretrained) if pretrained else None,
        "resumed": sha256_file(args.resume) if args.resume else None,
        "batch": batch * max(1, len(options.gpus)),
        "precision": precision,
        "code": code_fingerprint("scripts.aerial.world.train"),
    }


def put_aside(work: Path) -> None:
    """Renames a work folder; what was paid for is not deleted."""
    if work.is_dir():
        number = 1
        while (aside := work.with_name(f"{work.name}.{number}")).exists():
            number += 1
        work.rename(aside)
        say(f"earlier checkpoints are now in {aside}")


def train(
    args: argparse.Namespace,
    data: Dataset,
    held: Dataset,
    work: Path,
    options: WorldTrainOptions,
    model: WorldModelOptions,
    setup: dict[str, Any],
) -> dict[str, Any] | None:
    """Runs what is left of both stages; returns facts for the metadata, None in every process but the first."""
    import torch
    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs

    from scripts.aerial.world import checkpoints, loop
    from scripts.aerial.world.logs import Loggers
    from scripts.aerial.world.watch import Watch

    kwargs = [DistributedDataParallelKwargs(find_unused_parameters=True)]
    accelerator = Accelerator(
        mixed_precision=MIXED[setup["precision"]], cpu=setup["device"] == "cpu", kwargs_handlers=kwargs
    )
    network, taken = build(data, model, options)
    network.to(accelerator.device)
    watch = Watch()
    newest = checkpoints.newest(work) or args.resume
    state = checkpoints.load(newest) if newest else None
    if newest:
        say(f"resuming from {newest}")
    logged = max((row["step"] for row in state["history"]), default=0) if state else 0
    quiet = options.model_copy(update={"report_to": []})
    loggers = Loggers(options if accelerator.is_main_process else quiet, work, setup["identity"], logged)
    job = loop.Job(network, options, data, held, work, accelerator, setup["batch_size"], loggers, watch)
    if args.evaluate_only:
        evaluate_only(job, work)
        return None
    history = loop.fit(job, state)
    loggers.close()
    if not accelerator.is_main_process:
        return None
    return {
        "history": history,
        "resumed_from": f"{state['stage']}, epoch {state['epoch']}" if state else None,
        "pretrained": taken,
        "warnings": watch.said,
        "threads": torch.get_num_threads(),
    }


def build(data: Dataset, model: WorldModelOptions, options: WorldTrainOptions) -> tuple[Any, dict[str, int] | None]:
    """The network with its seeded beginning, and what it took from ``pretrained``."""
    import torch

    from scripts.aerial.world.model.pretrained import load_pretrained
    from scripts.aerial.world.model.transvqvae import TransVQVAE

    torch.manual_seed(options.seed)
    network = TransVQVAE(data.options, model, options.seed)
    network.recompute = options.recompute
    if options.pretrained is None:
        return network, None
    return network, load_pretrained(network, Path(options.pretrained), options.pretrained_parts)


def evaluate_only(job: Any, work: Path) -> None:
    """Prints the validation loss of the best checkpoint of the latest stage.

    Raises:
        UserError: there is none.
    """
    from scripts.aerial.world import checkpoints, loop

    stages = [stage for stage, _, _ in loop.stages_of(job.options)]
    found = [stage for stage in stages if checkpoints.path_of(work, stage, "best").is_file()]
    if not found:
        raise UserError(f"{work}: no checkpoint of this run; train it first (leave --evaluate-only out).")
    job.model.load_state_dict(checkpoints.load(checkpoints.path_of(work, found[-1], "best"))["model"])
    print(f'{{"stage": "{found[-1]}", "val_loss": {loop.evaluate(job, job.model, found[-1]):.6f}}}')


def publish(
    out: Path,
    work: Path,
    options: WorldTrainOptions,
    model: WorldModelOptions,
    data: Dataset,
    metadata: dict[str, Any],
) -> None:
    """Writes the best checkpoint's weights, config and curve, each atomically, the metadata last."""
    from scripts.aerial.world import checkpoints, loop
    from scripts.aerial.world.weights import save_model

    stage = loop.stages_of(options)[-1][0]
    best = checkpoints.load(checkpoints.path_of(work, stage, "best"))
    fresh, _ = build(data, model, options)
    prove_it_learnt(fresh.state_dict(), best["model"])
    history = metadata.pop("history")
    save_model(out / "model", best["model"], data.options, model, metadata["identity"])
    write_jsonl(out / "training" / "loss.jsonl", history)
    losses = [row["loss"] for row in history if "loss" in row and row["stage"] == stage]
    tail = losses[-max(1, len(losses) // 10) :]
    metadata |= {
        "steps": max(row["step"] for row in history),
        "best_epoch": {"stage": stage, "epoch": best["epoch"]},
        "train_loss": sum(tail) / len(tail),
        "eval_loss": best["best"],
        "parameters": sum(one.numel() for one in fresh.parameters()),
        "weights_digest": digest(sha256_file(out / "model" / "model.safetensors")),
    }
    write_json(out / "training" / "training_metadata.json", metadata)
    say(f"{out / 'model'}: {metadata['steps']} steps, validation loss {best['best']:.4f}")


def prove_it_learnt(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Compares the published weights with those that training began with.

    Raises:
        UserError: none moved.
    """
    if all(bool((before[name].cpu() == after[name]).all()) for name in before):
        raise UserError("training changed nothing: no weight moved; raise train.learning_rate or train.epochs.")


if __name__ == "__main__":
    run(parser, main)
