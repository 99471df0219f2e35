"""Training of a toy VLM in two parts: its vision tower with linear probes, then its text model on questions.

Trained together from the start, the text model learns likely digits long before it uses the image. So first a linear
probe on each output of the tower predicts the contents of each cell, and the probes are thrown away; then the text
model learns to read these features, while the tower is frozen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from scripts.model.sketch.pictures import Sketch
from scripts.model.sketch.tower import PATCH, features, grids, handed, patches_of

WARMUP = 60  # steps


@dataclass(frozen=True)
class Course:
    """The training of one toy VLM.

    Attributes:
        tower_share: of all steps, for the vision tower.
        tower_rate, text_rate: learning rates.
        outputs: of a probe, per cell.
        tower_batch: generator and step to images, uint8 [h, w, 3], red first, and their truth.
        tower_loss: a probe's output [cells of all images, outputs] and the truth to the loss.
        text_batch: generator, share of the text's steps that are done, and step to questions with images of one size.
    """

    tower_share: float
    tower_rate: float
    text_rate: float
    outputs: int
    tower_batch: Callable[[np.random.Generator, int], tuple[list[np.ndarray], Any]]
    tower_loss: Callable[[Any, Any], Any]
    text_batch: Callable[[np.random.Generator, float, int], list[Sketch]]


def teach(model: Any, tokenizer: Any, steps: int, course: Course) -> None:
    """Trains the tower, then the text model, for so many batches in all."""
    import torch

    tower_steps, tower = math.ceil(course.tower_share * steps), model.model.visual
    text_steps = steps - tower_steps
    model.train()
    with tqdm(total=steps, desc="stand-in", unit="step") as bar:
        rng, width = np.random.default_rng(3), tower.config.out_hidden_size
        probes = torch.nn.ModuleList(torch.nn.Linear(width, course.outputs) for _ in range(handed(tower)))
        optimizer = optimizer_of([*tower.parameters(), *probes.parameters()])
        for step in range(tower_steps):
            pictures, truth = course.tower_batch(rng, step)
            outputs = zip(probes, features(tower, pictures), strict=True)
            loss = sum(course.tower_loss(probe(cells), truth) for probe, cells in outputs)
            update(optimizer, loss, course.tower_rate * rate(step, tower_steps), bar)
        rng = np.random.default_rng(2)
        tower.requires_grad_(False)
        optimizer = optimizer_of([weights for weights in model.parameters() if weights.requires_grad])
        for step in range(text_steps):
            batch = batch_of(course.text_batch(rng, step / text_steps, step), tokenizer, model.config)
            labels = batch.pop("labels")[:, 1:]
            hidden = model.model(**batch, use_cache=False)[0][:, :-1][labels != -100]
            loss = torch.nn.functional.cross_entropy(model.lm_head(hidden), labels[labels != -100])
            update(optimizer, loss, course.text_rate * rate(step, text_steps), bar)
        tower.requires_grad_(True)


def optimizer_of(parameters: list[Any]) -> Any:
    """AdamW with settings for small models."""
    import torch

    return torch.optim.AdamW(parameters, weight_decay=0.01, betas=(0.9, 0.98))


def rate(step: int, steps: int) -> float:
    """The share of the peak learning rate: linear warm-up, then half a cosine down to a twentieth."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 0.05 + 0.95 * (1 + math.cos(math.pi * min(1.0, (step - WARMUP) / max(1, steps - WARMUP)))) / 2


def update(optimizer: Any, loss: Any, learning_rate: float, bar: tqdm) -> None:
    """One step of an optimizer, with gradients clipped to a norm of 1."""
    import torch

    loss.backward()
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
        torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
    optimizer.step()
    optimizer.zero_grad()
    bar.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)
    bar.update()


def batch_of(sketches: list[Sketch], tokenizer: Any, config: Any) -> dict[str, Any]:
    """Questions about images of one size as one batch, padded right: ids, mask, labels (answers only), pixels."""
    import torch

    pictures = [sketch.picture for sketch in sketches]
    high, wide = pictures[0].shape[:2]
    image = f"<|vision_start|>{'<|image_pad|>' * (high // (2 * PATCH) * (wide // (2 * PATCH)))}<|vision_end|>"
    rows, starts = [], []
    for sketch in sketches:
        prompt = f"<|im_start|>user\n{sketch.question}{image}<|im_end|>\n<|im_start|>assistant\n"
        head = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        rows.append(head + tokenizer(f"{sketch.answer}<|im_end|>", add_special_tokens=False)["input_ids"])
        starts.append(len(head))
    ids = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(row) for row in rows], batch_first=True, padding_value=tokenizer.pad_token_id
    )
    positions = torch.arange(ids.shape[1])
    mask = positions < torch.tensor([[len(row)] for row in rows])
    answers = mask & (positions >= torch.tensor(starts)[:, None])
    return {
        "input_ids": ids,
        "attention_mask": mask.long(),
        "labels": torch.where(answers, ids, -100),
        "mm_token_type_ids": (ids == config.image_token_id).int(),
        "pixel_values": torch.from_numpy(np.concatenate([patches_of(picture) for picture in pictures])),
        "image_grid_thw": grids(pictures),
    }
