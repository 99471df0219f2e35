"""The minimap of a tile: its cover in the sun, water, then trees and roofs on top."""

from __future__ import annotations

import cv2
import numpy as np

from scripts.terrain.generator.cover import MATERIALS, PIXELS, Cover, pixels, slopes
from scripts.terrain.generator.ground import INNER, MARGIN, Ground
from scripts.terrain.generator.noise import hashed, noise, spline
from scripts.terrain.generator.styles import Colour, Style
from scripts.terrain.generator.things import BUILDINGS, Thing, radius_steps
from scripts.terrain.generator.world import STEP
from scripts.terrain.geometry import GRID

HIGH = 350.0  # yards, where a material's second colour is reached
CLEAR = 5.0  # yards of water that hide half of the bottom
PARTS = 4  # bits of a pixel in which OpenCV places shapes
COARSE = 16  # grid points between those of the surroundings' height
ROOT_HALF = 0.7071067811865476
# Unit vectors of a roof's ridge; a roof of a few pixels shows no finer directions.
DIRECTIONS = ((1.0, 0.0), (ROOT_HALF, ROOT_HALF), (0.0, 1.0), (-ROOT_HALF, ROOT_HALF))


def minimap(
    seed: int, ground: Ground, cover: Cover, shadow: np.ndarray, things: list[Thing], style: Style, size: int
) -> np.ndarray:
    """The image, uint8 [size, size, 3] in blue, green, red, north up; ``shadow`` comes from `cast_shadow`."""
    rows, columns = (origin + MARGIN + np.arange(PIXELS) for origin in ground.origin)
    up = np.clip(cover.heights / HIGH, 0, 1.2)[..., None]
    colour = np.zeros((PIXELS, PIXELS, 3), np.float32)  # each material's colour at this height, by its share
    for share, name in zip(cover.shares, MATERIALS, strict=True):
        if share.any():
            low, high = np.array(style.ground[name], np.float32)
            colour += share[..., None] * (low + up * (high - low))
    grain = 0.06 * (hashed(seed, 101, rows[:, None], columns[None]) - 0.5)
    for number, (wavelength, strength) in enumerate(style.grain):
        grain = grain + strength * noise(seed, 102 + number, rows, columns, wavelength)
    colour *= (1 + grain.astype(np.float32))[..., None]
    wet = cover.depth > 0
    lit = colour * _light(ground, shadow, style)[..., None]
    colour = np.where(wet[..., None], _water_colour(ground, cover, colour, style), lit)
    picture = np.rint(np.clip(colour[..., ::-1], 0, 255)).astype(np.uint8)
    picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_LINEAR_EXACT) if size != PIXELS else picture
    picture, zoom = np.ascontiguousarray(picture), size / PIXELS
    for thing in things:
        _draw_shadow(picture, thing, ground, style, _shaded(style.crowns["pine"], 0.45))
    for thing in things:
        draw = _draw_building if thing.kind in BUILDINGS else _draw_crown
        draw(picture, thing, _place(thing, ground, zoom), zoom, style)
    return picture


def shading(heights: np.ndarray, style: Style) -> np.ndarray:
    """Direct sunlight on a grid of heights [n, n] in yards, float32 [n, n]: 1 on a plain, 0 where turned away."""
    down, right = slopes(heights)
    side = np.sqrt(0.5) * (-1 if style.sun_right else 1)
    facing = style.sun_height + side * right + np.sqrt(0.5) * down
    return np.maximum(facing / style.sun_height / np.sqrt(1 + down * down + right * right), 0).astype(np.float32)


def cast_shadow(heights: np.ndarray, style: Style) -> np.ndarray:
    """Shadow that other points of a grid of heights [n, n] cast, 0 to 1 with a soft edge, float32 [n, n].

    Light falls along a diagonal: row by row, the shadow's ceiling is the higher of the ground and the ceiling one step
    nearer to the sun, lowered by the drop of a sunbeam on that step.
    """
    field = np.ascontiguousarray(heights[:, ::-1] if style.sun_right else heights).astype(np.float32)
    drop = np.float32(style.sun_height * np.sqrt(2.0) * STEP)
    ceiling = field.copy()
    for row in range(1, len(field)):
        np.maximum(ceiling[row, 1:], ceiling[row - 1, :-1] - drop, out=ceiling[row, 1:])
    shadow = np.clip((ceiling - field) / 4, 0, 1)
    return shadow[:, ::-1] if style.sun_right else shadow


def shadow_map(ground: Ground, shadow: np.ndarray, things: list[Thing], style: Style) -> np.ndarray:
    """The shadow of ground and things, uint8 0 or 255, four texels a pixel: [1024, 1024]."""
    dark = (pixels(shadow) > 0.5).astype(np.uint8) * 255
    picture = cv2.resize(dark, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR_EXACT)
    for thing in things:
        _draw_shadow(picture, thing, ground, style, [255])
    return np.where(picture > 127, 255, 0).astype(np.uint8)


