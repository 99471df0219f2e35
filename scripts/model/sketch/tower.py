"""Pictures as the vision tower takes them, patches of 16 pixels of which four make a cell, and what it hands on."""

from __future__ import annotations

from typing import Any

import numpy as np

PATCH = 16  # pixels


def patches_of(picture: np.ndarray) -> np.ndarray:
    """A picture of whole cells as the image processor of this model cuts it: float32 [patches, 3 · 2 · 16 · 16], from
    -1 to 1.

    Written out because the processor takes longer for a batch than the model; a test compares the two.
    """
    rows, columns = (side // (2 * PATCH) for side in picture.shape[:2])
    values = (picture.astype(np.float32) / 127.5 - 1).reshape(rows, 2, PATCH, columns, 2, PATCH, 3)
    cut = values.transpose(0, 3, 1, 4, 6, 2, 5)[..., None, :, :]
    return np.broadcast_to(cut, (rows, columns, 2, 2, 3, 2, PATCH, PATCH)).reshape(4 * rows * columns, -1)


def grids(pictures: list[np.ndarray]) -> Any:
    """How many patches each picture has: in time, down and across."""
    import torch

    return torch.tensor([[1, len(one) // PATCH, one.shape[1] // PATCH] for one in pictures])


def handed(tower: Any) -> int:
    """How many features of each cell the text gets: the last ones, and those of some earlier layers."""
    return 1 + len(tower.config.deepstack_visual_indexes)


def features(tower: Any, pictures: list[np.ndarray]) -> list[Any]:
    """What the tower hands to the text of pictures, red first: tensors [cells of all, width]."""
    import torch

    pixels = torch.from_numpy(np.concatenate([patches_of(picture) for picture in pictures]))
    given = tower(pixels, grid_thw=grids(pictures))
    return [given.pooler_output, *given.deepstack_features]
