"""Measures the offset between a key and the first frame that shows its effect, with a window that lights up."""

from __future__ import annotations

import contextlib
import json
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from scripts.gameplay.recorder.keyboard import TOGGLE, Keyboard, pynput_keyboard
from scripts.gameplay.recorder.pace import Pace, percentile_95
from scripts.gameplay.recorder.screen import Rect, Screen
from scripts.gameplay.recorder.session import Commands, wait
from scripts.lib.cli import UserError, say

HELD = 0.06  # seconds that a press lasts
UNSEEN = 2.0  # seconds after a press, after which its effect counts as missing
BY_HAND = 20.0  # seconds for a person to press a key
EARLY = 0.2  # seconds: the window may react and be captured before the listener receives the key
LIT = 128  # of 255; brighter than this on average is lit


class Capture(NamedTuple):
    """When a capture began (monotonic seconds), whether it shows the effect, and whether a key was held."""

    begun: float
    lit: bool
    keys: bool


class Offset(NamedTuple):
    """Milliseconds from a press to the first frame that shows it; frames from the first with the key to that one."""

    ms: float
    frames: int


def sync_check(commands: Commands, size: tuple[int, int], rate: float, presses: int, *, by_hand: bool) -> None:
    """Presses keys (or asks for it), captures as the recorder does, and prints the offset.

    Raises:
        UserError: key presses are not received, or their effect is in no frame.
    """
    heard: list[float] = []
    with (
        a_window() as place,
        contextlib.closing(Screen(size, region=middle(place))) as screen,
        contextlib.closing(Keyboard(lambda name, now: name == TOGGLE or heard.append(now))) as keyboard,
    ):
        if by_hand:
            say(f"click into the small window, then press and release the space bar {presses} times, once a second")
            start = time.monotonic()

            def done(capture: Capture) -> bool:
                since = capture.begun - (heard[-1] if heard else start)
                return since > (UNSEEN if len(heard) >= presses else BY_HAND)

            captures = watch(commands, screen, keyboard, rate, done)
        else:
            pynput = pynput_keyboard()
            controller = pynput.Controller()

            def tap() -> None:
                controller.press(pynput.Key.space)
                time.sleep(HELD)
                controller.release(pynput.Key.space)

            captures = watch(commands, screen, keyboard, rate, Robot(tap, 1 / rate, presses).done)
    print(sync_text(heard[:presses], captures, presses))


class Robot:
    """Presses a key when the effect of the last press is over, at a random moment between two captures."""

    def __init__(self, tap: Callable[[], None], period: float, presses: int) -> None:
        self.tap, self.period, self.left = tap, period, presses
        self._last = time.monotonic() - UNSEEN
        self._lit = False

    def done(self, capture: Capture) -> bool:
        """Takes a capture into account; returns whether all presses and their effects are over."""
        self._lit = self._lit or capture.lit
        over = capture.begun - self._last > UNSEEN or (self._lit and not capture.lit and not capture.keys)
        if not over or not self.left:
            return over
        self.left -= 1
        self._last, self._lit = capture.begun, False
        timer = threading.Timer(random.uniform(0.0, self.period), self.tap)
        timer.daemon = True
        timer.start()
        return False


def watch(
    commands: Commands, screen: Screen, keyboard: Keyboard, rate: float, done: Callable[[Capture], bool]
) -> list[Capture]:
    """Captures at the recorder's pace until ``done`` of the last capture, or Ctrl-C."""
    pace, captures = Pace(1 / rate, time.monotonic()), []
    while wait(commands, pace.deadline) != "stop":
        now = time.monotonic()
        pace.begin(now)
        keys = keyboard.state.take()
        captures.append(Capture(now, float(screen.grab().mean()) > LIT, bool(keys)))
        keyboard.check()
        if done(captures[-1]):
            break
    return captures


def offsets(heard: Sequence[float], captures: Sequence[Capture]) -> list[Offset | None]:
    """The offset of each key press; None if no frame shows its effect before the next press.

    Args:
        heard: when keys were pressed, in monotonic seconds, ascending.
        captures: in their order; a lit one after a dark one shows the effect of a press.
    """
    pairs = list(enumerate(pairwise(captures), 1))
    lit = [number for number, (before, after) in pairs if after.lit and not before.lit]
    carrying = [number for number, (before, after) in pairs if after.keys and not before.keys]
    result: list[Offset | None] = []
    for press, following in pairwise([*heard, float("inf")]):
        shows, carries = (
            next((n for n in numbers if press - EARLY <= captures[n].begun < following - EARLY), None)
            for numbers in (lit, carrying)
        )
        if shows is None or carries is None or captures[shows].begun - press > UNSEEN:
            result.append(None)
        else:
            result.append(Offset((captures[shows].begun - press) * 1000, shows - carries))
    return result


def sync_text(heard: Sequence[float], captures: Sequence[Capture], presses: int) -> str:
    """The result as a sentence.

    Raises:
        UserError: no key press was received, or no effect was captured.
    """
    if not heard:
        raise UserError(
            f"none of {presses} key presses was heard; see that no program grabs the keyboard, or press the keys "
            "yourself: --sync-check hand."
        )
    seen = [offset for offset in offsets(heard, captures) if offset is not None]
    if not seen:
        raise UserError(
            f"{len(heard)} key presses were heard, but no frame shows their effect; see that nothing covers the small "
            "window and that it has the focus (click into it, with --sync-check hand)."
        )
    times, frames = [offset.ms for offset in seen], [offset.frames for offset in seen]
    text = (
        f"from a key to the first frame that shows it: median {statistics.median(times):.0f} ms, "
        f"p95 {percentile_95(times):.0f} ms, n {len(seen)}; that frame comes {min(frames)} to {max(frames)} "
        f"(median {statistics.median(frames):g}) after the first one that carries the key"
    )
    lost = presses - len(seen)
    return text + (f"; {lost} of {presses} presses were not heard, or no frame shows them" if lost else "")


def middle(place: Rect) -> Rect:
    """The inner quarter of a rectangle, which lies in the window even if that is drawn a little off its place."""
    return Rect(place.left + place.width // 4, place.top + place.height // 4, place.width // 2, place.height // 2)


@contextlib.contextmanager
def a_window(*options: str) -> Iterator[Rect]:
    """Runs `scripts.gameplay.recorder.patch` as a process, so that it reacts while this one works; gives its place.

    Raises:
        UserError: it cannot be shown.
    """
    command = [sys.executable, "-m", "scripts.gameplay.recorder.patch", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, encoding="utf-8") as process:
        try:
            line = process.stdout.readline()  # type: ignore[union-attr]
            if not line:
                lines = process.stderr.read().strip().splitlines()  # type: ignore[union-attr]
                raise UserError((lines or ["the small window could not be shown"])[-1].removeprefix("error: "))
            yield Rect(*json.loads(line))
        finally:
            process.kill()
