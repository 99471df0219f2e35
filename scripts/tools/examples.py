"""Examples of tool calls, from raw files (one JSON each), from JSONL of such, or from JSONL in OpenAI's form.

Raw::

    {"id": "veran-12", "instruction": "Read 16 bytes at $7EF340.", "context": {}, "difficulty": "simple",
     "tool_calls": [{"tool": "mesen2.read_memory", "parameters": {"address": "0x7EF340", "length": 16},
                     "rationale": "...", "expected_output": "..."}]}

An example without calls says ``answer`` instead (a decline, or a question back); one whose later calls follow from
results lists ``turns`` of ``tool_calls`` and ``results``. OpenAI's form is ``messages`` with
``tool_calls[].function.{name, arguments}`` and ``metadata``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from scripts.lib.cli import UserError

SUFFIXES = (".json", ".jsonl")
NO_EXAMPLE = "not_an_example"


@dataclass(frozen=True)
class Source:
    """Where a row stands; ``row`` is the line of a JSONL file, 1 in a JSON file."""

    file: str
    row: int


@dataclass(frozen=True)
class Step:
    """One message after the system's: a user's or an assistant's words, a tool's result, or an assistant's calls."""

    role: str
    text: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()


@dataclass(frozen=True)
class Example:
    """One example, as read: its calls are not checked yet.

    Attributes:
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
        return "ask" if self.steps[-1].text.rstrip().endswith("?") else "decline"


@dataclass(frozen=True)
class Fault:
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


def read_examples(files: Sequence[Path], max_row_mb: float) -> Reading:
    """Every row of the files; a second row with the same id is a fault."""
    reading = Reading()
    first: dict[str, Source] = {}
    for source, raw in rows(files):
        try:
            example = parse_row(raw, source, max_row_mb)
        except NotAnExample as error:
            reading.faults.append(Fault(source, NO_EXAMPLE, str(error)))
            continue
        except ValueError as error:
            reading.faults.append(Fault(source, "unreadable", str(error)))
            continue
        known = first.setdefault(example.id, source)
        if known is not source:
            message = f"id {example.id!r} stands already in {known.file}, row {known.row}; give it another id."
            reading.faults.append(Fault(source, "id_twice", message))
            continue
        reading.examples.append(example)
    return reading


def rows(files: Sequence[Path]) -> Iterator[tuple[Source, bytes]]:
    """Every row's bytes: a JSON file's whole content, a JSONL file's lines that are not blank."""
    for path in files:
        name = path.as_posix()
        if path.suffix != ".jsonl":
            yield Source(name, 1), path.read_bytes()
            continue
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield Source(name, number), line


def parse_row(raw: bytes, source: Source, max_row_mb: float) -> Example:
    """One row.

    Raises:
        NotAnExample: JSON of another kind.
        ValueError: too large, not JSON, or an example without what one needs.
    """
    if len(raw) > max_row_mb * 1e6:
        raise ValueError(f"{len(raw) / 1e6:.1f} MB, more than check.max_row_mb {max_row_mb:g}; split or shorten it.")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not valid JSON ({error}).") from error
    if isinstance(value, dict) and "messages" in value:
        return from_openai(value, source)
    if isinstance(value, dict) and "tool_calls" in value:
        return from_raw(value, source)
    raise NotAnExample("JSON without `tool_calls` or `messages`.")


def from_raw(value: dict[str, Any], source: Source) -> Example:
    """An example in the raw form."""
    instruction = value.get("instruction")
    if not isinstance(instruction, str) or not instruction.strip():
        raise ValueError("has no `instruction`; say what is asked for.")
    steps = [Step("user", with_context(instruction, value.get("context")))]
    for turn in value.get("turns") or [{"tool_calls": value["tool_calls"]}]:
        calls = tuple(_raw_call(call) for call in _listed(turn.get("tool_calls"), "tool_calls"))
        steps += [Step("assistant", calls=calls)] if calls else []
        results = _listed(turn.get("results"), "results") if turn.get("results") else []
        steps += [Step("tool", str(result.get("content", ""))) for result in results]
    answer = str(value.get("answer") or "").strip()
    if len(steps) == 1 and not answer:
        raise ValueError("has neither calls nor an `answer`; add one (a decline or a question back).")
    steps += [Step("assistant", answer)] if answer else []
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
    if not steps or steps[0].role != "user":
        raise ValueError("its conversation does not begin with the user; put the instruction first.")
    if not any(step.role == "assistant" for step in steps):
        raise ValueError("has no assistant message; add the calls that are due.")
    metadata = value.get("metadata")
    return _example({**value, **metadata} if isinstance(metadata, dict) else value, value, steps, source)


def _openai_step(row: dict[str, Any]) -> Step:
    role = row.get("role")
    if role not in ("user", "assistant", "tool"):
        raise ValueError(f"a message has the role {role!r}; use user, assistant or tool.")
    text = row.get("content") or ""
    if isinstance(text, list):
        text = "".join(part.get("text", "") for part in text)
    calls = []
    for call in _listed(row.get("tool_calls") or [], "tool_calls"):
        function = call.get("function", call)
        if not isinstance(function.get("name"), str):
            raise ValueError("a call has no function name; name it.")
        calls.append((function["name"], _arguments(function["name"], function.get("arguments", {}))))
    return Step(role, str(text).strip(), tuple(calls))


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
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise ValueError(f"`{name}` is not a list of mappings.")
    return value


def _example(labels: dict[str, Any], value: dict[str, Any], steps: list[Step], source: Source) -> Example:
    """The example with whatever it says about itself."""
    given = labels.get("id", value.get("id"))
    return Example(
        id=str(given) if given not in (None, "") else f"{Path(source.file).stem}-{source.row}",
        source=source,
        steps=tuple(steps),
        difficulty=str(labels.get("difficulty") or "unknown"),
        template=str(labels["template"]) if labels.get("template") else None,
        owner=str(labels["specialist"]) if labels.get("specialist") else None,
    )
