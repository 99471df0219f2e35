"""Trains TransVQVAE on curated windows; a killed run resumes and ends with the same bytes on a CPU.

    python -m scripts.aerial.world.train --config config/aerial/test_local.yaml --input sessions \
        --train data/curated/aerial/world/train.jsonl --val data/curated/aerial/world/val.jsonl \
        --out models/aerial/world --work models/.work/aerial/world

Checkpoints live in ``<work>/<identity>/`` and are never deleted by the workflow. Publishing into ``<out>/model`` and
``<out>/training`` is the last step. With ``processes`` above 1 the stage starts itself as often through accelerate.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from scripts.aerial.world.dataset import Dataset, load_dataset
from scripts.aerial.world.memory import estimate, pick_precision
from scripts.aerial.world.options import WORLD_NOT_IDENTITY, WorldModelOptions, WorldTrainOptions
from scripts.aerial.world.settings import add_config, section_values
from scripts.lib import training
from scripts.lib.cli import StageParser, UserError, run, say
from scripts.lib.files import digest, read_json, sha256_file
from scripts.lib.launch import MIXED_PRECISION
from scripts.lib.process import keep_memory

MODULE = "scripts.aerial.world.train"
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
    group = training.add_arguments(stage)
    group.add_argument("--resume", type=Path, help="a checkpoint to go on from where the work folder has none")
    group.add_argument("--evaluate-only", action="store_true", help="print the validation loss of the best checkpoint")
    return stage


def main(args: argparse.Namespace) -> int | None:
    """Trains, or resumes, and publishes; where several processes train, this one only starts them."""
    keep_memory()
    options = training.parse_options(args, WorldTrainOptions, section_values(args, "train", args.params))
    model = WorldModelOptions.parse(section_values(args, "model", args.model), "--model")
    device = training.resolve_device(options)
    precision = pick_precision(options, device)
    data, held = load_dataset(args.train, args.input), load_dataset(args.val, args.input)
    batch = batch_size_of(data, model, options, device)
    contents = contents_of(args, options, model, batch)
    job = training.open_run(MODULE, args, options, device, precision, contents, WORLD_NOT_IDENTITY)
    if job.needs_processes:
        return job.start_processes(resolved={"batch_size": batch})
    job.join()
    say(f"training on {device} in {precision}, {batch} windows a batch; checkpoints in {job.work}")
    facts = train(job, data, held, options, model, batch)
    if facts is not None:
        publish(job, data, options, model, facts | {"batch_size": batch})
    return None


def batch_size_of(data: Dataset, model: WorldModelOptions, options: WorldTrainOptions, device: str) -> int:
    """The windows of a step; where they follow from the device's memory, the estimate is printed."""
    if options.batch_size != "auto":
        return options.batch_size
    needed = estimate(data.options, model, options, device)
    fitting = min(needed.batch, len(data))
    batch = max(1, fitting // options.processes) * options.processes
    say(f"memory: {needed}; batch_size auto: {batch}")
    if needed.fixed + needed.window > needed.free:
        say("warning: even one window may not fit; lower model.channels, model.carry_width or the grid.")
    return batch


def contents_of(
    args: argparse.Namespace, options: WorldTrainOptions, model: WorldModelOptions, batch: int
) -> dict[str, Any]:
    """What makes a run what it is beside its options: digests of its inputs, the model, the batch as resolved.

    Raises:
        UserError: a file to start from is missing.
    """
    pretrained = Path(options.pretrained) if options.pretrained else None
    if pretrained and not pretrained.is_file():
        raise UserError(f"{pretrained}: no such file; check train.pretrained.")
    if args.resume and not args.resume.is_file():
        raise UserError(f"{args.resume}: no such checkpoint; check --resume.")
    curated = read_json(args.train.parent / "dataset.json")
    return {
        "train": sha256_file(args.train),
        "val": sha256_file(args.val),
        "data": [curated["options"], curated["frames_digest"]],
        "model": model.model_dump(),
        "pretrained": sha256_file(pretrained) if pretrained else None,
        "resumed": sha256_file(args.resume) if args.resume else None,
        "batch": batch,
    }


def train(
    job: training.Run, data: Dataset, held: Dataset, options: WorldTrainOptions, model: WorldModelOptions, batch: int
) -> dict[str, Any] | None:
    """Runs what is left of both stages.

    Returns:
        Facts for the metadata and the ``history`` of losses; None after --evaluate-only, and in every process but the
        first.
    """
    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs

    from scripts.aerial.world import checkpoints, loop
    from scripts.aerial.world.logs import Loggers
    from scripts.aerial.world.watch import Watch

    accelerator = Accelerator(
        mixed_precision=MIXED_PRECISION[job.precision],
        cpu=job.device == "cpu",
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    network, taken = build(data, model, options)
    network.to(accelerator.device)
    newest = checkpoints.newest(job.work) or job.args.resume
    state = checkpoints.load(newest) if newest else None
    if newest:
        say(f"resuming from {newest}")
    logged = max((row["step"] for row in state["history"]), default=0) if state else 0
    watched = options if accelerator.is_main_process else options.model_copy(update={"report_to": []})
    loggers, watch = Loggers(watched, job.work, job.identity, logged), Watch()
    work = loop.Job(network, options, data, held, job.work, accelerator, batch, loggers, watch)
    if job.args.evaluate_only:
        evaluate_only(work)
        return None
    history = loop.fit(work, state)
    loggers.close()
    if not accelerator.is_main_process:
        return None
    return {
        "history": history,
        "resumed_from": f"{state['stage']}, epoch {state['epoch']}" if state else None,
        "pretrained": taken,
        "warnings": watch.said,
    }


def build(data: Dataset, model: WorldModelOptions, options: WorldTrainOptions) -> tuple[Any, dict[str, int] | None]:
    """The network with its seeded initial weights, and how many tensors it took from ``pretrained``."""
    import torch

    from scripts.aerial.world.model.pretrained import load_pretrained
    from scripts.aerial.world.model.transvqvae import TransVQVAE

    torch.manual_seed(options.seed)
    network = TransVQVAE(data.options, model, options.seed)
    network.recompute = options.recompute
    if options.pretrained is None:
        return network, None
    return network, load_pretrained(network, Path(options.pretrained), options.pretrained_parts)


def evaluate_only(job: Any) -> None:
    """Prints the validation loss of the best checkpoint of the latest stage.

    Raises:
        UserError: there is none.
    """
    from scripts.aerial.world import checkpoints, loop

    paths = {name: checkpoints.path_of(job.work, name, "best") for name, _, _ in loop.stages_of(job.options)}
    trained = [name for name, path in paths.items() if path.is_file()]
    if not trained:
        raise UserError(f"{job.work}: no checkpoint of this run; train it first (leave --evaluate-only out).")
    stage = trained[-1]
    job.model.load_state_dict(checkpoints.load(paths[stage])["model"])
    loss = loop.evaluate(job, job.model, stage)
    if job.accelerator.is_main_process:
        print(f'{{"stage": "{stage}", "val_loss": {loss:.6f}}}')


def publish(
    job: training.Run, data: Dataset, options: WorldTrainOptions, model: WorldModelOptions, facts: dict[str, Any]
) -> None:
    """Writes the best checkpoint's weights, config and curve, each atomically, the metadata last.

    Raises:
        UserError: its weights are those that training started with.
    """
    from scripts.aerial.world import checkpoints, loop
    from scripts.aerial.world.weights import save_model

    out, stage = job.args.out, loop.stages_of(options)[-1][0]
    best = checkpoints.load(checkpoints.path_of(job.work, stage, "best"))
    fresh, _ = build(data, model, options)
    if all(bool((value.cpu() == best["model"][name]).all()) for name, value in fresh.state_dict().items()):
        raise UserError("training changed nothing: no weight moved; raise train.learning_rate or train.epochs.")
    save_model(out / "model", best["model"], data.options, model, job.identity)
    history = facts.pop("history")
    metadata = job.metadata(
        PACKAGES,
        **facts,
        steps=max(row["step"] for row in history),
        best_epoch={"stage": stage, "epoch": best["epoch"]},
        train_loss=training.final_loss([row for row in history if row["stage"] == stage]),
        eval_loss=best["best"],
        parameters=sum(parameter.numel() for parameter in fresh.parameters()),
        weights_digest=digest(sha256_file(out / "model" / "model.safetensors")),
    )
    training.publish_records(out, history, metadata)
    say(f"{out / 'model'}: {metadata['steps']} steps, validation loss {best['best']:.4f}")


if __name__ == "__main__":
    run(parser, main)
