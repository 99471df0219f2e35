"""The arithmetic of a merge, block of rows by block of rows, in a few threads.

Per block: W + s * left @ right in float32, DoRA's stretch where there is one, one rounding to the base's own
type. PEFT's merge does the same operations in the same order, so results agree to the bit, except where it rounds twice
(embeddings in 16 bits) or sums in another order (DoRA's lengths).
"""

from __future__ import annotations

import contextlib
import math
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scripts.lib.cli import UserError
from scripts.lib.process import job_threads
from scripts.model.lora import Factors
from scripts.model.merge_plan import Planned
from scripts.model.tensors import Tensor, finite, pread_into, round_from_float32, storage, to_float32

BLOCK = 1 << 17  # numbers a block: in float32, a block and its product stay in the processor's cache
MAX_THREADS = 8


@dataclass(frozen=True)
class Block:
    """``count`` rows from row ``first`` of a planned tensor, with what is added to it.

    Attributes:
        stretch: DoRA's factor, one number an output feature, or None.
    """

    row: Planned
    first: int
    count: int
    factors: Factors | None
    stretch: np.ndarray | None = None


def merged_blocks(group: list[Planned], changed: set[str]) -> Iterator[memoryview]:
    """Gives the bytes of the planned tensors in order; names of tensors that differ from the base go into ``changed``.

    At most two blocks a thread are under way, so memory does not depend on the tensors' sizes.

    Raises:
        UserError: a merged number is not finite, or a file ends too early.
    """
    threads = max(1, min(MAX_THREADS, job_threads()))
    with contextlib.ExitStack() as stack:
        files = _open_all(group, stack)
        pool = stack.enter_context(ThreadPoolExecutor(threads))
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        waiting: deque[Future[memoryview]] = deque()
        for block in cut(group, files, pool):
            waiting.append(pool.submit(compute, block, files, changed))
            if len(waiting) >= threads * 2:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _open_all(group: list[Planned], stack: contextlib.ExitStack) -> dict[Path, int]:
    """Descriptors of the files that the group reads, closed with ``stack``."""
    files = {}
    for path in {row.source.file for row in group}:
        files[path] = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        stack.callback(os.close, files[path])
    return files


def cut(group: list[Planned], files: dict[Path, int], pool: ThreadPoolExecutor) -> Iterator[Block]:
    """The group's tensors cut into blocks of rows, of `BLOCK` numbers or one row."""
    for row in group:
        rows = row.source.rows
        step = max(1, BLOCK // max(1, math.prod(row.shape) // max(1, rows)))
        factors = row.update.load() if row.update else None
        blocks = [Block(row, first, min(step, rows - first), factors) for first in range(0, rows, step)]
        if factors is not None and factors.magnitude is not None:
            stretch = dora_stretch(factors, blocks, files, pool)
            blocks = [replace(block, stretch=stretch) for block in blocks]
        yield from blocks


def compute(block: Block, files: dict[Path, int], changed: set[str]) -> memoryview:
    """The merged bytes of a block.

    Raises:
        UserError: a merged number is not finite.
    """
    row = block.row
    raw = read(block, files)
    if row.source.name != row.name:
        changed.add(row.name)
    if block.factors is None and row.source.dtype == row.dtype:
        return memoryview(raw)
    # Overflow shows in the result, which is checked, whatever thread it happens in.
    with np.errstate(over="ignore", invalid="ignore"):
        merged = rounded(block, raw)
    if not finite(merged, row.dtype):
        raise UserError(
            f"{row.name}: merging gives numbers that are not finite; train again with a lower learning rate."
        )
    data = merged.view(np.uint8)
    if row.name not in changed and not np.array_equal(data, raw):
        changed.add(row.name)
    return memoryview(data)


def rounded(block: Block, raw: np.ndarray) -> np.ndarray:
    """The merged numbers of a block, flat, as they are stored."""
    values = summed(block, raw)
    if block.factors is not None and block.stretch is not None:
        rows = slice(block.first, block.first + block.count)
        values *= block.stretch[rows, None] if block.factors.by_row else block.stretch
    return round_from_float32(values.reshape(-1), block.row.dtype)


def summed(block: Block, raw: np.ndarray) -> np.ndarray:
    """W + s * left @ right of a block's rows, float32: product, then factor, then sum, as PEFT orders them."""
    source, factors = block.row.source, block.factors
    values = to_float32(raw.view(storage(source.dtype)), source.dtype).reshape(block.count, *source.shape[1:])
    if factors is not None:
        left = factors.left[block.first : block.first + block.count]
        if is_power_of_two(factors.scaling):  # exact wherever it is multiplied: least work on the narrow side
            values += (left * np.float32(factors.scaling)) @ factors.right
        else:
            delta = left @ factors.right
            delta *= np.float32(factors.scaling)
            values += delta
    return values


def is_power_of_two(value: float) -> bool:
    """Whether multiplying by it rounds nothing."""
    return abs(math.frexp(value)[0]) == 0.5


def dora_stretch(factors: Factors, blocks: list[Block], files: dict[Path, int], pool: ThreadPoolExecutor) -> np.ndarray:
    """Learnt length over actual length of each output feature of W + s * B A (arXiv:2402.09353, eq. 5), float32."""

    def squares(block: Block) -> np.ndarray:
        values = summed(block, read(block, files))
        return np.einsum("ij,ij->i" if factors.by_row else "ij,ij->j", values, values, dtype=np.float64)

    parts = list(pool.map(squares, blocks))
    lengths = np.sqrt(np.concatenate(parts) if factors.by_row else np.sum(parts, axis=0))
    return factors.magnitude / lengths.astype(np.float32)


def read(block: Block, files: dict[Path, int]) -> np.ndarray:
    """The stored bytes of a block's rows."""
    tensor: Tensor = block.row.source
    raw = np.empty(block.count * tensor.row_bytes, np.uint8)
    pread_into(files[tensor.file], memoryview(raw), tensor.start + block.first * tensor.row_bytes, tensor.file)
    return raw
