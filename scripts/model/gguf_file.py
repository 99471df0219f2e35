"""Reads a GGUF file without llama.cpp: metadata, tensor list, and values a few rows at a time.

Format (https://github.com/ggml-org/ggml, docs/gguf.md): magic, version, counts; keys with typed values; for each tensor
its name, sides (fastest first), type and offset; then the data, aligned. The gguf package reads it too, but takes
seconds for the tables of a tokenizer; only its dequantisation is used here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np

from scripts.lib.cli import UserError

BLOCK_VALUES = 1 << 22  # values that are dequantised at a time
VERSIONS = (2, 3)
SCALARS = {0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8", 12: "<f8"}
STRING, ARRAY = 8, 9
MAX_SIDES = 4
DEFAULT_ALIGNMENT = 32


@dataclass(frozen=True)
class GgufTensor:
    """One tensor.

    Attributes:
        name: llama.cpp's name.
        shape: in row-major order, as PyTorch and safetensors count it.
        type: ggml's type: F32, F16, Q4_K and so on.
        block: weights in a quantisation block.
        block_bytes: bytes of a block.
        file: the GGUF file.
        start: the tensor's first byte in the file.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    block: int
    block_bytes: int
    file: Path
    start: int

    @property
    def bits(self) -> float:
        """Bits per weight, with its part of the block's scales."""
        return 8 * self.block_bytes / self.block

    @property
    def row_bytes(self) -> int:
        """Bytes of one row; a row is as long as the last side."""
        return self.shape[-1] // self.block * self.block_bytes

    @property
    def rows(self) -> int:
        """Number of rows."""
        return math.prod(self.shape[:-1])

    @property
    def size(self) -> int:
        """Bytes."""
        return self.rows * self.row_bytes

    def values(self) -> Iterator[np.ndarray]:
        """All values as float32, a block of whole rows at a time, flat and in row-major order.

        Raises:
            UserError: values of this type cannot be read here.
        """
        from gguf import GGMLQuantizationType
        from gguf.quants import dequantize

        step = max(1, BLOCK_VALUES // max(1, self.shape[-1]))
        for first in range(0, self.rows, step):
            count = min(step, self.rows - first)
            offset = self.start + first * self.row_bytes
            raw = np.fromfile(self.file, np.uint8, count * self.row_bytes, offset=offset).reshape(count, self.row_bytes)
            try:
                yield dequantize(raw, GGMLQuantizationType[self.type]).astype(np.float32, copy=False).ravel()
            except NotImplementedError:
                raise UserError(f"{self.file}: {self.name} is {self.type}, a type that cannot be read here.") from None


class GgufFile:
    """The header of a GGUF file.

    Attributes:
        fields: metadata by key; arrays of numbers as numpy arrays, arrays of text as lists.
        tensors: the tensors by name, in the order of the file.
        file_type: llama.cpp's file type: 1 for F16, 15 for Q4_K_M and so on; None where the file does not name it.

    Raises:
        UserError: the file is missing, is not GGUF, or is cut short.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise UserError(f"{path}: no such file; convert or quantise the model first, or check the path.")
        state = path.stat()
        try:
            self.fields, self.tensors = _header(path, state.st_size, state.st_mtime_ns)
        except (ValueError, KeyError, struct.error, UnicodeDecodeError, MemoryError, OverflowError) as error:
            reason = " ".join(str(error).split())[:120]
            raise UserError(f"{path}: damaged, or not a GGUF file ({reason}); delete it and build it again.") from error
        end = max((tensor.start + tensor.size for tensor in self.tensors.values()), default=0)
        if end > state.st_size:
            raise UserError(f"{path}: cut short, {state.st_size:,} bytes of {end:,}; delete it and build it again.")
        self.file_type: int | None = self.fields.get("general.file_type")

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the architecture."""
        return str(self.fields["general.architecture"])

    def own(self, key: str) -> Any:
        """A value of the architecture, such as ``own("block_count")``; None where the file does not have it."""
        return self.fields.get(f"{self.architecture}.{key}")


@lru_cache(maxsize=8)
def _header(path: Path, size: int, changed: int) -> tuple[Mapping[str, Any], Mapping[str, GgufTensor]]:
    """Fields and tensors, cached by size and time of change: reading a vocabulary takes half a second."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    with path.open("rb") as stream:
        magic, version, tensor_count, field_count = struct.unpack("<4sIQQ", stream.read(24))
        if magic != b"GGUF" or version not in VERSIONS:
            raise ValueError("it does not start as one does")
        fields = {}
        for _ in range(field_count):
            name = _text(stream)
            fields[name] = _value(stream, _number(stream, "<I"))
        entries = []
        for _ in range(tensor_count):
            name, sides = _text(stream), _number(stream, "<I")
            if not 0 < sides <= MAX_SIDES:
                raise ValueError(f"tensor {name} has {sides} sides")
            shape = struct.unpack(f"<{sides}Q", stream.read(8 * sides))[::-1]
            entries.append((name, shape, GGMLQuantizationType(_number(stream, "<I")), _number(stream, "<Q")))
        end = stream.tell()
    alignment = int(fields.get("general.alignment", DEFAULT_ALIGNMENT))
    data = -(-end // alignment) * alignment
    tensors = {
        name: GgufTensor(name, shape, kind.name, *GGML_QUANT_SIZES[kind], path, data + offset)
        for name, shape, kind, offset in entries
    }
    return MappingProxyType(fields), MappingProxyType(tensors)


def _number(stream: BinaryIO, kind: str) -> int:
    return struct.unpack(kind, stream.read(struct.calcsize(kind)))[0]


def _text(stream: BinaryIO) -> str:
    length = _number(stream, "<Q")
    raw = stream.read(length) if length < 1 << 30 else b""
    if len(raw) != length:
        raise ValueError("a text goes past its end")
    return raw.decode("utf-8")


def _value(stream: BinaryIO, kind: int) -> Any:
    if kind == STRING:
        return _text(stream)
    if kind != ARRAY:
        return _numbers(stream, kind, 1)[0].item()
    kind, count = _number(stream, "<I"), _number(stream, "<Q")
    if kind in (STRING, ARRAY):
        return [_value(stream, kind) for _ in range(count)]
    return _numbers(stream, kind, count)


def _numbers(stream: BinaryIO, kind: int, count: int) -> np.ndarray:
    dtype = np.dtype(SCALARS[kind])
    raw = stream.read(count * dtype.itemsize)
    if len(raw) != count * dtype.itemsize:
        raise ValueError("a value goes past its end")
    return np.frombuffer(raw, dtype)
