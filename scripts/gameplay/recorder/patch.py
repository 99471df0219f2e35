"""A window that lights up when a key is pressed, for the sync check and the tests: a game without delay.

    python -m scripts.gameplay.recorder.patch

It prints its place (left, top, width, height as JSON) on stdout, and closes when stdin does.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import sys
import threading
from typing import Any

from scripts.lib.cli import StageParser, UserError, run

TITLE = "Questline sync check"
LIT_MS = 300  # milliseconds for which a press lights it
SETTLED_MS = 300  # milliseconds for a window manager to move it


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    stage = StageParser(__doc__, params=False)
    stage.add_argument("--title", default=TITLE)
    stage.add_argument("--place", default="320x240+40+40", help="size and corner, as Tk writes them")
    stage.add_argument("--dark", default="#000000", help="its colour")
    stage.add_argument("--lit", default="#ffffff", help="its colour after a press")
    return stage


def main(args: argparse.Namespace) -> None:
    """Shows the window until stdin closes."""
    if sys.platform == "win32":
        ctypes.windll.user32.SetProcessDPIAware()  # type: ignore[attr-defined]  # so that it counts pixels as mss does
    window = open_window(args)
    darkening = ""

    def light(_: Any) -> None:
        nonlocal darkening
        if darkening:
            window.after_cancel(darkening)
        window.configure(background=args.lit)
        darkening = window.after(LIT_MS, lambda: window.configure(background=args.dark))

    def announce() -> None:
        place = window.winfo_rootx(), window.winfo_rooty(), window.winfo_width(), window.winfo_height()
        print(json.dumps(place), flush=True)

    def end_with_stdin() -> None:
        sys.stdin.buffer.read()
        os._exit(0)  # the process that started this one has ended

    window.bind("<KeyPress>", light)
    window.wait_visibility()
    window.focus_force()
    window.after(SETTLED_MS, announce)
    threading.Thread(target=end_with_stdin, daemon=True).start()
    window.mainloop()


def open_window(args: argparse.Namespace) -> Any:
    """The window, not yet shown.

    Raises:
        UserError: Tk is missing, or there is no desktop.
    """
    try:
        import tkinter
    except ImportError as error:
        raise UserError(
            f"the window needs Tk, which this Python lacks ({error}); on Debian and Ubuntu install python3-tk."
        ) from error
    try:
        window = tkinter.Tk()
    except tkinter.TclError as error:
        raise UserError(f"no window can be shown ({error}); run this in a terminal on the desktop itself.") from error
    window.title(args.title)
    window.geometry(args.place)
    window.configure(background=args.dark)
    window.attributes("-topmost", True)
    return window


if __name__ == "__main__":
    run(parser, main)
