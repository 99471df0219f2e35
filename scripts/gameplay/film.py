"""An episode as a contact sheet or a video: the frames, and the keys chosen at each."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from scripts.gameplay.answer import SLOT_SECONDS
from scripts.gameplay.keys import Held, word_of
from scripts.gameplay.pictures import encode_jpeg
from scripts.lib.cli import UserError
from scripts.lib.files import atomic_path
from scripts.lib.sampling import spread

COLUMNS, ROWS = 6, 4
WIDE, BAR = 200, 20  # pixels of a frame on a sheet, and of the line below it
INK, PAPER, GREEN, RED = (40, 40, 40), (250, 250, 250), (60, 140, 40), (50, 50, 190)  # BGR


class Film:
    """The frames of an episode, uint8 [h, w, 3] in RGB order, with the keys chosen at each, and its goal."""

    def __init__(self, goal: str) -> None:
        self.goal = goal
        self.frames: list[tuple[np.ndarray, Held]] = []

    def add(self, picture: np.ndarray, keys: Held) -> None:
        """Adds a slot."""
        self.frames.append((picture, keys))


def write_sheet(path: Path, film: Film, ending: str, good: bool) -> None:
    """Writes up to 24 of the frames in reading order, with their time and keys, under a line with the ending."""
    tiles = []
    for number, (picture, keys) in spread(list(enumerate(film.frames)), COLUMNS * ROWS):
        size = WIDE, round(picture.shape[0] * WIDE / picture.shape[1])
        small = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
        bar = text_bar(f"{number * SLOT_SECONDS:.1f} s  {word_of(keys)}", INK, WIDE)
        framed = np.pad(np.concatenate([small, bar]), ((2, 2), (2, 2), (0, 0)), constant_values=PAPER[0])
        tiles.append(framed)
    tiles += [np.full_like(tiles[0], PAPER[0])] * (-len(tiles) % COLUMNS)
    rows = [np.concatenate(tiles[at : at + COLUMNS], axis=1) for at in range(0, len(tiles), COLUMNS)]
    title = text_bar(f"{film.goal}: {ending}", GREEN if good else RED, rows[0].shape[1], BAR + 6)
    with atomic_path(path) as part:
        part.write_bytes(encode_jpeg(np.concatenate([title, *rows]), 88))


def write_video(path: Path, film: Film) -> None:
    """Writes all frames at ten a second, with the goal and the keys below each.

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
            bar = text_bar(f"{film.goal}: {word_of(keys)}", INK, wide)
            video.write(np.concatenate([cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), bar]))
    finally:
        video.release()


def text_bar(text: str, ink: tuple[int, int, int], wide: int, high: int = BAR) -> np.ndarray:
    """A line of text, uint8 [high, wide, 3] in BGR order."""
    bar = np.full((high, wide, 3), PAPER, np.uint8)
    return cv2.putText(bar, text, (6, high - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, 1, cv2.LINE_AA)
