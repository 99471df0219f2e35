"""An episode as a contact sheet or a video: what was seen, and the keys that were chosen."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from scripts.gameplay.answer import SLOT_SECONDS
from scripts.gameplay.keys import Held, word_of
from scripts.lib.cli import UserError
from scripts.lib.files import atomic_path
from scripts.lib.sampling import spread

COLUMNS, ROWS = 6, 4
WIDE, BAR = 200, 20  # pixels of a frame on a sheet, and of the line below it
INK, PAPER, GREEN, RED = (40, 40, 40), (250, 250, 250), (60, 140, 40), (50, 50, 190)  # blue first


class Film:
    """The frames of an episode, uint8 [h, w, 3] red first, with the keys chosen at each, and its goal."""

    def __init__(self, goal: str) -> None:
        self.goal = goal
        self.frames: list[tuple[np.ndarray, Held]] = []

    def add(self, picture: np.ndarray, keys: Held) -> None:
        """Takes a slot."""
        self.frames.append((picture, keys))


def write_sheet(path: Path, film: Film, ending: str, good: bool) -> None:
    """Some of the frames in reading order, with their time and keys, under a line that says how it ended."""
    shown = spread(list(enumerate(film.frames)), COLUMNS * ROWS)
    tiles = [tile(number, picture, keys) for number, (picture, keys) in shown]
    blank = np.full_like(tiles[0], PAPER[0])
    tiles += [blank] * (-len(tiles) % COLUMNS)
    rows = [np.concatenate(tiles[at : at + COLUMNS], axis=1) for at in range(0, len(tiles), COLUMNS)]
    sheet = np.concatenate([title(film.goal, ending, good, rows[0].shape[1]), *rows])
    done, data = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 88])
    assert done
    with atomic_path(path) as part:
        part.write_bytes(data.tobytes())


def tile(number: int, picture: np.ndarray, keys: Held) -> np.ndarray:
    """A frame with its time and keys below it."""
    size = WIDE, round(picture.shape[0] * WIDE / picture.shape[1])
    small = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
    bar = np.full((BAR, WIDE, 3), PAPER, np.uint8)
    write(bar, f"{number * SLOT_SECONDS:.1f} s  {word_of(keys)}", INK)
    return np.pad(np.concatenate([small, bar]), ((2, 2), (2, 2), (0, 0)), constant_values=PAPER[0])


def title(goal: str, ending: str, good: bool, wide: int) -> np.ndarray:
    """The line above: the goal, and how it ended."""
    bar = np.full((BAR + 6, wide, 3), PAPER, np.uint8)
    write(bar, f"{goal}: {ending}", GREEN if good else RED)
    return bar


def write(bar: np.ndarray, text: str, ink: tuple[int, int, int]) -> None:
    """A line of text."""
    cv2.putText(bar, text, (6, len(bar) - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, 1, cv2.LINE_AA)


def write_video(path: Path, film: Film) -> None:
    """All frames at ten a second, with the goal and the keys drawn in.

    Raises:
        UserError: OpenCV cannot write a video of this name.
    """
    high, wide = film.frames[0][0].shape[:2]
    path.parent.mkdir(parents=True, exist_ok=True)
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 1 / SLOT_SECONDS, (wide, high + BAR))
    if not video.isOpened():
        raise UserError(f"{path}: OpenCV cannot write this video; name it .mp4.")
    try:
        for picture, keys in film.frames:
            bar = np.full((BAR, wide, 3), PAPER, np.uint8)
            write(bar, f"{film.goal}: {word_of(keys)}", INK)
            video.write(np.concatenate([cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), bar]))
    finally:
        video.release()
