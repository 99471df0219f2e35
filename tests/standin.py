"""Stands in for the interpreter that runs the stages: writes what a stage would, from the content of what it reads.

Each output holds the hash of the stage's name, its arguments and the content of every file among them, so that
content flows through the workflow as it does with the real stages, in milliseconds. Each call is a line of $JOURNAL.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

SPLITS = ("train.jsonl", "val.jsonl", "test.jsonl", "stats.json", "quarantine.jsonl")
CALLS = (*SPLITS, "coverage.md", *(f"{side}.openai.jsonl" for side in ("train", "val", "test")))
TRAINED = (
    "adapter/adapter_model.safetensors",
    "adapter/adapter_config.json",
    "training/training_metadata.json",
    "training/loss.jsonl",
)
MERGED = ("model.safetensors", "merge.json", "config.json", "tokenizer.json", "tokenizer_config.json")
WINDOWS = (*SPLITS, "dataset.json", "frames.json")
WORLD = ("model/model.safetensors", "model/config.json", "training/training_metadata.json", "training/loss.jsonl")
EXPORTED = ("certificate.json", "model-f32.onnx", "model-int8.onnx")
# What a stage writes into the folder that --out names; the others write --out itself and what stands beside it.
FOLDERS = {
    "scripts.model.base": ("base.json", "model.safetensors"),
    "scripts.model.train": TRAINED,
    "scripts.model.merge": MERGED,
    "scripts.terrain.ingest": ("tiles.jsonl", "quarantine.jsonl", "manifest.json"),
    "scripts.tools.generate": ("manifest.json", "statistics.json"),
    "scripts.tools.curate": CALLS,
    "scripts.tools.share": ("SHA256SUMS", "model-Q4_K_M.gguf"),
    "scripts.aerial.generate": ("files.json",),
    "scripts.aerial.fetch": ("source.json",),
    "scripts.aerial.world.curate": WINDOWS,
    "scripts.aerial.world.train": WORLD,
    "scripts.aerial.world.export": EXPORTED,
}


def content_of(argument, out):
    """An argument's meaning: the content of a file or folder that it names, else its words."""
    path = Path(argument.partition("=")[2] or argument)
    if len(argument) > 200 or path == out or not path.exists():
        return argument
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files if file.is_file()]


def outputs(module, out):
    """The files that the stage writes."""
    if module == "scripts.aerial.sessions":
        return [out / name for name in os.environ["SESSIONS"].split()]
    stage = module.rpartition(".")[2]
    folder = FOLDERS.get(module) or {"curate": SPLITS, "deploy": ("SHA256SUMS", "model")}.get(stage)
    if folder:
        return [out / name for name in folder]
    beside = {"predict": [out.with_suffix(".stats.json")], "score": [out.with_name("failures.jsonl")]}
    return [out, *beside.get(stage, [])]


def text_of(path, digest):
    """What is written: the digest; as JSON where somebody else reads it."""
    number = int(digest[:4], 16) / 1e4
    known = {
        "base.json": {"licence": os.environ.get("LICENCE", "apache-2.0"), "digest": digest},
        "metrics.json": {"score": number, "digest": digest},
        "loss.jsonl": {"step": 1, "loss": number},
    }
    return json.dumps(known[path.name]) + "\n" if path.name in known else f"{digest} {path.name}\n"


def main():
    """Plays the stage that ``-m MODULE ARGUMENTS`` names."""
    _, _, module, *arguments = sys.argv
    where = "--out" if "--out" in arguments else "--output"
    out = Path(arguments[arguments.index(where) + 1])
    quiet = {arguments.index(flag) + 1 for flag in ("--log", "--work", where) if flag in arguments}
    read = [content_of(text, out) for place, text in enumerate(arguments) if place not in quiet]
    digest = hashlib.sha256(json.dumps([module, read]).encode()).hexdigest()
    for hook in filter(None, os.environ.get("HOOK", "").split("|")):
        when, target, text = hook.split("::")
        if when == module:
            Path(target).write_text(text)
    for path in outputs(module, out):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # like the stages, which never write through a link
        path.write_text(text_of(path, digest))
    with Path(os.environ["JOURNAL"]).open("a") as journal:
        journal.write(f"{module} {out.as_posix()}\n")


if __name__ == "__main__":
    main()
