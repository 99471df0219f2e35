"""Executes calls as programs: only commands that a person has listed, without a shell, with limits on time and output.

The list is a YAML file with a command for each tool. A nested list is omitted if the call lacks its parameter::

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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scripts.lib.cli import UserError
from scripts.tools.schema import Tool
from scripts.tools.server.results import Call, Result

TIMEOUT = 60.0  # seconds for one call
OUTPUT_BYTES = 20_000
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
FORM = 'give lines such as `mesen2.load_rom: [mesen-cli, load, "{path}"]`.'

Command = list[str | list[str]]


class Refused(Exception):
    """The reason why no command is built from a call."""


def read_allowed(path: Path, tools: Mapping[str, Tool]) -> dict[str, Command]:
    """The commands of an allow-list by tool.

    Raises:
        UserError: the file is not such a list, or names an unknown tool, parameter or program.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())}); {FORM}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: no mapping of tools to commands; {FORM}")
    for name, command in value.items():
        if name not in tools:
            raise UserError(f"{path}: no specialist has a tool {name!r}; known: {', '.join(sorted(tools))}.")
        _check_command(path, tools[name], command)
    return value


def _check_command(path: Path, tool: Tool, command: Any) -> None:
    parts = [part if isinstance(part, list) else [part] for part in command] if isinstance(command, list) else []
    texts = [text for part in parts for text in part]
    if not parts or not isinstance(command[0], str) or not all(isinstance(text, str) for text in texts):
        raise UserError(f"{path}: {tool.name}: the command is no list of texts; {FORM}")
    if PLACEHOLDER.search(command[0]):
        raise UserError(f"{path}: {tool.name}: the program itself cannot be a placeholder; name it.")
    for text in texts:
        for key in PLACEHOLDER.findall(text):
            if key not in tool.parameters:
                known = ", ".join(tool.parameters) or "none"
                raise UserError(f"{path}: {tool.name} has no parameter {key!r} for {text!r}; it has: {known}.")
    if shutil.which(command[0]) is None:
        raise UserError(f"{path}: {tool.name}: no program {command[0]!r} on this machine; install it or give its path.")


def run_calls(calls: Sequence[Call], allowed: Mapping[str, Command], timeout: float = TIMEOUT) -> list[Result]:
    """Runs calls in order; after a call that fails the rest is not run, because it may depend on that call.

    Args:
        calls: the calls of one answer.
        allowed: commands by tool.
        timeout: seconds for each call.
    """
    results: list[Result] = []
    for call in calls:
        results.append(run_call(call, allowed, timeout))
        if results[-1].exit_code != 0:
            break
    reason = f"not run, because call {len(results)} did not succeed"
    return [*results, *(Result(name=call.name, ran=False, reason=reason) for call in calls[len(results) :])]


def run_call(call: Call, allowed: Mapping[str, Command], timeout: float = TIMEOUT) -> Result:
    """Runs one call for at most ``timeout`` seconds, or returns the reason why it is not run."""
    if call.name not in allowed:
        return Result(name=call.name, ran=False, reason=f"{call.name} is not on the list of allowed tools")
    try:
        words = arguments(allowed[call.name], call.arguments)
        # In a session of its own, so that `_watch` can stop it together with the processes that it starts.
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
    except Refused as error:
        return Result(name=call.name, ran=False, reason=str(error))
    except OSError as error:
        return Result(name=call.name, ran=False, reason=f"could not be started: {error.strerror or error}")
    output, late = _watch(process, timeout)
    if late:  # no exit code: a program that was stopped failed, even if its first process had ended with 0
        return Result(name=call.name, ran=True, output=output, reason=f"stopped after {timeout:g} s")
    return Result(name=call.name, ran=True, exit_code=process.returncode, output=output)


def arguments(command: Command, given: Mapping[str, Any]) -> list[str]:
    """A command's words, with the values of a call in place of the placeholders.

    ``["mesen-cli", "run", ["--frames", "{frames}"]]`` and ``{"frames": 60}`` give
    ``["mesen-cli", "run", "--frames", "60"]``.

    Raises:
        Refused: a value is missing, starts with ``-`` (a program could take it for an option) or contains a NUL.
    """
    words: list[str] = []
    for part in command:
        if isinstance(part, str):
            part = [part]
        elif not all(key in given for text in part for key in PLACEHOLDER.findall(text)):
            continue
        words += [PLACEHOLDER.sub(lambda match: _value(match[1], given), text) for text in part]
    return words


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


def _watch(process: subprocess.Popen[bytes], timeout: float) -> tuple[str, bool]:
    """The first `OUTPUT_BYTES` of a program's output, and whether it was stopped at the timeout.

    The rest of the output is read and dropped, so that the program never waits for a full pipe.
    """
    assert process.stdout is not None
    end = time.monotonic() + timeout
    kept, block, late = b"", b" ", True
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while block and (left := end - time.monotonic()) > 0:
                if selector.select(left):
                    block = os.read(process.stdout.fileno(), 1 << 16)
                    kept = (kept + block)[: OUTPUT_BYTES + 1]
        process.wait(0.0 if block else max(0.1, end - time.monotonic()))
        late = bool(block)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if late:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()
    text = kept[:OUTPUT_BYTES].decode("utf-8", "replace")
    return (f"{text}\n... (cut after {OUTPUT_BYTES} bytes)" if len(kept) > OUTPUT_BYTES else text), late
