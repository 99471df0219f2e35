"""Smooth noise on grids, from hashed lattices: a point's value depends only on its place and the seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

MASK = (1 << 64) - 1
GAIN = 2.2  # brings a spline through values in -1..1 to about a third of that in standard deviation


def hashed(seed: int, channel: int, rows: ArrayLike, columns: ArrayLike) -> np.ndarray:
    """Uniform floats in [0, 1) of integer places, float64 in the broadcast shape: SplitMix64 of seed and place.

    SplitMix64 is from Steele, Lea, Flood 2014, "Fast Splittable Pseudorandom Number Generators".
    """
    start = (seed * 0x9E3779B97F4A7C15 + channel * 0xD1B54A32D192ED03 + 0x2545F4914F6CDD1D) & MASK
    state = np.asarray(rows, np.int64).astype(np.uint64) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(start)
    state = _mix(state) + np.asarray(columns, np.int64).astype(np.uint64) * np.uint64(0x94D049BB133111EB)
    return (_mix(_mix(np.atleast_1d(state))) >> np.uint64(11)).astype(np.float64) / (1 << 53)


def _mix(state: np.ndarray) -> np.ndarray:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def spline(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """A uniform cubic B-spline with control values [r, c] at every row and column given, float32 [rows, columns].

    Places are in lattice units; beyond the lattice its outermost values continue.
    """
    across = _spline_rows(values.astype(np.float32).T, columns)
    return _spline_rows(np.ascontiguousarray(across.T), rows)


def _spline_rows(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    base = np.floor(places)
    t = places - base
    weights = ((1 - t) ** 2 * (1 - t), 3 * t * t * (t - 2) + 4, 3 * t * (1 + t - t * t) + 1, t * t * t)
    first = base.astype(np.int64) - 1
    total = np.zeros((len(places), values.shape[1]), np.float32)
    for tap, weight in enumerate(weights):
        rows = np.clip(first + tap, 0, len(values) - 1)
        total += values[rows] * (weight / 6).astype(np.float32)[:, None]
    return total


def noise(seed: int, channel: int, rows: np.ndarray, columns: np.ndarray, wavelength: float) -> np.ndarray:
    """Noise of one wavelength at integer rows and columns, float32 [rows, columns], about -1..1, mean 0."""
    rows, columns = rows / wavelength, columns / wavelength
    top, left = int(np.floor(rows[0])) - 1, int(np.floor(columns[0])) - 1
    height, width = int(np.floor(rows[-1])) + 3 - top, int(np.floor(columns[-1])) + 3 - left
    lattice = hashed(seed, channel, np.arange(top, top + height)[:, None], np.arange(left, left + width)[None])
    return spline(lattice * (2 * GAIN) - GAIN, rows - top, columns - left)


def octaves(
    seed: int, channel: int, rows: np.ndarray, columns: np.ndarray, wavelength: float, count: int
) -> np.ndarray:
    """Noise with ``count`` octaves, each of half the wavelength and half the height of the one before."""
    total = np.zeros((len(rows), len(columns)), np.float32)
    for octave in range(count):
        part = noise(seed, channel * 64 + octave, rows, columns, wavelength / (1 << octave))
        total += part / np.float32(1 << octave)
    return total


def smooth(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, a smooth step between; the reverse if ``low`` is above ``high``."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
