"""The plan of a city: streets, blocks and lots, drawn straight in (u, v) and bent into the world.

u and v are metres from the middle. The plan is turned, and bent by long waves, so that no street runs along an axis
and none is quite straight; houses are turned with it, and stay right-angled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from scripts.aerial.options import AerialGenerateOptions

NARROW, WIDE = 9.0, 19.0  # metres, kerb to kerb
EVERY = 3  # one street in so many is wide
PAVEMENT = 2.5  # metres
BASE = 12.0  # metres; height of the ground in the middle


class Street(NamedTuple):
    """A street that crosses an axis at ``middle``; middle and width in metres."""

    middle: float
    width: float

    @property
    def kerbs(self) -> tuple[float, float]:
        """Where its edges cross the axis, metres."""
        return self.middle - self.width / 2, self.middle + self.width / 2


class Rect(NamedTuple):
    """A rectangle of the plan, metres."""

    u0: float
    v0: float
    u1: float
    v1: float

    @property
    def middle(self) -> tuple[float, float]:
        """u and v of the middle, metres."""
        return (self.u0 + self.u1) / 2, (self.v0 + self.v1) / 2

    @property
    def sides(self) -> tuple[float, float]:
        """Lengths along u and v, metres."""
        return self.u1 - self.u0, self.v1 - self.v0


@dataclass(frozen=True)
class Plan:
    """A city's plan.

    Attributes:
        along_u, along_v: streets that cross the u axis, and the v axis, ascending.
        turn: radians, of the plan in the world.
        waves: float64 [n, 4] of the bend: amplitude (m), cycles a metre along u and v, phase.
        hills: float64 [n, 4] of the ground, likewise.
        fall: float64 [2], slope of the ground along the world's x and y.
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
        relative = places - np.array(self.options.origin)
        return BASE + relative @ self.fall + waves_at(self.hills, relative[..., 0], relative[..., 1])


def waves_at(waves: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The sum of plane waves at u, v, metres: amplitude * sin(2 pi (cycles_u u + cycles_v v) + phase)."""
    total = np.zeros(np.shape(u))
    for amplitude, cycles_u, cycles_v, phase in waves:
        total = total + amplitude * np.sin(2 * np.pi * (cycles_u * u + cycles_v * v) + phase)
    return total


def draw_waves(rng: np.random.Generator, count: int, amplitude: float, longest: float) -> np.ndarray:
    """float64 [count, 4]: waves in all directions; the shorter a wave, the lower."""
    length = longest * rng.uniform(0.45, 1, count)
    course, phase = rng.uniform(0, 2 * np.pi, count), rng.uniform(0, 2 * np.pi, count)
    return np.stack([amplitude * length / longest, np.cos(course) / length, np.sin(course) / length, phase], axis=1)


def plan_of(options: AerialGenerateOptions) -> Plan:
    """The plan of a seed."""
    rng = np.random.default_rng([options.seed, 1])
    course = rng.uniform(0, 2 * np.pi)
    return Plan(
        options,
        along_u=streets(rng, options),
        along_v=streets(rng, options),
        turn=float(rng.uniform(0.1, 1.2)),
        waves=draw_waves(rng, 4, 7.0, max(260.0, options.size * 0.8)),
        hills=draw_waves(rng, 4, 2.2, max(220.0, options.size * 0.6)),
        fall=options.slope * np.array([np.cos(course), np.sin(course)]),
    )


def streets(rng: np.random.Generator, options: AerialGenerateOptions) -> list[Street]:
    """Streets from edge to edge, about a block apart, every third one wide."""
    count = max(2, round(options.size / options.block))
    gaps = rng.uniform(0.7, 1.3, count)
    middles = np.concatenate([[0], np.cumsum(gaps / gaps.sum())]) * options.size - options.size / 2
    shift = int(rng.integers(EVERY))
    return [
        Street(float(middle), WIDE if (number + shift) % EVERY == 0 else NARROW)
        for number, middle in enumerate(middles)
    ]


def lots(rng: np.random.Generator, block: Rect, largest: float) -> Iterator[Rect]:
    """Divides a block across its longer side until no lot is longer than ``largest`` metres."""
    wide, deep = block.sides
    if max(wide, deep) <= largest:
        yield block
        return
    share = rng.uniform(0.4, 0.6)
    cut_u, cut_v = block.u0 + share * wide, block.v0 + share * deep
    halves = (block._replace(u1=cut_u), block._replace(u0=cut_u))
    if wide < deep:
        halves = (block._replace(v1=cut_v), block._replace(v0=cut_v))
    for half in halves:
        yield from lots(rng, half, largest)
