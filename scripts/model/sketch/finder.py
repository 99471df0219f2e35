"""A stand-in that finds: the model of `sketch-vl`, taught where things of plain colours stand in rooms.

First its vision tower alone, whose features are read by linear layers that are thrown away afterwards: in every cell
they tell where across the picture each colour's thing is. A text model that is to find a thing by its name then only
has to read what is told everywhere; without that it did not learn to in thousands of steps. Then the text, on
questions, while the tower stays as it is: a text model that knows nothing yet would make it forget. It is asked in one
sentence first and in any words later, so that it finds a name wherever it stands. (Measured, cross entropy of a thing's
place by a linear layer on the tower: 0.44 after the first part, 1.39 where both learnt after it.)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from tqdm import tqdm

from scripts.model.sketch.pictures import Sketch, to_text
from scripts.model.sketch.rooms import COLUMNS, PLACES, ROWS, THINGS, Room, room
from scripts.model.sketch.speaking import batch_of, loss_of
from scripts.model.sketch.standin import CORPUS, PICTURES, make_model, make_tokenizer
from scripts.model.sketch.steps import optimizer_of, rate, turn
from scripts.model.sketch.surface import places
from scripts.model.sketch.tower import features, handed
from scripts.model.sketch.wording import carried

BATCH = 32
SEEING = 0.45  # of the steps, for the vision tower alone
PLAIN = 0.4  # of the text's steps: asked in one sentence always
CARRIED = 0.85  # of the questions for one colour after that: asked in other words
SEEING_RATE, SPEAKING_RATE = 3e-3, 2e-3  # learning rates
WEIGHTS = {"covered": 10, "place": 3, "across": 3, "near": 1}
FAR = 1  # of none, far, near


def make(steps: int) -> tuple[Any, Any, dict[str, Any]]:
    """The model (float32), its tokenizer, and the settings of its image processor; the same bytes every time.

    Args:
        steps: of training, batches of 32 pictures; 0 leaves the weights random.
    """
    import torch

    dice = np.random.default_rng(1)
    tokenizer = make_tokenizer([finding(dice) for _ in range(CORPUS)])
    torch.manual_seed(0)
    model = make_model(tokenizer)
    seeing = math.ceil(SEEING * steps)
    with tqdm(total=steps, desc="stand-in", unit="step") as bar:
        see(model, seeing, bar)
        speak(model, tokenizer, steps - seeing, bar)
    return model.eval(), tokenizer, PICTURES


def see(model: Any, steps: int, bar: tqdm) -> None:
    """Trains the vision tower so that all that it hands to the text tells, linearly, what is where."""
    import torch

    dice, tower = np.random.default_rng(3), model.model.visual
    width = tower.config.out_hidden_size
    heads = torch.nn.ModuleList(torch.nn.Linear(width, sum(told_sizes())) for _ in range(handed(tower)))
    optimizer = optimizer_of([*tower.parameters(), *heads.parameters()])
    model.train()
    for step in range(steps):
        drawn = [room(dice) for _ in range(BATCH)]
        told = zip(heads, features(tower, [one.picture[..., ::-1] for one in drawn]), strict=True)
        loss = sum(loss_of_told(head(row), drawn) for head, row in told)
        turn(optimizer, loss, SEEING_RATE * rate(step, steps), bar)


def told_sizes() -> tuple[int, ...]:
    """How many numbers tell of a room, in each cell: shares covered, place, and for each colour across and near."""
    return len(THINGS), ROWS + COLUMNS, len(THINGS) * (PLACES + 1), len(THINGS) * 3


def loss_of_told(told: Any, drawn: list[Room]) -> Any:
    """How wrong it is what is told in each cell [rooms · 12, numbers] of some rooms."""
    import torch

    cells = ROWS * COLUMNS
    covered, place, across, near = told.split(told_sizes(), dim=-1)
    known = torch.from_numpy(np.concatenate([one.covered.reshape(cells, -1) for one in drawn]))
    where = torch.from_numpy(places(ROWS, COLUMNS, ROWS)).float().repeat(len(drawn), 1)
    of_things = [[one.things.get(colour) for colour in THINGS] for one in drawn]
    placed = torch.tensor([[thing.place if thing else PLACES for thing in row] for row in of_things])
    size = torch.tensor([[FAR + thing.near if thing else 0 for thing in row] for row in of_things])
    wrong = {
        "covered": (covered - known).square().sum(dim=-1).mean(),
        "place": (place - where).square().mean(),
        "across": everywhere(across, placed, PLACES + 1),
        "near": everywhere(near, size, 3),
    }
    return sum(WEIGHTS[name] * loss for name, loss in wrong.items())


def everywhere(told: Any, truth: Any, kinds: int) -> Any:
    """Cross entropy of what every cell tells of the whole picture: [rooms · cells, things · kinds], [rooms, things]."""
    import torch

    repeated = truth.repeat_interleave(len(told) // len(truth), dim=0)
    return torch.nn.functional.cross_entropy(told.reshape(-1, kinds), repeated.flatten())


def speak(model: Any, tokenizer: Any, steps: int, bar: tqdm) -> None:
    """Trains the text on questions and answers; loss on answers only."""
    dice = np.random.default_rng(2)
    model.model.visual.requires_grad_(False)
    optimizer = optimizer_of([one for one in model.parameters() if one.requires_grad])
    model.train()
    for step in range(steps):
        strange = CARRIED if step >= PLAIN * steps else 0.0
        batch = batch_of([finding(dice, strange) for _ in range(BATCH)], tokenizer, model.config)
        turn(optimizer, loss_of(model, batch), SPEAKING_RATE * rate(step, steps), bar)
    model.model.visual.requires_grad_(True)


def finding(dice: np.random.Generator, strange: float = 0.0) -> Sketch:
    """A room: where the thing of one colour is, mostly one that is there, or those of all colours.

    ``strange`` is the chance that the one colour stands among words that mean nothing.
    """
    found = room(dice)
    picture = found.picture[..., ::-1]
    colours = dice.permutation(list(THINGS)).tolist()
    if dice.random() < 0.5:
        answer: dict[str, object] = {colour: found.where(colour) for colour in colours}
        return Sketch(picture, f"Where are {', '.join(colours)}.", to_text(answer))
    if found.things and dice.random() < 0.7:
        colours = dice.permutation(list(found.things)).tolist()
    asked = carried(dice, colours[0]) if dice.random() < strange else f"Where is {colours[0]}."
    return Sketch(picture, asked, to_text({"where": found.where(colours[0])}))
