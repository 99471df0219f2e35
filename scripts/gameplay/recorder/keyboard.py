"""The keys held down, from pynput, whichever window has the focus; only those of the vocabulary, and P."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from scripts.gameplay.keys import KEYS, MOST, Held
from scripts.gameplay.recorder.missing import needs
from scripts.lib.cli import UserError

TOGGLE = "p"
FORGOTTEN = 2.0  # seconds without an event of a key, after which a press is a new one: its release was lost
READY = 10.0  # seconds


class KeyState:
    """Which keys are down. Times are monotonic seconds; any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._down: dict[str, float] = {}  # time of the last event, in the order of the presses
        self._tapped: dict[str, float] = {}  # pressed since the last `take`

    def press(self, name: str, now: float) -> bool:
        """Notes a press; returns whether it is one, not the repetition of a key held down."""
        with self._lock:
            before = self._down.get(name)
            self._down[name] = now
            if before is None:
                self._tapped[name] = now
            return before is None or now - before > FORGOTTEN

    def release(self, name: str) -> None:
        """Notes a release."""
        with self._lock:
            self._down.pop(name, None)

    def take(self) -> Held:
        """The keys of a frame captured now: held, or tapped since the last one; at most five, those held longest."""
        with self._lock:
            names = {**self._down, **self._tapped}
            self._tapped.clear()
        return frozenset([name for name in names if name in KEYS][:MOST])


def name_of(key: Any) -> str | None:
    """The name of a pynput key in the vocabulary, or P; with shift or caps lock it is the same key."""
    name = getattr(key, "name", None)
    if name is None:
        name = (getattr(key, "char", None) or "").lower()
        code = getattr(key, "vk", None)
        if sys.platform == "win32" and name not in KEYS and code is not None and ord("A") <= code <= ord("Z"):
            name = chr(code).lower()  # with ctrl held, the character is a control character
    return name if name in KEYS or name == TOGGLE else None


class Keyboard:
    """Listens to the keys until closed; calls ``heard(name, now)`` on the listener's thread for every new press.

    Raises:
        UserError: pynput is missing or cannot listen here.
    """

    def __init__(self, heard: Callable[[str, float], None]) -> None:
        self.state = KeyState()
        self.heard = heard
        self._listener = _listener(on_press=self._press, on_release=self._release)

    def _press(self, key: Any) -> None:
        name, now = name_of(key), time.monotonic()
        if name is not None and self.state.press(name, now):
            self.heard(name, now)

    def _release(self, key: Any) -> None:
        name = name_of(key)
        if name is not None:
            self.state.release(name)

    def check(self) -> None:
        """Checks that the listener still runs.

        Raises:
            UserError: the listener has ended.
        """
        if not self._listener.is_alive():
            raise UserError(
                "the keys are no longer heard (the desktop closed the connection); start the recorder again."
            )

    def close(self) -> None:
        """Stops listening."""
        if self._listener.is_alive():
            self._listener.stop()


def pynput_keyboard() -> ModuleType:
    """pynput's keyboard module.

    Raises:
        UserError: it is not installed, or there is no desktop to connect to.
    """
    needs("pynput", "six", *(["Xlib"] if sys.platform.startswith("linux") else []))
    try:
        from pynput import keyboard
    except ImportError as error:  # also without a display
        reason = str(error).splitlines()[0]
        raise UserError(
            f"the keys cannot be heard ({reason}); run this in a terminal on the desktop itself."
        ) from error
    return keyboard


def _listener(**handlers: Callable[[Any], None]) -> Any:
    class Listener(pynput_keyboard().Listener):  # type: ignore[misc,name-defined]
        def run(self) -> None:
            with contextlib.suppress(Exception):  # `check` and `_listener` notice that it has ended
                super().run()

    listener = Listener(**handlers)
    listener.start()
    # Its own wait() never returns if the listener's thread has failed.
    waiting = threading.Thread(target=listener.wait, daemon=True)
    waiting.start()
    end = time.monotonic() + READY
    while waiting.is_alive() and listener.is_alive() and time.monotonic() < end:
        waiting.join(0.05)
    if waiting.is_alive():
        raise UserError(
            "the keys cannot be heard: the desktop lets no program listen (X11 needs the RECORD extension)."
        )
    if sys.platform == "darwin" and not (listener.IS_TRUSTED and listener.is_alive()):
        raise UserError(
            "macOS does not let this terminal hear the keys; allow it in System Settings, Privacy & Security, under "
            "Input Monitoring and Accessibility, then start the terminal again."
        )
    return listener
