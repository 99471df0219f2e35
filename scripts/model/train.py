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
from pathlib import Path
from typing import Any

from scripts.lib import training
from scripts.lib.cli import StageParser, UserError, run, say
from scripts.lib.files import atomic_path, digest, manifest, read_json, sha256_file, write_json
from scripts.lib.options.train import NOT_IDENTITY, TrainOptions
from scripts.lib.process import keep_memory
from scripts.lib.records import read_records
from scripts.model import engine
from scripts.model.beginnings import ShareBeginnings
from scripts.model.dataset import Audit, PadRight, load_examples
from scripts.model.vision import eyes_of
from scripts.model.weights import verify_base

MODULE = "scripts.model.train"
PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets")  # what computes the adapter
CURVE_KEYS = ("step", "epoch", "loss", "eval_loss", "learning_rate", "grad_norm")


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--base", type=Path, required=True, help="folder of the base model")
    stage.add_argument("--train", type=Path, required=True, help="records to learn from (JSONL)")
    stage.add_argument("--val", type=Path, help="records for evaluation during training (JSONL)")
    stage.add_argument("--out", type=Path, required=True, help="adapter/ and training/ are written here")
    stage.add_argument("--system-prompt", default="", help="recorded in training_metadata.json")
    training.add_arguments(stage)
    return stage


def main(args: argparse.Namespace) -> int | None:
    """Trains, or resumes, and publishes; where several processes train, this one only starts them."""
    keep_memory()
    options = training.parse_options(args, TrainOptions)
    base = verify_base(args.base)
    device = training.resolve_device(options)
    engine.refuse_impossible(options, device)
    precision = engine.pick_precision(options, device)
    contents = {
        "base": [file["sha256"] for file in base["files"]],
        "train": content_of(args.train),
        "val": content_of(args.val),
    }
    job = training.open_run(MODULE, args, options, device, precision, contents, NOT_IDENTITY)
    if job.needs_processes:
        return job.start_processes(options.sharding)
    job.join()
    say(f"training on {device} in {precision}; checkpoints in {job.work}")
    trained = train(job, options)
    if trained is None:
        return None
    checkpoint, history, facts = trained
    metadata = job.metadata(
        PACKAGES,
        base={"name": base["name"], "source": base["source"], "revision": base.get("revision")},
        system_prompt=args.system_prompt,
        engine=engine.pick_engine(options, device),
        **facts,
    )
    publish(args.out, checkpoint, base, history, metadata)
    say(f"{args.out / 'adapter'}: {facts['steps']} steps, train loss {facts['train_loss']:.4f}")
    return None


def content_of(file: Path | None) -> str | None:
    """A digest of a JSONL file and of the images of its records; None without a file."""
    if file is None or not file.is_file():
        return None
    images = sorted({name for record in read_records(file) for name in record.images})
    own = sha256_file(file)
    return digest([own, manifest(file.parent, images)]) if images else own


def train(job: training.Run, options: TrainOptions) -> tuple[Path, list[dict[str, Any]], dict[str, Any]] | None:
    """Runs the trainer to its end, from the newest complete checkpoint if there is one.

    Returns:
        The folder of the best checkpoint, the trainer's log rows, and facts for the metadata; None in every process
        but the first.
    """
    from accelerate import PartialState

    from scripts.model import trainer as own

    processes = PartialState(cpu=job.device == "cpu")
    with processes.main_process_first():
        if processes.is_main_process:
            own.drop_incomplete(job.work)
    resume = own.last_checkpoint(job.work)
    if resume:
        say(f"resuming from {resume}")
        refuse_other_shares(resume, options)
    trainer, audits = make_trainer(job, options, resume)
    if resume is None or not own.is_finished(resume):
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    processes.wait_for_everyone()
    if not processes.is_main_process:
        return None
    last = own.last_checkpoint(job.work)
    assert last is not None, "the trainer saves at its last step"
    state = own.read_state(last)
    best = state["best_model_checkpoint"]
    parameters = list(trainer.model.parameters())
    facts = {
        "steps": state["global_step"],
        "best_step": state["best_global_step"],
        "train_loss": training.final_loss(state["log_history"]),
        "eval_loss": state["best_metric"],
        "resumed_from": int(resume.name.split("-")[1]) if resume else None,
        "trainable_parameters": sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        "parameters": sum(parameter.numel() for parameter in parameters),
        "audit": {split: audit.summary() for split, audit in audits.items()},
    }
    return job.work / Path(best).name if best else last, state["log_history"], facts


