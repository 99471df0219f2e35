"""Writes frames on a thread of its own as they come, so that a kill loses only the few in the queue."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scripts.gameplay.keys import Held
from scripts.gameplay.pictures import encode_jpeg
from scripts.gameplay.raw import write_frame
from scripts.lib.cli import say

MOST_WAITING = 0.5  # seconds of frames in the queue: with the one being written, a kill loses less than a second
PATIENCE = 30.0  # seconds for a disk to take the last frames


class Shot(NamedTuple):
    """A frame to write: milliseconds since 1970, the keys held, uint8 [height, width, 3] in BGR order."""

    stamp: int
    keys: Held
    picture: np.ndarray


class Writer:
    """Writes shots into a folder; `offer` never blocks and never queues more than half a second of frames."""

    def __init__(self, folder: Path, rate: float, quality: int) -> None:
        self.folder = folder
        self.written = 0
        self.refused = 0
        self.most = max(1, int(rate * MOST_WAITING))
        self._quality = quality
        self._error: OSError | None = None
        self._waiting: queue.Queue[Shot | None] = queue.Queue()  # `offer` bounds it, so that the end marker always fits
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def offer(self, shot: Shot) -> bool:
        """Takes a frame, or refuses it because the disk is too slow; returns whether it was taken.

        Raises:
            OSError: an earlier frame could not be written.
        """
        if self._error is not None:
            raise self._error
        if self._waiting.qsize() >= self.most:
            self.refused += 1
            return False
        self._waiting.put(shot)
        return True

    def close(self) -> None:
        """Writes the frames in the queue and ends.

        Raises:
            OSError: a frame could not be written.
        """
        self._waiting.put(None)
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            say(f"{self.folder}: the disk took no frame for {PATIENCE:.0f} s; {self._waiting.qsize()} frames are lost.")
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        while (shot := self._waiting.get()) is not None:
            if self._error is not None:
                continue  # the recording is about to end
            try:
                write_frame(self.folder, shot.stamp, encode_jpeg(shot.picture, self._quality), shot.keys)
                self.written += 1
            except OSError as error:
                self._error = error
