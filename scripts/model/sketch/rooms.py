"""Pictures of a room in which things of plain colours stand, and where each is: a thing is found by its colour's name.

Nothing here is drawn from a game: walls and floors are noise and lines, things are pillars, posts, balls and cones.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from scripts.model.sketch.surface import CELL, as_picture, cell_means, smooth

THINGS = {
    "red": (40, 40, 210),
    "green": (60, 170, 50),
    "blue": (225, 70, 40),
    "yellow": (40, 205, 230),
    "violet": (170, 50, 150),
}  # blue first, as OpenCV has it
BARE = (50, 80, 110)  # a post
NUMBERS = {name: number for number, name in enumerate(THINGS)}
ROWS, COLUMNS = 3, 4  # cells
HIGH, WIDE = ROWS * CELL, COLUMNS * CELL  # pixels: of a screen's form, and few, so that many rooms take little time
HOW_MANY = (0.1, 0.3, 0.3, 0.3)  # chances of no thing, one, two and three
SEEN = 6  # pixels of a thing that must show
SMALL, LARGE = 0.14, 0.95  # of the picture's height: how high a thing is
PLACES = 8  # how finely it is told where across a picture a thing is
NEAR = 0.45  # of the picture's height: from there on a thing is near
ASIDE = 0.2  # of half the picture's width: further off the middle a thing is to the left or right
FOOT = 0.42  # of a thing's height: how far below the horizon it stands, as seen by eyes at about half its height
FORMS = ("pillar", "post", "ball", "cone")


class Thing(NamedTuple):
    """A thing's colour, form, height in pixels and where its middle is: -1 at the left edge, 1 at the right one.

    Example: ``Thing("red", "pillar", 48.0, -0.5)`` stands half way to the left edge, and is near.
    """

    colour: str
    form: str
    height: float
    across: float

    @property
    def place(self) -> int:
        """Which eighth of the picture's width its middle lies in, from the left."""
        return min(PLACES - 1, int((self.across + 1) / 2 * PLACES))

    @property
    def near(self) -> bool:
        """Whether it takes up much of the picture."""
        return self.height >= NEAR * HIGH

    @property
    def words(self) -> list[str]:
        """On which side it is and how far: ``["left", "near"]``."""
        side = "left" if self.across < -ASIDE else "right" if self.across > ASIDE else "ahead"
        return [side, "near" if self.near else "far"]


class Room(NamedTuple):
    """A picture, uint8 [96, 128, 3], blue first; its things by colour; the share of each cell that each colour covers,
    float32 [3, 4, 5], in the order of `THINGS`.
    """

    picture: np.ndarray
    things: dict[str, Thing]
    covered: np.ndarray

    def where(self, colour: str) -> list[str]:
        """What is said of a colour: side and distance, or ``none`` where nothing has it."""
        return self.things[colour].words if colour in self.things else ["none"]


def room(dice: np.random.Generator) -> Room:
    """A room with up to three things, each of another colour; the nearer hide the farther."""
    horizon = float(dice.uniform(0.38, 0.55)) * HIGH
    picture = ground(dice, horizon)
    colours = dice.choice(list(THINGS), int(dice.choice(len(HOW_MANY), p=HOW_MANY)), replace=False).tolist()
    things = sorted((thing(dice, colour) for colour in colours), key=lambda one: one.height)
    owner = np.full((HIGH, WIDE), -1, np.int8)
    for one in things:
        paint(dice, picture, owner, one, horizon)
    covered = np.stack([cell_means((owner == at).astype(np.float32)) for at in range(len(THINGS))], axis=-1)
    seen = {one.colour: one for one in things if (owner == NUMBERS[one.colour]).sum() >= SEEN}
    return Room(as_picture(picture), seen, covered)


