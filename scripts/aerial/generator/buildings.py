"""What stands on a lot: houses with gable, hip and leaning roofs, blocks, L-shapes, stepped towers, round towers."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from scripts.aerial.generator.plan import PAVEMENT, Plan, Rect, lots
from scripts.aerial.generator.shells import Shell, joined, leaning, placed, prism, rectangle, ridged, ring, spired

SUNK = 1.0  # metres that walls go below the lowest ground around them
LEAST = 7.0  # metres; a lot narrower than this stays empty
PARK, YARD = 0.08, 0.07  # shares of blocks and lots without a building


def build(plan: Plan) -> tuple[list[Shell], list[Rect]]:
    """Buildings on all lots of all blocks, in the world, and the blocks and lots of the plan that stay green."""
    rng = np.random.default_rng([plan.options.seed, 2])
    buildings: list[Shell] = []
    green: list[Rect] = []
    between = itertools.product(itertools.pairwise(plan.along_u), itertools.pairwise(plan.along_v))
    for (left, right), (low, high) in between:
        block = Rect(left.kerbs[1], low.kerbs[1], right.kerbs[0], high.kerbs[0])
        inner = Rect(block.u0 + PAVEMENT, block.v0 + PAVEMENT, block.u1 - PAVEMENT, block.v1 - PAVEMENT)
        if min(inner.sides) < LEAST:
            continue
        if rng.random() < PARK:
            green.append(inner)
            continue
        # Buildings are tallest in the middle of the city and lower towards its edges.
        away = np.hypot(*block.middle) / (0.5 * plan.options.size)
        tall = float(6 + (plan.options.tallest - 6) * np.exp(-2.6 * away**1.4))
        for lot in lots(rng, inner, float(np.clip(0.45 * tall + 16, 20, 46))):
            if rng.random() < YARD or min(lot.sides) < LEAST + 2:
                green.append(lot)
            else:
                buildings.append(on_lot(plan, rng, lot, tall))
    return buildings, green


def on_lot(plan: Plan, rng: np.random.Generator, lot: Rect, tall: float) -> Shell:
    """A building in the world, about ``tall`` metres high."""
    height = float(np.clip(tall * rng.lognormal(-0.35, 0.45), 4.5, plan.options.tallest))
    wide, deep = (side * share for side, share in zip(lot.sides, rng.uniform(0.68, 0.92, 2), strict=True))
    weighted = next(forms for limit, forms in FORMS if height < limit)
    weights = np.array(list(weighted.values()))
    form = list(weighted)[int(rng.choice(len(weighted), p=weights / weights.sum()))]
    shell = form(rng, max(wide, deep), min(wide, deep), height)
    place, heading = plan.place(*lot.middle), plan.heading(*lot.middle)
    corners = placed(prism(rectangle(wide, deep), 0, 1), place, heading, 0).vertices[:, :2]
    ground = plan.ground(corners)
    # Walls begin below the ground; heights count from its highest point, so that no door is buried.
    vertices = shell.vertices.copy()
    vertices[vertices[:, 2] == 0, 2] = float(ground.min() - ground.max()) - SUNK
    turn = heading + (np.pi / 2 if deep > wide else 0)
    return placed(Shell(vertices, shell.faces), place, turn, float(ground.max()))


def gable(rng: np.random.Generator, wide: float, deep: float, height: float) -> Shell:
    """A ridge from wall to wall."""
    return ridged(wide, deep, 0, height - min(height / 2, deep * rng.uniform(0.25, 0.45)), height, 0)


def hipped(rng: np.random.Generator, wide: float, deep: float, height: float) -> Shell:
    """A roof that slopes on all four sides."""
    hip = min(0.45 * wide, 0.5 * deep)
    return ridged(wide, deep, 0, height - min(height / 2, deep * rng.uniform(0.2, 0.35)), height, hip)


def lean_to(rng: np.random.Generator, wide: float, deep: float, height: float) -> Shell:
    """A roof with one slope."""
    return leaning(wide, deep, 0, height - min(height / 3, deep * rng.uniform(0.1, 0.25)), height)


def flat(rng: np.random.Generator, wide: float, deep: float, height: float) -> Shell:
    """A flat roof with a house for the stairs on it."""
    x, y = rng.uniform(-0.25, 0.25, 2)
    house = rectangle(0.22 * wide, 0.3 * deep, (x * wide, y * deep))
    return joined([prism(rectangle(wide, deep), 0, height), prism(house, height - 0.3, height + rng.uniform(2, 3.2))])


def angled(rng: np.random.Generator, wide: float, deep: float, height: float) -> Shell:
    """An L: one corner left out."""
    x, y = rng.uniform(-0.15, 0.2) * wide, rng.uniform(-0.15, 0.2) * deep
    half_x, half_y = wide / 2, deep / 2
    outline = [(-half_x, -half_y), (half_x, -half_y), (half_x, y), (x, y), (x, half_y), (-half_x, half_y)]
    return prism(np.array(outline), 0, height)


def stepped(rng: np.random.Generator, wide: float, deep: float, height: float) -> Shell:
    """A tower that is narrower at each of two or three steps."""
    steps = int(rng.integers(2, 4))
    heights = np.sort(rng.uniform(0.15, 0.85, steps - 1)).tolist()
    levels = [0.0, *(share * height for share in heights), height]
    shares = np.concatenate([[1.0], np.sort(rng.uniform(0.5, 0.85, steps - 1))[::-1]])
    return joined(
        prism(rectangle(share * wide, share * deep), 0 if not at else levels[at] - 0.3, levels[at + 1])
        for at, share in enumerate(shares.tolist())
    )


def rounded(rng: np.random.Generator, wide: float, deep: float, height: float) -> Shell:
    """A round tower of sixteen sides."""
    return prism(ring(deep / 2, 16, rng.uniform(0, np.pi)), 0, height)


def crowned(rng: np.random.Generator, wide: float, deep: float, height: float) -> Shell:
    """A square tower with a pointed roof."""
    return spired(rectangle(deep, deep), 0, height * rng.uniform(0.78, 0.88), height)


Form = Callable[[np.random.Generator, float, float, float], Shell]
"""From a generator, the longer and the shorter side and the height, metres, to a shell around 0 whose floor is at 0."""

FORMS: list[tuple[float, dict[Form, float]]] = [
    (12.0, {gable: 4, hipped: 3, lean_to: 1.5, flat: 1.5, angled: 1}),
    (35.0, {flat: 4, angled: 3, gable: 1, hipped: 1, stepped: 1, rounded: 0.4}),
    (np.inf, {flat: 2, stepped: 4, angled: 0.5, rounded: 1, crowned: 1}),
]
"""Forms with their weights for buildings lower than a height, metres."""
