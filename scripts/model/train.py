"""Trains an adapter on curated records; a killed run resumes and ends with the same bytes.

    python -m scripts.model.train --base models/base/smollm2 --train train.jsonl --val val.jsonl \
        --out models/dnd/dm --work models/.work/dnd/dm --params '{"max_steps": 60}'

Checkpoints live in ``<work>/<identity>/`` and are never deleted by the workflow. Publishing into ``<out>/adapter`` and
``<out>/training`` is the last step. With ``processes`` above 1 the stage starts itself as often through accelerate.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from scripts.lib import launch
from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.devices import check_loggers, peak_memory, pick_device, versions
from scripts.lib.files import atomic_path, digest, manifest, read_json, sha256_file, write_json, write_jsonl
from scripts.lib.identity import code_fingerprint, run_identity
from scripts.lib.options.train import NOT_IDENTITY, TrainOptions
from scripts.lib.process import job_threads, keep_memory
from scripts.lib.records import read_records
from scripts.model import engine
from scripts.model.beginnings import ShareBeginnings
from scripts.model.dataset import Audit, PadRight, load_examples
from scripts.model.vision import eyes_of
from scripts.model.weights import verify_base

PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets")  # what computes the adapter
CURVE_KEYS = ("step", "epoch", "loss", "eval_loss", "learning_rate", "grad_norm")


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--base", type=Path, required=True, help="folder of the base model")
    stage.add_argument("--train", type=Path, required=True, help="records to learn from (JSONL)")
    stage.add_argument("--val", type=Path, help="records for evaluation during training (JSONL)")
    stage.add_argument("--out", type=Path, required=True, help="adapter/ and training/ are written here")
    stage.add_argument("--work", type=Path, required=True, help="checkpoints live in a folder of this one")
    stage.add_argument(
        "--watch", default="{}", help="more parameters: device, report_to, keep_checkpoints, processes, machines"
    )
    stage.add_argument("--system-prompt", default="", help="recorded in training_metadata.json")
    stage.add_argument("--processes", type=int, default=0, help="in all, one a GPU; 0: as the parameters say")
    stage.add_argument("--machines", type=int, default=0, help="they are spread over; 0: as the parameters say")
    stage.add_argument("--machine-rank", type=int, help="this machine's number, from 0, where Slurm does not tell")
    stage.add_argument("--main-address", help="HOST:PORT at which machine 0 may listen, where Slurm does not tell")
    return stage


def main(args: argparse.Namespace) -> int | None:
    """Trains, or resumes, and publishes; where several processes train, this one only starts them."""
    keep_memory()
    options = options_of(args)
    base = verify_base(args.base)
    device = pick_device(options.device)
    engine.refuse_impossible(options, device)
    launch.refuse_impossible(options, device)
    check_loggers(options.report_to)
    precision = engine.pick_precision(options, device)
    identity = run_identity(identity_parts(base, args.train, args.val, options, precision))
    work = args.work / identity
    work.mkdir(parents=True, exist_ok=True)
    if options.processes > 1 and not launch.is_launched():
        return start_processes(args, options, work, device, precision)
    if launch.is_launched():
        join_processes(work, device)
    say(f"training on {device} in {precision}; checkpoints in {work}")

    started = time.monotonic()
    result = train(args.base, args.train, args.val, work, options, device, precision)
    if result is None:
        return None
    metadata = {
        "identity": identity,
        "base": {"name": base["name"], "source": base["source"], "revision": base.get("revision")},
        "system_prompt": args.system_prompt,
        "settings": options.model_dump(),
        "device": device,
        "precision": precision,
        "engine": engine.pick_engine(options, device),
        **result["facts"],
        "seconds": round(time.monotonic() - started, 1),
        "peak_memory_bytes": peak_memory(device),
        "versions": versions(PACKAGES),
    }
    publish(args.out, result["checkpoint"], base, loss_curve(result["history"]), metadata)
    say(f"{args.out / 'adapter'}: {result['facts']['steps']} steps, train loss {metadata['train_loss']:.4f}")
    return None


def options_of(args: argparse.Namespace) -> TrainOptions:
    """The parameters; what the job was granted (processes, machines) comes before what they say."""
    granted = {"processes": args.processes, "machines": args.machines}
    values = load_params(args.params) | load_params(args.watch)
    return TrainOptions.parse(values | {name: value for name, value in granted.items() if value})


def start_processes(args: argparse.Namespace, options: TrainOptions, work: Path, device: str, precision: str) -> int:
    """Runs this command in as many processes as were asked for, on all machines, and returns an exit code."""
    module, threads = "scripts.model.train", job_threads()
    if launch.spans_machines(options.machines, os.environ):
        command = launch.srun_command(module, same_arguments(args), options, device, threads)
        return launch.start(command, launch.job_environment(os.environ))
    place = launch.place_of(options.machines, args.machine_rank, args.main_address, os.environ)
    settings = work / "accelerate.json"
    write_json(settings, launch.settings(options, precision))
    each = max(1, threads * options.machines // options.processes)
    code = launch.start(launch.command(module, same_arguments(args), settings, place, each))
    if code not in (0, launch.BAD_INPUT):
        say(f"training ended with exit code {code}; processes past the first wrote to {work / 'process-*.log'}")
    return code


def same_arguments(args: argparse.Namespace) -> list[str]:
    """This command's arguments for another process; the log stays with this one."""
    given = {name: value for name, value in vars(args).items() if value is not None and name != "log"}
    return [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]


