"""What an answer's calls are worth: counted against the calls its turn expects, never against a pattern.

A call counts as a hit when its tool and all arguments equal those of a call that is due in this turn and was not
matched yet (multisets: the same call written twice hits once). Both sides go through the one canonical form.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scripts.dnd.calls import Call, scan
from scripts.dnd.canonical import Canonical, canonical, resolve, written
from scripts.dnd.registry import Registry, key_of
from scripts.lib.cli import UserError
from scripts.lib.records import Record

Key = tuple[str, tuple[str, ...]]
COUNTS = (
    "turns",
    "written",
    "due",
    "hits",
    "tool_hits",
    "brackets",
    "well_formed",
    "idle",
    "false_calls",
    "addressed",
    "strangers",
)


@dataclass(frozen=True)
class Turn:
    """One scored assistant turn.

    Attributes:
        id: the record's.
        answer: index of the message in the record.
        group: what the bootstrap draws as a whole.
        said: what users and tools said since the answer before.
        due: the expected calls as records hold them, ``[["check", ["stealth", "Pip"]]]``.
        party: the characters a call may name.
        names: every character of the scenario, the party first; spelling is resolved against them.
    """

    id: str
    answer: int
    group: str
    said: str
    due: list[list[Any]]
    party: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def key(self) -> tuple[str, int]:
        """What a prediction names its turn by."""
        return self.id, self.answer


def turns_of(records: Sequence[Record]) -> list[Turn]:
    """All assistant turns of records, sorted by id and place.

    Raises:
        UserError: a record does not say which calls it expects.
    """
    return [turn for record in sorted(records, key=lambda record: record.id) for turn in _turns_of_one(record)]


def _turns_of_one(record: Record) -> list[Turn]:
    if not record.expect or any("calls" not in entry for entry in record.expect):
        raise UserError(f"record {record.id}: `expect` does not give the calls of each answer; curate the data again.")
    party = tuple(record.meta.get("party", ()))
    names = tuple(dict.fromkeys((*party, *record.meta.get("names", ()))))
    turns, before = [], 0
    for answer, entry in zip(record.answers, record.expect, strict=True):
        said = "\n".join(m.text for m in record.messages[before:answer] if m.role in ("user", "tool"))
        turns.append(Turn(record.id, answer, record.group, said, entry["calls"], party, names))
        before = answer + 1
    return turns


def comparable(name: str, args: Sequence[str]) -> Key:
    """A call as it is compared: case, blanks, a plus sign and "level" before a number make no difference.

    Example: ``("Health", ["Pip", "+8"])`` and ``("health", ["pip", "8"])`` are the same.
    """
    return key_of(name), tuple(_plain(str(arg)) for arg in args)


def _plain(arg: str) -> str:
    text = re.sub(r"\s+", " ", arg).strip(" \"'“”‘’.").casefold().replace("−", "-")
    number = re.fullmatch(r"(?:\+|(?:level|lvl|dc) ?)?(\d+)(?:(?:st|nd|rd|th)(?: level)?)?", text)
    return str(int(number[1])) if number else text


def expected_calls(turn: Turn, registry: Registry) -> list[Canonical]:
    """The due calls of a turn, in canonical form."""
    raw = (written(name, args) for name, args in turn.due)
    calls = (Call(name, tuple(args), text, 0, 0, 0, True) for (name, args), text in zip(turn.due, raw, strict=True))
    return [canonical(call, registry, turn.names) for call in calls]


def answered_calls(text: str, turn: Turn, registry: Registry) -> tuple[list[Canonical], int]:
    """The calls of an answer in canonical form, and how many more were begun but have broken brackets."""
    calls, problems = scan(text, registry, turn.names)
    broken = sum(problem.kind == "unbalanced_brackets" and problem.severity == "error" for problem in problems)
    return [canonical(call, registry, turn.names) for call in calls], broken


def overlap(ours: Sequence[Any], theirs: Sequence[Any]) -> int:
    """The size of the intersection of two multisets."""
    return sum((Counter(ours) & Counter(theirs)).values())


def character_place(call: Canonical, registry: Registry) -> int | None:
    """Which argument names the character; None where the tool takes none, or arguments are missing."""
    tool = registry.get(call.name)
    kinds = [parameter.type for parameter in tool.parameters] if tool else []
    if "character" not in kinds or len(call.args) < len(kinds):
        return None
    return kinds.index("character")


def count(answered: Sequence[Canonical], broken: int, turn: Turn, registry: Registry) -> dict[str, int]:
    """The counts of one turn (`COUNTS`), of which every score is a ratio."""
    due = expected_calls(turn, registry)
    ours, theirs = ([comparable(call.name, call.args) for call in calls] for calls in (answered, due))
    places = [(call, character_place(call, registry)) for call in answered]
    named = [call.args[place] for call, place in places if place is not None]
    return {
        "turns": 1,
        "written": len(ours),
        "due": len(theirs),
        "hits": overlap(ours, theirs),
        "tool_hits": overlap([name for name, _ in ours], [name for name, _ in theirs]),
        "brackets": len(ours) + broken,
        "well_formed": sum(call.standard for call in answered),
        "idle": int(not theirs),
        "false_calls": int(not theirs and bool(ours)),
        "addressed": len(named),
        "strangers": sum(resolve(name, turn.party) is None for name in named),
    }