def refuse_other_shares(checkpoint: Path, options: TrainOptions) -> None:
    """Divided weights and optimizer states continue on the same number of processes; whole ones on any number.

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


def make_trainer(job: training.Run, options: TrainOptions, resume: Path | None) -> tuple[Any, dict[str, Audit]]:
    """The trainer, ready to run or resume, and the audits of its data by split."""
    import datasets
    import transformers

    from scripts.model import trainer as own

    # The bar of own.Progress stays alone on the screen; warnings still come through.
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    args = job.args
    tokenizer, eyes = engine.load_tokenizer(args.base), eyes_of(args.base)
    examples, audit = load_examples(args.train, tokenizer, options.max_tokens, eyes=eyes)
    audits, held_out = {"train": audit}, None
    if args.val:
        held_out, audits["val"] = load_examples(args.val, tokenizer, options.max_tokens, options.eval_records, eyes)
    transformers.set_seed(options.seed)
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(job.work / "tensorboard")
    callbacks: list[Any] = [own.Progress(), own.StopAtNan()]
    if options.early_stopping_patience and held_out is not None:
        callbacks.append(transformers.EarlyStoppingCallback(options.early_stopping_patience))
    model = engine.load_for_training(args.base, options, job.device, job.precision)
    pad = PadRight(tokenizer.pad_token_id, eyes)
    shares_beginnings = (
        options.share_beginnings
        and eyes is None
        and engine.pick_engine(options, job.device) == "hf"
        and own.shares_beginnings(model)
    )
    trainer = own.AnswerTrainer(
        model=model,
        args=own.training_arguments(
            options, job.work, job.device, job.precision, evaluates=held_out is not None, sees=eyes is not None
        ),
        train_dataset=examples,
        eval_dataset=held_out,
        data_collator=ShareBeginnings(pad) if shares_beginnings else pad,
        callbacks=callbacks,
        options=options,
        resume=resume,
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer, audits


def publish(
    out: Path, checkpoint: Path, base: dict[str, Any], history: list[dict[str, Any]], metadata: dict[str, Any]
) -> None:
    """Copies the best checkpoint's adapter into place, file by file and atomically, the metadata last.

    Raises:
        UserError: every B matrix is zero, as before training.
    """
    from safetensors.torch import load_file

    weights = load_file(checkpoint / "adapter_model.safetensors")
    if not any(bool((tensor != 0).any()) for name, tensor in weights.items() if "lora_B" in name):
        raise UserError("training changed nothing: every lora_B is zero; raise train.learning_rate or train.max_steps.")
    with atomic_path(out / "adapter" / "adapter_model.safetensors") as part:
        shutil.copyfile(checkpoint / "adapter_model.safetensors", part)
    # Sets are sorted and the base is named by its source: PEFT's order and paths vary from run to run.
    config = read_json(checkpoint / "adapter_config.json") | {"base_model_name_or_path": base["source"]}
    config = {key: sorted(value) if isinstance(value, list) else value for key, value in sorted(config.items())}
    write_json(out / "adapter" / "adapter_config.json", config)
    # The curve leaves timings out: one row a step, one an evaluation.
    rows = [row for row in history if {"loss", "eval_loss"} & row.keys()]
    curve = [{key: row[key] for key in CURVE_KEYS if key in row} for row in rows]
    training.publish_records(out, curve, metadata)


if __name__ == "__main__":
    run(parser, main)
