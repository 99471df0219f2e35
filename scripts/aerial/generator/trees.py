"""Trees along wide streets, in parks and in yards."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from scripts.aerial.generator.buildings import City, footprints
from scripts.aerial.generator.plan import WIDE, Plan, Rect
from scripts.aerial.generator.shells import Shell, joined, loft, placed, prism, ring, spired

SPACING = 13.0  # metres between the trees of a street
PARK_TREE = 90.0  # square metres of green for each tree
KERB = 1.2  # metres from kerb to trunk
CLEAR = 2.5  # metres from a trunk to a building's bounds


def trees_of(plan: Plan, city: City) -> list[Shell]:
    """All trees, in the world; none where a building stands."""
    dice = np.random.default_rng([plan.options.seed, 3])
    if not plan.options.trees:
        return []
    spots = [*street_spots(plan, dice), *(spot for green in city.green for spot in green_spots(plan, green, dice))]
    bounds = np.array([np.concatenate(one) for one in footprints(city.shells)]).reshape(-1, 4)
    found = []
    for u, v in spots:
        place = plan.place(u, v)
        tree, turn = tree_of(dice), dice.uniform(0, 2 * np.pi)
        blocked = (place > bounds[:, :2] - CLEAR).all(axis=1) & (place < bounds[:, 2:] + CLEAR).all(axis=1)
        if not blocked.any():
            found.append(placed(tree, place, turn, float(plan.ground(place))))
    return found


def street_spots(plan: Plan, dice: np.random.Generator) -> Iterator[tuple[float, float]]:
    """Places of the plan along both kerbs of wide streets, away from crossings."""
    for streets, across, along_u in ((plan.along_u, plan.along_v, True), (plan.along_v, plan.along_u, False)):
        for street in streets:
            if street.width < WIDE:
                continue
            for low, high in itertools.pairwise(across):
                count = int((high.kerbs[0] - low.kerbs[1] - 8) / SPACING * min(1.5, plan.options.trees))
                steps = np.linspace(low.kerbs[1] + 5, high.kerbs[0] - 5, max(0, count))
                for step in (steps + dice.uniform(-1, 1, len(steps))).tolist():
                    for kerb in (street.kerbs[0] - KERB, street.kerbs[1] + KERB):
                        yield (kerb, step) if along_u else (step, kerb)


def green_spots(plan: Plan, green: Rect, dice: np.random.Generator) -> Iterator[tuple[float, float]]:
    """Places in a park or yard."""
    wide, deep = green.sides
    count = int(wide * deep / PARK_TREE * plan.options.trees)
    for along, across in dice.uniform(0.06, 0.94, (count, 2)).tolist():
        yield green.u0 + along * wide, green.v0 + across * deep


def tree_of(dice: np.random.Generator) -> Shell:
    """A round or a pointed tree, its trunk at 0 and a little below."""
    height = float(np.clip(dice.normal(8, 2), 4, 14))
    trunk, radius = height * dice.uniform(0.22, 0.32), height * dice.uniform(0.22, 0.34)
    stem = prism(ring(0.03 * height + 0.08, 4), -0.5, trunk + 0.3)
    if dice.random() < 0.3:
        return joined([stem, spired(ring(0.75 * radius, 6), trunk, trunk + 0.1, height)])
    return joined([stem, crown(radius, trunk, height)])


def crown(radius: float, low: float, high: float) -> Shell:
    """A crown of four rings of six corners."""
    rings = [ring(share * radius, 6, 0.3 * at) for at, share in enumerate((0.45, 1.0, 0.9, 0.35))]
    return loft(rings, [low + share * (high - low) for share in (0.0, 0.3, 0.68, 1.0)])
