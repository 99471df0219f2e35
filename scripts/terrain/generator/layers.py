"""The texture layers of a tile's chunks, at most four each, with alpha maps of 64 × 64 texels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from scripts.terrain.generator.cover import MATERIALS, PIXELS
from scripts.terrain.geometry import CHUNKS

TEXELS = 64  # a side of a chunk's alpha map
LAYERS = 4
LEAST_SHARE, LEAST_PEAK = 0.2, 0.5  # of a chunk on average, and somewhere in it, for a layer
FOUR_BITS = np.rint(np.arange(256) / 17).astype(np.uint8) * 17  # the precision of alphas in the client's files


@dataclass(frozen=True)
class Layers:
    """A tile's layers.

    Attributes:
        materials: for each chunk the materials (indices into `MATERIALS`) of its layers, the lowest first.
        alphas: uint8 [4, 256, 64, 64]; for the lowest layer the rest that the others leave; 0 where there is no layer.
    """

    materials: list[list[int]]
    alphas: np.ndarray

    @cached_property
    def used(self) -> list[int]:
        """All materials of the tile, in the order of its texture list."""
        return sorted({material for chosen in self.materials for material in chosen})


def by_chunk(picture: np.ndarray) -> np.ndarray:
    """[256, n, n] pieces of a tile's picture [16 · n, 16 · n]; chunk = 16 · row + column."""
    side = len(picture) // CHUNKS
    return picture.reshape(CHUNKS, side, CHUNKS, side).swapaxes(1, 2).reshape(CHUNKS * CHUNKS, side, side)


def stitched(pieces: np.ndarray) -> np.ndarray:
    """The inverse of `by_chunk`."""
    side = pieces.shape[1]
    return pieces.reshape(CHUNKS, CHUNKS, side, side).swapaxes(1, 2).reshape(CHUNKS * side, CHUNKS * side)


def layers_of(shares: np.ndarray) -> Layers:
    """Layers that approximate shares [11, 256, 256] of `MATERIALS`: the four largest of a chunk, the largest lowest.

    Alpha maps come from the smoothed shares of the whole tile, so that they are continuous across chunks.
    """
    weights = np.rint(shares * 255).astype(np.uint8)
    pieces = np.stack([by_chunk(weight) for weight in weights])
    mean = pieces.reshape(len(MATERIALS), CHUNKS * CHUNKS, -1).sum(axis=2, dtype=np.int64)
    peak = pieces.reshape(len(MATERIALS), CHUNKS * CHUNKS, -1).max(axis=2)
    kept = (mean >= LEAST_SHARE * 255 * (PIXELS // CHUNKS) ** 2) & (peak >= LEAST_PEAK * 255)
    order = np.argsort(np.where(kept, -mean, 1), axis=0, kind="stable")
    materials = [
        [int(m) for m in order[:LAYERS, chunk] if kept[m, chunk]] or [int(order[0, chunk])]
        for chunk in range(CHUNKS * CHUNKS)
    ]
    materials = [[chosen[0], *sorted(chosen[1:])] for chosen in materials]
    alphas = np.zeros((LAYERS, CHUNKS * CHUNKS, TEXELS, TEXELS), np.uint8)
    slots = np.full((len(MATERIALS), CHUNKS * CHUNKS), -1)
    for chunk, chosen in enumerate(materials):
        slots[chosen, chunk] = np.arange(len(chosen))
    for material in np.flatnonzero((slots > 0).any(axis=1)):
        large = cv2.resize(weights[material], None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR_EXACT)
        chunks = np.flatnonzero(slots[material] > 0)
        alphas[slots[material, chunks], chunks] = by_chunk(cv2.LUT(large, FOUR_BITS))[chunks]
    rest = alphas[1] + alphas[2] + alphas[3]  # the rounded shares of a pixel may sum to 256
    over = alphas[1:].astype(np.uint16).sum(axis=0) > 255
    alphas[0] = np.where(over, 0, 255 - rest)
    return Layers(materials, alphas)
