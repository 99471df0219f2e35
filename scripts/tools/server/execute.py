"""Calls as programs: only those that a person has listed, never through a shell, with limits.

The list is a YAML file, a command for each tool. A nested list is left out where a call does not give its parameter::

    mesen2.run: [mesen-cli, run, [--frames, "{frames}"]]
    mesen2.load_rom: [mesen-cli, load, "{path}"]
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scripts.lib.cli import UserError
from scripts.tools.schema import Tool
from scripts.tools.server.results import Call, Result

TIMEOUT = 60.0  # seconds for one call
OUTPUT_BYTES = 20_000
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

Part = str | list[str]
Command = list[Part]


class Refused(Exception):
    """Why a command is not built from a call."""


def read_allowed(path: Path, tools: Mapping[str, Tool]) -> dict[str, Command]:
    """The commands of a list by tool.

    Raises:
        UserError: the file is no such list, or names a tool, a parameter or a program that is not there.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())}); {FORM}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: no mapping of tools to commands; {FORM}")
    for name, command in value.items():
        _check(path, name, command, tools)
    return value


FORM = 'give lines such as `mesen2.load_rom: [mesen-cli, load, "{path}"]`.'


def _check(path: Path, name: Any, command: Any, tools: Mapping[str, Tool]) -> None:
    if name not in tools:
        raise UserError(f"{path}: no specialist has a tool {name!r}; known: {', '.join(sorted(tools))}.")
    if not (isinstance(command, list) and command and isinstance(command[0], str) and all(map(_is_part, command))):
        raise UserError(f"{path}: {name}: the command is no list of texts; {FORM}")
    if PLACEHOLDER.search(command[0]):
        raise UserError(f"{path}: {name}: the program itself cannot be a placeholder; name it.")
    for text in _texts(command):
        for key in PLACEHOLDER.findall(text):
            if key not in tools[name].parameters:
                known = ", ".join(tools[name].parameters) or "none"
                raise UserError(f"{path}: {name} has no parameter {key!r} for {text!r}; it has: {known}.")
    if shutil.which(command[0]) is None:
        raise UserError(f"{path}: {name}: no program {command[0]!r} on this machine; install it or give its path.")


def _is_part(part: Any) -> bool:
    return isinstance(part, str) or (isinstance(part, list) and all(isinstance(text, str) for text in part))


def _texts(command: Command) -> Iterator[str]:
    for part in command:
        yield from [part] if isinstance(part, str) else part


def run_calls(calls: Sequence[Call], allowed: Mapping[str, Command], timeout: float = TIMEOUT) -> list[Result]:
    """Runs calls in order; after one that did not succeed the rest is left alone, since it may build on it."""
    results: list[Result] = []
    for call in calls:
        results.append(run_call(call, allowed, timeout))
        if results[-1].exit_code != 0:
            break
    reason = f"not run, because call {len(results)} did not succeed"
    return [*results, *(Result(name=call.name, ran=False, reason=reason) for call in calls[len(results) :])]


def run_call(call: Call, allowed: Mapping[str, Command], timeout: float = TIMEOUT) -> Result:
    """Runs one call, or says why not."""
    if call.name not in allowed:
        return Result(name=call.name, ran=False, reason=f"{call.name} is not on the list of allowed tools")
    try:
        words = arguments(allowed[call.name], call.arguments)
        process = _start(words)
    except Refused as error:
        return Result(name=call.name, ran=False, reason=str(error))
    except OSError as error:
        return Result(name=call.name, ran=False, reason=f"could not be started: {error.strerror or error}")
    output, late = _watch(process, timeout)
    reason = f"stopped after {timeout:g} s" if late else ""
    # A program that had to be stopped did not succeed, even if the first of its processes ended well before that.
    code = None if late else process.returncode
    return Result(name=call.name, ran=True, exit_code=code, output=output, reason=reason)


def arguments(command: Command, given: Mapping[str, Any]) -> list[str]:
    """A command's words with a call's values in them.

    Raises:
        Refused: a value is missing, begins with ``-`` (a program would take it for an option) or holds a NUL.
    """
    words: list[str] = []
    for part in command:
        if isinstance(part, str):
            words.append(_filled(part, given))
        elif all(key in given for text in part for key in PLACEHOLDER.findall(text)):
            words += [_filled(text, given) for text in part]
    return words


def _filled(text: str, given: Mapping[str, Any]) -> str:
    return PLACEHOLDER.sub(lambda match: _value(match[1], given), text)


def _value(key: str, given: Mapping[str, Any]) -> str:
    if key not in given:
        raise Refused(f"not run: its command needs {key}, which the call leaves out (put the option in a nested list)")
    value = given[key]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text.startswith("-"):
        raise Refused(f"not run: {key} is {text!r:.60}, and a value that begins with '-' could be taken for an option")
    if "\0" in text:
        raise Refused(f"not run: {key} holds a NUL character")
    return text


def _start(words: list[str]) -> subprocess.Popen[bytes]:
    # A session of its own, so that what the program starts ends with it.
    return subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def _watch(process: subprocess.Popen[bytes], timeout: float) -> tuple[str, bool]:
    """The beginning of what a program writes, and whether it had to be stopped."""
    end = time.monotonic() + timeout
    late = True
    try:
        kept, late = _read(process, end)
        process.wait(0.0 if late else max(0.1, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        late = True
    finally:
        if late:
            _kill(process)
        process.stdout.close()  # type: ignore[union-attr]
    text = kept[:OUTPUT_BYTES].decode("utf-8", "replace")
    return (f"{text}\n... (cut after {OUTPUT_BYTES} bytes)" if len(kept) > OUTPUT_BYTES else text), late


def _read(process: subprocess.Popen[bytes], end: float) -> tuple[bytes, bool]:
    """Output up to a little more than the limit (the rest is read and dropped), and whether time ran out."""
    assert process.stdout is not None
    kept = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := end - time.monotonic()) > 0:
            if not selector.select(left):
                continue
            block = os.read(process.stdout.fileno(), 1 << 16)
            if not block:
                return kept, False
            kept = (kept + block)[: OUTPUT_BYTES + 1]
    return kept, True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a program and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
