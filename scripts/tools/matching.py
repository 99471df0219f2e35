"""What an answer is worth: its calls against the calls that are due, values normalised on both sides.

Exact match: the same calls in order, each name and every parameter equal. Parameter precision and recall count
triples (index of the call, name of the parameter, value), the tool's own name among them as parameter "".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.lib.cli import UserError
from scripts.lib.files import canonical_json
from scripts.lib.records import Record
from scripts.tools.answers import Answer
from scripts.tools.schema import Tool
from scripts.tools.validate import Call, call_problems, canonical_call

COUNTS = ("turns", "due", "exact", "tools", "given", "wanted", "hits", "written", "valid", "quiet", "declined", "right")


@dataclass(frozen=True)
class Case:
    """One scored assistant turn.

    Attributes:
        said: what users and tools said since the answer before.
        due: the expected calls, canonical.
        kind: "calls", "decline", "ask", or "report" after calls.
        difficulty: as the example says it.
    """

    id: str
    answer: int
    group: str
    said: str
    due: tuple[Call, ...]
    kind: str
    difficulty: str

    @property
    def key(self) -> tuple[str, int]:
        """What a prediction names it by."""
        return self.id, self.answer


def schema_of(records: Sequence[Record]) -> dict[str, Tool]:
    """The tools that the records' prompts show."""
    tools: dict[str, Tool] = {}
    for definition in (definition for record in records for definition in record.tools):
        function = definition["function"]
        schema = function["parameters"]
        required = tuple(schema.get("required", ()))
        tools.setdefault(
            function["name"],
            Tool(function["name"], function.get("description", ""), schema.get("properties", {}), required),
        )
    return tools


def cases_of(records: Sequence[Record], tools: Mapping[str, Tool]) -> list[Case]:
    """All assistant turns, sorted by record and place.

    Raises:
        UserError: a record does not say what it expects.
    """
    return [case for record in sorted(records, key=lambda one: one.id) for case in _cases(record, tools)]


def _cases(record: Record, tools: Mapping[str, Tool]) -> list[Case]:
    if not record.expect or any("calls" not in entry or "kind" not in entry for entry in record.expect):
        raise UserError(f"record {record.id}: `expect` does not give each answer's calls and kind; curate again.")
    cases, before = [], 0
    for answer, entry in zip(record.answers, record.expect, strict=True):
        said = "\n".join(m.text for m in record.messages[before:answer] if m.role in ("user", "tool"))
        due = tuple(canonical_call((name, given), tools) for name, given in entry["calls"])
        level = str(record.meta.get("difficulty", "unknown"))
        cases.append(Case(record.id, answer, record.group, said, due, entry["kind"], level))
        before = answer + 1
    return cases


def triples(calls: Sequence[Call]) -> set[tuple[int, str, str]]:
    """(index of the call, parameter, value as text); the tool is parameter ""."""
    found = set()
    for index, (name, given) in enumerate(calls):
        found.add((index, "", name))
        found |= {(index, key, canonical_json(value)) for key, value in given.items()}
    return found


def same(ours: Sequence[Call], theirs: Sequence[Call]) -> bool:
    """Whether two lists of canonical calls are equal."""
    return [[name, canonical_json(given)] for name, given in ours] == [
        [name, canonical_json(given)] for name, given in theirs
    ]


def count(answer: Answer, case: Case, tools: Mapping[str, Tool]) -> dict[str, int]:
    """The counts of one turn (`COUNTS`), of which every score is a ratio.

    ``quiet`` are turns that want a decline or a question back, ``declined`` those answered without a call (of turns
    that are no reports), ``right`` both.
    """
    ours = [canonical_call(call, tools) for call in answer.calls]
    wants_calls, judged = case.kind == "calls", case.kind != "report"
    quiet = judged and not wants_calls
    given, wanted = triples(ours), triples(case.due)
    return {
        "turns": 1,
        "due": int(wants_calls),
        "exact": int(wants_calls and not answer.broken and same(ours, case.due)),
        "tools": int(wants_calls and not answer.broken and [c[0] for c in ours] == [c[0] for c in case.due]),
        "given": len(given) + answer.broken if wants_calls else 0,
        "wanted": len(wanted) if wants_calls else 0,
        "hits": len(given & wanted) if wants_calls else 0,
        "written": len(answer.calls) + answer.broken,
        "valid": sum(not any(call_problems(call, tools)) for call in answer.calls),
        "quiet": int(quiet),
        "declined": int(judged and answer.declines),
        "right": int(quiet and answer.declines),
    }


def plain(calls: Sequence[Call]) -> list[dict[str, Any]]:
    """Calls as a person reads them."""
    return [{"name": name, "arguments": given} for name, given in calls]
