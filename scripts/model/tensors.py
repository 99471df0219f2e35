"""Safetensors files without torch: headers checked against the file's size, plain reads, bfloat16 as bits.

Format: 8 bytes little-endian length n, n bytes of JSON {name: {dtype, shape, data_offsets}}, then the data
(https://github.com/huggingface/safetensors, "Format"). Files are read, not mapped, because the pages of a memory map
count as memory of the process.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.cli import UserError
from scripts.lib.files import inside, read_json

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
ITEM_BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
ITEM_BYTES |= {"I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1}
DTYPE_NAMES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
MAX_HEADER = 100_000_000  # bytes, the format's own limit


@dataclass(frozen=True)
class Tensor:
    """The place of a tensor: ``size`` bytes from byte ``start`` of ``file``, row after row."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    start: int
    size: int

    @property
    def rows(self) -> int:
        """Length of the first axis; 1 for a scalar."""
        return self.shape[0] if self.shape else 1

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.size // max(1, self.rows)


def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors of one safetensors file, in the order of their data.

    Raises:
        UserError: the file is missing, is not a safetensors file, or is cut short.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            length = struct.unpack("<Q", stream.read(8))[0] if size >= 8 else size
            raw = stream.read(length) if length <= min(MAX_HEADER, size - 8) else b""
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; fetch or build this model again.") from None
    if not raw:
        raise UserError(f"{path}: cut short, or not a safetensors file ({size} bytes); fetch or build it again.")
    data = 8 + length
    try:
        entries = [(name, entry) for name, entry in json.loads(raw).items() if name != "__metadata__"]
        tensors = [_tensor(path, data, name, entry) for name, entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: its safetensors header is damaged ({error}); fetch or build it again.") from error
    tensors.sort(key=lambda tensor: (tensor.start, tensor.name))
    promised = max((tensor.start + tensor.size for tensor in tensors), default=data)
    if size != promised:
        raise UserError(
            f"{path}: truncated or damaged, its header promises {promised:,} bytes and the file has {size:,}; "
            "fetch or build it again."
        )
    return {tensor.name: tensor for tensor in tensors}


def _tensor(path: Path, data: int, name: str, entry: dict[str, Any]) -> Tensor:
    shape = tuple(int(side) for side in entry["shape"])
    start, end = (int(offset) for offset in entry["data_offsets"])
    expected = math.prod(shape) * ITEM_BYTES[entry["dtype"]]
    if start < 0 or min(shape, default=0) < 0 or end - start != expected:
        raise ValueError(f"tensor {name} of shape {shape} does not fit its offsets {start} to {end}")
    return Tensor(name, entry["dtype"], shape, path, data + start, expected)


def weight_files(folder: Path) -> list[str]:
    """Names of the folder's weight files: the single one, or the shards in its index.

    Raises:
        UserError: the folder holds neither, or the index is damaged.
    """
    if (folder / SINGLE).is_file():
        return [SINGLE]
    if not (folder / INDEX).is_file():
        reason = "no such folder" if not folder.is_dir() else f"neither {SINGLE} nor {INDEX} in it"
        raise UserError(f"{folder}: {reason}; fetch or build this model first, or check the path.")
    return sorted(set(_index_map(folder).values()))


def _index_map(folder: Path) -> dict[str, str]:
    """Tensor name to shard name, of a sharded model."""
    index = read_json(folder / INDEX)
    weights = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weights, dict) or not weights or not all(isinstance(name, str) for name in weights.values()):
        raise UserError(f"{folder / INDEX}: has no `weight_map`; fetch or build this model again.")
    for name in set(weights.values()):
        inside(folder, name)
    return weights


def read_model(folder: Path) -> dict[str, Tensor]:
    """All tensors of a model's folder, shard after shard, each in the order of its data.

    Raises:
        UserError: a shard is missing or cut short, or the index and the shards disagree.
    """
    names = weight_files(folder)
    tensors: dict[str, Tensor] = {}
    for name in names:
        tensors |= read_header(folder / name)
    if names != [SINGLE]:
        shards = _index_map(folder)
        actual = {name: tensor.file.name for name, tensor in tensors.items()}
        wrong = sorted({name for name, _ in shards.items() ^ actual.items()})
        if wrong:
            raise UserError(
                f"{folder / INDEX}: disagrees with its shards about {', '.join(wrong[:3])}; "
                "fetch or build this model again."
            )
    return tensors


