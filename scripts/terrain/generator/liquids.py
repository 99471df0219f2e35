"""The liquid records of a tile's chunks."""

from __future__ import annotations

from typing import Any

import numpy as np

from scripts.terrain.generator.cover import Cover, pixels
from scripts.terrain.generator.ground import INNER, Ground
from scripts.terrain.generator.layers import by_chunk
from scripts.terrain.generator.world import DRY
from scripts.terrain.geometry import CHUNKS, OUTER
from scripts.terrain.geometry import INNER as CELLS


def liquids_of(ground: Ground, cover: Cover, mask_path: str) -> list[dict[str, Any]]:
    """A record for each chunk with water: ``{"idx", "type", "min_height", "max_height", "mask_path", "heights"}``.

    ``heights`` are those of the 9 × 9 outer vertices; a vertex without water near it gets the lowest of the chunk's.
    """
    wet = by_chunk(cover.depth > 0)
    ocean = by_chunk(pixels(ground.ocean.astype(np.float32)) > 0.5) & wet
    surface = ground.surface[INNER, INNER][::2, ::2]
    records = []
    for index in np.flatnonzero(wet.any(axis=(1, 2))).tolist():
        row, column = CELLS * (index // CHUNKS), CELLS * (index % CHUNKS)
        heights = surface[row : row + OUTER, column : column + OUTER].astype(np.float64)
        known = heights > DRY
        lowest = heights[known].min() if known.any() else surface.max()
        heights = np.rint(np.where(known, heights, lowest) * 100) / 100
        records.append(
            {
                "idx": index,
                "type": "ocean" if 2 * ocean[index].sum() > wet[index].sum() else "water",
                "min_height": heights.min(),
                "max_height": heights.max(),
                "mask_path": mask_path,
                "heights": heights.ravel(),
            }
        )
    return records
