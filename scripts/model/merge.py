"""Merges a LoRA adapter into its 16-bit base out of core: memory does not grow with the model.

Idea. A merged weight depends only on the same rows of the base's weight and on the adapter's small factors. So the
merge never loads a model. It plans every tensor from names and shapes (`merge_plan`), cuts each tensor into blocks of
rows, computes the blocks in a few threads (`blocks`), and writes them in order behind a safetensors header whose size
is known beforehand. The account (merge.json) lists what became of every tensor of the base.

Memory: two blocks of 2^17 numbers a thread, plus the factors of one LoRA pair in float32.

Formula, for a weight W [out, in], A [r, in] and B [out, r], computed in float32 and rounded once to the base's type:

    LoRA    W + alpha / r * B A              arXiv:2106.09685
    rsLoRA  W + alpha / sqrt(r) * B A        arXiv:2312.03732
    DoRA    m * V / |V|, V = W + s * B A     arXiv:2402.09353, eq. 5; m [out], |V| the length of each output feature

Example, r = 1, alpha = 2: W = [[1, 2], [3, 4]], A = [[1, 0]], B = [[0.5], [0]] give s = 2 and [[2, 2], [3, 4]].
"""

from __future__ import annotations

import argparse
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

# Blocks are computed in parallel, each product on one thread: threads inside a product wait for each other, and on a
# busy machine that made it 100 times slower. numpy's BLAS reads this once, when it is loaded.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from pydantic import Field
from tqdm import tqdm

from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import read_json, write_json
from scripts.lib.options.strict import Options
from scripts.model.blocks import merged_blocks
from scripts.model.hub import AROUND
from scripts.model.lora import load_adapter
from scripts.model.merge_plan import Planned, plan
from scripts.model.publish import publish, staging
from scripts.model.tensors import INDEX, SINGLE, header_bytes, read_model
from scripts.model.weights import CARD, quantization_of, verify_base

ACCOUNT = "merge.json"


class MergeOptions(Options):
    """How the merged weights are laid out."""

    shards: int = Field(default=1, ge=1)
    """number of safetensors files"""


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--base", type=Path, required=True, help="folder of the 16-bit base model")
    stage.add_argument("--adapter", type=Path, required=True, help="folder of the adapter (PEFT's format)")
    stage.add_argument("--out", type=Path, required=True, help="folder of the merged model")
    return stage


def main(args: argparse.Namespace) -> None:
    """Merges and publishes; the account (merge.json) is the last file to appear."""
    options = MergeOptions.parse(load_params(args.params))
    account = merge(args.base, args.adapter, args.out, options.shards)
    say(f"{args.out}: {account['tensors']} tensors, {account['changed']} of them changed by {account['pairs']} pairs")


def merge(base: Path, adapter: Path, out: Path, shards: int = 1) -> dict[str, Any]:
    """Merges ``adapter`` into ``base`` and writes the whole model to ``out``; returns the account.

    Raises:
        UserError: base or adapter is missing, damaged, quantised, they do not fit each other, or the disk is too small.
        OSError: the disk is full, among others; no half-written file stays.
    """
    refuse_unmergeable(base)
    config = read_json(base / "config.json")
    tensors, loaded = read_model(base), load_adapter(adapter)
    rows, untied = plan(tensors, loaded, config)
    groups = partition(rows, shards)
    require_space(out, sum(row.size for row in rows))
    changed: set[str] = set()
    with staging(out) as work:
        written = write_shards(groups, work, changed)
        copy_around(base, work, config, untied)
        merged = read_model(work)
        kept = {(name, tensor.shape, tensor.dtype) for name, tensor in merged.items()}
        lost = [name for name, tensor in tensors.items() if (name, tensor.shape, tensor.dtype) not in kept]
        if lost or len(merged) != len(rows):
            raise UserError(f"{work}: merging lost {', '.join(lost[:3]) or 'tensors'}; please report this fault.")
        account = {
            "tensors": len(merged),
            "changed": len(changed & tensors.keys()),
            "unchanged": len(tensors.keys() - changed),
            "added": sorted(merged.keys() - tensors.keys()),
            "untied_embeddings": untied,
            "pairs": len(loaded.pairs),
            "replaced": len(loaded.replacements),
            "adapter_tensors": {"used": len(loaded.used), "unused": len(loaded.tensors) - len(loaded.used)},
            "targets_unchanged": sorted(row.name for row in rows if row.update is not None and row.name not in changed),
            "shards": written,
        }
        write_json(work / ACCOUNT, account)
        publish(work, out, last=ACCOUNT)
    return account


