"""Answers that need no model: what a score has to beat before it means anything.

none      never writes a call.
majority  always writes the most frequent call of the training turns, its character the party's first.
nearest   copies the calls of the training turn whose preceding words are most alike, for the party at hand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from scripts.dnd.canonical import Canonical, resolve
from scripts.dnd.matching import Turn, character_place, expected_calls
from scripts.dnd.registry import Registry
from scripts.lib.nearest import nearest_indices

SOMEONE = "someone"


def answers(train: Sequence[Turn], turns: Sequence[Turn], registry: Registry) -> dict[str, list[list[Canonical]]]:
    """The calls that each baseline answers each of ``turns`` with."""
    return {
        "none": [[] for _ in turns],
        "majority": _majority(train, turns, registry),
        "nearest": _nearest(train, turns, registry),
    }


def _majority(train: Sequence[Turn], turns: Sequence[Turn], registry: Registry) -> list[list[Canonical]]:
    counted: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for turn in train:
        for call in expected_calls(turn, registry):
            counted[call.name, _with_character(call, SOMEONE, registry).args] += 1
    if not counted:
        return [[] for _ in turns]
    (name, args), _ = min(counted.items(), key=lambda item: (-item[1], item[0]))
    call = Canonical(name, args, True)
    return [[_with_character(call, turn.party[0] if turn.party else SOMEONE, registry)] for turn in turns]


def _with_character(call: Canonical, name: str, registry: Registry) -> Canonical:
    """The call with another character; itself where it names none."""
    place = character_place(call, registry)
    if place is None:
        return call
    return replace(call, args=(*call.args[:place], name, *call.args[place + 1 :]))


def _nearest(train: Sequence[Turn], turns: Sequence[Turn], registry: Registry) -> list[list[Canonical]]:
    if not train:
        return [[] for _ in turns]
    found = nearest_indices([words(turn) for turn in train], [words(turn) for turn in turns])
    return [
        [_moved(call, train[index], turn, registry) for call in expected_calls(train[index], registry)]
        for turn, index in zip(turns, found, strict=True)
    ]


def _moved(call: Canonical, model: Turn, turn: Turn, registry: Registry) -> Canonical:
    """A call of the model's turn, its party's member i replaced by this party's member i (counted round)."""
    place = character_place(call, registry)
    member = resolve(call.args[place], model.party) if place is not None else None
    if member is None or not turn.party:
        return call
    return _with_character(call, turn.party[model.party.index(member) % len(turn.party)], registry)


def words(turn: Turn) -> set[str]:
    """The words said before a turn; party members are replaced by their place, so that names say nothing."""
    text = turn.said
    for place, member in enumerate(turn.party):
        text = re.sub(rf"\b{re.escape(member)}\b", f" party{place} ", text, flags=re.IGNORECASE)
    return set(re.findall(r"[a-z0-9]+", text.lower()))
