"""Weights: the base as it was fetched, the merge as planned, every tensor in every GGUF with its own values."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.cli import UserError
from scripts.lib.files import CHUNK, inside, read_json, sha256_file
from scripts.model.gguf_file import GgufFile, GgufTensor
from scripts.model.lora import finite_float, load_adapter
from scripts.model.merge_plan import CONV1D_MODELS, plan
from scripts.model.proof.check import Check, attempt, faults
from scripts.model.tensors import Tensor, read_model, read_raw, same_content, storage, to_float32
from scripts.model.weights import verify_base

CONV1D_ENDINGS = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight", ".q_attn.weight")
# Masks and tables that old checkpoints carry beside their weights; llama.cpp makes its own.
NOT_WEIGHTS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
OWN_TENSORS = ("rope_freqs.weight",)  # llama.cpp's, from the config
TIED_HEAD = "output.weight"
TOWER = "visual."  # the tensors of a vision tower: `scripts.model.proof.vision`
FLOATS = ("F32", "F16", "BF16")
FLOAT16_EXPONENT = 0x7C00  # all of its bits set: infinity or NaN
BLOCK_ROWS_BYTES = 1 << 23
# Quantisation errors, as a share of the weights' energy. Rate-distortion theory lets the error fall fourfold with
# each bit (Cover and Thomas, Elements of Information Theory, 10.3.2); measured types stay 3 to 10 times below this
# line, weights of another model lie near 2. With fewer than 2 bits only the wrong model can be told.
MOST_ERROR, MOST_ERROR_BELOW_2_BITS, BF16_ERROR = 0.5, 1.0, 1e-5


def check_base(base: Path) -> Check:
    """Whether the base's files are those that were fetched (sizes and SHA-256 of base.json)."""
    card = verify_base(base, hashes=True)
    return faults("base", [], f"all {len(card['files'])} files of the base are as they were fetched")


def check_adapter(adapter: Path) -> Check:
    """Whether the adapter does anything: some pair's second matrix, which starts at zero, is zero no more."""
    loaded = load_adapter(adapter)
    empty = []
    for module, parts in sorted(loaded.pairs.items()):
        values = [finite_float(tensor) for _, tensor in sorted(parts.items())]
        if not all(value.any() for value in values):
            empty.append(module)
    for tensor in loaded.replacements.values():
        finite_float(tensor)
    learnt = len(loaded.pairs) - len(empty) + len(loaded.replacements)
    found = [] if learnt else [f"none of its {len(loaded.pairs)} pairs is different from zero"]
    advice = "train again, with more steps or a higher learning rate"
    return faults("adapter", found, f"{learnt} of {len(loaded.pairs)} pairs learnt something", advice)


def check_merged(base: Path, adapter: Path, merged: Path) -> Check:
    """Whether the merge changed what the adapter changes, and nothing else.

    Tensors that the adapter does not touch are compared byte for byte. A touched one may round to what it was: then
    the others must not.
    """
    tensors, found = read_model(base), read_model(merged)
    rows, _ = plan(tensors, load_adapter(adapter), read_json(base / "config.json"))
    wrong = [f"{row.name} is missing" for row in rows if row.name not in found]
    wrong += [f"{name} is nobody's" for name in sorted(found.keys() - {row.name for row in rows})]
    targets, changed = 0, 0
    for row in rows:
        if row.name not in found:
            continue
        touched = row.update is not None or row.source is not tensors.get(row.name)
        same = row.name in tensors and same_content(tensors[row.name], found[row.name])
        targets += touched
        changed += touched and not same
        if found[row.name].shape != row.shape:
            wrong.append(f"{row.name} has another shape")
        elif not touched and not same:
            wrong.append(f"{row.name} differs from the base, though the adapter does not touch it")
    if targets and not changed:
        wrong.append(f"none of the {targets} tensors that the adapter touches differs from the base")
    wrong += _unlike_account(merged, found)
    detail = f"all {len(rows)} tensors accounted for; {changed} of {targets} that the adapter touches changed, no other"
    return faults("merged", wrong, detail, "merge again, onto the base that the adapter was trained on")


def _unlike_account(merged: Path, found: dict[str, Tensor]) -> list[str]:
    account = read_json(merged / "merge.json")
    wrong = [] if account["tensors"] == len(found) else ["merge.json counts another number of tensors"]
    for shard in account["shards"]:
        kinds = [kind for kind in CHECKSUMS if kind in shard]
        path = inside(merged, shard["name"])
        if not kinds or any(CHECKSUMS[kind](path) != shard[kind] for kind in kinds):
            wrong.append(f"{shard['name']} is not what merge.json recorded")
    return wrong


