"""Images of a room with things of plain colours, and the place of each; a thing is named by its colour.

No game is copied: walls and floors are noise and lines, things are pillars, posts, balls and cones.
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
}  # blue first, as in OpenCV
BARE = (50, 80, 110)  # a post
NAMES = list(THINGS)
ROWS, COLUMNS = 3, 4  # cells
HIGH, WIDE = ROWS * CELL, COLUMNS * CELL  # pixels: the shape of a screen, and small, so that rooms are drawn fast
HOW_MANY = (0.1, 0.3, 0.3, 0.3)  # chances of none to three things
SEEN = 6  # pixels: a thing with fewer visible ones is left out
SMALL, LARGE = 0.14, 0.95  # of the image's height: range of a thing's height
PLACES = 8  # bins of a thing's position across an image
NEAR = 0.45  # of the image's height: least height of a near thing
ASIDE = 0.2  # of half the image's width: distance from the middle at which left and right begin
FOOT = 0.42  # of a thing's height: distance of its foot below the horizon, for a camera at about half its height
FORMS = ("pillar", "post", "ball", "cone")


class Thing(NamedTuple):
    """A thing's colour, form, height in pixels and the position of its middle: -1 at the left edge, 1 at the right one.

    Example: ``Thing("red", "pillar", 48.0, -0.5)`` stands half way to the left edge, and is near.
    """

    colour: str
    form: str
    height: float
    across: float

    @property
    def place(self) -> int:
        """The eighth of the image's width in which its middle lies, from the left."""
        return min(PLACES - 1, int((self.across + 1) / 2 * PLACES))

    @property
    def near(self) -> bool:
        """Whether it takes up much of the image."""
        return self.height >= NEAR * HIGH


class Room(NamedTuple):
    """An image, uint8 [96, 128, 3], blue first; its visible things by colour; the share of each cell that each colour
    covers, float32 [3, 4, 5], in the order of `THINGS`.
    """

    picture: np.ndarray
    things: dict[str, Thing]
    covered: np.ndarray

    def where(self, colour: str) -> list[str]:
        """The answer for a colour: side and distance, ``["left", "near"]``, or ``["none"]`` if no thing has it."""
        if colour not in self.things:
            return ["none"]
        across, near = self.things[colour].across, self.things[colour].near
        side = "left" if across < -ASIDE else "right" if across > ASIDE else "ahead"
        return [side, "near" if near else "far"]


def room(rng: np.random.Generator) -> Room:
    """A room with up to three things of different colours; nearer things hide farther ones."""
    horizon = float(rng.uniform(0.38, 0.55)) * HIGH
    picture = ground(rng, horizon)
    colours = rng.choice(list(THINGS), int(rng.choice(len(HOW_MANY), p=HOW_MANY)), replace=False).tolist()
    things = []
    for colour in colours:
        height = float(np.exp(rng.uniform(np.log(SMALL), np.log(LARGE))) * HIGH)
        things.append(Thing(colour, str(rng.choice(FORMS)), height, float(rng.uniform(-1, 1))))
    things.sort(key=lambda thing: thing.height)
    owner = np.full((HIGH, WIDE), -1, np.int8)
    for thing in things:
        paint(rng, picture, owner, thing, horizon)
    covered = np.stack([cell_means((owner == at).astype(np.float32)) for at in range(len(THINGS))], axis=-1)
    visible = {thing.colour: thing for thing in things if (owner == NAMES.index(thing.colour)).sum() >= SEEN}
    return Room(as_picture(picture), visible, covered)


def ground(rng: np.random.Generator, horizon: float) -> np.ndarray:
    """Ceiling, wall and floor in dull colours with noise and lines: float32 [96, 128, 3]."""
    down, across = np.arange(HIGH, dtype=np.float32)[:, None], np.arange(WIDE, dtype=np.float32)[None]
    # The wall's edges fall and rise to the sides, as in a corner of a room.
    slope = rng.uniform(-0.25, 0.25) * (across - rng.uniform(0, WIDE))
    top, bottom = horizon - rng.uniform(7, 35) - slope, horizon + rng.uniform(5, 30) + slope
    part = np.where(down < top, 0, np.where(down < bottom, 1, 2))
    dull = (rng.uniform(20, 200, (3, 1)) + rng.normal(0, 14, (3, 3))).astype(np.float32)
    lines = (down % int(rng.integers(3, 20)) < 1) | (across % int(rng.integers(3, 20)) < 1)
    light = 0.75 + 0.5 * smooth(rng, (HIGH, WIDE), float(rng.uniform(10, 60)))
    light *= np.where(lines & (part == int(rng.integers(3))), rng.uniform(0.5, 1.3), 1)
    noise = rng.standard_normal((HIGH, WIDE, 1), np.float32) * np.float32(rng.uniform(2, 18))
    return dull[part] * light[..., None].astype(np.float32) + noise


def paint(rng: np.random.Generator, picture: np.ndarray, owner: np.ndarray, thing: Thing, horizon: float) -> None:
    """Draws a thing into an image, and the number of its colour into ``owner`` [h, w]."""
    x, foot = (thing.across + 1) / 2 * WIDE, horizon + FOOT * thing.height
    body, bare = masks(thing, x, foot, float(rng.uniform(0.14, 0.25)))
    across = np.clip((np.arange(WIDE) - x) / max(thing.height / 4, 1), -1, 1)
    light = (1 - 0.45 * np.abs(across))[None] * rng.uniform(0.75, 1.1)
    light = light * (1 + 0.15 * rng.standard_normal((HIGH, WIDE), np.float32))
    for mask, colour in ((bare, BARE), (body, THINGS[thing.colour])):
        picture[mask] = light[mask][:, None] * np.array(colour, np.float32)
    owner[bare], owner[body] = -1, NAMES.index(thing.colour)


def masks(thing: Thing, x: float, foot: float, slim: float) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of a thing, bool [h, w], and those of the bare post that carries it."""
    body, bare = np.zeros((HIGH, WIDE), np.uint8), np.zeros((HIGH, WIDE), np.uint8)
    top, half = foot - thing.height, slim * thing.height

    def box(mask: np.ndarray, left: float, above: float, right: float, below: float) -> None:
        cv2.rectangle(mask, (round(left), round(above)), (round(right), round(below)), 1, -1)

    if thing.form == "pillar":
        box(body, x - half, top, x + half, foot)
        box(body, x - 1.25 * half, top, x + 1.25 * half, top + thing.height / 6)
    elif thing.form == "post":
        box(bare, x - half / 5, top + thing.height / 4, x + half / 5, foot)
        middle = (round(x), round(top + thing.height / 6))
        cv2.ellipse(body, middle, (max(1, round(half * 0.6)), round(thing.height / 5)), 0, 0, 360, 1, -1)
    elif thing.form == "ball":
        cv2.circle(body, (round(x), round(foot - thing.height / 3)), max(2, round(thing.height / 3)), 1, -1)
    else:
        corners = [(x, top), (x - 1.3 * half, foot), (x + 1.3 * half, foot)]
        cv2.fillPoly(body, [np.array([(round(a), round(b)) for a, b in corners])], 1)
    return body.astype(bool), bare.astype(bool) & ~body.astype(bool)
