"""Records play: pictures of the screen and the keys held, as the raw layout that the gameplay system reads.

    python -m scripts.gameplay.record --out my/play --window "My game"
    python -m scripts.gameplay.record --sync-check

P starts and stops a recording, each in a new folder below --out; Ctrl-C ends the program. The keys w a s d, the arrows,
c, space and enter are recorded, whichever window has the focus; no other key is ever written.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.gameplay.recorder.keyboard import TOGGLE, Keyboard
from scripts.gameplay.recorder.screen import Screen, parse_region, parse_size
from scripts.gameplay.recorder.session import Commands, Recorder, wait
from scripts.gameplay.recorder.sync import sync_check
from scripts.lib.cli import StageParser, UserError, run, say

FASTEST = 60.0
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    stage = StageParser(__doc__, params=False)
    stage.add_argument("--out", type=Path, help="where the recordings' folders go")
    place = stage.add_mutually_exclusive_group()
    place.add_argument("--window", metavar="TITLE", help="the window with this title, or with this in its title")
    place.add_argument("--region", type=parse_region, metavar="X,Y,W,H", help="left, top, width and height in pixels")
    place.add_argument(
        "--monitor", type=int, metavar="N", help="a monitor, from 1; 0 for all; the primary if not given"
    )
    stage.add_argument("--size", type=parse_size, default="640x480", help="of the saved pictures")
    stage.add_argument("--rate", type=float, default=10.0, help="captures a second")
    stage.add_argument(
        "--save", choices=("all", "changes"), default="all", help="changes: where keys change, and every third capture"
    )
    stage.add_argument("--quality", type=int, default=90, help="of the JPEGs, 1 to 100")
    stage.add_argument("--seconds", type=float, help="end by itself once a recording is this long")
    stage.add_argument("--start", action="store_true", help="begin at once, without P")
    stage.add_argument(
        "--sync-check",
        choices=("auto", "hand"),
        nargs="?",
        const="auto",
        help="record nothing; measure how long after a key the first frame shows its effect (hand: you press it)",
    )
    stage.add_argument("--presses", type=int, default=20, help="of the sync check")
    return stage


def main(args: argparse.Namespace) -> None:
    """Records, or checks the sync."""
    check(args)
    commands: Commands = Commands()
    with stopping(commands):
        if args.sync_check:
            sync_check(commands, args.size, args.rate, args.presses, by_hand=args.sync_check == "hand")
        else:
            record(args, commands)


def check(args: argparse.Namespace) -> None:
    """Checks the options.

    Raises:
        UserError: one is out of range.
    """
    if args.out is None and not args.sync_check:
        raise UserError("--out is missing; name the folder that recordings go to, such as --out my/play.")
    if args.out is not None and args.out.exists() and not args.out.is_dir():
        raise UserError(f"--out {args.out}: this is a file; name a folder for the recordings.")
    if not 0 < args.rate <= FASTEST:
        raise UserError(f"--rate {args.rate:g}: give captures a second, above 0 and at most {FASTEST:g}.")
    if not 1 <= args.quality <= 100:
        raise UserError(f"--quality {args.quality}: give 1 (small files) to 100 (best pictures).")
    if args.presses < 1:
        raise UserError(f"--presses {args.presses}: give 1 or more.")
    if args.seconds is not None and not args.seconds > 0:
        raise UserError(f"--seconds {args.seconds:g}: give a time above 0.")


def record(args: argparse.Namespace, commands: Commands) -> None:
    """Opens screen and keyboard, and makes recordings until a signal comes or the time is over."""

    def pressed(name: str, _: float) -> None:
        if name == TOGGLE:
            commands.put("toggle")

    screen = Screen(args.size, region=args.region, window=args.window, monitor=args.monitor)
    with contextlib.closing(screen), contextlib.closing(Keyboard(pressed)) as keyboard:
        screen.grab()  # an error in capturing or writing must come before anybody plays
        args.out.mkdir(parents=True, exist_ok=True)
        changes = args.save == "changes"
        recorder = Recorder(screen, keyboard, commands, args.out, args.rate, changes, args.quality, args.seconds)
        command = "toggle" if args.start else None
        while command != "stop":
            if command is None:
                say("ready: P starts a recording and stops it, Ctrl-C ends")
                command = wait(commands, None, keyboard.check)
            else:
                command = "stop" if recorder.record() == "stop" else None


@contextlib.contextmanager
def stopping(commands: Commands) -> Iterator[None]:
    """Lets Ctrl-C and SIGTERM end the recording after all frames are written; a second signal ends the program."""

    def stop(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        commands.put("stop")

    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    run(parser, main)
