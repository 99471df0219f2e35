"""Playing in a window of the desktop: keys that pynput sends, and a key that stops everything."""

from __future__ import annotations

import sys
import threading
from types import ModuleType, TracebackType
from typing import Any

from scripts.gameplay.keys import KEYS, Held
from scripts.gameplay.recorder.keyboard import pynput_keyboard
from scripts.lib.cli import UserError


class Fingers:
    """Holds keys down on the desktop, those of the vocabulary and no other; lets go of all of them at the end.

    Raises:
        UserError: pynput is missing, or there is no desktop.
    """

    def __init__(self) -> None:
        keyboard = pynput_keyboard()
        self._controller = keyboard.Controller()
        self._named = {name: key_of(name, keyboard) for name in KEYS}
        self.down: Held = frozenset()

    def hold(self, keys: Held) -> None:
        """Releases what is down and not among the keys, and presses what is and is not down."""
        for name in sorted(self.down - keys):
            self._controller.release(self._named[name])
        for name in sorted(keys - self.down):
            self._controller.press(self._named[name])
        self.down = keys

    def __enter__(self) -> Fingers:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.hold(frozenset())


def key_of(name: str, keyboard: ModuleType) -> Any:
    """pynput's key of a name.

    A letter is named by its key's code where the code follows from the letter: under X11 pynput sends characters to the
    window that has the focus, as events that games ignore, and only codes as if a key were pressed.
    """
    if hasattr(keyboard.Key, name):
        return getattr(keyboard.Key, name)
    if sys.platform.startswith("linux"):
        return keyboard.KeyCode.from_vk(ord(name))  # X11's keysym of a small letter
    if sys.platform == "win32":
        return keyboard.KeyCode.from_vk(ord(name.upper()))
    return keyboard.KeyCode.from_char(name)


class EmergencyStop:
    """Listens for one key, whichever window has the focus; ``pressed`` is set once it was heard.

    Raises:
        UserError: there is no such key, it is one that is played with, or nothing can be heard here.
    """

    def __init__(self, name: str) -> None:
        keyboard = pynput_keyboard()
        wanted = getattr(keyboard.Key, name, None)
        if name in KEYS or wanted is None:
            raise UserError(f"--stop-key {name}: name a key that is not played with, such as esc, f12 or pause.")
        self.pressed = threading.Event()

        def heard(key: Any) -> None:
            if key == wanted:
                self.pressed.set()

        self._listener = keyboard.Listener(on_press=heard)
        self._listener.start()
        self._listener.wait()

    def close(self) -> None:
        """Stops listening."""
        self._listener.stop()
