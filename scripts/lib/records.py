"""The one record shape that every system curates, trains on, predicts and scores.

One JSON line::

    {"id": "combat/bridge",
     "group": "combat/bridge",
     "messages": [{"role": "system", "content": [{"type": "text", "text": "..."}]},
                  {"role": "user", "content": [{"type": "text", "text": "Pip hides."}]},
                  {"role": "assistant", "content": [{"type": "text", "text": "Softly. [check: stealth, Pip]"}]}],
     "images": [],
     "tools": [],
     "expect": [{"calls": [["check", ["stealth", "Pip"]]]}],
     "meta": {"file": "combat/bridge.md"}}

``group`` is what must not be split between train, val and test. ``expect`` has one entry for each
assistant message, in order: what the scorer compares an answer with (its content belongs to the system).
``images`` are paths relative to the JSONL file. The messages' content-list form is what TRL and Unsloth load unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from scripts.lib.cli import UserError
from scripts.lib.files import read_jsonl, write_jsonl


class Part(BaseModel):
    """One piece of a message: text, or a placeholder that takes the next of the record's images."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["text", "image"]
    text: str | None = None

    @model_validator(mode="after")
    def _text_goes_with_text(self) -> Part:
        if (self.type == "text") != (self.text is not None):
            raise ValueError("a text part needs `text`, an image part takes none")
        return self


class Message(BaseModel):
    """One turn. ``tool`` carries a tool's result; ``tool_calls`` an assistant's calls, arguments as objects."""

    model_config = ConfigDict(extra="forbid")
    role: Literal["system", "user", "assistant", "tool"]
    content: list[Part]
    tool_calls: list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        """All text parts joined; images leave nothing."""
        return "".join(part.text or "" for part in self.content)


class Record(BaseModel):
    """One conversation. See the module's docstring for an example."""

    model_config = ConfigDict(extra="forbid")
    id: str
    group: str
    messages: list[Message] = Field(min_length=1)
    images: list[str] = []
    tools: list[dict[str, Any]] = []
    expect: list[dict[str, Any]] = []
    meta: dict[str, Any] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Record:
        answers = len(self.answers)
        if self.expect and len(self.expect) != answers:
            raise ValueError(f"`expect` has {len(self.expect)} entries for {answers} assistant messages")
        images = sum(part.type == "image" for message in self.messages for part in message.content)
        if images != len(self.images):
            raise ValueError(f"{images} image parts for {len(self.images)} paths in `images`")
        return self

    @property
    def answers(self) -> list[int]:
        """Indices of the assistant messages: what is learnt, predicted and scored."""
        return [index for index, message in enumerate(self.messages) if message.role == "assistant"]

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON, without empty optional keys inside messages."""
        value = self.model_dump()
        for message in value["messages"]:
            message["content"] = [{k: v for k, v in part.items() if v is not None} for part in message["content"]]
            if message["tool_calls"] is None:
                del message["tool_calls"]
        return value


def text_message(role: str, text: str) -> Message:
    """A message with one text part."""
    return Message(role=role, content=[Part(type="text", text=text)])  # type: ignore[arg-type]


def question_message(question: str, pictures: int) -> Message:
    """A user's question, and placeholders for so many pictures.

    The question comes first: a model reads in order, and so knows what to look for while it reads the pictures; and
    its answer begins as far from them however long the question is.
    """
    parts = [Part(type="text", text=question), *(Part(type="image") for _ in range(pictures))]
    return Message(role="user", content=parts)


def read_records(path: Path) -> list[Record]:
    """All records of a JSONL file.

    Raises:
        UserError: a line is not a record (file, line and reason named), an id stands twice, or there is none.
    """
    records: list[Record] = []
    seen: dict[str, int] = {}
    for number, row in read_jsonl(path):
        try:
            record = Record.model_validate(row)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "record"
            raise UserError(f"{path}, line {number}: {where}: {first['msg']}; mend or remove the line.") from error
        if record.id in seen:
            raise UserError(f"{path}, line {number}: id {record.id!r} stands already in line {seen[record.id]}.")
        seen[record.id] = number
        records.append(record)
    if not records:
        raise UserError(f"{path}: no records; curate data first, or check the path.")
    return records


def write_records(path: Path, records: Iterable[Record]) -> int:
    """Writes records as JSON lines, atomically; returns how many."""
    return write_jsonl(path, (record.to_json() for record in records))