def thing(dice: np.random.Generator, colour: str) -> Thing:
    """A thing of a colour, of any form, size and place."""
    share = np.exp(dice.uniform(np.log(SMALL), np.log(LARGE)))
    return Thing(colour, str(dice.choice(FORMS)), float(share * HIGH), float(dice.uniform(-1, 1)))


def ground(dice: np.random.Generator, horizon: float) -> np.ndarray:
    """Ceiling, wall and floor in dull colours with noise and lines: float32 [96, 128, 3]."""
    down, across = np.arange(HIGH, dtype=np.float32)[:, None], np.arange(WIDE, dtype=np.float32)[None]
    # The wall's edges fall and rise to the sides, as in a corner seen from within.
    slope = dice.uniform(-0.25, 0.25) * (across - dice.uniform(0, WIDE))
    top, bottom = horizon - dice.uniform(7, 35) - slope, horizon + dice.uniform(5, 30) + slope
    part = np.where(down < top, 0, np.where(down < bottom, 1, 2))
    dull = (dice.uniform(20, 200, (3, 1)) + dice.normal(0, 14, (3, 3))).astype(np.float32)
    lines = (down % int(dice.integers(3, 20)) < 1) | (across % int(dice.integers(3, 20)) < 1)
    light = 0.75 + 0.5 * smooth(dice, (HIGH, WIDE), float(dice.uniform(10, 60)))
    light *= np.where(lines & (part == int(dice.integers(3))), dice.uniform(0.5, 1.3), 1)
    noise = dice.standard_normal((HIGH, WIDE, 1), np.float32) * np.float32(dice.uniform(2, 18))
    return dull[part] * light[..., None].astype(np.float32) + noise


def paint(dice: np.random.Generator, picture: np.ndarray, owner: np.ndarray, one: Thing, horizon: float) -> None:
    """Draws a thing into a picture, and into ``owner`` [h, w] the number of its colour."""
    x, foot = (one.across + 1) / 2 * WIDE, horizon + FOOT * one.height
    body, bare = masks(one, x, foot, (HIGH, WIDE), float(dice.uniform(0.14, 0.25)))
    across = np.clip((np.arange(WIDE) - x) / max(one.height / 4, 1), -1, 1)
    light = (1 - 0.45 * np.abs(across))[None] * dice.uniform(0.75, 1.1)
    light = light * (1 + 0.15 * dice.standard_normal((HIGH, WIDE), np.float32))
    for mask, colour in ((bare, BARE), (body, THINGS[one.colour])):
        picture[mask] = light[mask][:, None] * np.array(colour, np.float32)
    owner[bare], owner[body] = -1, NUMBERS[one.colour]


def masks(one: Thing, x: float, foot: float, size: tuple[int, int], slim: float) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels [h, w] have a thing's colour, and which belong to the bare post that carries it."""
    body, bare = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    top, half = foot - one.height, slim * one.height

    def box(mask: np.ndarray, left: float, above: float, right: float, below: float) -> None:
        cv2.rectangle(mask, (round(left), round(above)), (round(right), round(below)), 1, -1)

    if one.form == "pillar":
        box(body, x - half, top, x + half, foot)
        box(body, x - 1.25 * half, top, x + 1.25 * half, top + one.height / 6)
    elif one.form == "post":
        box(bare, x - half / 5, top + one.height / 4, x + half / 5, foot)
        middle = (round(x), round(top + one.height / 6))
        cv2.ellipse(body, middle, (max(1, round(half * 0.6)), round(one.height / 5)), 0, 0, 360, 1, -1)
    elif one.form == "ball":
        cv2.circle(body, (round(x), round(foot - one.height / 3)), max(2, round(one.height / 3)), 1, -1)
    else:
        corners = [(x, top), (x - 1.3 * half, foot), (x + 1.3 * half, foot)]
        cv2.fillPoly(body, [np.array([(round(a), round(b)) for a, b in corners])], 1)
    return body.astype(bool), bare.astype(bool) & ~body.astype(bool)
