"""Weights: the base is as fetched, the merge as planned, and every GGUF holds every tensor with its own values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from scripts.lib.cli import UserError
from scripts.lib.files import inside, read_json
from scripts.model.gguf_file import GgufFile, GgufTensor
from scripts.model.lora import finite_float, load_adapter
from scripts.model.merge_plan import CONV1D_MODELS, plan
from scripts.model.proof.check import Check, attempt, faults
from scripts.model.quantize import FLOATS, file_types
from scripts.model.tensors import Tensor, crc32_file, raw_blocks, read_model, same_content, to_float32
from scripts.model.weights import verify_base

CONV1D_ENDINGS = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight", ".q_attn.weight")
# Masks and tables in old checkpoints that are not weights; llama.cpp makes its own.
NOT_WEIGHTS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
OWN_TENSORS = ("rope_freqs.weight",)  # made by llama.cpp from the config
TIED_HEAD = "output.weight"
TOWER = "visual."  # the tensors of a vision tower: `scripts.model.proof.vision`
FLOAT16_EXPONENT = 0x7C00  # all of its bits set: infinity or NaN
BLOCK_BYTES = 1 << 23
# Quantisation errors, as a share of the weights' energy. By rate-distortion theory the error falls fourfold with each
# bit (Cover and Thomas, Elements of Information Theory, 10.3.2). Measured types stay 3 to 10 times below this line,
# weights of another model lie near 2. With fewer than 2 bits only weights of another model are detected.
MOST_ERROR, MOST_ERROR_BELOW_2_BITS, BF16_ERROR = 0.5, 1.0, 1e-5


def check_base(base: Path) -> Check:
    """Whether the base's files have the sizes and SHA-256 sums of base.json."""
    card = verify_base(base, hashes=True)
    return faults("base", [], f"all {len(card['files'])} files of the base are as they were fetched")


def check_adapter(adapter: Path) -> Check:
    """Whether the adapter changes anything: one matrix of each pair starts at zero, and in some pair both are not zero.

    Raises:
        UserError: it holds NaN or infinity.
    """
    loaded = load_adapter(adapter)
    learned = len(loaded.replacements)
    for _, parts in sorted(loaded.pairs.items()):
        values = [finite_float(tensor) for _, tensor in sorted(parts.items())]
        learned += all(value.any() for value in values)
    for tensor in loaded.replacements.values():
        finite_float(tensor)
    wrong = [] if learned else [f"none of its {len(loaded.pairs)} pairs is different from zero"]
    advice = "train again, with more steps or a higher learning rate"
    return faults("adapter", wrong, f"{learned} of {len(loaded.pairs)} pairs learnt something", advice)


def check_merged(base: Path, adapter: Path, merged: Path) -> Check:
    """Whether the merge changed tensors that the adapter changes, and no others, and merge.json describes the files.

    Other tensors are compared byte for byte. A tensor that the adapter changes may be rounded to its old value, but
    not all of them.
    """
    before, after = read_model(base), read_model(merged)
    rows, _ = plan(before, load_adapter(adapter), read_json(base / "config.json"))
    wrong = [f"{row.name} is missing" for row in rows if row.name not in after]
    wrong += [f"{name} is nobody's" for name in sorted(after.keys() - {row.name for row in rows})]
    targets, changed = 0, 0
    for row in rows:
        if row.name not in after:
            continue
        is_target = row.update is not None or row.source is not before.get(row.name)
        same = row.name in before and same_content(before[row.name], after[row.name])
        targets += is_target
        changed += is_target and not same
        if after[row.name].shape != row.shape:
            wrong.append(f"{row.name} has another shape")
        elif not is_target and not same:
            wrong.append(f"{row.name} differs from the base, though the adapter does not touch it")
    if targets and not changed:
        wrong.append(f"none of the {targets} tensors that the adapter touches differs from the base")
    account = read_json(merged / "merge.json")
    if account["tensors"] != len(after):
        wrong.append("merge.json counts another number of tensors")
    for shard in account["shards"]:
        if shard.get("crc32") != crc32_file(inside(merged, shard["name"])):
            wrong.append(f"{shard['name']} is not what merge.json recorded")
    detail = f"all {len(rows)} tensors accounted for; {changed} of {targets} that the adapter touches changed, no other"
    return faults("merged", wrong, detail, "merge again, onto the base that the adapter was trained on")


