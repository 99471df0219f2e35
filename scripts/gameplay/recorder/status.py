"""Shows the state of a recording on stderr: one line that is updated in a terminal, or a new line every few seconds."""

from __future__ import annotations

import sys

from scripts.gameplay.keys import Held, word_of
from scripts.lib.cli import say

RENEWED = 0.25  # seconds between two states of the line in a terminal
REPEATED = 5.0  # seconds between two lines where stderr is no terminal
BELL = "\a"  # a full-screen game hides the terminal


def status_text(seconds: float, frames: int, dropped: int, late: int, keys: Held) -> str:
    """The line's text; ``seconds`` since the recording began."""
    hours, minutes = divmod(int(seconds) // 60, 60)
    time = f"{minutes:02d}:{int(seconds) % 60:02d}"
    time = f"{hours}:{time}" if hours else time
    return f"● REC {time}  {frames} frames  {dropped} dropped  {late} late  {word_of(keys)}"


class Status:
    """The line of one recording."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self._due = 0.0
        self._width = 0

    def show(self, seconds: float, frames: int, dropped: int, late: int, keys: Held) -> None:
        """Shows the state if it is due."""
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
        """Clears the line before the next output."""
        if self.terminal and self._width:
            sys.stderr.write(f"\r{'':<{self._width}}\r{BELL}")
            sys.stderr.flush()