def read_raw(tensor: Tensor, first: int = 0, count: int | None = None) -> bytearray:
    """The bytes of ``count`` rows from row ``first``; all further rows where ``count`` is None.

    Raises:
        UserError: the file ends before that.
    """
    count = tensor.rows - first if count is None else count
    raw = bytearray(count * tensor.row_bytes)
    with tensor.file.open("rb", buffering=0) as stream:
        stream.seek(tensor.start + first * tensor.row_bytes)
        buffer = memoryview(raw)
        while buffer:
            size = stream.readinto(buffer)
            if not size:
                end = stream.tell()
                raise UserError(f"{tensor.file}: ends at byte {end:,}, before its data does; fetch or build it again.")
            buffer = buffer[size:]
    return raw


def raw_blocks(tensor: Tensor, size: int = 1 << 20) -> Iterator[bytearray]:
    """The bytes of a tensor in order, in blocks of whole rows of about ``size`` bytes."""
    step = max(1, size // max(1, tensor.row_bytes))
    for first in range(0, tensor.rows, step):
        yield read_raw(tensor, first, min(step, tensor.rows - first))


def read_float(tensor: Tensor) -> np.ndarray:
    """A whole tensor in float32 (the tensors of an adapter are small).

    Raises:
        UserError: the tensor does not hold 16- or 32-bit floating-point numbers.
    """
    if tensor.dtype not in DTYPE_NAMES:
        raise UserError(f"{tensor.file}: {tensor.name} is {tensor.dtype}; only BF16, F16 and F32 can be merged.")
    return to_float32(read_raw(tensor), tensor.dtype).reshape(tensor.shape)


def same_content(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal in type, shape and every byte; compared block by block."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    return all(mine == theirs for mine, theirs in zip(raw_blocks(one), raw_blocks(other), strict=True))


def storage(dtype: str) -> np.dtype:
    """The numpy type that holds the bits of BF16, F16 or F32."""
    return np.dtype({"BF16": "<u2", "F16": "<f2", "F32": "<f4"}[dtype])


def to_float32(stored: bytearray | np.ndarray, dtype: str) -> np.ndarray:
    """Stored BF16, F16 or F32 as a new flat float32 array; exact."""
    values = np.frombuffer(stored, storage(dtype))
    if dtype != "BF16":
        return values.astype(np.float32)
    wide = values.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


def round_from_float32(values: np.ndarray, dtype: str) -> np.ndarray:
    """float32 values as BF16 bits, F16 or F32, rounded to nearest, ties to even, as torch does.

    BF16 is the upper half of a float32. Adding 0x7fff plus the lowest kept bit carries into the upper half exactly
    when the lower half is above one half, or is one half and the kept part is odd. Infinities stay infinities; the
    caller refuses NaN. ``values`` may be overwritten.
    """
    if dtype != "BF16":
        return values.astype(storage(dtype), copy=False)
    bits = values.view(np.uint32)
    odd = bits >> 16
    odd &= 1
    odd += 0x7FFF
    bits += odd
    bits >>= 16
    return bits.astype(np.uint16)


def finite(stored: np.ndarray, dtype: str) -> bool:
    """Whether stored values hold neither infinities nor NaN."""
    if dtype == "BF16":
        return int(np.max(stored & 0x7FFF, initial=0)) < 0x7F80
    return bool(np.isfinite(stored).all())


def crc32_file(path: Path) -> str:
    """The CRC-32 of a file as 8 hex digits, as in merge.json.

    It detects a damaged or swapped file. On a processor without SHA instructions, SHA-256 of the weights takes longer
    than merging them; the shipped package has SHA-256 sums.
    """
    checksum = 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return f"{checksum:08x}"


def header_bytes(rows: list[tuple[str, str, tuple[int, ...], int]]) -> bytes:
    """The header of a file whose tensors (name, dtype, shape, bytes) follow each other in this order."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, dtype, shape, size in rows:
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    raw = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    raw += b" " * (-len(raw) % 8)
    return struct.pack("<Q", len(raw)) + raw