def _light(ground: Ground, shadow: np.ndarray, style: Style) -> np.ndarray:
    """[256, 256]: sun and sky on the tile's pixels; 1 on a plain in the sun."""
    sun = shading(ground.heights, style) * (1 - style.shadow * shadow)
    coarse = ground.heights[::COARSE, ::COARSE]
    places = np.arange(MARGIN, MARGIN + GRID) / COARSE
    around = spline(spline(coarse, np.arange(len(coarse)), np.arange(len(coarse))), places, places)
    hollow = np.clip((around - ground.heights[INNER, INNER]) * style.hollows * 4, -0.15, 0.3)
    return (style.ambient + (1 - style.ambient) * np.minimum(pixels(sun), 1.25)) * (1 - pixels(hollow))


def _water_colour(ground: Ground, cover: Cover, bottom: np.ndarray, style: Style) -> np.ndarray:
    shallow, deep, sea = (np.array(colour, np.float32) for colour in style.water)
    ocean = pixels(ground.ocean.astype(np.float32))[..., None]
    dark = deep + ocean * (sea - deep)
    murk = (cover.depth / (cover.depth + CLEAR))[..., None]
    water = shallow + murk * (dark - shallow)
    high = np.clip(cover.heights / HIGH, 0, 1)[..., None] * np.array([12, 22, 10], np.float32)
    return bottom * (0.55 * (1 - murk)) + water * (0.45 + 0.55 * murk) + high


def _place(thing: Thing, ground: Ground, zoom: float) -> tuple[float, float]:
    """Column and row of a thing in pixels, from the middle of the first pixel, as OpenCV counts."""
    column, row = thing.column - ground.origin[1] - MARGIN, thing.row - ground.origin[0] - MARGIN
    return column * zoom - 0.5, row * zoom - 0.5


def _draw_disc(picture: np.ndarray, column: float, row: float, radius: float, ink: list[int]) -> None:
    x, y, r = (round(value * (1 << PARTS)) for value in (column, row, radius))
    cv2.circle(picture, (x, y), r, ink, -1, cv2.LINE_AA, PARTS)


def _draw_shadow(picture: np.ndarray, thing: Thing, ground: Ground, style: Style, ink: list[int]) -> None:
    if thing.kind in ("cave", "bridge"):
        return
    zoom = len(picture) / PIXELS
    away = (0.75 if thing.kind in ("bush", "rock") else 1.3) * zoom
    column, row = _place(thing, ground, zoom)
    column += -away if style.sun_right else away
    _draw_disc(picture, column, row + away, radius_steps(thing) * zoom * 1.05, ink)


def _shaded(colour: Colour, factor: float) -> list[int]:
    """Blue, green, red of a colour made darker or lighter."""
    return [min(255, int(part * factor)) for part in colour[::-1]]


def _draw_crown(picture: np.ndarray, thing: Thing, place: tuple[float, float], zoom: float, style: Style) -> None:
    colour = style.ground["rock"][0] if thing.kind == "rock" else style.crowns[thing.kind]
    tone = 0.88 + 0.08 * thing.variant + 0.1 * (thing.scale - 1)
    radius, lit = radius_steps(thing) * zoom, -0.3 * radius_steps(thing) * zoom
    column, row = place
    _draw_disc(picture, column, row, radius, _shaded(colour, tone))
    column += -lit if style.sun_right else lit
    _draw_disc(picture, column, row + lit, radius * 0.55, _shaded(colour, tone * 1.3))


def _draw_building(picture: np.ndarray, thing: Thing, place: tuple[float, float], zoom: float, style: Style) -> None:
    radius = radius_steps(thing) * zoom
    if thing.kind == "cave":
        _draw_disc(picture, *place, radius * 0.55, _shaded(style.ground["rock"][0], 0.25))
        return
    along = np.array(DIRECTIONS[int(thing.turn / 45 + 0.5) % 4]) * radius
    across = np.array([-along[1], along[0]]) * (0.35 if thing.kind == "bridge" else 0.7)
    colour = style.ground["dirt"][0] if thing.kind == "bridge" else style.roofs[thing.variant % len(style.roofs)]
    middle = np.array(place)
    for side, tone in ((across, 1.12), (-across, 0.82)):
        corners = [middle - along, middle + along, middle + along + side, middle - along + side]
        points = np.rint(np.array(corners) * (1 << PARTS)).astype(np.int32)
        cv2.fillPoly(picture, [points], _shaded(colour, tone), cv2.LINE_AA, PARTS)
