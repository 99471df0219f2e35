"""What the stand-in is taught, in the order in which it learns fastest: to see, to find a cell, then everything.

All at once from the start, text is learnt and pictures are not: writing likely digits lowers the loss long before
looking does. A vision tower that already tells what is where, and one question that only looking answers, take a
hundred batches or two; from there the rest follows. Questions come before the picture, and grids first in an answer: a
digit's distance from the picture then always tells its cell.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from tqdm import tqdm

from scripts.model.sketch.pictures import HEIGHTS, Kind, Sketch, brightness, draw, layer
from scripts.model.sketch.surface import CELL, COLUMNS, as_picture, cell_means, lit

BATCH, LEARNING_RATE, WARMUP = 8, 1.5e-3, 60
PATCH = 16  # pixels
SEEING = 0.08  # of the steps, for the vision tower alone
LESSONS = (0.12, 0.45)  # shares of the steps after which layers follow brightness, and everything follows layers
KEPT = 0.4  # of everything: layers, so that they are not forgotten


def teach(model: Any, tokenizer: Any, steps: int) -> None:
    """Trains all parameters on pictures drawn as they are needed, for so many batches of eight."""
    seeing = math.ceil(SEEING * steps)
    with tqdm(total=steps, desc="stand-in", unit="step") as bar:
        see(model, seeing, bar)
        speak(model, tokenizer, steps - seeing, bar)


def see(model: Any, steps: int, bar: tqdm) -> None:
    """The vision tower alone: all that it hands to the text tells, linearly, heights, colours and place of its cell."""
    import torch

    dice, tower = np.random.default_rng(3), model.model.visual
    width = tower.config.out_hidden_size
    handed = 1 + len(tower.config.deepstack_visual_indexes)  # features: the last ones, and those of earlier layers
    heads = torch.nn.ModuleList(torch.nn.Linear(width, 4 + max(HEIGHTS) + COLUMNS) for _ in range(handed))
    optimizer = optimizer_of([*tower.parameters(), *heads.parameters()])
    model.train()
    for step in range(steps):
        rows = HEIGHTS[step % len(HEIGHTS)]
        pixels, truth = seen(dice, rows)
        given = tower(pixels, grid_thw=grids(rows))
        features = [given.pooler_output, *given.deepstack_features]
        loss = sum((head(row) - truth).square().mean() for head, row in zip(heads, features, strict=True))
        turn(optimizer, loss, LEARNING_RATE * rate(step, steps), bar)


def seen(dice: np.random.Generator, rows: int) -> tuple[Any, Any]:
    """A batch of surfaces: patches, and of each cell its height, its colours, and one of the rows and columns."""
    import torch

    pixels, truth = [], []
    place = np.concatenate(
        [np.repeat(np.eye(max(HEIGHTS))[:rows], COLUMNS, axis=0), np.tile(np.eye(COLUMNS), (rows, 1))], axis=1
    )
    for _ in range(BATCH):
        values, heights = lit(dice, rows)
        picture = as_picture(values)[..., ::-1]
        known = np.concatenate([cell_means(heights)[..., None], cell_means(picture / 255)], axis=-1)
        pixels.append(patches_of(picture))
        # Twice: heights and colours vary less than places do, and are what matters.
        truth.append(np.concatenate([2 * known.reshape(-1, 4), place], axis=1))
    return torch.from_numpy(np.concatenate(pixels)), torch.from_numpy(np.concatenate(truth)).float()


def speak(model: Any, tokenizer: Any, steps: int, bar: tqdm) -> None:
    """Everything, on questions and answers; loss on answers only."""
    dice = np.random.default_rng(2)
    optimizer = optimizer_of(model.parameters())
    model.train()
    for step in range(steps):
        rows = HEIGHTS[step % len(HEIGHTS)]
        sketches = [draw(dice, rows, lesson(dice, step / steps)) for _ in range(BATCH)]
        batch = batch_of(sketches, tokenizer, model.config)
        turn(optimizer, loss_of(model, batch), LEARNING_RATE * rate(step, steps), bar)


def lesson(dice: np.random.Generator, done: float) -> Kind | None:
    """What is drawn when such a share of the steps is done; None for everything."""
    if done < LESSONS[0]:
        return brightness
    return layer if done < LESSONS[1] or dice.random() < KEPT else None


def optimizer_of(parameters: Any) -> Any:
    """AdamW as small models like it."""
    import torch

    return torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.98))


def turn(optimizer: Any, loss: Any, learning_rate: float, bar: tqdm) -> None:
    """One step of an optimizer, gradients clipped to a norm of 1."""
    import torch

    loss.backward()
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
        torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
    optimizer.step()
    optimizer.zero_grad()
    bar.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)
    bar.update()


def rate(step: int, steps: int) -> float:
    """The share of the full learning rate: a short rise, then half a cosine down to a twentieth."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 0.05 + 0.95 * (1 + math.cos(math.pi * min(1.0, (step - WARMUP) / max(1, steps - WARMUP)))) / 2


def loss_of(model: Any, batch: dict[str, Any]) -> Any:
    """Mean cross entropy over the tokens of the answers."""
    import torch

    labels = batch.pop("labels")[:, 1:]
    hidden = model.model(**batch, use_cache=False)[0][:, :-1][labels != -100]
    return torch.nn.functional.cross_entropy(model.lm_head(hidden), labels[labels != -100])


def batch_of(sketches: list[Sketch], tokenizer: Any, config: Any) -> dict[str, Any]:
    """Sketches of one size as one batch, padded right: ids, mask, labels, pixels."""
    import torch

    cells = len(sketches[0].picture) // CELL * COLUMNS
    look = f"<|vision_start|>{'<|image_pad|>' * cells}<|vision_end|>"
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
        "pixel_values": torch.from_numpy(np.concatenate([patches_of(one.picture) for one in sketches])),
        "image_grid_thw": grids(cells // COLUMNS, len(sketches)),
    }


def grids(rows: int, count: int = BATCH) -> Any:
    """How many patches each picture has: in time, down and across."""
    import torch

    return torch.tensor([[1, rows * CELL // PATCH, COLUMNS * CELL // PATCH]] * count)


def patches_of(picture: np.ndarray) -> np.ndarray:
    """A picture as the image processor of this model cuts it: float32 [patches, 3 · 2 · 16 · 16], from -1 to 1.

    Written out because the processor takes longer for a batch than the model; a test compares the two.
    """
    rows = len(picture) // CELL
    values = (picture.astype(np.float32) / 127.5 - 1).reshape(rows, 2, PATCH, COLUMNS, 2, PATCH, 3)
    cut = values.transpose(0, 3, 1, 4, 6, 2, 5)[..., None, :, :]
    return np.broadcast_to(cut, (rows, COLUMNS, 2, 2, 3, 2, PATCH, PATCH)).reshape(4 * rows * COLUMNS, -1)
