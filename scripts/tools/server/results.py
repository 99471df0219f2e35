"""Inputs and outputs of the server's tools: pydantic models, whose JSON schemas clients get."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

LONGEST_INSTRUCTION = 4000


class Request(BaseModel):
    """The input of every tool."""

    model_config = ConfigDict(extra="forbid")
    instruction: str = Field(
        min_length=1,
        max_length=LONGEST_INSTRUCTION,
        pattern=r"\S",
        description="What to do, in plain words, with every address, file and number that matters.",
    )


class Call(BaseModel):
    """A call that is valid under the schema."""

    name: str
    arguments: dict[str, Any]


class Result(BaseModel):
    """The result of executing a call.

    Attributes:
        ran: whether a program was started.
        exit_code: None if no program was started, or if it was stopped.
        reason: why no program was started, or why it was stopped.
    """

    name: str
    ran: bool
    exit_code: int | None = None
    output: str = ""
    reason: str = ""


class Reply(BaseModel):
    """A specialist's answer: calls, or a decline or question whose text is the reason."""

    specialist: str
    calls: list[Call] = []
    declined: bool
    reason: str = ""
    results: list[Result] = Field(default=[], description="one for each call where the server may execute, else empty")


class Routed(BaseModel):
    """The router's choice and the chosen specialist's answer."""

    specialist: str
    confidence: float = Field(ge=0, le=1)
    scores: dict[str, float]
    answer: Reply
