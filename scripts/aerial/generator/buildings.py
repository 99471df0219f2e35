"""What stands on a lot: houses with gable, hip and leaning roofs, blocks, L-shapes, stepped towers, round towers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from scripts.aerial.generator.plan import PAVEMENT, Plan, Rect, blocks, lots
from scripts.aerial.generator.shells import Shell, joined, leaning, placed, prism, rectangle, ridged, ring, spired

SUNK = 1.0  # metres that walls go below the lowest ground around them
LEAST = 7.0  # metres; a lot narrower than this stays empty
PARK, YARD = 0.08, 0.07  # shares of blocks and lots without a building


class City:
    """What is built: shells, and the lots and blocks left green.

    Attributes:
        shells: of buildings, in the world.
        green: rectangles of the plan where trees stand.
    """

    def __init__(self) -> None:
        self.shells: list[Shell] = []
        self.green: list[Rect] = []


def build(plan: Plan) -> City:
    """All lots of all blocks; each lot has dice of its own."""
    dice = np.random.default_rng([plan.options.seed, 2])
    city = City()
    for block in blocks(plan):
        inner = block.shrunk(PAVEMENT)
        if min(inner.sides) < LEAST:
            continue
        if dice.random() < PARK:
            city.green.append(inner)
            continue
        tall = heights_around(plan, *block.middle)
        for lot in lots(dice, inner, float(np.clip(0.45 * tall + 16, 20, 46))):
            if dice.random() < YARD or min(lot.sides) < LEAST + 2:
                city.green.append(lot)
            else:
                city.shells.append(on_lot(plan, dice, lot, tall))
    return city


def heights_around(plan: Plan, u: float, v: float) -> float:
    """Metres; how high one builds here: highest in the middle of the city, falling off towards its edges."""
    away = np.hypot(u, v) / (0.5 * plan.options.size)
    return float(6 + (plan.options.tallest - 6) * np.exp(-2.6 * away**1.4))


def on_lot(plan: Plan, dice: np.random.Generator, lot: Rect, tall: float) -> Shell:
    """A building in the world."""
    height = float(np.clip(tall * dice.lognormal(-0.35, 0.45), 4.5, plan.options.tallest))
    wide, deep = (side * share for side, share in zip(lot.sides, dice.uniform(0.68, 0.92, 2), strict=True))
    turned = deep > wide
    shell = form_of(dice, height)(dice, max(wide, deep), min(wide, deep), height)
    place, heading = plan.place(*lot.middle), plan.heading(*lot.middle)
    corners = placed(prism(rectangle(wide, deep), 0, 1), place, heading, 0).vertices[:, :2]
    ground = plan.ground(corners)
    # Walls begin below the ground; heights count from its highest place, so that no door is buried.
    lowest = float(ground.min() - ground.max()) - SUNK
    vertices = shell.vertices.copy()
    vertices[vertices[:, 2] == 0, 2] = lowest
    return placed(Shell(vertices, shell.faces), place, heading + (np.pi / 2 if turned else 0), float(ground.max()))


Form = Callable[[np.random.Generator, float, float, float], Shell]
"""From dice, the longer and the shorter side and the height, metres, to a shell around 0 whose floor is at 0."""


def form_of(dice: np.random.Generator, height: float) -> Form:
    """A form that suits a height."""
    forms: list[tuple[Form, float]]
    if height < 12:
        forms = [(gable, 4), (hipped, 3), (lean_to, 1.5), (flat, 1.5), (angled, 1)]
    elif height < 35:
        forms = [(flat, 4), (angled, 3), (gable, 1), (hipped, 1), (stepped, 1), (rounded, 0.4)]
    else:
        forms = [(flat, 2), (stepped, 4), (angled, 0.5), (rounded, 1), (crowned, 1)]
    weights = np.array([weight for _, weight in forms])
    return forms[int(dice.choice(len(forms), p=weights / weights.sum()))][0]


def gable(dice: np.random.Generator, wide: float, deep: float, height: float) -> Shell:
    """A ridge from wall to wall."""
    return ridged(wide, deep, 0, height - min(height / 2, deep * dice.uniform(0.25, 0.45)), height, 0)


def hipped(dice: np.random.Generator, wide: float, deep: float, height: float) -> Shell:
    """A roof that slopes on all four sides."""
    hip = min(0.45 * wide, 0.5 * deep)
    return ridged(wide, deep, 0, height - min(height / 2, deep * dice.uniform(0.2, 0.35)), height, hip)


def lean_to(dice: np.random.Generator, wide: float, deep: float, height: float) -> Shell:
    """A roof with one slope."""
    return leaning(wide, deep, 0, height - min(height / 3, deep * dice.uniform(0.1, 0.25)), height)


def flat(dice: np.random.Generator, wide: float, deep: float, height: float) -> Shell:
    """A flat roof with a house for the stairs on it."""
    x, y = dice.uniform(-0.25, 0.25, 2)
    house = rectangle(0.22 * wide, 0.3 * deep, (x * wide, y * deep))
    return joined([prism(rectangle(wide, deep), 0, height), prism(house, height - 0.3, height + dice.uniform(2, 3.2))])


def angled(dice: np.random.Generator, wide: float, deep: float, height: float) -> Shell:
    """An L: one corner left out."""
    x, y = dice.uniform(-0.15, 0.2) * wide, dice.uniform(-0.15, 0.2) * deep
    half_x, half_y = wide / 2, deep / 2
    outline = [(-half_x, -half_y), (half_x, -half_y), (half_x, y), (x, y), (x, half_y), (-half_x, half_y)]
    return prism(np.array(outline), 0, height)


def stepped(dice: np.random.Generator, wide: float, deep: float, height: float) -> Shell:
    """A tower that is narrower at each of two or three steps."""
    steps = int(dice.integers(2, 4))
    heights = np.sort(dice.uniform(0.15, 0.85, steps - 1)).tolist()
    levels = [0.0, *(share * height for share in heights), height]
    shares = np.concatenate([[1.0], np.sort(dice.uniform(0.5, 0.85, steps - 1))[::-1]])
    return joined(
        prism(rectangle(share * wide, share * deep), 0 if not at else levels[at] - 0.3, levels[at + 1])
        for at, share in enumerate(shares.tolist())
    )


def rounded(dice: np.random.Generator, wide: float, deep: float, height: float) -> Shell:
    """A round tower of sixteen sides."""
    return prism(ring(deep / 2, 16, dice.uniform(0, np.pi)), 0, height)


def crowned(dice: np.random.Generator, wide: float, deep: float, height: float) -> Shell:
    """A square tower with a pointed roof."""
    return spired(rectangle(deep, deep), 0, height * dice.uniform(0.78, 0.88), height)


def footprints(shells: list[Shell]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Least and greatest x and y of each shell."""
    for shell in shells:
        yield shell.vertices[:, :2].min(axis=0), shell.vertices[:, :2].max(axis=0)
