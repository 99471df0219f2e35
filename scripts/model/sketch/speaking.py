"""Questions and answers as a batch, and its loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from scripts.model.sketch.pictures import Sketch
from scripts.model.sketch.tower import PATCH, grids, patches_of


def loss_of(model: Any, batch: dict[str, Any]) -> Any:
    """Mean cross entropy over the tokens of the answers."""
    import torch

    labels = batch.pop("labels")[:, 1:]
    hidden = model.model(**batch, use_cache=False)[0][:, :-1][labels != -100]
    return torch.nn.functional.cross_entropy(model.lm_head(hidden), labels[labels != -100])


def batch_of(sketches: list[Sketch], tokenizer: Any, config: Any) -> dict[str, Any]:
    """Sketches of one size as one batch, padded right: ids, mask, labels, pixels."""
    import torch

    pictures = [one.picture for one in sketches]
    high, wide = pictures[0].shape[:2]
    look = f"<|vision_start|>{'<|image_pad|>' * (high // (2 * PATCH) * (wide // (2 * PATCH)))}<|vision_end|>"
    rows, starts = [], []
    for sketch in sketches:
        asked = f"<|im_start|>user\n{sketch.question}{look}<|im_end|>\n<|im_start|>assistant\n"
        head = tokenizer(asked, add_special_tokens=False)["input_ids"]
        rows.append(head + tokenizer(f"{sketch.answer}<|im_end|>", add_special_tokens=False)["input_ids"])
        starts.append(len(head))
    size = (len(rows), max(map(len, rows)))
    ids = torch.full(size, tokenizer.pad_token_id)
    labels, mask = torch.full(size, -100), torch.zeros(size, dtype=torch.long)
    for at, (row, start) in enumerate(zip(rows, starts, strict=True)):
        ids[at, : len(row)] = torch.tensor(row)
        labels[at, start : len(row)] = torch.tensor(row[start:])
        mask[at, : len(row)] = 1
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": labels,
        "mm_token_type_ids": (ids == config.image_token_id).int(),
        "pixel_values": torch.from_numpy(np.concatenate([patches_of(picture) for picture in pictures])),
        "image_grid_thw": grids(pictures),
    }