def _crc32(path: Path) -> str:
    checksum = 0
    with path.open("rb") as stream:
        while block := stream.read(CHUNK):
            checksum = zlib.crc32(block, checksum)
    return f"{checksum:08x}"


CHECKSUMS = {"sha256": sha256_file, "crc32": _crc32}


def check_inventory(merged: Path, f16: Path) -> Check:
    """Whether every tensor of the merged model stands in the f16 GGUF with its shape, and no other does."""
    file, found = GgufFile(f16), text_tensors(merged)
    expected, wrong = gguf_names(found, file)
    config = read_json(merged / "config.json")
    for name, tensor in expected.items():
        if name not in file.tensors:
            wrong.append(f"{name} ({tensor.name}) is missing")
            continue
        turned = config.get("model_type") in CONV1D_MODELS and tensor.name.endswith(CONV1D_ENDINGS)
        shape = tuple(reversed(tensor.shape)) if turned else tensor.shape
        here = file.tensors[name]
        if here.shape != shape:
            wrong.append(f"{name} has shape {list(here.shape)} where {list(shape)} is due")
        if len(shape) == 1 and here.type != "F32":
            wrong.append(f"{name} is a vector and {here.type}, which llama.cpp wants in F32")
    allowed = {*expected, *OWN_TENSORS} | ({TIED_HEAD} if config.get("tie_word_embeddings") else set())
    wrong += [f"{name} is nobody's" for name in sorted(file.tensors.keys() - allowed)]
    return faults("inventory:f16", wrong, f"all {len(expected)} tensors of the merged model, none besides")


def text_tensors(merged: Path) -> dict[str, Tensor]:
    """The merged model's tensors without a vision tower, by the names they have in a model that only reads."""
    found = {name: tensor for name, tensor in read_model(merged).items() if TOWER not in name}
    return {name.replace(".language_model.", "."): tensor for name, tensor in found.items()}


