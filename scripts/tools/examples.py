"""Reads examples of tool calls: raw JSON files (one example each), JSONL of such, or JSONL in OpenAI's format.

The raw format::

    {"id": "veran-12", "instruction": "Read 16 bytes at $7EF340.", "context": {}, "difficulty": "simple",
     "tool_calls": [{"tool": "mesen2.read_memory", "parameters": {"address": "0x7EF340", "length": 16},
                     "rationale": "...", "expected_output": "..."}]}

An example without calls has an ``answer`` instead (a decline, or a clarifying question). If later calls depend on
results, it lists ``turns`` of ``tool_calls`` and ``results``. OpenAI's format is ``messages`` with
``tool_calls[].function.{name, arguments}`` and ``metadata`` (https://platform.openai.com/docs/guides/fine-tuning).
JSON without ``instruction``, ``tool_calls`` and ``messages`` is not an example (for instance a generator's summary).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from scripts.lib.cli import UserError

SUFFIXES = (".json", ".jsonl")
NO_EXAMPLE = "not_an_example"


class Source(NamedTuple):
    """The position of a row: ``row`` is the line number in a JSONL file, 1 in a JSON file."""

    file: str
    row: int


class Step(NamedTuple):
    """One message after the system prompt: text of the user or assistant, a tool's result, or the assistant's calls."""

    role: str
    text: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()


class Example(NamedTuple):
    """One example, as read: its calls are not yet checked.

    Attributes:
        id: the example's own id; empty if it has none, until `Register` assigns one.
        steps: the conversation; the first step is the user's.
        template: the template that phrased it, if given: all examples of a template stay in one split.
        owner: the specialist it was written for, if given.
    """

    id: str
    source: Source
    steps: tuple[Step, ...]
    difficulty: str
    template: str | None
    owner: str | None

    @property
    def instruction(self) -> str:
        """The user's first message."""
        return self.steps[0].text

    @property
    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        """All calls in order."""
        return [call for step in self.steps for call in step.calls]

    @property
    def kind(self) -> str:
        """``calls``, ``follow_up`` (later calls depend on results), ``ask`` (a clarifying question) or ``decline``."""
        turns = sum(bool(step.calls) for step in self.steps)
        if turns:
            return "calls" if turns == 1 else "follow_up"
        last = [step.text for step in self.steps if step.role == "assistant"][-1]
        return "ask" if last.rstrip().endswith("?") else "decline"


class Fault(NamedTuple):
    """A rejected row and the reason; ``kind`` is `NO_EXAMPLE` if the row is JSON of another kind."""

    source: Source
    kind: str
    message: str

    def to_json(self) -> dict[str, Any]:
        """The fault as a row of quarantine.jsonl."""
        return {"file": self.source.file, "row": self.source.row, "kind": self.kind, "message": self.message}