def refuse_unmergeable(base: Path) -> None:
    """Refuses a base that is incomplete or quantised.

    Raises:
        UserError: for a quantised base with the name of its 16-bit parent, where the card has it.
    """
    card = verify_base(base) if (base / CARD).is_file() else {}
    kind = quantization_of(base)
    if kind:
        parent = card.get("merge_onto")
        onto = f"its 16-bit parent {parent!r} (merge_onto)" if parent else "the 16-bit model it was made from"
        raise UserError(f"{base}: its weights are {kind}; merging into them loses the adapter, so merge onto {onto}.")


def partition(rows: list[Planned], shards: int) -> list[list[Planned]]:
    """Cuts the tensors, in order, into ``shards`` groups of about equal bytes, none empty.

    Raises:
        UserError: there are fewer tensors than shards.
    """
    if shards > len(rows):
        raise UserError(f"shards: {shards} files for {len(rows)} tensors; use at most {len(rows)}.")
    total = sum(row.size for row in rows)
    groups: list[list[Planned]] = [[] for _ in range(shards)]
    current, done = -1, 0
    for index, row in enumerate(rows):
        by_size = min(shards - 1, done * shards // max(1, total))
        # No group may stay empty: advance by one group at most, and leave one tensor for each group that follows.
        least = shards - (len(rows) - index)
        current = max(least, min(by_size, current + 1), current, 0)
        groups[current].append(row)
        done += row.size
    return groups


def require_space(out: Path, needed: int) -> None:
    """Stops before the first write where the disk cannot hold the result.

    Raises:
        UserError: with the bytes needed and the bytes free.
    """
    nearest = next(folder for folder in [out, *out.absolute().parents] if folder.is_dir())
    free = shutil.disk_usage(nearest).free
    if free < needed:
        raise UserError(
            f"{out}: the merged model takes {needed / 1e9:.2f} GB and the disk has {free / 1e9:.2f} GB free; free some "
            "space (`make clean` removes work folders) and run the command again."
        )


def write_shards(groups: list[list[Planned]], work: Path, changed: set[str]) -> list[dict[str, Any]]:
    """Writes every group to its file and, for several groups, the index.

    Returns:
        Name, bytes and crc32 of each file. The names of tensors that differ from the base are added to ``changed``.
    """
    count = len(groups)
    names = [SINGLE] if count == 1 else [f"model-{n:05d}-of-{count:05d}.safetensors" for n in range(1, count + 1)]
    total = sum(row.size for group in groups for row in group)
    with tqdm(total=total, unit="B", unit_scale=True, desc="merge") as bar:
        written = [
            write_shard(group, work / name, changed, bar.update) for name, group in zip(names, groups, strict=True)
        ]
    if count > 1:
        weight_map = {row.name: name for name, group in zip(names, groups, strict=True) for row in group}
        write_json(work / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})
    return written


def write_shard(group: list[Planned], path: Path, changed: set[str], progress: Callable[[int], Any]) -> dict[str, Any]:
    """Writes one safetensors file: the header, then the tensors' blocks in order.

    Raises:
        OSError: with the file's name; the disk is full, among others.
    """
    header = header_bytes([(row.name, row.dtype, row.shape, row.size) for row in group])
    checksum = zlib.crc32(header)
    try:
        with path.open("wb", buffering=0) as stream:
            write_all(stream, header)
            for data in merged_blocks(group, changed):
                write_all(stream, data)
                checksum = zlib.crc32(data, checksum)
                progress(len(data))
        size = path.stat().st_size
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(error.filename or path)) from error
    return {"name": path.name, "bytes": size, "crc32": f"{checksum:08x}"}


def write_all(stream: BinaryIO, data: bytes | memoryview) -> None:
    """Writes all of ``data`` to an unbuffered stream."""
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


def copy_around(base: Path, work: Path, config: dict[str, Any], untied: bool) -> None:
    """Copies config and tokenizer unchanged; only untied embeddings change ``tie_word_embeddings`` in the config."""
    for name in AROUND:
        if (base / name).is_file():
            shutil.copyfile(base / name, work / name)
    if untied:
        config["tie_word_embeddings"] = False
        if "tie_word_embeddings" in (config.get("text_config") or {}):
            config["text_config"]["tie_word_embeddings"] = False
        write_json(work / "config.json", config)


if __name__ == "__main__":
    run(parser, main)
