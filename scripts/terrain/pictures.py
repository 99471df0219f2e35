"""The images of a tile: located inside its export, decoded, resized, and hashed by their content."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np

from scripts.lib.cli import UserError
from scripts.lib.files import atomic_path, inside
from scripts.terrain.tile import Tile, TileError

HASH_SIDE = 16
JPEG_QUALITY = 88
INPUTS = ("minimap", "shadow", "alpha1", "alpha2", "alpha3", "alpha4")
STITCHED = {"shadow": "shadow", **{f"alpha{number}": f"alpha_l{number}" for number in range(1, 5)}}


def picture_path(tile: Tile, which: str) -> Path:
    """The path of one of the tile's images, which may be missing.

    Raises:
        TileError: the export names a path outside its folder.
    """
    name = tile.image.replace("\\", "/")
    if which != "minimap":
        name = f"stitched/{tile.file.name}_{STITCHED[which]}.png"
    try:
        return inside(tile.file.export, name)
    except UserError as error:
        raise TileError("path", str(error)) from error


def read_picture(tile: Tile, which: str, sizes: Collection[int]) -> np.ndarray:
    """One of the tile's images, uint8 [side, side, 3], blue first.

    Raises:
        TileError: it is missing, cannot be decoded, or has another size.
    """
    path = picture_path(tile, which)
    if not path.is_file():
        raise TileError("image_missing", f"{path.name} is not there; export the tile's pictures again.")
    data = np.frombuffer(path.read_bytes(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None:
        raise TileError("image", f"{path.name} cannot be decoded; export the tile's pictures again.")
    height, width = picture.shape[:2]
    if which == "minimap" and (height != width or height not in sizes):
        known = ", ".join(map(str, sizes))
        raise TileError("image_size", f"{path.name} is {width}×{height}; check.image_sizes allows squares of {known}.")
    return picture


def resized(picture: np.ndarray, side: int) -> np.ndarray:
    """The image as a square of ``side`` pixels; areas are averaged where it shrinks."""
    if picture.shape[:2] == (side, side):
        return picture
    how = cv2.INTER_AREA if picture.shape[0] > side else cv2.INTER_CUBIC
    return cv2.resize(picture, (side, side), interpolation=how)


def difference_hash(picture: np.ndarray) -> np.ndarray:
    """The difference hash of an image, 256 bits as uint64 [4]: whether each of 17 × 16 cells is darker than the next.

    Images that look alike have hashes that differ in few bits, also at another size or brightness (dHash: N. Krawetz
    2013, "Kind of Like That").
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA).astype(int)
    return np.packbits(small[:, 1:] > small[:, :-1]).view(np.uint64)


def alike(hashes: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Pairs of indices, the smaller first, whose hashes uint64 [n, 4] differ in at most ``most`` bits; exhaustive."""
    pairs = []
    for at in range(len(hashes)):
        distances = np.bitwise_count(hashes[at + 1 :] ^ hashes[at]).sum(axis=1)
        pairs += [(at, at + 1 + other) for other in np.flatnonzero(distances <= most).tolist()]
    return pairs


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Writes an image in the format of its file name, atomically."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix == ".jpg" else []
    encoded, data = cv2.imencode(path.suffix, picture, quality)
    if not encoded:
        raise UserError(f"{path}: OpenCV cannot write this picture.")
    with atomic_path(path) as part:
        part.write_bytes(data.tobytes())


def write_heights(path: Path, field: np.ndarray) -> tuple[float, float]:
    """Writes a height field as a 16-bit grey PNG; returns the height of 0 and that of a step, in yards."""
    low, high = float(field.min()), float(field.max())
    step = max(high - low, 1e-3) / 65535
    write_picture(path, np.rint((field - low) / step).astype(np.uint16))
    return low, step


def read_heights(path: Path, low: float, step: float) -> np.ndarray:
    """The height field that `write_heights` wrote, float64, yards."""
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise UserError(f"{path}: is no 16-bit grey PNG; build it again.")
    return low + values * step
