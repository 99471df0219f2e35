"""What the stand-in is taught, in the order in which it learns fastest: to see, to find a cell, then everything.

All at once from the start, text is learnt and pictures are not: writing likely digits lowers the loss long before
looking does. A vision tower that already tells what is where (scripts/model/sketch/seeing.py), and one question that
only looking answers, take a hundred batches or two; from there the rest follows. Questions come before the picture, and
grids first in an answer: a digit's distance from the picture then always tells its cell.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from tqdm import tqdm

from scripts.model.sketch.patches import PATCH, grids, patches_of
from scripts.model.sketch.pictures import HEIGHTS, Kind, Sketch, brightness, draw, finding, layer
from scripts.model.sketch.seeing import see
from scripts.model.sketch.steps import optimizer_of, rate, turn

BATCH, ROOMS = 8, 32  # pictures a batch; rooms are small
LEARNING_RATE = 1.5e-3
SEEING = 0.4  # of the steps, for the vision tower alone
LESSONS = (0.12, 0.45)  # shares of the steps after which layers follow brightness, and everything follows layers
TURN = 3  # once brightness is learnt, every so many batches are rooms
KEPT = 0.4  # of everything: layers, so that they are not forgotten


def teach(model: Any, tokenizer: Any, steps: int) -> None:
    """Trains the tower, then the text, on pictures drawn as they are needed, for so many batches of 8, or 32 small."""
    seeing = math.ceil(SEEING * steps)
    with tqdm(total=steps, desc="stand-in", unit="step") as bar:
        see(model, seeing, bar)
        speak(model, tokenizer, steps - seeing, bar)


def speak(model: Any, tokenizer: Any, steps: int, bar: tqdm) -> None:
    """Everything, on questions and answers; loss on answers only.

    The vision tower stays as it is: what a text model that knows nothing yet would make of it is forgetting.
    """
    dice = np.random.default_rng(2)
    model.model.visual.requires_grad_(False)
    optimizer = optimizer_of([one for one in model.parameters() if one.requires_grad])
    model.train()
    for step in range(steps):
        batch = batch_of(lesson(dice, step, step / steps), tokenizer, model.config)
        turn(optimizer, loss_of(model, batch), LEARNING_RATE * rate(step, steps), bar)
    model.model.visual.requires_grad_(True)


def lesson(dice: np.random.Generator, step: int, done: float) -> list[Sketch]:
    """A batch's pictures of one size, with questions and answers, when such a share of the steps is done."""
    if done >= LESSONS[0] and step % TURN == 0:
        return [draw(dice, kind=finding) for _ in range(ROOMS)]
    return [draw(dice, HEIGHTS[step % len(HEIGHTS)], surface_kind(dice, done)) for _ in range(BATCH)]


def surface_kind(dice: np.random.Generator, done: float) -> Kind | None:
    """What is drawn but rooms; None for everything."""
    if done < LESSONS[0]:
        return brightness
    return layer if done < LESSONS[1] or dice.random() < KEPT else None


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