def join_processes(work: Path, device: str) -> None:
    """Meets the other processes; all but the first say what they have to say in a file of their own."""
    from accelerate import PartialState

    launch.end_with_parent()
    if launch.rank() > 0:
        log = (work / f"process-{launch.rank()}.log").open("w", encoding="utf-8")
        os.dup2(log.fileno(), sys.stderr.fileno())
    PartialState(cpu=device == "cpu")


def identity_parts(
    base: dict[str, Any], train_file: Path, val_file: Path | None, options: TrainOptions, precision: str
) -> dict[str, Any]:
    """What makes a run what it is: contents, settings, code; never a path, a log setting or a device."""
    return {
        "base": [file["sha256"] for file in base["files"]],
        "train": content_of(train_file) if train_file.is_file() else None,
        "val": content_of(val_file) if val_file and val_file.is_file() else None,
        "options": options.model_dump(exclude=set(NOT_IDENTITY)),
        "precision": precision,
        "code": code_fingerprint("scripts.model.train"),
    }


def content_of(file: Path) -> str:
    """A digest of a JSONL file, and of the pictures that its records show."""
    pictures = sorted({name for record in read_records(file) for name in record.images})
    own = sha256_file(file)
    return digest([own, manifest(file.parent, pictures)]) if pictures else own


def train(
    base: Path, train_file: Path, val_file: Path | None, work: Path, options: TrainOptions, device: str, precision: str
) -> dict[str, Any] | None:
    """Runs the trainer to its end, from the newest complete checkpoint if there is one.

    Returns:
        ``checkpoint`` (folder of the best one), ``history`` (the trainer's log rows) and ``facts`` for the metadata;
        None in every process but the first.
    """
    import torch
    from accelerate import PartialState

    from scripts.model import trainer as own

    processes = PartialState(cpu=device == "cpu")
    with processes.main_process_first():
        if processes.is_main_process:
            own.drop_incomplete(work)
    resume = own.last_checkpoint(work)
    if resume:
        say(f"resuming from {resume}")
        refuse_other_shares(resume, options)
    trainer, audits = make_trainer(base, train_file, val_file, work, options, device, precision, resume)
    if resume is None or not own.is_finished(resume):
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    processes.wait_for_everyone()
    if not processes.is_main_process:
        return None
    state = own.read_state(own.last_checkpoint(work))
    parameters = list(trainer.model.parameters())
    return {
        "checkpoint": own.best_checkpoint(work),
        "history": state["log_history"],
        "facts": {
            "steps": state["global_step"],
            "best_step": state["best_global_step"],
            "train_loss": mean_loss(state["log_history"]),
            "eval_loss": state["best_metric"],
            "resumed_from": int(resume.name.split("-")[1]) if resume else None,
            "trainable_parameters": sum(one.numel() for one in parameters if one.requires_grad),
            "parameters": sum(one.numel() for one in parameters),
            "threads": torch.get_num_threads(),
            "processes": options.processes,
            "audit": {split: audit.summary() for split, audit in audits.items()},
        },
    }


