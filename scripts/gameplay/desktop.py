"""Playing in a window of the desktop: pynput sends the keys, and one key stops everything."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from scripts.gameplay.keys import KEYS, Held
from scripts.gameplay.recorder.keyboard import pynput_keyboard
from scripts.lib.cli import UserError


@contextlib.contextmanager
def keys_held() -> Iterator[Callable[[Held], None]]:
    """Gives a function that holds exactly these keys of the vocabulary down; at the end all keys are released.

    Raises:
        UserError: pynput is missing, or there is no desktop.
    """
    keyboard = pynput_keyboard()
    controller = keyboard.Controller()
    pynput_keys = {name: key_of(name, keyboard) for name in KEYS}
    down: set[str] = set()

    def hold(keys: Held) -> None:
        for name in sorted(down - keys):
            controller.release(pynput_keys[name])
        for name in sorted(keys - down):
            controller.press(pynput_keys[name])
        down.clear()
        down.update(keys)

    try:
        yield hold
    finally:
        hold(frozenset())


def key_of(name: str, keyboard: ModuleType) -> Any:
    """pynput's key of a name.

    A letter is given by its key code where the code follows from the letter: under X11, pynput sends characters to the
    focused window as synthetic events, which games ignore, but sends codes like real key presses.
    """
    if hasattr(keyboard.Key, name):
        return getattr(keyboard.Key, name)
    if sys.platform.startswith("linux"):
        return keyboard.KeyCode.from_vk(ord(name))  # X11's keysym of a small letter
    if sys.platform == "win32":
        return keyboard.KeyCode.from_vk(ord(name.upper()))
    return keyboard.KeyCode.from_char(name)


@contextlib.contextmanager
def emergency_stop(name: str) -> Iterator[threading.Event]:
    """Gives an event that is set once this key is pressed, whichever window has the focus.

    Raises:
        UserError: there is no such key, it is in the vocabulary, or key presses cannot be read here.
    """
    keyboard = pynput_keyboard()
    key = getattr(keyboard.Key, name, None)
    if name in KEYS or key is None:
        raise UserError(f"--stop-key {name}: name a key that is not played with, such as esc, f12 or pause.")
    pressed = threading.Event()
    listener = keyboard.Listener(on_press=lambda other: pressed.set() if other == key else None)
    listener.start()
    listener.wait()
    try:
        yield pressed
    finally:
        listener.stop()
