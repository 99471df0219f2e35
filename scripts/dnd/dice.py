"""Arithmetic of results: chains such as ``1d20+5 = 14+5 = 19`` must hold, and the dice be able to show them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from scripts.dnd.canonical import ABILITIES, SKILLS

# Bounded, so that a page of digits costs no more than its length.
TERM = r"(?:\d{0,4}d\d{1,4}|\d{1,6})"
EXPRESSION = rf"(?:[+-]\s?)?{TERM}(?:\s?[+-]\s?{TERM}){{0,40}}"
CHAIN = re.compile(rf"(?<![\w.])({EXPRESSION})((?:\s?=\s?{EXPRESSION}){{1,10}})(?!\w|\.\d)", re.IGNORECASE)
OUTCOME = re.compile(
    r"(?<!\d)(\d{1,4})\s?(?:vs\.?|against)\s*(?:DC|AC)\s*(\d+)\W+(success|fail\w*|hit|miss)", re.IGNORECASE
)
CHECK_LINE = re.compile(r"^(?:save |saving throw )?(?P<what>[a-z' ]+?)(?: save| check)?\s*:", re.IGNORECASE)
NATURAL = re.compile(r"=\s*(?:1|20)\s*[+-]")
Finding = tuple[str, str]


def plain(text: str) -> str:
    """A line without emphasis, labels and grouping brackets.

    ``15 + 10(skill) = *25*`` gives ``15 + 10 = 25``, ``[3, 4] + 2`` and ``(3+4)+2`` give ``3+4+2``.
    """
    text = re.sub(r"[ \t]+", " ", re.sub(r"[*_`]+", "", text).replace("−", "-"))
    text = re.sub(r"(?<=\d)\s*\([A-Za-z' ]+\)", "", text)
    text = re.sub(r"\[(\d[\d,\s]*)\]", lambda match: "+".join(re.findall(r"\d+", match[1])), text)
    return re.sub(r"(?<![-\w])(?<!- )\((\d+(?:\s*\+\s*\d+)+)\)", r"\1", text)


def findings(text: str) -> list[Finding]:
    """What does not hold in one plain line, as (kind, message): sums, impossible dice, outcomes against their DC."""
    found = []
    for match in CHAIN.finditer(text):
        parts = [part.strip() for part in match[0].split("=")]
        found += [reason for left, right in pairwise(parts) if (reason := step_finding(left, right))]
        first = terms(parts[0])
        head = CHECK_LINE.match(text.strip())
        of_d20 = head and head["what"].strip().lower() in SKILLS | set(ABILITIES)
        if of_d20 and "d" not in match[0].lower() and len(first) > 1 and int(first[0]) > 20:
            found.append(("dice_range", f"`{match[0]}` starts from {first[0]}, but a d20 shows 1 to 20."))
    for match in OUTCOME.finditer(text):
        total, limit = int(match[1]), int(match[2])
        success = match[3].lower() in ("success", "hit")
        # A natural 1 or 20 decides by itself.
        if (total >= limit) != success and not NATURAL.search(text):
            found.append(("outcome", f"{total} against {limit} is told as `{match[3]}`."))
    return found


def step_finding(left: str, right: str) -> Finding | None:
    """What is wrong between two neighbours of a chain.

    Numbers must be equal. After dice come their faces (one by one, or added up), then the same modifiers.
    """
    given, shown = terms(left), terms(right)
    if any("d" in term for term in shown):
        return None
    dice = [term for term in given if "d" in term]
    modifier = sum(int(term) for term in given if "d" not in term)
    values = [int(term) for term in shown]
    if not dice:
        said = f"`{left} = {right}` does not add up: {left} is {modifier}."
        return None if modifier == sum(values) else ("sum", said)
    low, high = dice_range(dice)
    if len(values) == 1:
        said = f"`{left} = {right}`: {left} gives {low + modifier} to {high + modifier}."
        return None if low + modifier <= values[0] <= high + modifier else ("dice_range", said)
    return _faces_finding(f"`{left} = {right}`", dice, modifier, values)


def _faces_finding(what: str, dice: Sequence[str], modifier: int, values: Sequence[int]) -> Finding | None:
    sides = [side for term in dice for side in _sides(term)]
    low, high = dice_range(dice)
    each, added = (values[: len(sides)], values[len(sides) :]), (values[:1], values[1:])
    if len(each[0]) == len(sides) and sum(each[1]) == modifier:
        readings = [each]
    else:  # Dice written without their modifier may be followed by any.
        readings = [reading for reading in (each, added) if sum(reading[1]) == modifier or not modifier]
    if not readings:
        return "sum", f"{what}: the faces must be followed by {modifier:+d}."
    for faces, _ in readings:
        possible = len(faces) == len(sides) and all(1 <= face <= side for face, side in zip(faces, sides, strict=True))
        if (
            possible
            or (len(faces) == 1 < len(sides) and low <= faces[0] <= high)
            or any(term.startswith("-") for term in dice)
        ):
            return None
    return "dice_range", f"{what}: {' + '.join(dice)} cannot show this."


def terms(expression: str) -> list[str]:
    """``1d20 + 5 - 2`` as ``["1d20", "+5", "-2"]``."""
    return re.findall(r"[+-]?(?:\d*d\d+|\d+)", re.sub(r"\s+", "", expression.lower()))


def _sides(term: str) -> list[int]:
    count, sides = term.lstrip("+-").split("d")
    return [int(sides)] * min(int(count or 1), 1000)


def dice_range(dice: Sequence[str]) -> tuple[int, int]:
    """The least and greatest sum of dice terms such as ``2d6`` and ``-1d4``."""
    low = high = 0
    for term in dice:
        count, sides = (int(part or 1) for part in term.lstrip("+-").split("d"))
        least, most = (-count * sides, -count) if term.startswith("-") else (count, count * sides)
        low, high = low + least, high + most
    return low, high
