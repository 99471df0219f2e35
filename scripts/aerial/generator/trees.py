"""Trees along wide streets, in parks and in yards."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from scripts.aerial.generator.plan import WIDE, Plan, Rect
from scripts.aerial.generator.shells import Shell, joined, loft, placed, prism, ring, spired

SPACING = 13.0  # metres between the trees of a street
PARK_TREE = 90.0  # square metres of green for each tree
KERB = 1.2  # metres from kerb to trunk
CLEAR = 2.5  # metres from a trunk to a building's bounds


def trees_of(plan: Plan, buildings: list[Shell], green: list[Rect]) -> list[Shell]:
    """All trees, in the world; none where a building stands."""
    rng = np.random.default_rng([plan.options.seed, 3])
    if not plan.options.trees:
        return []
    spots = list(street_spots(plan, rng))
    for rect in green:
        wide, deep = rect.sides
        shares = rng.uniform(0.06, 0.94, (int(wide * deep / PARK_TREE * plan.options.trees), 2)).tolist()
        spots += [(rect.u0 + along * wide, rect.v0 + across * deep) for along, across in shares]
    low = np.array([shell.vertices[:, :2].min(axis=0) for shell in buildings]).reshape(-1, 2)
    high = np.array([shell.vertices[:, :2].max(axis=0) for shell in buildings]).reshape(-1, 2)
    trees = []
    for u, v in spots:
        place = plan.place(u, v)
        tree, turn = tree_of(rng), rng.uniform(0, 2 * np.pi)
        if not ((place > low - CLEAR) & (place < high + CLEAR)).all(axis=1).any():
            trees.append(placed(tree, place, turn, float(plan.ground(place))))
    return trees


def street_spots(plan: Plan, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
    """Places of the plan along both kerbs of wide streets, away from crossings."""
    for streets, across, along_u in ((plan.along_u, plan.along_v, True), (plan.along_v, plan.along_u, False)):
        for street in streets:
            if street.width < WIDE:
                continue
            for low, high in itertools.pairwise(across):
                count = int((high.kerbs[0] - low.kerbs[1] - 8) / SPACING * min(1.5, plan.options.trees))
                steps = np.linspace(low.kerbs[1] + 5, high.kerbs[0] - 5, max(0, count))
                for step in (steps + rng.uniform(-1, 1, len(steps))).tolist():
                    for kerb in (street.kerbs[0] - KERB, street.kerbs[1] + KERB):
                        yield (kerb, step) if along_u else (step, kerb)


def tree_of(rng: np.random.Generator) -> Shell:
    """A round or a pointed tree; its trunk stands at x = y = 0 and reaches a little below z = 0."""
    height = float(np.clip(rng.normal(8, 2), 4, 14))
    trunk, radius = height * rng.uniform(0.22, 0.32), height * rng.uniform(0.22, 0.34)
    stem = prism(ring(0.03 * height + 0.08, 4), -0.5, trunk + 0.3)
    if rng.random() < 0.3:
        return joined([stem, spired(ring(0.75 * radius, 6), trunk, trunk + 0.1, height)])
    rings = [ring(share * radius, 6, 0.3 * at) for at, share in enumerate((0.45, 1.0, 0.9, 0.35))]
    crown = loft(rings, [trunk + share * (height - trunk) for share in (0.0, 0.3, 0.68, 1.0)])
    return joined([stem, crown])
