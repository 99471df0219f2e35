"""Intents and their phrases, as the modules of phrases write them.

A block opens with ``# name | part | part`` and holds one phrase a line. For calls each part is ``tool parameter ...``,
where a parameter is ``length`` (from the slot of that name), ``path:rom`` (from another slot), ``mode=over`` (implied
by the wording) or ``address^target`` (known only from an earlier call's result). For a decline or a question the
parts are possible answers.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

SLOT = re.compile(r"\{([a-z]+\d?)(?::([a-z0-9]+))?\}")
SPECIALISTS = ("veran", "farore", "nayru")


@dataclass(frozen=True)
class Argument:
    """One parameter of a planned call: from a slot, or a constant."""

    name: str
    slot: str = ""
    constant: Any = None
    hidden: bool = False
    form: str = ""


@dataclass(frozen=True)
class Step:
    """A planned call, and what its tool may return (only where a later call depends on it)."""

    tool: str
    arguments: tuple[Argument, ...]
    results: tuple[str, ...] = ()


@dataclass(frozen=True)
class Template:
    """A sentence skeleton of one intent; ``id`` is what must not be split between train and test."""

    id: str
    kind: str
    specialist: str
    phrase: str
    steps: tuple[Step, ...] = ()
    answers: tuple[str, ...] = ()

    @property
    def slots(self) -> list[str]:
        """The slots of the phrase, in order."""
        return [match[1] for match in SLOT.finditer(self.phrase)]


@dataclass(frozen=True)
class Block:
    """A heading's name and parts, and the phrases under it."""

    name: str
    parts: tuple[str, ...]
    phrases: tuple[str, ...]


def read_blocks(text: str) -> list[Block]:
    """Reads blocks of phrases; ``\\n`` in a phrase is a line break."""
    blocks = []
    for chunk in re.split(r"^# ", text, flags=re.MULTILINE)[1:]:
        head, *lines = chunk.splitlines()
        name, *parts = (part.strip() for part in head.split(" | "))
        phrases = tuple(line.strip().replace("\\n", "\n") for line in lines if line.strip())
        blocks.append(Block(name, tuple(parts), phrases))
    return blocks


def read_argument(text: str) -> Argument:
    """``length``, ``path:rom``, ``mode=over``, ``address^target`` or ``data^target:le3``."""
    if "=" in text:
        name, constant = text.split("=", 1)
        return Argument(name, constant=_constant(constant))
    if "^" in text:
        name, hidden = text.split("^")
        slot, _, form = hidden.partition(":")
        return Argument(name, slot, hidden=True, form=form)
    name, _, slot = text.partition(":")
    return Argument(name, slot or name)


def _constant(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def read_step(text: str, results: tuple[str, ...] = ()) -> Step:
    """``yaze_debugger.read_memory address length=3``."""
    tool, *arguments = text.split()
    return Step(tool, tuple(read_argument(argument) for argument in arguments), results)


def call_templates(specialist: str, text: str) -> list[Template]:
    """Templates of a specialist's calls: one call is kind ``single``, several are kind ``plan``."""
    result = []
    for block in read_blocks(text):
        steps = tuple(read_step(part) for part in block.parts)
        kind = "single" if len(steps) == 1 else "plan"
        for index, phrase in enumerate(block.phrases, 1):
            name = f"{specialist}.{block.name}.{index:02d}"
            result.append(Template(name, kind, specialist, phrase, steps))
    return result


def answer_templates(kind: str, specialist: str, text: str) -> list[Template]:
    """Templates of declines and questions; an empty specialist means any of the three."""
    return [
        Template(f"{specialist or 'any'}.{kind}_{block.name}.{index:02d}", kind, specialist, phrase, (), block.parts)
        for block in read_blocks(text)
        for index, phrase in enumerate(block.phrases, 1)
    ]
