"""What is predicted: assistant turns of the test split, each with the prompt that its true past makes.

Also how they are handed to llama.cpp: in waves, so that a turn finds the turns before it still in its slot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

from scripts.lib.chat import encode, prompt_text
from scripts.lib.cli import UserError
from scripts.lib.files import read_json
from scripts.lib.records import Message, Part, Record
from scripts.lib.sampling import spread
from scripts.model.weights import context_length

Look = Callable[[Record], tuple[list[Path], list[int]]]

ROUNDS = 4  # conversations that make it worth a slot to read the beginning again


@dataclass(frozen=True)
class Case:
    """One assistant turn to predict.

    Attributes:
        record: the conversation.
        answer: index of the message.
        prompt: the rendered past, with the header of the answer.
        ids: its tokens; each placeholder of a picture as often as the picture has features.
        room: the most tokens to generate; 0 where the prompt leaves none in the model's context.
    """

    record: Record
    answer: int
    prompt: str
    ids: tuple[int, ...]
    room: int
    pictures: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """What a model answered; ``tokens`` counts the end-of-turn token, ``text`` leaves it out."""

    text: str
    tokens: int
    finish: str


OVERFLOW = Prediction("", 0, "overflow")


def window_of(folder: Path) -> int:
    """The context of the model in ``folder``, in tokens.

    Raises:
        UserError: its config.json does not say.
    """
    window = context_length(read_json(folder / "config.json"))
    if window is None:
        raise UserError(f"{folder / 'config.json'}: names no context length; add max_position_embeddings.")
    return window


def draw_cases(
    records: Sequence[Record],
    tokenizer: Any,
    *,
    window: int,
    max_records: int | None,
    max_new_tokens: int,
    look: Look | None = None,
) -> list[Case]:
    """The turns to predict, sorted by record and place; the same ones whichever variant is asked.

    Whole conversations are drawn: one that is read is read once for all its turns.

    A prompt that leaves no room for a token is kept, with ``room`` 0: it is counted, never cut. ``look`` gives a
    record's pictures and how many features each has.
    """
    drawn = spread(sorted(records, key=lambda record: record.id), max_records)
    cases = []
    for record, answer in [(one, answer) for one in drawn for answer in one.answers]:
        pictures, features = look(record) if look else ([], [])
        ids = tuple(encode(tokenizer, prompt_text(tokenizer, record, answer, features)))
        room = max(0, min(max_new_tokens, window - len(ids)))
        shown = sum(part.type == "image" for message in record.messages[:answer] for part in message.content)
        cases.append(Case(record, answer, prompt_text(tokenizer, record, answer), ids, room, tuple(pictures[:shown])))
    return cases


def with_others_pictures(cases: Sequence[Case]) -> list[Case]:
    """The cases, each with the pictures of another one of as many tokens: half of the way round a ring of them.

    What a model then still gets right it did not see. A case without another of its size keeps its own.
    """
    rings: dict[tuple[int, int], list[int]] = {}
    for at, case in enumerate(cases):
        rings.setdefault((case.record.meta.get("set"), len(case.pictures), len(case.ids)), []).append(at)
    other = {at: ring[(place + len(ring) // 2) % len(ring)] for ring in rings.values() for place, at in enumerate(ring)}
    return [replace(case, pictures=cases[other[at]].pictures) for at, case in enumerate(cases)]


def with_others_questions(records: Sequence[Record]) -> list[Record]:
    """The records, each asked in its last turn what another one is asked: half of the way round all questions in order.

    What a model then still gets right does not follow from the question. Where all are asked alike nothing changes.

    Raises:
        UserError: a record asks nothing.
    """
    questions = sorted({question_of(record).text for record in records})
    half = len(questions) // 2
    other = dict(zip(questions, [*questions[half:], *questions[:half]], strict=True))
    return [asked(record, other[question_of(record).text]) for record in records]


def question_of(record: Record) -> Message:
    """What a record's user says last."""
    found = next((message for message in reversed(record.messages) if message.role == "user"), None)
    if found is None:
        raise UserError(f"{record.id}: no turn of a user, so that no question can be swapped.")
    return found


def asked(record: Record, text: str) -> Record:
    """A record in which the user says this last, beside the same pictures."""
    told = question_of(record)
    first = next((at for at, part in enumerate(told.content) if part.text is not None), 0)
    rest = [part for part in told.content if part.text is None]
    content = [*rest[:first], Part(type="text", text=text), *rest[first:]]
    changed = told.model_copy(update={"content": content})
    return record.model_copy(update={"messages": [changed if one is told else one for one in record.messages]})


def by_record(cases: Sequence[Case]) -> list[list[Case]]:
    """Neighbouring cases of one record together."""
    return [list(rows) for _, rows in groupby(cases, key=lambda case: case.record.id)]


def shared_beginning(texts: Sequence[Sequence[int]]) -> int:
    """How many tokens all texts begin with.

    >>> shared_beginning([[1, 2, 3], [1, 2, 4, 5]])
    2
    """
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False)))


def slots_for(cases: Sequence[Case], most: int) -> int:
    """Prompts to work on at a time: each slot reads what all prompts begin with, so that few of them need few slots."""
    firsts = [rows[0].ids for rows in by_record(cases)]
    if 2 * shared_beginning(firsts) < min(map(len, firsts)):
        return most
    return min(most, -(-len(firsts) // ROUNDS))


def waves(cases: Sequence[Case], slots: int) -> Iterator[list[Case]]:
    """Cases in waves of at most ``slots``, a record's turns in waves that follow each other.

    Long conversations come first, so that the last waves are not left with one each. In a wave, conversations that go
    on stand before new ones: llama.cpp gives each prompt in turn the slot that holds most of it.
    """
    waiting = deque(sorted(by_record(cases), key=lambda rows: (-len(rows), rows[0].record.id)))
    active: list[deque[Case]] = []
    while waiting or active:
        while waiting and len(active) < slots:
            active.append(deque(waiting.popleft()))
        yield [rows.popleft() for rows in active]
        active = [rows for rows in active if rows]