def gguf_names(found: dict[str, Tensor], file: GgufFile) -> tuple[dict[str, Tensor], list[str]]:
    """llama.cpp's name of every tensor, by its own table; and a clause for each without one."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    architectures = {name: kind for kind, name in MODEL_ARCH_NAMES.items()}
    if file.architecture not in architectures:
        raise UserError(f"{file.path}: the gguf package knows no architecture {file.architecture!r}; update it.")
    table = get_tensor_name_map(architectures[file.architecture], int(file.own("block_count")))
    names, unknown = {}, []
    for name, tensor in found.items():
        if name.endswith(NOT_WEIGHTS):
            continue
        there = table.get_name(name, try_suffixes=(".weight", ".bias"))
        if there is None:
            unknown.append(f"{name} has no name in llama.cpp")
        else:
            names[there] = tensor
    return names, unknown


def check_values(merged: Path, f16: Path) -> Check:
    """Whether each tensor of the f16 GGUF holds exactly the merged model's values, in whatever order.

    llama.cpp wants some rows in another order; what the order does is proved by the logits, not here. Counting bit
    patterns needs 65,536 numbers a tensor, however big it is.
    """
    file = GgufFile(f16)
    expected, _ = gguf_names(text_tensors(merged), file)
    wrong = []
    for name, tensor in expected.items():
        here = file.tensors.get(name)
        if here is None:
            continue
        if _same_bytes(tensor, here):
            continue
        kind = np.float16 if here.type == "F16" else np.float32
        values = _census(here.values(), kind)
        if not _all_finite(values):
            wrong.append(f"{name} holds NaN or infinity")
        elif not np.array_equal(_census(_blocks(tensor), kind), values):
            wrong.append(f"{name} holds other values than {tensor.name}")
    return faults("values:f16", wrong, f"the values of {len(expected)} tensors are the merged model's, all finite")


def _same_bytes(tensor: Tensor, here: GgufTensor) -> bool:
    """Whether both hold the same finite float16 values in the same order: most do, and counting takes longer."""
    if (tensor.dtype, here.type) != ("F16", "F16") or tensor.size != here.size:
        return False
    step = max(1, BLOCK_ROWS_BYTES // max(1, tensor.row_bytes))
    for first in range(0, tensor.rows, step):
        ours = np.frombuffer(read_raw(tensor, first, min(step, tensor.rows - first)), np.uint16)
        theirs = np.fromfile(here.file, np.uint16, ours.size, offset=here.start + first * tensor.row_bytes)
        if not np.array_equal(ours, theirs) or (ours & FLOAT16_EXPONENT == FLOAT16_EXPONENT).any():
            return False
    return True


def _blocks(tensor: Tensor) -> Iterator[np.ndarray]:
    """A safetensors tensor's values as float32, some rows at a time."""
    step = max(1, BLOCK_ROWS_BYTES // max(1, tensor.row_bytes))
    for first in range(0, tensor.rows, step):
        raw = read_raw(tensor, first, min(step, tensor.rows - first))
        yield to_float32(np.frombuffer(raw, storage(tensor.dtype)), tensor.dtype)


def _census(blocks: Iterator[np.ndarray], kind: type) -> np.ndarray:
    """How often each 16-bit pattern occurs after rounding to float16; for float32, all values in order."""
    if kind is np.float32:
        return np.sort(np.concatenate(list(blocks)))
    counts = np.zeros(1 << 16, np.int64)
    with np.errstate(over="ignore"):  # too large for float16: infinite there, and reported as such
        for block in blocks:
            counts += np.bincount(block.astype(np.float16).view(np.uint16), minlength=1 << 16)
    return counts


def _all_finite(census: np.ndarray) -> bool:
    if census.dtype == np.float32:
        return bool(np.isfinite(census).all())
    return not (census * ~np.isfinite(np.arange(1 << 16, dtype=np.uint16).view(np.float16))).any()


def check_quant(name: str, quant: Path, f16: Path) -> list[Check]:
    """Whether a quant is the f16 file in another type: the same tensors, tokenizer and values, within its bits."""
    checks = attempt(f"inventory:{name}", _quant_inventory, name, quant, f16)
    return checks + attempt(f"values:{name}", _quant_values, name, quant, f16)


def _quant_inventory(name: str, quant: Path, f16: Path) -> Check:
    from scripts.model.quantize import file_types

    file, source = GgufFile(quant), GgufFile(f16)
    wrong = [f"{tensor} is missing" for tensor in source.tensors if tensor not in file.tensors]
    wrong += [f"{tensor} is nobody's" for tensor in file.tensors if tensor not in source.tensors]
    for tensor, here in file.tensors.items():
        there = source.tensors.get(tensor)
        if there is not None and here.shape != there.shape:
            wrong.append(f"{tensor} has shape {list(here.shape)} where {list(there.shape)} is due")
        if len(here.shape) == 1 and here.type not in FLOATS:
            wrong.append(f"{tensor} is a vector and was quantised to {here.type}")
    if file.file_type != file_types().get(name):
        wrong.append(f"the file says it is of type {file.file_type}, {name} is {file_types().get(name)}")
    wrong += [f"its {key} is not the f16 file's" for key in _unlike_fields(file, source)]
    return faults(
        f"inventory:{name}", wrong, f"all {len(source.tensors)} tensors, tokenizer and template of the f16 file"
    )


def _unlike_fields(file: GgufFile, source: GgufFile) -> list[str]:
    def own(fields: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in fields.items() if not key.startswith(("general.", "quantize."))}

    here, there = own(file.fields), own(source.fields)
    return [
        key
        for key in sorted(here.keys() | there.keys())
        if key not in here or key not in there or not np.array_equal(here[key], there[key])
    ]


def _quant_values(name: str, quant: Path, f16: Path) -> Check:
    file, source = GgufFile(quant), GgufFile(f16)
    wrong, worst, where = [], 0.0, "none"
    for tensor in sorted(file.tensors.keys() & source.tensors.keys()):
        error = relative_error(source.tensors[tensor], file.tensors[tensor])
        limit = most_error(file.tensors[tensor], source.tensors[tensor])
        if not error <= limit:
            wrong.append(
                f"{tensor} ({file.tensors[tensor].type}) is off by {error:.2g} of its energy, limit {limit:.2g}"
            )
        if error > worst:
            worst, where = error, tensor
    detail = f"{len(file.tensors)} tensors, all finite; farthest off, by {worst:.2g} of its energy: {where}"
    return faults(f"values:{name}", sorted(wrong), detail)


def relative_error(original: GgufTensor, copy: GgufTensor) -> float:
    """sum((copy - original)^2) / sum(original^2); NaN where a value is not finite."""
    error = energy = 0.0
    for one, other in zip(original.values(), copy.values(), strict=True):
        other = other - one
        error += float(np.dot(other, other))
        energy += float(np.dot(one, one))
    if energy == 0:
        return 0.0 if error == 0 else float("inf")
    return error / energy


def most_error(copy: GgufTensor, original: GgufTensor) -> float:
    """The most relative error that a type may bring, by its bits a weight."""
    if copy.type in ("F32", original.type):
        return 0.0
    if copy.type == "BF16":
        return BF16_ERROR
    if copy.bits < 2:
        return MOST_ERROR_BELOW_2_BITS
    return min(MOST_ERROR, 8 * 4.0 ** (1 - copy.bits))
