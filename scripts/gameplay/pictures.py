"""The pictures of a recording: checked, decoded no larger than needed, and written at the size the model takes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from scripts.gameplay.raw import FrameError
from scripts.lib.cli import describe_os_error
from scripts.lib.files import atomic_path

# JPEG markers, ITU-T T.81, table B.1: start and end of image, and the frame headers, which hold a picture's size
# (C4, C8 and CC lie between them and are other segments).
START, END = b"\xff\xd8", b"\xff\xd9"
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}


class PictureForm(NamedTuple):
    """How pictures are written: width and height in pixels, JPEG quality."""

    width: int
    height: int
    quality: int


def read_jpeg(path: Path) -> bytes:
    """The bytes of a JPEG that is complete from its first marker to its last.

    Raises:
        FrameError: it is not; a decoder would fill the missing part with grey without an error.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FrameError("unreadable", describe_os_error(error)) from error
    if not data.startswith(START):
        reason = "is no JPEG" if data else "is empty"
        raise FrameError("picture", f"{reason}; remove the frame, or record again.")
    if not data.rstrip(b"\0").endswith(END):
        raise FrameError("picture", "is cut off (its end-of-image marker is missing); remove the frame.")
    return data


def size_of(data: bytes) -> tuple[int, int] | None:
    """Width and height from a JPEG's frame header; None if there is no such header."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in FRAMES:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def decode(data: bytes, form: PictureForm | None) -> np.ndarray:
    """Decodes a JPEG at the smallest scale (1/8, 1/4, 1/2, 1) that still covers the form.

    The decoder leaves out fine detail that resizing would only average away.

    Returns:
        uint8 [height, width, 3] in BGR order; without a form, uint8 [height / 8, width / 8] in grey.

    Raises:
        FrameError: it cannot be decoded.
    """
    mode = cv2.IMREAD_REDUCED_GRAYSCALE_8
    if form is not None:
        width, height = size_of(data) or (0, 0)
        fits = [by for by in REDUCED if width // by >= form.width and height // by >= form.height]
        mode = REDUCED[fits[0]] if fits else cv2.IMREAD_COLOR
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    if picture is None:
        raise FrameError("picture", "cannot be decoded; remove the frame, or record again.")
    return picture


def encode_jpeg(picture: np.ndarray, quality: int) -> bytes:
    """A picture, uint8 [height, width, 3] in BGR order, as the bytes of a JPEG file."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()


def write_picture(path: Path, picture: np.ndarray, form: PictureForm) -> None:
    """Writes a picture (BGR) as JPEG in this form, atomically; another aspect ratio is stretched."""
    size = (form.width, form.height)
    if picture.shape[1::-1] != size:
        shrinks = picture.shape[1] >= form.width and picture.shape[0] >= form.height
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    with atomic_path(path) as part:
        part.write_bytes(encode_jpeg(picture, form.quality))