class Reading(NamedTuple):
    """All rows in the order read: examples, and faults of the rest."""

    examples: list[Example]
    faults: list[Fault]


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The given files, and the *.json and *.jsonl files below the given folders, sorted.

    Raises:
        UserError: a path does not exist, or there is no such file.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: no such file or folder; check the path of the examples.")
        inside = (file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
        files += sorted(inside) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{paths[0]}: holds no .json or .jsonl file; check the path of the examples.")
    return files


def row_limit(max_row_mb: float) -> int:
    """The limit in bytes on the length of a row, from megabytes."""
    return max(1, int(max_row_mb * 1e6))


def read_examples(files: Sequence[Path], max_row_mb: float) -> Reading:
    """Reads every row of the files; a second row with the same id is a fault."""
    reading, register = Reading([], []), Register()
    for source, raw, size in rows(files, row_limit(max_row_mb)):
        row = parsed(source, raw, size)
        if isinstance(row, Example):
            row = register.admit(row)
        if isinstance(row, Example):
            reading.examples.append(row)
        else:
            reading.faults.append(row)
    return reading


def parsed(source: Source, raw: bytes, size: int) -> Example | Fault:
    """Parses one row.

    Args:
        source: the row's position.
        raw: the row's bytes, or as many of them as the limit allows.
        size: the row's length in bytes.

    Returns:
        The example, or a fault of kind `NO_EXAMPLE` (JSON of another kind) or ``unreadable`` (too large, not JSON, or
        an example without a required part).
    """
    try:
        if size > len(raw):
            limit = f"more than check.max_row_mb {len(raw) / 1e6:g}"
            raise ValueError(f"{size / 1e6:.1f} MB, {limit}; split or shorten it.")
        value = orjson.loads(raw)
        if isinstance(value, dict) and "messages" in value:
            return from_openai(value, source)
        if isinstance(value, dict) and not {"tool_calls", "instruction"}.isdisjoint(value):
            return from_raw(value, source)
    except orjson.JSONDecodeError as error:
        return Fault(source, "unreadable", f"not valid JSON ({error}).")
    except ValueError as error:
        return Fault(source, "unreadable", str(error))
    return Fault(source, NO_EXAMPLE, "JSON without `tool_calls`, `instruction` or `messages`.")


class Register:
    """All ids of a build, each with the first row that has it."""

    def __init__(self) -> None:
        self.first: dict[str, Source] = {}

    def admit(self, example: Example) -> Example | Fault:
        """Returns the example, or a fault if another row has its id.

        An example without an id gets the file's name and the row, ``veran-12``; if a file of that name in another
        folder came first, a number is added: ``veran-12.2``.
        """
        if not example.id:
            name = f"{Path(example.source.file).stem}-{example.source.row}"
            names = chain([name], (f"{name}.{number}" for number in count(2)))
            example = example._replace(id=next(name for name in names if name not in self.first))
        known = self.first.setdefault(example.id, example.source)
        if known is example.source:
            return example
        message = f"id {example.id!r} stands already in {known.file}, row {known.row}; give it another id."
        return Fault(example.source, "id_twice", message)


def rows(files: Sequence[Path], limit: int) -> Iterator[tuple[Source, bytes, int]]:
    """Yields (source, bytes, length in bytes) of every row: a whole JSON file, or a line of JSONL that is not blank.

    At most ``limit`` bytes of a row are read, so that a long row cannot fill the memory.
    """
    for path in files:
        name = path.as_posix()
        with path.open("rb") as stream:
            if path.suffix != ".jsonl":
                yield Source(name, 1), stream.read(limit), path.stat().st_size
                continue
            for number, (raw, size) in enumerate(_lines(stream, limit), 1):
                if raw.strip() or size > limit:
                    yield Source(name, number), raw, size


def _lines(stream: BinaryIO, limit: int) -> Iterator[tuple[bytes, int]]:
    """The first ``limit`` bytes of every line, and the line's length in bytes."""
    while line := stream.readline(limit):
        size, end = len(line), line
        while len(end) == limit and not end.endswith(b"\n"):
            end = stream.readline(limit)
            size += len(end)
        yield line, size


def from_raw(value: dict[str, Any], source: Source) -> Example:
    """An example in the raw format.

    Raises:
        ValueError: a required part is missing or of another type.
    """
    instruction = value.get("instruction")
    if not isinstance(instruction, str) or not instruction.strip():
        raise ValueError("has no `instruction`; say what is asked for.")
    steps = [Step("user", with_context(instruction, value.get("context")))]
    for turn in _listed(value.get("turns") or [{"tool_calls": value.get("tool_calls")}], "turns"):
        rows = _listed(turn.get("tool_calls") or [], "tool_calls")
        calls = tuple(_call(row, "tool", "parameters", "a call has no `tool`; name it.") for row in rows)
        steps += [Step("assistant", calls=calls)] if calls else []
        results = _listed(turn.get("results") or [], "results")
        steps += [Step("tool", str(result.get("content", ""))) for result in results]
    answer = value.get("answer") or ""
    if not isinstance(answer, str):
        raise ValueError("its `answer` is no text.")
    if not answer.strip() and not any(step.calls for step in steps):
        raise ValueError("has neither calls nor an `answer`; add one (a decline or a question back).")
    steps += [Step("assistant", answer.strip())] if answer.strip() else []
    return _example(value, steps, source)


def with_context(instruction: str, context: Any) -> str:
    """The instruction, followed by the state of the editor or emulator in parentheses, if there is any."""
    if not isinstance(context, dict) or not context:
        return instruction.strip()
    shown = "; ".join(f"{key}: {item}" for key, item in context.items())
    return f"{instruction.strip()}\n({shown})"


def from_openai(value: dict[str, Any], source: Source) -> Example:
    """An example in OpenAI's function-calling format; the run's own system prompt replaces its system message.

    Raises:
        ValueError: a required part is missing or of another type.
    """
    steps = [_openai_step(row) for row in _listed(value["messages"], "messages") if row.get("role") != "system"]
    if not steps or steps[0].role != "user" or not steps[0].text:
        raise ValueError("its conversation does not begin with the user's words; put the instruction first.")
    answers = [step for step in steps if step.role == "assistant"]
    if not answers:
        raise ValueError("has no assistant message; add the calls that are due.")
    if not all(step.calls or step.text for step in answers):
        raise ValueError("an assistant message has neither calls nor words; add what is due there.")
    metadata = value.get("metadata")
    return _example({**value, **metadata} if isinstance(metadata, dict) else value, steps, source)


def _openai_step(row: dict[str, Any]) -> Step:
    role = row.get("role")
    if role not in ("user", "assistant", "tool"):
        raise ValueError(f"a message has the role {role!r}; use user, assistant or tool.")
    text = row.get("content") or ""
    if isinstance(text, list):
        text = "".join(str(part.get("text") or "") for part in _listed(text, "content"))
    functions = [call.get("function", call) for call in _listed(row.get("tool_calls") or [], "tool_calls")]
    calls = [_call(function, "name", "arguments", "a call has no function name; name it.") for function in functions]
    return Step(role, str(text).strip(), tuple(calls))


def _call(row: Any, name_key: str, arguments_key: str, nameless: str) -> tuple[str, dict[str, Any]]:
    """The name and arguments of a call; in OpenAI's format the arguments are a JSON string.

    Raises:
        ValueError: the row has no name (``nameless`` is the message), or its arguments are not a mapping.
    """
    if not isinstance(row, dict) or not isinstance(row.get(name_key), str):
        raise ValueError(nameless)
    tool, arguments = row[name_key], row.get(arguments_key, {})
    if isinstance(arguments, str):
        try:
            arguments = orjson.loads(arguments)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"the arguments of {tool} are not JSON ({error}).") from error
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments of {tool} are no mapping of names to values.")
    return tool, arguments


def _listed(value: Any, name: str) -> list[dict[str, Any]]:
    """The value, a list of mappings.

    Raises:
        ValueError: it is of another type.
    """
    if isinstance(value, list) and set(map(type, value)) <= {dict}:
        return value
    raise ValueError(f"`{name}` is not a list of mappings.")


def _example(labels: dict[str, Any], steps: list[Step], source: Source) -> Example:
    """The example with the id, difficulty, template and specialist that its labels give.

    Raises:
        ValueError: a tool's result comes before the first call.
    """
    first = next((step for step in steps if step.role == "tool" or step.calls), None)
    if first is not None and not first.calls:
        raise ValueError("a tool's result stands before any call; put the call first.")
    return Example(
        id="" if labels.get("id") is None else str(labels["id"]),
        source=source,
        steps=tuple(steps),
        difficulty=str(labels.get("difficulty") or "unknown"),
        template=str(labels["template"]) if labels.get("template") else None,
        owner=str(labels["specialist"]) if labels.get("specialist") else None,
    )