def check_inventory(merged: Path, f16: Path) -> Check:
    """Whether the f16 GGUF holds every tensor of the merged model with its shape, and no other tensor."""
    file, tensors = GgufFile(f16), text_tensors(merged)
    expected, wrong = gguf_names(tensors, file)
    config = read_json(merged / "config.json")
    for name, tensor in expected.items():
        if name not in file.tensors:
            wrong.append(f"{name} ({tensor.name}) is missing")
            continue
        transposed = config.get("model_type") in CONV1D_MODELS and tensor.name.endswith(CONV1D_ENDINGS)
        shape = tuple(reversed(tensor.shape)) if transposed else tensor.shape
        converted = file.tensors[name]
        if converted.shape != shape:
            wrong.append(f"{name} has shape {list(converted.shape)} where {list(shape)} is due")
        if len(shape) == 1 and converted.type != "F32":
            wrong.append(f"{name} is a vector and {converted.type}, which llama.cpp wants in F32")
    allowed = {*expected, *OWN_TENSORS} | ({TIED_HEAD} if config.get("tie_word_embeddings") else set())
    wrong += [f"{name} is nobody's" for name in sorted(file.tensors.keys() - allowed)]
    return faults("inventory:f16", wrong, f"all {len(expected)} tensors of the merged model, none besides")


def text_tensors(merged: Path) -> dict[str, Tensor]:
    """The merged model's tensors without a vision tower, by their names in a language model."""
    tensors = {name: tensor for name, tensor in read_model(merged).items() if TOWER not in name}
    return {name.replace(".language_model.", "."): tensor for name, tensor in tensors.items()}


def gguf_names(tensors: dict[str, Tensor], file: GgufFile) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors by llama.cpp's names, from its own table; and a clause for each tensor without a name.

    Raises:
        UserError: the gguf package does not know the file's architecture.
    """
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    architectures = {name: kind for kind, name in MODEL_ARCH_NAMES.items()}
    if file.architecture not in architectures:
        raise UserError(f"{file.path}: the gguf package knows no architecture {file.architecture!r}; update it.")
    table = get_tensor_name_map(architectures[file.architecture], int(file.own("block_count")))
    named, unknown = {}, []
    for name, tensor in tensors.items():
        if name.endswith(NOT_WEIGHTS):
            continue
        gguf_name = table.get_name(name, try_suffixes=(".weight", ".bias"))
        if gguf_name is None:
            unknown.append(f"{name} has no name in llama.cpp")
        else:
            named[gguf_name] = tensor
    return named, unknown


def check_values(merged: Path, f16: Path) -> Check:
    """Whether each tensor of the f16 GGUF holds exactly the merged model's values, in any order."""
    file = GgufFile(f16)
    expected, _ = gguf_names(text_tensors(merged), file)
    wrong = []
    for name, tensor in expected.items():
        converted = file.tensors.get(name)
        if converted is None or _same_bytes(tensor, converted):
            continue
        fault = values_fault(tensor, [converted])
        if fault:
            wrong.append(f"{name} holds {fault}")
    return faults("values:f16", wrong, f"the values of {len(expected)} tensors are the merged model's, all finite")


def values_fault(tensor: Tensor, parts: Sequence[GgufTensor]) -> str | None:
    """A clause where tensors of a GGUF together do not hold exactly a tensor's values, in any order, all finite.

    llama.cpp stores some rows in another order; the logits show whether the order is right. Counting bit patterns
    takes 65,536 numbers a tensor, whatever its size.
    """
    kind = np.float16 if any(part.type == "F16" for part in parts) else np.float32
    values = _census(chain.from_iterable(part.values() for part in parts), kind)
    if not _all_finite(values):
        return "NaN or infinity"
    due = _census((to_float32(raw, tensor.dtype) for raw in raw_blocks(tensor, BLOCK_BYTES)), kind)
    return None if np.array_equal(due, values) else f"other values than {tensor.name}"


def _same_bytes(tensor: Tensor, converted: GgufTensor) -> bool:
    """Whether both hold the same finite float16 values in the same order: most do, and this is faster than counting."""
    if (tensor.dtype, converted.type) != ("F16", "F16") or tensor.size != converted.size:
        return False
    start = converted.start
    for raw in raw_blocks(tensor, BLOCK_BYTES):
        ours = np.frombuffer(raw, np.uint16)
        theirs = np.fromfile(converted.file, np.uint16, ours.size, offset=start)
        if not np.array_equal(ours, theirs) or (ours & FLOAT16_EXPONENT == FLOAT16_EXPONENT).any():
            return False
        start += len(raw)
    return True


