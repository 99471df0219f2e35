"""The recipe `sketch-rooms`: the toy VLM of `sketch-vl`, trained to locate things of plain colours in rooms.

The tower's probes predict, in every cell, where across the image the thing of each colour is. The text model can then
read the place of a thing from any feature; without this it did not learn to in thousands of steps. (Measured, cross
entropy of a thing's place by a linear layer on the tower: 0.44 after the first part, 1.39 where tower and text were
trained together after it.)

Questions have one form at first and random words around the name later: a model trained on a name in one sentence does
not recognise it in another. (Measured on 128 rooms, share of correct places: 0.84 in the sentence of training and 0.41
in a longer one; after 400 more steps with random words 0.82 in both.)
"""

from __future__ import annotations

import string
from typing import Any

import numpy as np

from scripts.model.sketch.pictures import Sketch, to_text
from scripts.model.sketch.rooms import COLUMNS, PLACES, ROWS, THINGS, Room, room
from scripts.model.sketch.standin import CORPUS, build
from scripts.model.sketch.surface import places
from scripts.model.sketch.training import Course

BATCH = 32
PLAIN = 0.4  # of the text's steps: only questions of one form
CARRIED = 0.85  # of the questions for one colour after that: asked in other words
FAR = 1  # of none, far, near
LETTERS = list(string.ascii_lowercase)
LONGEST = 7  # letters of a random word
MOST = 6  # words on either side
TITLE = 0.2  # chance of a capital
ENDS = ("", "", "", "", ".", ":", ",", "\n")  # of a word
# Outputs of a probe in each cell: shares covered, place, and for each colour across and near.
SIZES = (len(THINGS), ROWS + COLUMNS, len(THINGS) * (PLACES + 1), len(THINGS) * 3)


def make(steps: int) -> tuple[Any, Any, dict[str, Any]]:
    """The model (float32), its tokenizer, and the settings of its image processor; the same bytes every time.

    Args:
        steps: of training, batches of 32 images; 0 leaves the weights random.
    """
    rng = np.random.default_rng(1)
    return build([finding(rng) for _ in range(CORPUS)], COURSE, steps)


def finding(rng: np.random.Generator, strange: float = 0.0) -> Sketch:
    """A room and a question: where the thing of one colour is, usually one in the room, or those of all colours.

    ``strange`` is the chance that the one colour stands among words without meaning.
    """
    drawn = room(rng)
    picture = drawn.picture[..., ::-1]
    colours = rng.permutation(list(THINGS)).tolist()
    if rng.random() < 0.5:
        answer: dict[str, object] = {colour: drawn.where(colour) for colour in colours}
        return Sketch(picture, f"Where are {', '.join(colours)}.", to_text(answer))
    if drawn.things and rng.random() < 0.7:
        colours = rng.permutation(list(drawn.things)).tolist()
    question = f"Where is {colours[0]}."
    if rng.random() < strange:  # such as "Kzo dhw: p red gnapd,"
        question = f"{words(rng)} {colours[0]} {words(rng)}"
    return Sketch(picture, question, to_text({"where": drawn.where(colours[0])}))


def words(rng: np.random.Generator) -> str:
    """None to six words of one to seven random letters."""
    drawn = []
    for _ in range(int(rng.integers(MOST + 1))):
        letters = "".join(rng.choice(LETTERS, int(rng.integers(1, LONGEST + 1))))
        word = letters.title() if rng.random() < TITLE else letters
        drawn.append(word + str(rng.choice(ENDS)))
    return " ".join(drawn)


def questions(rng: np.random.Generator, done: float, _step: int) -> list[Sketch]:
    """A batch of questions when a share of the text's steps is done."""
    return [finding(rng, CARRIED if done >= PLAIN else 0.0) for _ in range(BATCH)]


def views(rng: np.random.Generator, _step: int) -> tuple[list[np.ndarray], list[Room]]:
    """A batch of rooms: images, red first, and their contents."""
    drawn = [room(rng) for _ in range(BATCH)]
    return [view.picture[..., ::-1] for view in drawn], drawn


def loss_of_told(outputs: Any, drawn: list[Room]) -> Any:
    """The weighted loss of a probe's outputs [rooms · 12, sum of `SIZES`].

    Squared error of covered shares and of the cell's own place; cross entropy of each colour's place and distance,
    which every cell predicts for the whole image.
    """
    import torch

    cells = ROWS * COLUMNS
    covered, place, across, near = outputs.split(SIZES, dim=-1)
    shares = torch.from_numpy(np.concatenate([view.covered.reshape(cells, -1) for view in drawn]))
    where = torch.from_numpy(places(ROWS, COLUMNS, ROWS)).float().repeat(len(drawn), 1)
    of_things = [[view.things.get(colour) for colour in THINGS] for view in drawn]
    placed = torch.tensor([[thing.place if thing else PLACES for thing in row] for row in of_things])
    size = torch.tensor([[FAR + thing.near if thing else 0 for thing in row] for row in of_things])

    def everywhere(logits: Any, truth: Any, kinds: int) -> Any:
        repeated = truth.repeat_interleave(cells, dim=0)
        return torch.nn.functional.cross_entropy(logits.reshape(-1, kinds), repeated.flatten())

    return (
        10 * (covered - shares).square().sum(dim=-1).mean()
        + 3 * (place - where).square().mean()
        + 3 * everywhere(across, placed, PLACES + 1)
        + everywhere(near, size, 3)
    )


COURSE = Course(
    tower_share=0.45,
    tower_rate=3e-3,
    text_rate=2e-3,
    outputs=sum(SIZES),
    tower_batch=views,
    tower_loss=loss_of_told,
    text_batch=questions,
)
