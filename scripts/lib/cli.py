"""The command line of a stage: arguments, a log file, and errors that say what to do.

A stage module defines ``parser()`` and ``main(args)`` and ends with ``run(parser, main)``.
Bad input raises `UserError`, which becomes one sentence on stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import errno
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO, TypeVar

T = TypeVar("T")


class UserError(Exception):
    """Bad input, in one sentence: what is wrong, in which file and row or key, and what to do."""


class StageParser(argparse.ArgumentParser):
    """An `argparse` parser that every stage extends: ``--params`` (JSON or @file) and ``--log``."""

    def __init__(self, description: str | None, *, params: bool = True) -> None:
        summary = (description or "").strip().split("\n\n")[0]
        super().__init__(description=summary, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        self.add_argument("--log", type=Path, help="also write all messages to this file")
        if params:
            self.add_argument("--params", default="{}", help="parameters as JSON, or @file.json")


class Tee:
    """A stream that also writes to a log, except progress bars (text with a carriage return)."""

    def __init__(self, stream: TextIO, log: TextIO) -> None:
        self.stream, self.log = stream, log

    def write(self, text: str) -> int:
        self.stream.write(text)
        if "\r" not in text:
            self.log.write(text)
            self.log.flush()
        return len(text)

    def flush(self) -> None:
        self.stream.flush()
        self.log.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def load_params(text: str) -> dict[str, Any]:
    """Parses ``--params``: a JSON object, or ``@path`` of a file that contains one.

    Raises:
        UserError: the text is not a JSON object.
    """
    source = "--params"
    if text.startswith("@"):
        source, text = text[1:], Path(text[1:]).read_text(encoding="utf-8")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{source}: not valid JSON ({error}); pass an object such as '{{\"seed\": 7}}'.") from error
    if not isinstance(value, dict):
        raise UserError(f"{source}: expected a JSON object, got {type(value).__name__}.")
    return value


def say(message: str) -> None:
    """Prints one line to stderr (stdout is for results)."""
    print(message, file=sys.stderr, flush=True)


def describe_os_error(error: OSError) -> str:
    """A sentence for an operating-system error, with what to do next."""
    name = error.filename or "a file"
    if error.errno == errno.ENOSPC:
        return f"{name}: the disk is full; free some space (`make clean` shows what takes it), then run this again."
    if isinstance(error, FileNotFoundError):
        return f"{name}: no such file or folder; check the path, or build it first with snakemake."
    if isinstance(error, PermissionError):
        return f"{name}: permission denied; check the owner and mode of this path."
    return f"{name}: {error.strerror or error}"


def checked(function: Callable[..., T], *arguments: Any) -> T:
    """Calls a function from inside the workflow, where bad input is one sentence as well, and then the end."""
    try:
        return function(*arguments)
    except UserError as error:
        say(f"error: {error}")
        sys.exit(1)


def run(parser: Callable[[], argparse.ArgumentParser], main: Callable[[argparse.Namespace], int | None]) -> None:
    """Runs a stage as a command and exits: 0 on success, 2 on bad input, what ``main`` returns otherwise."""
    args = parser().parse_args()
    started = time.monotonic()
    log, path = None, getattr(args, "log", None)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        log = path.open("w", encoding="utf-8")
        spec = getattr(sys.modules.get("__main__"), "__spec__", None)
        module = spec.name if spec else Path(sys.argv[0]).name
        log.write(f"$ python -m {module} {' '.join(sys.argv[1:])}\n")
        sys.stderr = Tee(sys.stderr, log)  # type: ignore[assignment]
    try:
        code = main(args) or 0
    except UserError as error:
        say(f"error: {error}")
        code = 2
    except OSError as error:
        if error.errno is None or (error.filename is None and error.errno != errno.ENOSPC):
            raise
        say(f"error: {describe_os_error(error)}")
        code = 2
    if log is not None:
        log.write(f"exit {code} after {time.monotonic() - started:.1f} s\n")
        log.flush()
    sys.stdout.flush()
    sys.exit(code)
