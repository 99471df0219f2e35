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
from scripts.gameplay.recorder.pace import Pace, percentile
from scripts.gameplay.recorder.screen import Rect, Screen
from scripts.gameplay.recorder.session import Commands, wait
from scripts.lib.cli import UserError, say

HELD = 0.06  # seconds that a press lasts
UNSEEN = 2.0  # seconds after a press from which its effect counts as never seen
BY_HAND = 20.0  # seconds that a person is given for one press
EARLY = 0.2  # seconds: the window may react, and be captured, before the listener has heard the key
LIT = 128  # of 255; brighter than this on average is lit


class Capture(NamedTuple):
    """When a capture began (monotonic seconds), whether it shows the effect, whether its keys hold any."""

    begun: float
    lit: bool
    keys: bool


class Offset(NamedTuple):
    """From a key: milliseconds to the first frame that shows it; frames from the first that carries the key to that."""

    ms: float
    frames: int


def sync_check(commands: Commands, size: tuple[int, int], rate: float, presses: int, *, by_hand: bool) -> None:
    """Presses keys (or asks for it), captures as the recorder does, and prints the offset.

    Raises:
        UserError: keys are not heard, or their effect is never seen.
    """
    heard: list[float] = []
    with (
        a_window() as place,
        contextlib.closing(Screen(size, region=middle(place))) as screen,
        contextlib.closing(Keyboard(lambda name, now: name == TOGGLE or heard.append(now))) as keyboard,
    ):
        if by_hand:
            say(f"click into the small window, then press and release the space bar {presses} times, once a second")
            captures = watch(commands, screen, keyboard, rate, Hand(heard, presses))
        else:
            captures = watch(commands, screen, keyboard, rate, Robot(tapper(), 1 / rate, presses))
    print(sync_text(heard[:presses], captures, presses))


class Robot:
    """Presses a key whenever the effect of the last one has come and gone, at any moment between two captures."""

    def __init__(self, tap: Callable[[], None], period: float, presses: int) -> None:
        self.tap, self.period, self.left = tap, period, presses
        self._last = time.monotonic() - UNSEEN
        self._lit = False

    def done(self, capture: Capture) -> bool:
        """Looks at a capture; returns whether all presses and their effects are over."""
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


class Hand:
    """Waits for a person's presses."""

    def __init__(self, heard: Sequence[float], presses: int) -> None:
        self.heard, self.presses = heard, presses
        self._start = time.monotonic()

    def done(self, capture: Capture) -> bool:
        """Looks at a capture; returns whether enough keys were pressed, or none for too long."""
        last = self.heard[-1] if self.heard else self._start
        return capture.begun - last > (UNSEEN if len(self.heard) >= self.presses else BY_HAND)


def watch(commands: Commands, screen: Screen, keyboard: Keyboard, rate: float, presser: Robot | Hand) -> list[Capture]:
    """Captures at the recorder's pace until the presser is done, or Ctrl-C."""
    pace, captures = Pace(1 / rate, time.monotonic()), []
    while wait(commands, pace.deadline) != "stop":
        now = time.monotonic()
        pace.begin(now)
        keys = keyboard.state.take()
        captures.append(Capture(now, float(screen.grab().mean()) > LIT, bool(keys)))
        keyboard.check()
        if presser.done(captures[-1]):
            break
    return captures


def offsets(heard: Sequence[float], captures: Sequence[Capture]) -> list[Offset | None]:
    """The offset of each key press, None where no frame shows its effect before the next press.

    Args:
        heard: when keys were pressed, in monotonic seconds, ascending.
        captures: in their order; one that is lit after a dark one shows the effect of a press.
    """
    edges = [number for number, (one, two) in enumerate(pairwise(captures), 1) if two.lit and not one.lit]
    carriers = [number for number, (one, two) in enumerate(pairwise(captures), 1) if two.keys and not one.keys]
    found: list[Offset | None] = []
    for at, after in pairwise([*heard, float("inf")]):
        shows = next((one for one in edges if at - EARLY <= captures[one].begun < after - EARLY), None)
        carries = next((one for one in carriers if at - EARLY <= captures[one].begun < after - EARLY), None)
        if shows is None or carries is None or captures[shows].begun - at > UNSEEN:
            found.append(None)
        else:
            found.append(Offset((captures[shows].begun - at) * 1000, shows - carries))
    return found


def sync_text(heard: Sequence[float], captures: Sequence[Capture], presses: int) -> str:
    """The result in words.

    Raises:
        UserError: no key was heard, or no effect was seen.
    """
    if not heard:
        raise UserError(
            f"none of {presses} key presses was heard; see that no program grabs the keyboard, or press the keys "
            "yourself: --sync-check hand."
        )
    seen = [one for one in offsets(heard, captures) if one is not None]
    if not seen:
        raise UserError(
            f"{len(heard)} key presses were heard, but no frame shows their effect; see that nothing covers the small "
            "window and that it has the focus (click into it, with --sync-check hand)."
        )
    times, frames = sorted(one.ms for one in seen), [one.frames for one in seen]
    text = (
        f"from a key to the first frame that shows it: median {statistics.median(times):.0f} ms, "
        f"p95 {percentile(times, 0.95):.0f} ms, n {len(seen)}; that frame comes {min(frames)} to {max(frames)} "
        f"(median {statistics.median(frames):g}) after the first one that carries the key"
    )
    lost = presses - len(seen)
    return text + (f"; {lost} of {presses} presses were not heard, or no frame shows them" if lost else "")


def middle(place: Rect) -> Rect:
    """The inner quarter of a rectangle, which is inside the window even where it is drawn a little off its place."""
    return Rect(place.left + place.width // 4, place.top + place.height // 4, place.width // 2, place.height // 2)


def tapper() -> Callable[[], None]:
    """A function that presses and releases the space bar through the desktop."""
    keyboard = pynput_keyboard()
    controller = keyboard.Controller()

    def tap() -> None:
        controller.press(keyboard.Key.space)
        time.sleep(HELD)
        controller.release(keyboard.Key.space)

    return tap


@contextlib.contextmanager
def a_window(*options: str) -> Iterator[Rect]:
    """Shows `scripts.gameplay.recorder.patch` in a process of its own, so that it reacts while this one works.

    Raises:
        UserError: it cannot be shown.
    """
    command = [sys.executable, "-m", "scripts.gameplay.recorder.patch", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, encoding="utf-8") as process:
        try:
            line = process.stdout.readline()  # type: ignore[union-attr]
            if not line:
                said = process.stderr.read().strip().splitlines()  # type: ignore[union-attr]
                raise UserError((said or ["the small window could not be shown"])[-1].removeprefix("error: "))
            yield Rect(*json.loads(line))
        finally:
            process.kill()
