"""Merges an adapter into its 16-bit base, block of rows by block of rows: memory does not grow with the model.

Weights are read with plain reads, the scaled product is added in float32, and the sum is rounded once to
the base's own type. Every tensor of the base is accounted for in merge.json.
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
from scripts.model.lora import Adapter, load_adapter
from scripts.model.merge_plan import Planned, plan
from scripts.model.publish import publish, staging
from scripts.model.tensors import INDEX, SINGLE, Tensor, header_bytes, read_model
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
        UserError: base or adapter is missing, damaged, quantised, or they do not fit each other.
        OSError: the disk is full, among others; nothing half-written stays.
    """
    check_base(base)
    config = read_json(base / "config.json")
    tensors, loaded = read_model(base), load_adapter(adapter)
    rows, untied = plan(tensors, loaded, config)
    groups = partition(rows, shards)
    require_space(out, sum(row.size for row in rows))
    with staging(out) as work:
        written = write_shards(groups, work)
        copy_around(base, work, config, untied)
        account = account_for(tensors, rows, loaded, written, work, untied)
        write_json(work / ACCOUNT, account)
        publish(work, out, last=ACCOUNT)
    return account


def check_base(base: Path) -> None:
    """Refuses a base that is not whole, or is quantised.

    Raises:
        UserError: in the latter case it names the 16-bit parent, where the card does.
    """
    card = verify_base(base) if (base / CARD).is_file() else {}
    kind = quantization_of(base)
    if kind:
        parent = card.get("merge_onto")
        onto = f"its 16-bit parent {parent!r} (merge_onto)" if parent else "the 16-bit model it was made from"
        raise UserError(
            f"{base}: its weights are {kind}, and merging into them would lose the adapter; merge onto {onto}."
        )


def partition(rows: list[Planned], shards: int) -> list[list[Planned]]:
    """Cuts the tensors, in order, into ``shards`` groups of about equal bytes, none empty.

    Raises:
        UserError: there are fewer tensors than shards.
    """
    if shards > len(rows):
        raise UserError(f"shards: {shards} files for {len(rows)} tensors; use at most {len(rows)}.")
    total, done, groups = sum(row.size for row in rows), 0, [[] for _ in range(shards)]
    for index, row in enumerate(rows):
        by_size = min(shards - 1, done * shards // max(1, total))
        # No group may stay empty: leave a tensor for each of those to come, and step on by one at most.
        current = next((number for number in reversed(range(shards)) if groups[number]), -1)
        least = shards - (len(rows) - index)
        groups[max(least, min(by_size, current + 1), max(current, 0))].append(row)
        done += row.size
    return groups


def require_space(out: Path, needed: int) -> None:
    """Stops before the first write where the disk cannot hold the result.

    Raises:
        UserError: gives both figures.
    """
    place = next(folder for folder in [out, *out.absolute().parents] if folder.is_dir())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise UserError(
            f"{out}: the merged model takes {needed / 1e9:.2f} GB and the disk has {free / 1e9:.2f} GB free; free some "
            "space (`make clean` removes work folders) and run the command again."
        )


def shard_names(count: int) -> list[str]:
    """File names of the merged weights."""
    return [SINGLE] if count == 1 else [f"model-{n:05d}-of-{count:05d}.safetensors" for n in range(1, count + 1)]


def write_shards(groups: list[list[Planned]], work: Path) -> list[dict[str, Any]]:
    """Writes every group to its file and, for several, the index.

    Returns:
        Of each file: name, bytes, crc32 and the set of tensors changed.
    """
    names, written, weight_map = shard_names(len(groups)), [], {}
    total = sum(row.size for group in groups for row in group)
    with tqdm(total=total, unit="B", unit_scale=True, desc="merge") as bar:
        for name, group in zip(names, groups, strict=True):
            written.append(write_shard(group, work / name, bar.update))
            weight_map |= {row.name: name for row in group}
            if len(groups) > 1:
                write_json(work / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})
    return written


def write_shard(group: list[Planned], path: Path, progress: Callable[[int], Any]) -> dict[str, Any]:
    """Writes one safetensors file: header, then the tensors' blocks as they are ready, in order.

    Raises:
        OSError: with the file's name; the disk is full, among others.
    """
    header = header_bytes([(row.name, row.dtype, row.shape, row.size) for row in group])
    checksum, changed = zlib.crc32(header), set()
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
    return {"name": path.name, "bytes": size, "crc32": f"{checksum:08x}", "changed": changed}


def write_all(stream: BinaryIO, data: bytes | memoryview) -> None:
    """Writes all of ``data`` to an unbuffered stream."""
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


def copy_around(base: Path, work: Path, config: dict[str, Any], untied: bool) -> None:
    """Copies config and tokenizer as they are; only untied embeddings change the config, which must then say so."""
    for name in AROUND:
        if (base / name).is_file():
            shutil.copyfile(base / name, work / name)
    if untied:
        for part in (config, config.get("text_config") or {}):
            if part is config or "tie_word_embeddings" in part:
                part["tie_word_embeddings"] = False
        write_json(work / "config.json", config)


def account_for(
    base: dict[str, Tensor],
    rows: list[Planned],
    adapter: Adapter,
    written: list[dict[str, Any]],
    work: Path,
    untied: bool,
) -> dict[str, Any]:
    """Reads the written headers again and accounts for every tensor of the base.

    Raises:
        UserError: a tensor of the base is missing, or has another shape or type.
    """
    found = read_model(work)
    lost = [
        name
        for name, tensor in base.items()
        if name not in found or (found[name].shape, found[name].dtype) != (tensor.shape, tensor.dtype)
    ]
    if lost or len(found) != len(rows):
        raise UserError(
            f"{work}: merging lost {', '.join(lost[:3]) or 'tensors'}; this is a fault of merge, report it."
        )
    changed = set().union(*(shard["changed"] for shard in written))
    return {
        "tensors": len(found),
        "changed": len(changed & base.keys()),
        "unchanged": len(base.keys() - changed),
        "added": sorted(found.keys() - base.keys()),
        "untied_embeddings": untied,
        "pairs": len(adapter.pairs),
        "replaced": len(adapter.replacements),
        "adapter_tensors": {"used": len(adapter.used), "unused": len(adapter.tensors) - len(adapter.used)},
        "targets_unchanged": sorted(row.name for row in rows if row.update is not None and row.name not in changed),
        "shards": [{key: shard[key] for key in ("name", "bytes", "crc32")} for shard in written],
    }


if __name__ == "__main__":
    run(parser, main)