def refuse_other_shares(checkpoint: Path, options: TrainOptions) -> None:
    """Weights and optimizer state that were divided go on among as many processes; whole ones among any number.

    Raises:
        UserError: they were divided among another number of processes.
    """
    from scripts.model.trainer import read_progress

    wrote = read_progress(checkpoint)["processes"]
    if options.sharding != "none" and wrote != options.processes:
        raise UserError(
            f"{checkpoint}: {wrote} processes wrote it with sharding: {options.sharding}, and {options.processes} "
            f"cannot take it up; train on {wrote} GPUs, or rename {checkpoint.parent} to begin anew."
        )


def make_trainer(
    base: Path,
    train_file: Path,
    val_file: Path | None,
    work: Path,
    options: TrainOptions,
    device: str,
    precision: str,
    resume: Path | None = None,
) -> tuple[Any, dict[str, Audit]]:
    """The trainer, ready to run or resume, and the audits of its data by split."""
    import transformers

    from scripts.model import trainer as own

    quiet_libraries()
    tokenizer = engine.load_tokenizer(base)
    eyes = eyes_of(base)
    examples, audit = load_examples(train_file, tokenizer, options.max_tokens, eyes=eyes)
    audits, held_out = {"train": audit}, None
    if val_file:
        held_out, audits["val"] = load_examples(val_file, tokenizer, options.max_tokens, options.eval_records, eyes)
    transformers.set_seed(options.seed)
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(work / "tensorboard")
    callbacks: list[Any] = [own.Progress(), own.StopAtNan()]
    if options.early_stopping_patience and held_out is not None:
        callbacks.append(transformers.EarlyStoppingCallback(options.early_stopping_patience))
    model = engine.load_for_training(base, options, device, precision)
    pad = PadRight(tokenizer.pad_token_id, eyes)
    shares = (
        options.share_beginnings
        and eyes is None
        and engine.pick_engine(options, device) == "hf"
        and own.shares_beginnings(model)
    )
    trainer = own.AnswerTrainer(
        model=model,
        args=own.training_arguments(
            options, work, device, precision, evaluates=held_out is not None, sees=eyes is not None
        ),
        train_dataset=examples,
        eval_dataset=held_out,
        data_collator=ShareBeginnings(pad) if shares else pad,
        callbacks=callbacks,
        options=options,
        resume=resume,
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer, audits


def mean_loss(history: list[dict[str, Any]]) -> float:
    """The mean loss over the last tenth of the steps (one at least)."""
    losses = [row["loss"] for row in history if "loss" in row]
    tail = losses[-max(1, len(losses) // 10) :]
    return sum(tail) / len(tail)


def quiet_libraries() -> None:
    """Leaves the progress bar alone on the screen; warnings still come through."""
    import datasets
    import transformers

    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()


def prove_it_learnt(weights: Path) -> None:
    """Reads the finished adapter back.

    Raises:
        UserError: no weight moved: every B matrix is zero, as at the start.
    """
    from safetensors.torch import load_file

    if not any(bool((tensor != 0).any()) for name, tensor in load_file(weights).items() if "lora_B" in name):
        raise UserError("training changed nothing: every lora_B is zero; raise train.learning_rate or train.max_steps.")


def stable_adapter_config(path: Path, base: dict[str, Any]) -> dict[str, Any]:
    """PEFT's config with its sets sorted and the base by its source: paths and set order vary from run to run."""
    config = {key: sorted(value) if isinstance(value, list) else value for key, value in read_json(path).items()}
    return dict(sorted({**config, "base_model_name_or_path": base["source"]}.items()))


def publish(
    out: Path, checkpoint: Path, base: dict[str, Any], curve: list[dict[str, Any]], metadata: dict[str, Any]
) -> None:
    """Copies the best checkpoint's adapter into place, file by file and atomically, the metadata last."""
    prove_it_learnt(checkpoint / "adapter_model.safetensors")
    with atomic_path(out / "adapter" / "adapter_model.safetensors") as part:
        shutil.copyfile(checkpoint / "adapter_model.safetensors", part)
    write_json(out / "adapter" / "adapter_config.json", stable_adapter_config(checkpoint / "adapter_config.json", base))
    write_jsonl(out / "training" / "loss.jsonl", curve)
    write_json(out / "training" / "training_metadata.json", metadata)


def loss_curve(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The trainer's log rows without timings: one a step, one an evaluation."""
    rows = [row for row in history if {"loss", "eval_loss"} & row.keys()]
    return [{key: row[key] for key in CURVE_KEYS if key in row} for row in rows]


if __name__ == "__main__":
    run(parser, main)
