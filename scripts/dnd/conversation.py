"""A scenario as records: turns become messages, calls take their canonical form, what is too long is split.

SYSTEM becomes the system message, behind the run's own prompt and the forms of the tools; USER becomes user, a
character's turn user with the name in front, DM assistant (turns that follow each other are joined), TOOLCALL tool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scripts.dnd.canonical import expected, rewrite
from scripts.dnd.markdown import Turn
from scripts.dnd.registry import Registry
from scripts.dnd.scenario import Scenario
from scripts.lib.records import Message, Record, text_message

Count = Callable[[Record], int]


@dataclass(frozen=True)
class Spoken:
    """A message with the line of its turn and, for an answer, the calls it makes."""

    message: Message
    line: int
    calls: list[list[Any]] | None = None


def spoken(scenario: Scenario, registry: Registry, preamble: str) -> tuple[Message, list[Spoken]]:
    """The system message of a scenario, and its other messages in order.

    A SYSTEM turn that does not open the scenario stays where it is.
    """
    opening = scenario.turns[0] if scenario.turns and scenario.turns[0].role == "system" else None
    head = "\n\n".join(filter(None, (preamble, opening.text if opening else "")))
    rows: list[Spoken] = []
    turns: list[Turn] = []
    for turn in scenario.turns[1:] if opening else scenario.turns:
        if turns and turns[-1].role == turn.role == "dm":  # DM turns that follow each other are one answer
            turns[-1] = replace(turns[-1], name=None, text=f"{turns[-1].text}\n\n{turn.text}")
        else:
            turns.append(turn)
    for turn in turns:
        text = turn.text if turn.role == "system" else rewrite(turn.text, registry, scenario.names, scenario.names)
        role = {"dm": "assistant", "toolcall": "tool", "character": "user"}.get(turn.role, turn.role)
        spoken_text = f"{turn.name}: {text}" if turn.name else text
        calls = expected(text, registry, scenario.names, scenario.names) if role == "assistant" else None
        rows.append(Spoken(text_message(role, spoken_text), turn.line, calls))
    return text_message("system", head), rows


def make_record(scenario: Scenario, system: Message, rows: Sequence[Spoken], part: int = 0, parts: int = 0) -> Record:
    """One record of a run of messages; ``part`` of ``parts`` where a scenario had to be split."""
    name = scenario.source.name.removesuffix(".md")
    answers = [row for row in rows if row.calls is not None]
    meta: dict[str, Any] = {
        "file": scenario.source.name,
        "party": scenario.party,
        "names": scenario.names,
        "lines": [row.line for row in answers],
    }
    if parts > 1:
        meta |= {"part": part, "parts": parts}
    return Record(
        id=f"{name}#{part}" if parts > 1 else name,
        group=name,
        messages=[system, *(row.message for row in rows)] if system.text else [row.message for row in rows],
        expect=[{"calls": row.calls} for row in answers],
        meta=meta,
    )


def fit(
    scenario: Scenario, system: Message, rows: Sequence[Spoken], count: Count, limit: int
) -> tuple[list[Record], list[tuple[int, str]]]:
    """Records of at most ``limit`` tokens that together hold the scenario, and what had to stay out.

    A scenario that is too long is split at turn borders, between an answer and what follows it. Where one exchange
    alone is too long, its latest turns that fit are kept. What stays out comes back as (line, reason).
    """

    def size(part: Sequence[Spoken]) -> int:
        return count(make_record(scenario, system, part))

    if size(rows) <= limit:
        return [make_record(scenario, system, rows)], []
    out: list[tuple[int, str]] = []
    parts: list[list[Spoken]] = []
    exchanges: list[list[Spoken]] = [[]]  # messages cut after each answer; the last piece may have none
    for row in rows:
        exchanges[-1].append(row)
        if row.calls is not None:
            exchanges.append([])
    for exchange in filter(None, exchanges):
        if parts and size([*parts[-1], *exchange]) <= limit:
            parts[-1] = [*parts[-1], *exchange]
            continue
        kept = next((exchange[at:] for at in range(len(exchange)) if size(exchange[at:]) <= limit), [])
        for row in exchange[: len(exchange) - len(kept)]:
            tokens = size([row])
            reason = f"with the system turn this turn has {tokens} tokens"
            if tokens <= limit:
                reason = "with what follows up to the next answer this turn is too long"
            out.append((row.line, f"{reason}; the limit is {limit}: shorten it, or raise max_tokens."))
        parts += [kept] if kept else []
    useful = [part for part in parts if any(row.calls is not None for row in part)]
    out += [
        (row.line, "a closing turn without an answer, in a part of its own; shorten the scenario.")
        for part in parts
        if part not in useful
        for row in part
    ]
    return [make_record(scenario, system, part, n, len(useful)) for n, part in enumerate(useful, 1)], out
