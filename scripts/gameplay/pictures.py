"""The pictures of a recording: checked, decoded no larger than needed, and written at the size the model sees."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from scripts.gameplay.raw import FrameError
from scripts.lib.cli import describe_os_error
from scripts.lib.files import atomic_path

START, END = b"\xff\xd8", b"\xff\xd9"
# Markers that hold a picture's size; C4, C8 and CC lie between them and do not.
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}


class PictureForm(NamedTuple):
    """How pictures are written: width and height in pixels, JPEG quality."""

    width: int
    height: int
    quality: int


def read_jpeg(path: Path) -> bytes:
    """The bytes of a JPEG that is there from its first marker to its last.

    Raises:
        FrameError: it is not; a decoder would fill what is missing with grey and say nothing.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FrameError("unreadable", describe_os_error(error)) from error
    if not data.startswith(START):
        what = "is no JPEG" if data else "is empty"
        raise FrameError("picture", f"{what}; remove the frame, or record again.")
    if not data.endswith(END) and not data.rstrip(b"\0").endswith(END):
        raise FrameError("picture", "is cut off (its end-of-image marker is missing); remove the frame.")
    return data


def size_of(data: bytes) -> tuple[int, int] | None:
    """Width and height that a JPEG's header names; None where none is found."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in FRAMES:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def decode(data: bytes, form: PictureForm | None) -> np.ndarray:
    """A JPEG as uint8 [height, width, 3], blue first: the smallest that still covers the form; none given: tiny, grey.

    The decoder leaves out the fine detail that would only be averaged away.

    Raises:
        FrameError: it cannot be decoded.
    """
    how = cv2.IMREAD_REDUCED_GRAYSCALE_8
    if form is not None:
        width, height = size_of(data) or (0, 0)
        fits = [by for by in REDUCED if width // by >= form.width and height // by >= form.height]
        how = REDUCED[fits[0]] if fits else cv2.IMREAD_COLOR
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    if picture is None:
        raise FrameError("picture", "cannot be decoded; remove the frame, or record again.")
    return picture


def write_picture(path: Path, picture: np.ndarray, form: PictureForm) -> None:
    """Writes a picture as JPEG in this form, atomically; another shape is stretched, so that nothing is cut off."""
    size = (form.width, form.height)
    if picture.shape[1::-1] != size:
        smaller = picture.shape[1] >= form.width and picture.shape[0] >= form.height
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, form.quality])
    with atomic_path(path) as part:
        part.write_bytes(data.tobytes())


def one_thread() -> None:
    """Has OpenCV use no threads of its own: processes work side by side, and forking with threads is unsafe."""
    cv2.setNumThreads(1)
