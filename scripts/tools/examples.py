"""Examples of tool calls, from raw files (one JSON each), from JSONL of such, or from JSONL in OpenAI's form.

Raw::

    {"id": "veran-12", "instruction": "Read 16 bytes at $7EF340.", "context": {}, "difficulty": "simple",
     "tool_calls": [{"tool": "mesen2.read_memory", "parameters": {"address": "0x7EF340", "length": 16},
                     "rationale": "...", "expected_output": "..."}]}

An example without calls says ``answer`` instead (a decline, or a question back); one whose later calls follow from
results lists ``turns`` of ``tool_calls`` and ``results``. OpenAI's form is ``messages`` with
``tool_calls[].function.{name, arguments}`` and ``metadata``. JSON with none of ``instruction``, ``tool_calls`` and
``messages`` does not try to be an example (a generator's summary).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from scripts.lib.cli import UserError

SUFFIXES = (".json", ".jsonl")
NO_EXAMPLE = "not_an_example"


class Source(NamedTuple):
    """Where a row stands; ``row`` is the line of a JSONL file, 1 in a JSON file."""

    file: str
    row: int


class Step(NamedTuple):
    """One message after the system's: a user's or an assistant's words, a tool's result, or an assistant's calls."""

    role: str
    text: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()


class Example(NamedTuple):
    """One example, as read: its calls are not checked yet.

    Attributes:
        id: as the example says it; empty until the `Register` gives it one where it says none.
        steps: the conversation, a user's words first.
        template: what phrased it, if it says so: examples of one template are not split.
        owner: the specialist it was written for, if it says so.
    """

    id: str
    source: Source
    steps: tuple[Step, ...]
    difficulty: str
    template: str | None
    owner: str | None

    @property
    def instruction(self) -> str:
        """What is asked first."""
        return self.steps[0].text

    @property
    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        """All calls in order."""
        return [call for step in self.steps for call in step.calls]

    @property
    def kind(self) -> str:
        """``calls``, ``follow_up`` (calls that wait for a result), ``ask`` (a question back) or ``decline``."""
        turns = sum(bool(step.calls) for step in self.steps)
        if turns:
            return "calls" if turns == 1 else "follow_up"
        last = [step.text for step in self.steps if step.role == "assistant"][-1]
        return "ask" if last.rstrip().endswith("?") else "decline"


class Fault(NamedTuple):
    """A row that stays out, and why; ``kind`` is `NO_EXAMPLE` where it does not try to be one."""

    source: Source
    kind: str
    message: str

    def to_json(self) -> dict[str, Any]:
        """As quarantine.jsonl and ``--json`` hold it."""
        return {"file": self.source.file, "row": self.source.row, "kind": self.kind, "message": self.message}


@dataclass
class Reading:
    """All rows in the order read: what they became, or why they did not."""

    examples: list[Example] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


class NotAnExample(ValueError):
    """A row that does not try to be an example."""


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Files as given, and the *.json and *.jsonl below folders, sorted.

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
    """Bytes of the longest row that is read."""
    return max(1, int(max_row_mb * 1e6))


def read_examples(files: Sequence[Path], max_row_mb: float) -> Reading:
    """Every row of the files; a second row with the same id is a fault."""
    reading, register = Reading(), Register()
    for source, raw, size in rows(files, row_limit(max_row_mb)):
        found = parsed(source, raw, size)
        found = found if isinstance(found, Fault) else register.admit(found)
        if isinstance(found, Fault):
            reading.faults.append(found)
        else:
            reading.examples.append(found)
    return reading


def parsed(source: Source, raw: bytes, size: int) -> Example | Fault:
    """A row as an example, or why it is none."""
    try:
        return parse_row(raw, size, source)
    except NotAnExample as error:
        return Fault(source, NO_EXAMPLE, str(error))
    except ValueError as error:
        return Fault(source, "unreadable", str(error))


class Register:
    """The ids of a build, each with the row that had it first."""

    def __init__(self) -> None:
        self.first: dict[str, Source] = {}

    def admit(self, example: Example) -> Example | Fault:
        """The example, with an id if it had none; a fault where another row has its id."""
        example = example if example.id else example._replace(id=self._free_id(example.source))
        known = self.first.setdefault(example.id, example.source)
        if known is example.source:
            return example
        message = f"id {example.id!r} stands already in {known.file}, row {known.row}; give it another id."
        return Fault(example.source, "id_twice", message)

    def _free_id(self, source: Source) -> str:
        """File name and row, and a number where a file of that name in another folder came first."""
        name = f"{Path(source.file).stem}-{source.row}"
        names = chain([name], (f"{name}.{number}" for number in count(2)))
        return next(one for one in names if one not in self.first)


def rows(files: Sequence[Path], limit: int) -> Iterator[tuple[Source, bytes, int]]:
    """Every row's bytes and their number: a JSON file's whole content, a JSONL file's lines that are not blank.

    Of a row longer than ``limit`` only the beginning comes, so that none fills the memory.
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
    """The first ``limit`` bytes of every line, and the line's length."""
    while line := stream.readline(limit):
        size, end = len(line), line
        while len(end) == limit and not end.endswith(b"\n"):
            end = stream.readline(limit)
            size += len(end)
        yield line, size


