"""Cases to predict: assistant turns of the test split, each with the prompt of its true earlier messages.

llama.cpp gets them in waves, so that a turn finds the earlier turns of its conversation still in a slot's cache.
"""

from __future__ import annotations

from collections import defaultdict, deque
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

ROUNDS = 4  # conversations for which it pays that a slot computes the shared prefix again


@dataclass(frozen=True)
class Case:
    """One assistant turn to predict.

    Attributes:
        record: the conversation.
        answer: index of the message.
        prompt: the rendered earlier messages, with the header of the answer.
        ids: its tokens; an image's placeholder is repeated for each feature of the image.
        room: the largest number of tokens to generate; 0 where the prompt fills the model's context.
        pictures: the image files of the prompt.
    """

    record: Record
    answer: int
    prompt: str
    ids: tuple[int, ...]
    room: int
    pictures: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """A model's answer; ``tokens`` counts the end-of-turn token, ``text`` is without it."""

    text: str
    tokens: int
    finish: str


OVERFLOW = Prediction("", 0, "overflow")


def window_of(folder: Path) -> int:
    """The context of the model in ``folder``, in tokens.

    Raises:
        UserError: its config.json does not name it.
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
    """The turns to predict, sorted by record and message; the same ones for every variant.

    Whole conversations are drawn, because a conversation is run once for all its turns. A prompt that leaves no room
    for an answer is kept, with ``room`` 0: it is counted and not cut.

    Args:
        window: the model's context in tokens.
        look: gives a record's images and the number of features of each; None for a language model.
    """
    cases = []
    for record in spread(sorted(records, key=lambda record: record.id), max_records):
        pictures, features = look(record) if look else ([], [])
        for answer in record.answers:
            prompt = prompt_text(tokenizer, record, answer)
            ids = tuple(encode(tokenizer, prompt_text(tokenizer, record, answer, features)))
            room = max(0, min(max_new_tokens, window - len(ids)))
            shown = sum(part.type == "image" for message in record.messages[:answer] for part in message.content)
            cases.append(Case(record, answer, prompt, ids, room, tuple(pictures[:shown])))
    return cases


def with_others_pictures(cases: Sequence[Case]) -> list[Case]:
    """The cases, each with the images of another case of as many tokens: the list of such cases, rotated by half.

    An answer that is still right then does not depend on the image. A case without another of its size keeps its own.
    """
    rings: dict[tuple[Any, int, int], list[int]] = defaultdict(list)
    for index, case in enumerate(cases):
        rings[case.record.meta.get("set"), len(case.pictures), len(case.ids)].append(index)
    other = {}
    for ring in rings.values():
        half = len(ring) // 2
        other.update(zip(ring, ring[half:] + ring[:half], strict=True))
    return [replace(case, pictures=cases[other[index]].pictures) for index, case in enumerate(cases)]


def with_others_questions(records: Sequence[Record]) -> list[Record]:
    """The records, each with the last question of another record: the sorted list of questions, rotated by half.

    An answer that is still right then does not depend on the question. With one question only, nothing changes.

    Raises:
        UserError: a record has no user turn.
    """
    questions = sorted({question_of(record).text for record in records})
    half = len(questions) // 2
    other = dict(zip(questions, [*questions[half:], *questions[:half]], strict=True))
    return [asked(record, other[question_of(record).text]) for record in records]


def question_of(record: Record) -> Message:
    """The last message of a record's user.

    Raises:
        UserError: the record has none.
    """
    question = next((message for message in reversed(record.messages) if message.role == "user"), None)
    if question is None:
        raise UserError(f"{record.id}: no turn of a user, so that no question can be swapped.")
    return question


def asked(record: Record, text: str) -> Record:
    """A record whose last user message has this text, with the same images."""
    question = question_of(record)
    first = next((index for index, part in enumerate(question.content) if part.text is not None), 0)
    images = [part for part in question.content if part.text is None]
    content = [*images[:first], Part(type="text", text=text), *images[first:]]
    changed = question.model_copy(update={"content": content})
    messages = [changed if message is question else message for message in record.messages]
    return record.model_copy(update={"messages": messages})


def by_record(cases: Sequence[Case]) -> list[list[Case]]:
    """Neighbouring cases of one record together."""
    return [list(rows) for _, rows in groupby(cases, key=lambda case: case.record.id)]


def shared_beginning(texts: Sequence[Sequence[int]]) -> int:
    """The length of the prefix that all texts share, in tokens.

    >>> shared_beginning([[1, 2, 3], [1, 2, 4, 5]])
    2
    """
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False)))


def slots_for(cases: Sequence[Case], most: int) -> int:
    """Prompts to process at a time. Each slot computes the shared prefix, so few conversations get few slots."""
    firsts = [rows[0].ids for rows in by_record(cases)]
    if 2 * shared_beginning(firsts) < min(map(len, firsts)):
        return most
    return min(most, -(-len(firsts) // ROUNDS))


def waves(cases: Sequence[Case], slots: int) -> Iterator[list[Case]]:
    """Cases in waves of at most ``slots``, a record's turns in waves that follow each other.

    Long conversations come first, so that the last waves are not of one case each. In a wave, continued conversations
    stand before new ones: llama.cpp gives each prompt in turn the slot with the longest shared prefix.

    Example, 2 slots, conversations of 3, 1 and 1 turns: [a1, b1], [a2, c1], [a3].
    """
    waiting = deque(sorted(by_record(cases), key=lambda rows: (-len(rows), rows[0].record.id)))
    active: list[deque[Case]] = []
    while waiting or active:
        while waiting and len(active) < slots:
            active.append(deque(waiting.popleft()))
        yield [rows.popleft() for rows in active]
        active = [rows for rows in active if rows]
