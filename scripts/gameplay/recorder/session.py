"""One recording, from one P to the next: captures at the deadlines, gives frames to the writer, writes the summary."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from scripts.gameplay.keys import Held
from scripts.gameplay.recorder.keyboard import Keyboard
from scripts.gameplay.recorder.pace import Clock, Pace, interval_ms
from scripts.gameplay.recorder.screen import Screen
from scripts.gameplay.recorder.status import Status
from scripts.gameplay.recorder.writer import Shot, Writer
from scripts.lib.files import write_json

SUMMARY = "recording.json"
SLICE = 0.1  # seconds; the longest single wait, because on Windows Ctrl-C does not interrupt a wait
EVERY = 3  # of `--save changes`: after this many captures one is saved even if the keys did not change

Command = Literal["toggle", "stop"]
# A SimpleQueue may be put to from a signal handler even while the same thread waits for it.
Commands = queue.SimpleQueue[Command]


@dataclass
class Choice:
    """Selects captures to save: all, or those with other keys than the last saved one and every third."""

    changes: bool
    _keys: Held | None = None
    _passed: int = 0

    def wants(self, keys: Held) -> bool:
        """Whether to save a capture with these keys."""
        self._passed += 1
        return not self.changes or keys != self._keys or self._passed >= EVERY

    def saved(self, keys: Held) -> None:
        """Notes that the capture is saved."""
        self._keys, self._passed = keys, 0


@dataclass
class Recorder:
    """Makes the recordings of one command; ``rate`` in captures a second, ``seconds``: the length, None: no end."""

    screen: Screen
    keyboard: Keyboard
    commands: Commands
    out: Path
    rate: float
    changes: bool
    quality: int
    seconds: float | None = None
    clock: Clock = field(default_factory=Clock)

    def record(self) -> Command:
        """Makes one recording and prints its summary; returns what ended it (``stop`` when the time is over).

        Raises:
            UserError: the window or the desktop is gone; all frames captured until then are written.
            OSError: a frame could not be written.
        """
        pace = Pace(1 / self.rate, time.monotonic())
        folder = new_folder(self.out, self.clock.stamp(pace.start))
        settings = {
            "rate": self.rate,
            "save": "changes" if self.changes else "all",
            "size": list(self.screen.size),
            "window": self.screen.window,
        }
        write_json(folder / SUMMARY, {**settings, "finished": False})
        writer = Writer(folder, self.rate, self.quality)
        try:
            return self._capture(pace, writer)
        finally:
            try:
                writer.close()
            finally:
                intervals = interval_ms(pace.begun)
                summary = {
                    "frames": writer.written,
                    "captures": len(pace.begun),
                    "seconds": round(time.monotonic() - pace.start, 2),
                    "dropped": pace.skipped + writer.refused,
                    "dropped_by_disk": writer.refused,
                    "late": pace.late,
                    "interval_ms": intervals,
                }
                write_json(folder / SUMMARY, {**settings, "finished": True, **summary})
                counts = "{frames} frames in {seconds} s, {dropped} dropped, {late} late".format(**summary)
                apart = "; {mean} ms apart on average, p95 {p95} ms".format(**intervals) if len(pace.begun) > 1 else ""
                print(f"{folder}: {counts}{apart}", flush=True)

    def _capture(self, pace: Pace, writer: Writer) -> Command:
        choice, status = Choice(self.changes), Status()
        keys = self.keyboard.state.take()  # discards taps from before the start

        def show() -> None:
            seconds = time.monotonic() - pace.start
            status.show(seconds, writer.written, pace.skipped + writer.refused, pace.late, keys)

        try:
            while self.seconds is None or pace.deadline - pace.start < self.seconds:
                if command := wait(self.commands, pace.deadline, show):
                    return command
                now = time.monotonic()
                pace.begin(now)
                keys = self.keyboard.state.take()
                picture = self.screen.grab()
                if choice.wants(keys) and writer.offer(Shot(self.clock.stamp(now), keys, picture)):
                    choice.saved(keys)
                self.keyboard.check()
                show()
            return "stop"
        finally:
            status.end()


def wait(commands: Commands, until: float | None, tick: Callable[[], None] = lambda: None) -> Command | None:
    """The next command, or None if none came until a moment (in monotonic seconds; None: waits for ever)."""
    while True:
        left = SLICE if until is None else until - time.monotonic()
        try:
            return commands.get(timeout=min(max(0.0, left), SLICE))
        except queue.Empty:
            if left <= SLICE and until is not None:
                return None
            tick()


def new_folder(out: Path, stamp: int) -> Path:
    """Makes a recording's folder, named by its beginning (milliseconds since 1970) in UTC."""
    name = time.strftime("%Y%m%d_%H%M%S", time.gmtime(stamp / 1000))
    number = 1
    while True:
        folder = out / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if out.exists() and not out.is_dir():
                raise
            number += 1
