"""A virtual display with a window and a recorder on it, as processes of their own, and keys pressed by xdotool."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gameplay_fixtures import read_frames

from scripts.gameplay.raw import Frame
from scripts.lib.files import read_json

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 30.0  # seconds; only a recorder that does not work needs them
# The pace is measured elsewhere: here the machine may be busy, and one thread for each library is enough.
QUIET = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def lacking() -> str:
    """Why nothing can be recorded here, and what to do; empty where it can."""
    if not sys.platform.startswith("linux"):
        return "a virtual display needs Linux"
    names = [name for name in ("mss", "pynput", "Xlib", "tkinter") if importlib.util.find_spec(name) is None]
    names += [name for name in ("Xvfb", "xdotool") if shutil.which(name) is None]
    return f"{', '.join(names)} not installed: make record-setup (tkinter: apt-get install python3-tk)" if names else ""


@contextlib.contextmanager
def virtual_display(size: str = "1024x768") -> Iterator[dict[str, str]]:
    """Runs an X server under a number that is free; gives the environment for programs on it."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{size}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as numbers:
            number = numbers.readline().strip()
        assert number, "Xvfb did not start"
        kept = {key: value for key, value in os.environ.items() if key not in ("WAYLAND_DISPLAY", "XAUTHORITY")}
        yield {**kept, **QUIET, "DISPLAY": f":{number}"}
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def a_game(env: dict[str, str], title: str, colour: str) -> Iterator[subprocess.Popen[str]]:
    """Shows a window of one colour that lights up when a key is pressed, and waits until it is there."""
    command = [sys.executable, "-m", "scripts.gameplay.recorder.patch", "--title", title, "--dark", colour]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=env, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout.readline(), "the window did not come"
            yield process
        finally:
            process.kill()


def keys(env: dict[str, str], *words: str) -> None:
    """Presses or releases keys: ``keys(env, "keydown", "w")``."""
    subprocess.run(["xdotool", *words], env=env, check=True)


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Waits until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{what} did not come to pass in {PATIENCE:.0f} s"
        time.sleep(0.05)


class RunningRecorder:
    """`scripts.gameplay.record` as a process."""

    def __init__(self, env: dict[str, str], out: Path, *options: str) -> None:
        self.out, self._said = out, out.with_name(f"{out.name}.stderr")
        command = [sys.executable, "-m", "scripts.gameplay.record", "--out", str(out), *options]
        with self._said.open("w") as stream:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=stream, text=True
            )

    def said(self) -> str:
        """What it has written to stderr."""
        return self._said.read_text()

    def folders(self) -> list[Path]:
        """The recordings' folders in the order of their beginnings."""
        return sorted(self.out.iterdir()) if self.out.is_dir() else []

    def frames(self, number: int = -1) -> list[Frame]:
        """The frames of a recording as far as they are written."""
        folders = self.folders()
        return read_frames(folders[number])[0] if folders else []

    def words(self, number: int = -1) -> list[Sequence[str]]:
        """The keys of a recording's frames, sorted, each state once where it stays the same."""
        states = [sorted(frame.keys) for frame in self.frames(number)]
        return [state for at, state in enumerate(states) if at == 0 or states[at - 1] != state]

    def summaries(self) -> list[dict]:
        """The recording.json of each recording."""
        return [read_json(folder / "recording.json") for folder in self.folders()]

    def end(self, number: signal.Signals = signal.SIGTERM) -> str:
        """Sends a signal and returns what it wrote to stdout; the exit code is in ``process.returncode``."""
        self.process.send_signal(number)
        return self.process.communicate(timeout=PATIENCE)[0]


@contextlib.contextmanager
def a_recorder(env: dict[str, str], out: Path, *options: str) -> Iterator[RunningRecorder]:
    """Runs a recorder, and ends it whatever happens."""
    recorder = RunningRecorder(env, out, *options)
    try:
        yield recorder
    finally:
        recorder.process.kill()
        recorder.process.communicate()
