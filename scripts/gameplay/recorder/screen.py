"""Pictures of the screen from mss: a monitor, a region or a window, resized to the recording's size."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import sys

import cv2
import numpy as np

from scripts.gameplay.recorder.missing import needs
from scripts.gameplay.recorder.windows import Gone, Place, Rect, find_window
from scripts.lib.cli import UserError, say

HERE = "run this in a terminal on the desktop itself, or set DISPLAY"


def parse_region(text: str) -> Rect:
    """``left,top,width,height`` in pixels, for `argparse`."""
    try:
        left, top, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not left,top,width,height in pixels, such as 0,0,1280,720"
        ) from None
    if width < 1 or height < 1:
        raise argparse.ArgumentTypeError(f"{text!r} has no width or no height")
    return Rect(left, top, width, height)


def parse_size(text: str) -> tuple[int, int]:
    """``640x480`` as (width, height) in pixels, for `argparse`."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size in pixels such as 640x480") from None
    if not (16 <= width <= 7680 and 16 <= height <= 7680):
        raise argparse.ArgumentTypeError(f"{text!r} is no size between 16x16 and 7680x7680")
    return width, height


class Screen:
    """Captures one place of the desktop; not thread-safe.

    Raises:
        UserError: mss is missing, there is no desktop, or the place is not on it.
    """

    def __init__(
        self,
        size: tuple[int, int],
        *,
        region: Rect | None = None,
        window: str | None = None,
        monitor: int | None = None,
    ) -> None:
        needs("mss")
        import mss
        from mss.exception import ScreenShotError

        self.size, self.window = size, window
        self._error = ScreenShotError
        _check_permission()
        try:
            self._mss = mss.MSS()
            monitors = self._mss.monitors
        except (ScreenShotError, OSError) as error:
            raise UserError(f"there is no screen to record ({_line(error)}); {HERE}.") from error
        rects = [Rect(*(row[side] for side in Rect._fields)) for row in monitors]
        self.desktop = rects[0]
        if window is not None:
            self.place: Place = find_window(window)
            return
        if region is None and monitor is None:
            monitor = next((n for n, row in enumerate(monitors) if n and row.get("is_primary")), min(1, len(rects) - 1))
        if region is None and not 0 <= monitor < len(rects):
            most = len(rects) - 1
            raise UserError(f"--monitor {monitor}: there are monitors 1 to {most} here, and 0 for all together.")
        fixed = rects[monitor] if region is None else region
        if clipped(fixed, self.desktop) != fixed:
            there = "{2}x{3} pixels from {0},{1}".format(*self.desktop)
            raise UserError(f"--region {','.join(map(str, fixed))}: it reaches beyond the desktop ({there}).")
        self.place = lambda: fixed

    def grab(self) -> np.ndarray:
        """The current picture, uint8 [height, width, 3] in BGR order; black where a window leaves the desktop.

        Raises:
            UserError: the window is gone, or the desktop is.
        """
        try:
            place = self.place()
            seen = clipped(place, self.desktop)
            if seen.width < 1 or seen.height < 1:
                raise Gone
            shot = self._mss.grab(seen._asdict())
        except Gone:
            raise UserError(
                f"the window {self.window!r} was closed or hidden; bring it back, then start the recorder again."
            ) from None
        except (self._error, OSError, AssertionError) as error:  # mss asserts that the server answers
            raise UserError(
                f"the screen can no longer be captured ({_line(error)}); start the recorder again."
            ) from error
        picture = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)
        return resized(padded(picture, place, seen), self.size)

    def close(self) -> None:
        """Closes the connection to the desktop."""
        with contextlib.suppress(self._error):  # if the desktop is already closed
            self._mss.close()


def clipped(place: Rect, desktop: Rect) -> Rect:
    """The part of a rectangle that lies on the desktop; width or height below 1 where there is none."""
    left, top = max(place.left, desktop.left), max(place.top, desktop.top)
    right = min(place.left + place.width, desktop.left + desktop.width)
    bottom = min(place.top + place.height, desktop.top + desktop.height)
    return Rect(left, top, right - left, bottom - top)


def padded(picture: np.ndarray, place: Rect, seen: Rect) -> np.ndarray:
    """The picture [h, w, 4] of the visible part, padded with black to the whole place."""
    if place == seen:
        return picture
    scale = picture.shape[1] / seen.width  # more than 1 if the system counts in points
    right, bottom = place.left + place.width - seen.left - seen.width, place.top + place.height - seen.top - seen.height
    sides = (seen.top - place.top, bottom, seen.left - place.left, right)
    return cv2.copyMakeBorder(picture, *(round(side * scale) for side in sides), cv2.BORDER_CONSTANT)


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture [h, w, 4] as [height, width, 3] for a size (width, height); areas are averaged if it shrinks."""
    if (picture.shape[1], picture.shape[0]) != size:
        shrinks = picture.shape[1] > size[0] or picture.shape[0] > size[1]
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.ascontiguousarray(picture[:, :, :3])


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or "no answer"


def _check_permission() -> None:
    if sys.platform == "darwin":
        library = ctypes.CDLL("/System/Library/Frameworks/CoreGraphics.framework/CoreGraphics")
        allowed = getattr(library, "CGPreflightScreenCaptureAccess", None)  # not in the oldest systems
        if allowed is not None and not ctypes.c_bool(allowed()).value:
            raise UserError(
                "macOS does not let this terminal see the screen; allow it in System Settings, Privacy & Security, "
                "under Screen Recording, then start the terminal again."
            )
    elif os.environ.get("WAYLAND_DISPLAY"):
        say("note: under Wayland only what runs in X11 (XWayland) is seen and heard; log in to an Xorg session if not.")
