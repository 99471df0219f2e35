"""What a scorer compares: the keys that were really pressed after a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.gameplay.answer import Actions, from_text
from scripts.gameplay.keys import Held, keys_of
from scripts.lib.records import Record

Key = tuple[str, int]


@dataclass(frozen=True)
class Case:
    """A frame of a test recording; ``due`` are the keys of its next slots, ``now`` those held when it was taken."""

    record: Record
    answer: int
    due: Actions
    now: Held

    @property
    def key(self) -> Key:
        """What names it in predictions."""
        return self.record.id, self.answer

    @property
    def group(self) -> str:
        """Its recording."""
        return self.record.group


def cases_of(records: Sequence[Record]) -> list[Case]:
    """The cases of curated records."""
    return [
        Case(record, answer, from_text(record.messages[answer].text), keys_of(expect["now"]))
        for record in records
        for answer, expect in zip(record.answers, record.expect, strict=True)
    ]
