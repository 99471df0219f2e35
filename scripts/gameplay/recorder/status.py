"""Shows that it is recording: a line on stderr that renews itself in a terminal, or a new one every few seconds."""

from __future__ import annotations

import sys

from scripts.gameplay.keys import Held, word_of
from scripts.lib.cli import say

RENEWED = 0.25  # seconds between two states of the line in a terminal
REPEATED = 5.0  # seconds between two lines where stderr is no terminal
BELL = "\a"  # a game that fills the screen hides the terminal


def status_text(seconds: float, frames: int, dropped: int, late: int, keys: Held) -> str:
    """The line's text; ``seconds`` since the recording began."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    time = f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes:02d}:{whole % 60:02d}"
    return f"● REC {time}  {frames} frames  {dropped} dropped  {late} late  {word_of(keys)}"


class Status:
    """The line of one recording."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self._due = 0.0
        self._width = 0

    def show(self, seconds: float, frames: int, dropped: int, late: int, keys: Held) -> None:
        """Shows the state if it is time to."""
        if seconds < self._due:
            return
        text = status_text(seconds, frames, dropped, late, keys)
        if not self.terminal:
            self._due = seconds + REPEATED
            say(text)
            return
        self._due = seconds + RENEWED
        bell = "" if self._width else BELL
        self._width = max(self._width, len(text))
        sys.stderr.write(f"\r{text:<{self._width}}{bell}")
        sys.stderr.flush()

    def end(self) -> None:
        """Takes the line away, so that what is said next stands alone."""
        if self.terminal and self._width:
            sys.stderr.write(f"\r{'':<{self._width}}\r{BELL}")
            sys.stderr.flush()
