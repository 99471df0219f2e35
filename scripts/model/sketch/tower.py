"""The vision tower's input, patches of 16 pixels of which four make a cell, and its outputs for the text model."""

from __future__ import annotations

from typing import Any

import numpy as np

PATCH = 16  # pixels


def patches_of(picture: np.ndarray) -> np.ndarray:
    """An image of whole cells in patches, as this model's image processor returns them.

    float32 [patches, 3 · 2 · 16 · 16], from -1 to 1.

    The image processor takes longer for a batch than the model; a test compares the two.
    """
    rows, columns = (side // (2 * PATCH) for side in picture.shape[:2])
    values = (picture.astype(np.float32) / 127.5 - 1).reshape(rows, 2, PATCH, columns, 2, PATCH, 3)
    cut = values.transpose(0, 3, 1, 4, 6, 2, 5)[..., None, :, :]
    return np.broadcast_to(cut, (rows, columns, 2, 2, 3, 2, PATCH, PATCH)).reshape(4 * rows * columns, -1)


def grids(pictures: list[np.ndarray]) -> Any:
    """The number of patches of each image in time, down and across: int64 [images, 3]."""
    import torch

    return torch.tensor([[1, len(picture) // PATCH, picture.shape[1] // PATCH] for picture in pictures])


def handed(tower: Any) -> int:
    """The number of features per cell that the text model gets: of the last layer, and of some earlier ones."""
    return 1 + len(tower.config.deepstack_visual_indexes)


def features(tower: Any, pictures: list[np.ndarray]) -> list[Any]:
    """The tower's outputs for the text model, of images with red first: tensors [cells of all images, width]."""
    import torch

    pixels = torch.from_numpy(np.concatenate([patches_of(picture) for picture in pictures]))
    output = tower(pixels, grid_thw=grids(pictures))
    return [output.pooler_output, *output.deepstack_features]
