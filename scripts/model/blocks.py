"""The arithmetic of a merge, one block of rows after another, in a few threads.

For a block of rows [count, columns] of a weight W, with the rows ``left`` [count, r] of the adapter's first factor:

    merged = round((W + s * left @ right) * stretch)

The sum is computed in float32 and rounded once to the base's own type; ``stretch`` is 1 except for DoRA. PEFT's merge
does the same operations in the same order, so the results agree to the bit, except where PEFT rounds twice (embeddings
in 16 bits) or sums in another order (DoRA's lengths).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from scripts.lib.cli import UserError
from scripts.lib.process import job_threads
from scripts.model.lora import Factors
from scripts.model.merge_plan import Planned
from scripts.model.tensors import finite, read_raw, round_from_float32, to_float32

BLOCK = 1 << 17  # numbers in a block: in float32, a block and its product stay in the processor's cache
MAX_THREADS = 8


@dataclass(frozen=True)
class Block:
    """``count`` rows from row ``first`` of a planned tensor, with the factors whose product is added to them.

    Attributes:
        stretch: DoRA's factor of each output feature, float32 [outputs], or None.
    """

    row: Planned
    first: int
    count: int
    factors: Factors | None
    stretch: np.ndarray | None = None


def merged_blocks(group: list[Planned], changed: set[str]) -> Iterator[memoryview]:
    """Yields the bytes of the planned tensors in order; adds the names of tensors that differ from the base to
    ``changed``.

    At most two blocks a thread exist at a time, so memory does not depend on the tensors' sizes.

    Raises:
        UserError: a merged number is not finite, or a file ends too early.
    """
    threads = max(1, min(MAX_THREADS, job_threads()))
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[memoryview]] = deque()
        for block in cut(group, pool):
            waiting.append(pool.submit(compute, block, changed))
            if len(waiting) >= threads * 2:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def cut(group: list[Planned], pool: ThreadPoolExecutor) -> Iterator[Block]:
    """The group's tensors cut into blocks of rows: as many rows as fit into `BLOCK` numbers, at least one."""
    for row in group:
        rows = row.source.rows
        step = max(1, BLOCK // max(1, math.prod(row.shape) // max(1, rows)))
        factors = row.update.load() if row.update else None
        blocks = [Block(row, first, min(step, rows - first), factors) for first in range(0, rows, step)]
        if factors is not None and factors.magnitude is not None:
            stretch = dora_stretch(factors, blocks, pool)
            blocks = [replace(block, stretch=stretch) for block in blocks]
        yield from blocks


def compute(block: Block, changed: set[str]) -> memoryview:
    """The merged bytes of a block.

    Raises:
        UserError: a merged number is not finite.
    """
    row, factors = block.row, block.factors
    raw = read_raw(row.source, block.first, block.count)
    if row.source.name != row.name:
        changed.add(row.name)
    if factors is None and row.source.dtype == row.dtype:
        return memoryview(raw)
    # An overflow gives infinity, which is checked below; numpy would warn of it in some threads only.
    with np.errstate(over="ignore", invalid="ignore"):
        values = summed(block, raw)
        if factors is not None and block.stretch is not None:
            rows = slice(block.first, block.first + block.count)
            values *= block.stretch[rows, None] if factors.by_row else block.stretch
        merged = round_from_float32(values.reshape(-1), row.dtype)
    if not finite(merged, row.dtype):
        raise UserError(f"{row.name}: merging gives numbers that are not finite; train with a lower learning rate.")
    data = merged.view(np.uint8)
    if row.name not in changed and not np.array_equal(data, np.frombuffer(raw, np.uint8)):
        changed.add(row.name)
    return memoryview(data)


def summed(block: Block, raw: bytearray) -> np.ndarray:
    """W + s * left @ right of a block's rows, float32: product, then factor, then sum, in PEFT's order."""
    source, factors = block.row.source, block.factors
    values = to_float32(raw, source.dtype).reshape(block.count, *source.shape[1:])
    if factors is not None:
        left = factors.left[block.first : block.first + block.count]
        if abs(math.frexp(factors.scaling)[0]) == 0.5:  # a power of two is exact in any order: scale the small factor
            values += (left * np.float32(factors.scaling)) @ factors.right
        else:
            delta = left @ factors.right
            delta *= np.float32(factors.scaling)
            values += delta
    return values


def dora_stretch(factors: Factors, blocks: list[Block], pool: ThreadPoolExecutor) -> np.ndarray:
    """Learned length over actual length of each output feature of W + s * B A (arXiv:2402.09353, eq. 5), float32."""

    def squares(block: Block) -> np.ndarray:
        values = summed(block, read_raw(block.row.source, block.first, block.count))
        return np.einsum("ij,ij->i" if factors.by_row else "ij,ij->j", values, values, dtype=np.float64)

    parts = list(pool.map(squares, blocks))
    lengths = np.sqrt(np.concatenate(parts) if factors.by_row else np.sum(parts, axis=0))
    return factors.magnitude / lengths.astype(np.float32)
