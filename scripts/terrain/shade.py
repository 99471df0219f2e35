"""Images of the ground: hillshade, error colours, and the panels of a contact sheet."""

from __future__ import annotations

import cv2
import numpy as np

from scripts.terrain.geometry import TILE

SUN_AZIMUTH, SUN_ALTITUDE = 315.0, 45.0  # degrees: from the north-west, as maps are shaded
EXAGGERATION = 2.0
INK, PAPER = (40, 40, 40), (250, 250, 250)


def hillshade(field: np.ndarray, spacing: float) -> np.ndarray:
    """A height field in yards, grid points ``spacing`` yards apart, lit from the north-west: uint8, same shape.

    Lambert's cosine law over surface normals (Horn 1981, "Hill shading and the reflectance map").
    """
    down, right = np.gradient(field * EXAGGERATION, spacing)
    azimuth, altitude = np.radians(450.0 - SUN_AZIMUTH), np.radians(SUN_ALTITUDE)
    light = np.array([np.cos(azimuth) * np.cos(altitude), -np.sin(azimuth) * np.cos(altitude), np.sin(altitude)])
    cosine = (-right * light[0] - down * light[1] + light[2]) / np.sqrt(1 + right**2 + down**2)
    return np.clip(np.rint(cosine * 255), 0, 255).astype(np.uint8)


def tile_shade(field: np.ndarray) -> np.ndarray:
    """The hillshade of one tile's height field [n, n], uint8 [n, n]."""
    return hillshade(field, TILE / (len(field) - 1))


def error_picture(error: np.ndarray, most: float) -> np.ndarray:
    """Differences in yards as colours, uint8 [..., 3], blue first: blue where the prediction is too low, red too
    high, white correct.
    """
    share = np.clip(error / max(most, 1e-9), -1, 1)
    paled = 255 * (1 - np.abs(share))
    blue = np.where(share > 0, paled, 255)
    red = np.where(share < 0, paled, 255)
    return np.rint(np.stack([blue, paled, red], axis=-1)).astype(np.uint8)


def panel(picture: np.ndarray, side: int) -> np.ndarray:
    """An image, grey or in colour, as a square of ``side`` pixels in colour."""
    colour = picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    return cv2.resize(colour, (side, side), interpolation=cv2.INTER_AREA if len(colour) > side else cv2.INTER_LINEAR)


def titled(width: int, height: int, text: str) -> np.ndarray:
    """A strip of paper with a line of text in its middle."""
    strip = np.full((height, width, 3), PAPER, np.uint8)
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    place = (max(2, (width - wide) // 2), (height + high) // 2)
    return cv2.putText(strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