def parse_row(raw: bytes, size: int, source: Source) -> Example:
    """One row of ``size`` bytes, of which ``raw`` are all, or as many as are read of too long a one.

    Raises:
        NotAnExample: JSON of another kind.
        ValueError: too large, not JSON, or an example without what one needs.
    """
    if size > len(raw):
        limit = f"more than check.max_row_mb {len(raw) / 1e6:g}"
        raise ValueError(f"{size / 1e6:.1f} MB, {limit}; split or shorten it.")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not valid JSON ({error}).") from error
    if isinstance(value, dict) and "messages" in value:
        return from_openai(value, source)
    if isinstance(value, dict) and not {"tool_calls", "instruction"}.isdisjoint(value):
        return from_raw(value, source)
    raise NotAnExample("JSON without `tool_calls`, `instruction` or `messages`.")


def from_raw(value: dict[str, Any], source: Source) -> Example:
    """An example in the raw form."""
    instruction = value.get("instruction")
    if not isinstance(instruction, str) or not instruction.strip():
        raise ValueError("has no `instruction`; say what is asked for.")
    steps = [Step("user", with_context(instruction, value.get("context")))]
    for turn in _listed(value.get("turns") or [{"tool_calls": value.get("tool_calls")}], "turns"):
        calls = tuple(_raw_call(call) for call in _listed(turn.get("tool_calls") or [], "tool_calls"))
        steps += [Step("assistant", calls=calls)] if calls else []
        results = _listed(turn.get("results") or [], "results")
        steps += [Step("tool", str(result.get("content", ""))) for result in results]
    answer = value.get("answer") or ""
    if not isinstance(answer, str):
        raise ValueError("its `answer` is no text.")
    if not answer.strip() and not any(step.calls for step in steps):
        raise ValueError("has neither calls nor an `answer`; add one (a decline or a question back).")
    steps += [Step("assistant", answer.strip())] if answer.strip() else []
    return _example(value, value, steps, source)


def with_context(instruction: str, context: Any) -> str:
    """The instruction, and below it what the editor or emulator showed at that moment."""
    if not isinstance(context, dict) or not context:
        return instruction.strip()
    shown = "; ".join(f"{key}: {item}" for key, item in context.items())
    return f"{instruction.strip()}\n({shown})"


def _raw_call(call: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(call, dict) or not isinstance(call.get("tool"), str):
        raise ValueError("a call has no `tool`; name it.")
    return call["tool"], _arguments(call["tool"], call.get("parameters", {}))


def from_openai(value: dict[str, Any], source: Source) -> Example:
    """An example in OpenAI's function-calling form; its system message is left to the run's own prompt."""
    steps = [_openai_step(row) for row in _listed(value["messages"], "messages") if row.get("role") != "system"]
    if not steps or steps[0].role != "user" or not steps[0].text:
        raise ValueError("its conversation does not begin with the user's words; put the instruction first.")
    answers = [step for step in steps if step.role == "assistant"]
    if not answers:
        raise ValueError("has no assistant message; add the calls that are due.")
    if not all(step.calls or step.text for step in answers):
        raise ValueError("an assistant message has neither calls nor words; add what is due there.")
    metadata = value.get("metadata")
    return _example({**value, **metadata} if isinstance(metadata, dict) else value, value, steps, source)


def _openai_step(row: dict[str, Any]) -> Step:
    role = row.get("role")
    if role not in ("user", "assistant", "tool"):
        raise ValueError(f"a message has the role {role!r}; use user, assistant or tool.")
    text = row.get("content") or ""
    if isinstance(text, list):
        text = "".join(str(part.get("text") or "") for part in _listed(text, "content"))
    calls = tuple(_openai_call(call) for call in _listed(row.get("tool_calls") or [], "tool_calls"))
    return Step(role, str(text).strip(), calls)


def _openai_call(call: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    function = call.get("function", call)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise ValueError("a call has no function name; name it.")
    return function["name"], _arguments(function["name"], function.get("arguments", {}))


def _arguments(tool: str, value: Any) -> dict[str, Any]:
    """A call's arguments as a mapping; OpenAI's form writes them as a JSON string."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"the arguments of {tool} are not JSON ({error}).") from error
    if not isinstance(value, dict):
        raise ValueError(f"the arguments of {tool} are no mapping of names to values.")
    return value


def _listed(value: Any, name: str) -> list[dict[str, Any]]:
    if isinstance(value, list):
        for row in value:
            if not isinstance(row, dict):
                break
        else:
            return value
    raise ValueError(f"`{name}` is not a list of mappings.")


def _example(labels: dict[str, Any], value: dict[str, Any], steps: list[Step], source: Source) -> Example:
    """The example with whatever it says about itself."""
    first = next((step for step in steps if step.role == "tool" or step.calls), None)
    if first is not None and not first.calls:
        raise ValueError("a tool's result stands before any call; put the call first.")
    given = labels.get("id", value.get("id"))
    return Example(
        id="" if given is None else str(given),
        source=source,
        steps=tuple(steps),
        difficulty=str(labels.get("difficulty") or "unknown"),
        template=str(labels["template"]) if labels.get("template") else None,
        owner=str(labels["specialist"]) if labels.get("specialist") else None,
    )
