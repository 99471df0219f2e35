"""The plan of a city: streets, blocks and lots, drawn straight in (u, v) and bent into the world.

u and v are metres from the middle. The plan is turned, and bent by long waves, so that no street runs along an axis
and none is quite straight; houses are turned with it, and stay right-angled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scripts.aerial.options import AerialGenerateOptions

NARROW, WIDE = 9.0, 19.0  # metres, kerb to kerb
EVERY = 3  # one street in so many is wide
PAVEMENT = 2.5  # metres
BASE = 12.0  # metres; height of the ground in the middle


class Street(NamedTuple):
    """A street along the other axis, at ``middle`` metres of its own."""

    middle: float
    width: float

    @property
    def kerbs(self) -> tuple[float, float]:
        """Its edges."""
        return self.middle - self.width / 2, self.middle + self.width / 2


class Rect(NamedTuple):
    """A rectangle of the plan, metres."""

    u0: float
    v0: float
    u1: float
    v1: float

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle."""
        return (self.u0 + self.u1) / 2, (self.v0 + self.v1) / 2

    @property
    def sides(self) -> tuple[float, float]:
        """Its width along u and v."""
        return self.u1 - self.u0, self.v1 - self.v0

    def shrunk(self, by: float) -> Rect:
        """The rectangle with a margin taken off."""
        return Rect(self.u0 + by, self.v0 + by, self.u1 - by, self.v1 - by)


@dataclass(frozen=True)
class Plan:
    """A city's plan.

    Attributes:
        along_u, along_v: streets that cross the u axis, and the v axis.
        turn: radians, of the plan in the world.
        waves: [n, 4] of the bend: amplitude (m), cycles a metre along u and v, phase.
        hills: [n, 4] of the ground, likewise.
        fall: [2] slope of the ground along the world's x and y.
    """

    options: AerialGenerateOptions
    along_u: list[Street]
    along_v: list[Street]
    turn: float
    waves: np.ndarray
    hills: np.ndarray
    fall: np.ndarray

    def place(self, u: np.ndarray | float, v: np.ndarray | float) -> np.ndarray:
        """World x and y, float64 [..., 2]."""
        u, v = np.broadcast_arrays(np.asarray(u, np.float64), np.asarray(v, np.float64))
        bent_u, bent_v = u + waves_at(self.waves[::2], u, v), v + waves_at(self.waves[1::2], u, v)
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        x, y = cos * bent_u - sin * bent_v, sin * bent_u + cos * bent_v
        return np.stack([x + self.options.origin[0], y + self.options.origin[1]], axis=-1)

    def heading(self, u: float, v: float) -> float:
        """Radians from the world's +x to the direction of u at a place of the plan."""
        ahead, behind = self.place(u + 1, v), self.place(u - 1, v)
        return math.atan2(ahead[1] - behind[1], ahead[0] - behind[0])

    def ground(self, places: np.ndarray) -> np.ndarray:
        """Height of the ground, metres, at world places [..., 2]."""
        own = places - np.array(self.options.origin)
        return BASE + own @ self.fall + waves_at(self.hills, own[..., 0], own[..., 1])


def waves_at(waves: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The sum of plane waves."""
    total = np.zeros(np.shape(u))
    for amplitude, cycles_u, cycles_v, phase in waves:
        total = total + amplitude * np.sin(2 * np.pi * (cycles_u * u + cycles_v * v) + phase)
    return total


def draw_waves(dice: np.random.Generator, count: int, amplitude: float, longest: float) -> np.ndarray:
    """Waves [count, 4] in all directions, the shorter the lower."""
    length = longest * dice.uniform(0.45, 1, count)
    course, phase = dice.uniform(0, 2 * np.pi, count), dice.uniform(0, 2 * np.pi, count)
    return np.stack([amplitude * length / longest, np.cos(course) / length, np.sin(course) / length, phase], axis=1)


def plan_of(options: AerialGenerateOptions) -> Plan:
    """The plan of a seed."""
    dice = np.random.default_rng([options.seed, 1])
    course = dice.uniform(0, 2 * np.pi)
    return Plan(
        options,
        along_u=streets(dice, options),
        along_v=streets(dice, options),
        turn=float(dice.uniform(0.1, 1.2)),
        waves=draw_waves(dice, 4, 7.0, max(260.0, options.size * 0.8)),
        hills=draw_waves(dice, 4, 2.2, max(220.0, options.size * 0.6)),
        fall=options.slope * np.array([np.cos(course), np.sin(course)]),
    )


def streets(dice: np.random.Generator, options: AerialGenerateOptions) -> list[Street]:
    """Streets from edge to edge, about a block apart, every third one wide."""
    count = max(2, round(options.size / options.block))
    gaps = dice.uniform(0.7, 1.3, count)
    middles = np.concatenate([[0], np.cumsum(gaps / gaps.sum())]) * options.size - options.size / 2
    shift = int(dice.integers(EVERY))
    return [
        Street(float(middle), WIDE if (number + shift) % EVERY == 0 else NARROW)
        for number, middle in enumerate(middles)
    ]


def blocks(plan: Plan) -> Iterator[Rect]:
    """What lies between the streets."""
    for left, right in zip(plan.along_u, plan.along_u[1:], strict=False):
        for low, high in zip(plan.along_v, plan.along_v[1:], strict=False):
            yield Rect(left.kerbs[1], low.kerbs[1], right.kerbs[0], high.kerbs[0])


def lots(dice: np.random.Generator, block: Rect, largest: float) -> Iterator[Rect]:
    """A block divided across its longer side until no lot is longer than ``largest`` metres."""
    wide, deep = block.sides
    if max(wide, deep) <= largest:
        yield block
        return
    share = dice.uniform(0.4, 0.6)
    if wide >= deep:
        at = block.u0 + share * wide
        halves = block._replace(u1=at), block._replace(u0=at)
    else:
        at = block.v0 + share * deep
        halves = block._replace(v1=at), block._replace(v0=at)
    for half in halves:
        yield from lots(dice, half, largest)