def _census(blocks: Iterable[np.ndarray], kind: type) -> np.ndarray:
    """Counts of each 16-bit pattern after rounding to float16, int64 [65536]; for float32, all values sorted."""
    if kind is np.float32:
        return np.sort(np.concatenate(list(blocks)))
    counts = np.zeros(1 << 16, np.int64)
    with np.errstate(over="ignore"):  # a value too large for float16 becomes infinity, which is reported
        for block in blocks:
            counts += np.bincount(block.astype(np.float16).view(np.uint16), minlength=1 << 16)
    return counts


def _all_finite(census: np.ndarray) -> bool:
    if census.dtype == np.float32:
        return bool(np.isfinite(census).all())
    return not (census * ~np.isfinite(np.arange(1 << 16, dtype=np.uint16).view(np.float16))).any()


def check_quant(name: str, quant: Path, f16: Path) -> list[Check]:
    """Whether a quant is the f16 file in another type: the same tensors, tokenizer and values, within its precision."""
    checks = attempt(f"inventory:{name}", _quant_inventory, name, quant, f16)
    return checks + attempt(f"values:{name}", _quant_values, name, quant, f16)


def _quant_inventory(name: str, quant: Path, f16: Path) -> Check:
    file, source = GgufFile(quant), GgufFile(f16)
    wrong = [f"{tensor} is missing" for tensor in source.tensors if tensor not in file.tensors]
    wrong += [f"{tensor} is nobody's" for tensor in file.tensors if tensor not in source.tensors]
    for tensor, copy in file.tensors.items():
        original = source.tensors.get(tensor)
        if original is not None and copy.shape != original.shape:
            wrong.append(f"{tensor} has shape {list(copy.shape)} where {list(original.shape)} is due")
        if len(copy.shape) == 1 and copy.type not in FLOATS:
            wrong.append(f"{tensor} is a vector and was quantised to {copy.type}")
    if file.file_type != file_types().get(name):
        wrong.append(f"the file says it is of type {file.file_type}, {name} is {file_types().get(name)}")
    for key in sorted(file.fields.keys() | source.fields.keys()):
        if key.startswith(("general.", "quantize.")):
            continue
        in_both = key in file.fields and key in source.fields
        if not in_both or not np.array_equal(file.fields[key], source.fields[key]):
            wrong.append(f"its {key} is not the f16 file's")
    detail = f"all {len(source.tensors)} tensors, tokenizer and template of the f16 file"
    return faults(f"inventory:{name}", wrong, detail)


def _quant_values(name: str, quant: Path, f16: Path) -> Check:
    file, source = GgufFile(quant), GgufFile(f16)
    wrong, worst, where = [], 0.0, "none"
    for tensor in sorted(file.tensors.keys() & source.tensors.keys()):
        original, copy = source.tensors[tensor], file.tensors[tensor]
        error, limit = relative_error(original, copy), most_error(copy, original)
        if not error <= limit:
            wrong.append(f"{tensor} ({copy.type}) is off by {error:.2g} of its energy, limit {limit:.2g}")
        if error > worst:
            worst, where = error, tensor
    detail = f"{len(file.tensors)} tensors, all finite; farthest off, by {worst:.2g} of its energy: {where}"
    return faults(f"values:{name}", sorted(wrong), detail)


def relative_error(original: GgufTensor, copy: GgufTensor) -> float:
    """sum((copy - original)^2) / sum(original^2); NaN where a value is not finite."""
    error = energy = 0.0
    for values, copied in zip(original.values(), copy.values(), strict=True):
        difference = copied - values
        error += float(np.dot(difference, difference))
        energy += float(np.dot(values, values))
    if energy == 0:
        return 0.0 if error == 0 else float("inf")
    return error / energy


def most_error(copy: GgufTensor, original: GgufTensor) -> float:
    """The largest relative error allowed for a type, by its bits per weight."""
    if copy.type in ("F32", original.type):
        return 0.0
    if copy.type == "BF16":
        return BF16_ERROR
    if copy.bits < 2:
        return MOST_ERROR_BELOW_2_BITS
    return min(MOST_ERROR, 8 * 4.0 ** (1 - copy.bits))
