"""Turns the intents of ``templates/{any,veran,farore,nayru}.yaml`` into templates, one per phrase.

veran.yaml explains the form of an entry.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import model_validator

from scripts.lib.cli import UserError
from scripts.lib.options.strict import Options
from scripts.tools.generator.kinds import KINDS, kind_of
from scripts.tools.generator.tables import SPECIALISTS, TEMPLATES, Lines, read_table

SLOT = re.compile(r"\{([a-z]+\d?)(?::([a-z0-9]+))?\}")
FORM = re.compile(r"le[1-4]|low|hex|byte")  # see `render.formed`
FREE_SLOTS = ("label", "scope", "dump")  # slots whose text depends on another value


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

    @property
    def arguments(self) -> list[Argument]:
        """The arguments of all steps."""
        return [argument for step in self.steps for argument in step.arguments]

    @property
    def references(self) -> list[tuple[str, str]]:
        """(slot, form or "") of each place where a value goes: phrase, answers, results, then arguments."""
        texts = [self.phrase, *self.answers, *(text for step in self.steps for text in step.results)]
        inside = [(match[1], match[2] or "") for text in texts for match in SLOT.finditer(text)]
        return inside + [(argument.slot, argument.form) for argument in self.arguments if argument.slot]


class Calls(Options):
    """An intent of one call or several."""

    phrases: Lines
    calls: Lines


class FollowUp(Calls):
    """An intent whose later calls depend on results of earlier ones."""

    results: tuple[Lines, ...]
    answers: Lines

    @model_validator(mode="after")
    def _two_results_a_call(self) -> Self:
        if [len(row) for row in self.results] != [2] * len(self.calls):
            raise ValueError("`results` needs one item for each call, with two lines in each item")
        return self


class NoCall(Options):
    """An intent that is answered without a call."""

    phrases: Lines
    answers: Lines


class Intents(Options):
    """One file of intents, by section and name."""

    calls: dict[str, Calls] = {}
    follow_up: dict[str, FollowUp] = {}
    decline: dict[str, NoCall] = {}
    ask: dict[str, NoCall] = {}


@functools.cache
def templates(folder: Path = TEMPLATES) -> list[Template]:
    """The templates of all files.

    Raises:
        UserError: an entry is invalid; file and entry are named.
    """
    return [
        template
        for specialist in ("", *SPECIALISTS)
        for template in read_templates(folder / f"{specialist or 'any'}.yaml", specialist)
    ]


def read_templates(path: Path, specialist: str) -> Iterator[Template]:
    """Yields the templates of one file; an empty specialist means any specialist.

    Raises:
        UserError: an entry is invalid; file and entry are named.
    """
    for section, intents in read_table(path, Intents):
        for name, intent in intents.items():
            calls, answers = getattr(intent, "calls", ()), getattr(intent, "answers", ())
            results = getattr(intent, "results", [()] * len(calls))
            steps = tuple(read_step(call, texts) for call, texts in zip(calls, results, strict=True))
            kind = ("single" if len(steps) == 1 else "plan") if section == "calls" else section
            prefix = f"{section}_" if section in ("decline", "ask") else ""
            for index, phrase in enumerate(intent.phrases, 1):
                identity = f"{specialist or 'any'}.{prefix}{name}.{index:02d}"
                template = Template(identity, kind, specialist, phrase, steps, answers)
                for problem in slot_problems(template):
                    raise UserError(f"{path}: {section}.{name}: {problem} in or for {phrase!r}; correct the entry.")
                yield template


def slot_problems(template: Template) -> Iterator[str]:
    """Yields every error in the slots of a template."""
    spoken = template.slots
    drawn = {slot for slot, _ in template.references}
    for slot, form in template.references:
        if slot not in FREE_SLOTS and kind_of(slot) not in KINDS:
            yield f"unknown slot {{{slot}}}"
        if form and not (form in drawn if slot == "dump" else FORM.fullmatch(form)):
            yield f"unknown form {{{slot}:{form}}}"
    for argument in template.arguments:
        if argument.slot and not argument.hidden and argument.slot not in spoken:
            yield f"no {{{argument.slot}}}, which the parameter {argument.name!r} needs,"
    if "label" in spoken and "address" not in spoken:
        yield "{label} without {address}"
    if re.search(r"[{}]", SLOT.sub("", template.phrase)):
        yield "a brace that is not part of a slot such as {length}"


def read_argument(text: str) -> Argument:
    """Parses ``length``, ``path:rom``, ``mode=over``, ``address^target`` or ``data^target:le3``."""
    if "=" in text:
        name, constant = text.split("=", 1)
        try:
            return Argument(name, constant=json.loads(constant))
        except json.JSONDecodeError:
            return Argument(name, constant=constant)
    name, hidden, source = text.partition("^")
    if hidden:
        slot, _, form = source.partition(":")
        return Argument(name, slot, hidden=True, form=form)
    name, _, slot = text.partition(":")
    return Argument(name, slot or name)


def read_step(text: str, results: tuple[str, ...] = ()) -> Step:
    """Parses a step such as ``yaze_debugger.read_memory address length=3``."""
    tool, *arguments = text.split()
    return Step(tool, tuple(read_argument(argument) for argument in arguments), results)
