"""Parses the intents and phrases of the modules in ``phrases``.

A block starts with ``# name | part | part``, followed by one phrase per line. For calls each part is
``tool parameter ...``, where a parameter is ``length`` (from the slot of that name), ``path:rom`` (from another slot),
``mode=over`` (implied by the wording) or ``address^target`` (from an earlier call's result). For a decline or a
question the parts are the possible answers.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

SLOT = re.compile(r"\{([a-z]+\d?)(?::([a-z0-9]+))?\}")
SPECIALISTS = ("veran", "farore", "nayru")


class Argument(NamedTuple):
    """One parameter of a planned call: from a slot, or a constant.

    Attributes:
        hidden: the value comes from an earlier call's result, not from the phrase.
        form: the format of the value, see `render.formed`; "" is the value itself.
    """

    name: str
    slot: str = ""
    constant: Any = None
    hidden: bool = False
    form: str = ""


class Step(NamedTuple):
    """A planned call, and two variants of its result (only if a later call depends on the result)."""

    tool: str
    arguments: tuple[Argument, ...]
    results: tuple[str, ...] = ()


@dataclass(frozen=True)
class Template:
    """One phrase of an intent; all examples with the same ``id`` belong to one split."""

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


class Block(NamedTuple):
    """A heading's name and parts, and the phrases below it."""

    name: str
    parts: tuple[str, ...]
    phrases: tuple[str, ...]


def read_blocks(text: str) -> list[Block]:
    """Parses blocks of phrases; ``\\n`` in a phrase is a line break."""
    blocks = []
    for chunk in re.split(r"^# ", text, flags=re.MULTILINE)[1:]:
        head, *lines = chunk.splitlines()
        name, *parts = (part.strip() for part in head.split(" | "))
        phrases = tuple(line.strip().replace("\\n", "\n") for line in lines if line.strip())
        blocks.append(Block(name, tuple(parts), phrases))
    return blocks


def read_argument(text: str) -> Argument:
    """Parses ``length``, ``path:rom``, ``mode=over``, ``address^target`` or ``data^target:le3``."""
    if "=" in text:
        name, constant = text.split("=", 1)
        try:
            return Argument(name, constant=json.loads(constant))
        except json.JSONDecodeError:
            return Argument(name, constant=constant)
    if "^" in text:
        name, hidden = text.split("^")
        slot, _, form = hidden.partition(":")
        return Argument(name, slot, hidden=True, form=form)
    name, _, slot = text.partition(":")
    return Argument(name, slot or name)


def read_step(text: str, results: tuple[str, ...] = ()) -> Step:
    """Parses a step such as ``yaze_debugger.read_memory address length=3``."""
    tool, *arguments = text.split()
    return Step(tool, tuple(read_argument(argument) for argument in arguments), results)


def call_templates(specialist: str, text: str) -> list[Template]:
    """Templates of a specialist's calls: one call is kind ``single``, several are kind ``plan``."""
    templates = []
    for block in read_blocks(text):
        steps = tuple(read_step(part) for part in block.parts)
        kind = "single" if len(steps) == 1 else "plan"
        for index, phrase in enumerate(block.phrases, 1):
            templates.append(Template(f"{specialist}.{block.name}.{index:02d}", kind, specialist, phrase, steps))
    return templates


def answer_templates(kind: str, specialist: str, text: str) -> list[Template]:
    """Templates of declines and questions; an empty specialist means any specialist."""
    owner = specialist or "any"
    return [
        Template(f"{owner}.{kind}_{block.name}.{index:02d}", kind, specialist, phrase, answers=block.parts)
        for block in read_blocks(text)
        for index, phrase in enumerate(block.phrases, 1)
    ]
