"""Contradictions in a scenario: sums that do not add up, impossible dice, narration that differs from its result.

Every finding is a warning. The rules apply only where the text is unambiguous: a sum is a chain such as
``1d20+5 = 14+5 = 19``; an order follows ``Initiative order:``, has ``then`` between names, or, right after the result,
has numbers (``Aria acts on 20, the goblin on 14``); damage is compared with ``[health: ...]`` of the same character in
the turn right after the result.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import NamedTuple

from scripts.dnd.calls import Call
from scripts.dnd.canonical import canonical, resolve
from scripts.dnd.dice import EXPRESSION, findings, plain
from scripts.dnd.markdown import Problem, Turn
from scripts.dnd.registry import Registry

ENTRY = re.compile(r"(?P<name>[^\W\d_][^,;:()=]*?)\s*[(:=]?\s*(?P<total>-?\d+)\s*(?:\)|(?=[,;.]|$))")
ORDER = re.compile(
    r"(?:initiative|turn)(?:\s+order)?(?:\s+(?:is|goes|runs))?\s*(?::|—|\s-\s)\s*(?P<list>.+)", re.IGNORECASE
)
FILLER = re.compile(r"^\s*(?:(?:and|finally|the)\s+)*", re.IGNORECASE)
PIECES = (
    re.compile(r"(?P<name>[^\d(:=]*\d*)\s*[(:=–-]?\s*(?P<total>\d+)?"),  # `Goblin 2 (13)`
    re.compile(r"(?P<name>[^\d(:=]*)(?P<total>\d+)"),  # `Thorin 9`
)
TOLD = re.compile(
    r"(?:rolled|rolls?|total(?:s|ling)?|result)(?:\s+(?:of|is|was|an?|with))*\s+(\d+)\b(?!\s*d\d)", re.IGNORECASE
)
CHANGE = re.compile(r"\s*(?P<what>damage|healing)\s+(?:to|for|on)\s+(?P<who>[^:=]+):(?P<rest>.*)", re.IGNORECASE)
LESS = re.compile(r"half|halv|resist|absorb|soak|reduc|shield|ward|temporary", re.IGNORECASE)


class Line(NamedTuple):
    """One line of a turn, plain (see `scripts.dnd.dice.plain`), with its number in the file."""

    number: int
    text: str


def contradictions(
    turns: Sequence[Turn], calls: Sequence[Sequence[Call]], names: Collection[str], registry: Registry
) -> list[Problem]:
    """All contradictions of a scenario, by line; ``calls`` are those of each turn."""
    problems: list[Problem] = []
    results: list[Line] = []
    order: list[tuple[str, int]] = []
    before = ""
    for turn, made in zip(turns, calls, strict=True):
        lines = [Line(turn.body_line + offset, plain(raw)) for offset, raw in enumerate(turn.text.split("\n"))]
        if turn.role != "system":
            problems += [warning(line.number, *found) for line in lines for found in findings(line.text)]
        if turn.role == "toolcall":
            results = [*results, *lines] if before == "toolcall" else lines
            order = initiative_of(lines) or order
        elif turn.role == "dm":
            problems += order_problems(lines, order, fresh=bool(initiative_of(results)))
            problems += told_problems(lines, results) + health_problems(lines, results, made, names, registry)
            results = []
        before = turn.role
    return sorted(problems, key=lambda problem: problem.line)


def warning(line: int, kind: str, message: str) -> Problem:
    """A contradiction."""
    return Problem(line, kind, message, "warning")


def initiative_of(lines: Sequence[Line]) -> list[tuple[str, int]]:
    """Combatants and their totals, as ``initiative:`` results list them: ``Aria(17+3=20), Thorin 9``."""
    found: list[tuple[str, int]] = []
    for line in lines:
        head, _, rest = line.text.partition(":")
        if "initiative" in head.lower():
            # `Aria rolls 1d20+3 = 17+3 = 20` and `Aria(17+3=20)` both come down to a name and a total.
            rest = re.sub(rf"(?:\brolls?\b\s*)?(?:{EXPRESSION}\s*=\s*)+(?=\d)", " ", rest, flags=re.IGNORECASE)
            found += [(match["name"].strip(), int(match["total"])) for match in ENTRY.finditer(rest)]
    return found


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def order_problems(lines: Sequence[Line], order: Sequence[tuple[str, int]], fresh: bool) -> list[Problem]:
    """Where a told order or total differs from the initiative result; names that stand in it twice are let pass.

    ``fresh`` says that the result stands right above, so that numbers in prose are initiatives too.
    """
    keys = [_key(name) for name, _ in order]
    totals = {key: total for key, (_, total) in zip(keys, order, strict=True) if keys.count(key) == 1}
    if not totals:
        return []
    problems = []
    shown = {_key(name): name for name, _ in order if _key(name) in totals}
    orders = told_orders(lines, totals)
    if fresh and not orders:
        orders = [(line.number, told) for line in lines if (told := _numbers_in_prose(line.text, list(shown.values())))]
    for number, told in orders:
        for name, total in told:
            if total is not None and total != totals[_key(name)]:
                message = f"{name} is told with initiative {total}; the result says {totals[_key(name)]}."
                problems.append(warning(number, "initiative", message))
        for (first, _), (second, _) in pairwise(told):
            low, high = totals[_key(first)], totals[_key(second)]
            if low < high:
                message = f"{first} ({low}) is told before {second} ({high}); by the result it is the other way round."
                problems.append(warning(number, "initiative", message))
    return problems + (first_problems(lines, totals, shown) if fresh else [])


def told_orders(lines: Sequence[Line], totals: dict[str, int]) -> list[tuple[int, list[tuple[str, int | None]]]]:
    """Orders told in a turn as (line, [(name, told total or None), ...]), names of the result only."""
    orders = []
    for index, line in enumerate(lines):
        if match := ORDER.search(line.text):
            told = told_entries(re.split(r"[,;>→]|\bthen\b", re.split(r"[.!?](?:\s|$)", match["list"])[0]), totals)
        elif re.search(r"\b(?:initiative|order)\b[^.!?]*:?\s*$", line.text, re.IGNORECASE):
            # The list items that come next, up to the first line of prose.
            items = []
            for following in lines[index + 1 :]:
                if item := re.match(r"\s*(?:\d+[.)]|[-•+])\s+(.+)", following.text):
                    items.append(item[1])
                elif following.text.strip():
                    break
            told = told_entries(items, totals)
        else:
            told = _then_chain(line.text, totals)
        if told:
            orders.append((line.number, told))
    return orders


def told_entries(pieces: Sequence[str], totals: dict[str, int]) -> list[tuple[str, int | None]]:
    """``["Aria (20)", "the goblin"]`` as names of the result with the totals told; others are left out."""
    found: list[tuple[str, int | None]] = []
    for piece in pieces:
        matches = filter(None, (pattern.match(FILLER.sub("", piece)) for pattern in PIECES))
        if match := next((match for match in matches if _key(match["name"]) in totals), None):
            found.append((match["name"].strip(), int(match["total"]) if match["total"] else None))
    return found


def _numbers_in_prose(text: str, names: Sequence[str]) -> list[tuple[str, int | None]]:
    """``Aria acts on 20 and the goblin at 14`` as names with their totals, in the order told."""
    # `Goblin1` in the result may be `Goblin 1` in prose.
    spelled = "|".join(r"\s?".join(map(re.escape, re.findall(r"\d+|[^\W\d]+|[^\w\s]", name))) for name in names)
    between = rf"(?:(?!{spelled})[^.!?;:\d\[]){{0,30}}?"
    after = r"(?=\s*(?:[,.;:!?)—]|$|and\b|then\b|while\b|but\b|followed\b|initiative\b))"  # else it counts something
    told = rf"\b(?P<name>{spelled})\b{between}\b(?:on|at|with|rolls?|rolled)(?: an?)? (?P<total>\d+){after}"
    return [(match["name"], int(match["total"])) for match in re.finditer(told, text, re.IGNORECASE)]


def _then_chain(text: str, totals: dict[str, int]) -> list[tuple[str, int | None]]:
    """``Aria acts first, then the goblin, then Thorin``: a name at the front of each part, or nothing."""
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        pieces = re.split(r",?\s*(?:and\s+)?then\s+", sentence)
        told: list[tuple[str, int | None]] = []
        for piece in pieces:
            words = re.findall(r"[\w'-]+", re.sub(r"^(?:the|it is|it's)\s+", "", piece.strip(), flags=re.IGNORECASE))
            fronts = (words[:length] for length in (3, 2, 1))
            told += [(" ".join(front), None) for front in fronts if _key("".join(front)) in totals][:1]
        if len(pieces) > 2 and len(told) == len(pieces):
            return told
    return []


def first_problems(lines: Sequence[Line], totals: dict[str, int], shown: dict[str, str]) -> list[Problem]:
    """``Thorin, you act first`` where someone else has the highest total."""
    best = max(totals, key=lambda key: totals[key])
    verb = (
        r"(?:,?\s+you)?\s+(?:(?:acts?|goes|go|moves?|is|are)\s+(?:first|fastest|quickest)|has the (?:first|opening))\b"
    )
    return [
        warning(
            line.number,
            "initiative",
            f"{shown[key]} ({total}) is told to act first; {shown[best]} has {totals[best]}.",
        )
        for line in lines
        for key, total in totals.items()
        if total < totals[best] and re.search(rf"\b{re.escape(shown[key])}{verb}", line.text, re.IGNORECASE)
    ]


def told_problems(lines: Sequence[Line], results: Sequence[Line]) -> list[Problem]:
    """A rolled number that the narration quotes and the result does not have."""
    numbers = {int(number) for line in results for number in re.findall(r"\d+", line.text)}
    return [
        warning(line.number, "told_total", f"a roll of {match[1]} is told, which the result above does not have.")
        for line in lines
        for match in TOLD.finditer(re.sub(r"\[[^\[\]]*\]", "", line.text))
        if numbers and int(match[1]) not in numbers
    ]


def health_problems(
    lines: Sequence[Line], results: Sequence[Line], calls: Sequence[Call], names: Collection[str], registry: Registry
) -> list[Problem]:
    """``[health: Pip, -6]`` where the result above says 7 damage to Pip, or healing; told halving is let pass."""
    due = changes(results, names)
    less = any(LESS.search(line.text) for line in [*lines, *results])
    problems = []
    for call in calls:
        form = canonical(call, registry, names)
        wanted = due.get(form.args[0], []) if form.name == "health" and len(form.args) == 2 else []
        if not wanted or not re.fullmatch(r"[+-]\d+", form.args[1]):
            continue
        given = int(form.args[1])
        if given not in wanted and not (less and abs(given) < max(map(abs, wanted))):
            told = " or ".join(f"{value:+d}" for value in wanted)
            problems.append(warning(call.line, "health", f"`{call.raw}`: by the result {form.args[0]} gets {told}."))
    return problems


def changes(results: Sequence[Line], names: Collection[str]) -> dict[str, list[int]]:
    """Changes of hit points that results tell, by character: each one, then their sums by sign and over all."""
    single: dict[str, list[int]] = {}
    for line in results:
        match = CHANGE.match(line.text)
        numbers = re.findall(r"\d+", match["rest"].split("=")[-1]) if match else []
        if match and numbers:
            sign = -1 if match["what"].lower() == "damage" else 1
            who = resolve(match["who"], names) or match["who"].strip()
            single.setdefault(who, []).append(sign * int(numbers[0]))
    sums = {
        who: (sum(value for value in values if value < 0), sum(value for value in values if value > 0), sum(values))
        for who, values in single.items()
    }
    return {who: list(dict.fromkeys([*values, *filter(None, sums[who])])) for who, values in single.items()}
