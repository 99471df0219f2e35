"""Answers that need no model: what a score has to beat before it means anything.

none      never calls.
majority  always makes the most frequent call sequence of the training answers.
nearest   copies the calls of the training turn whose preceding words are most alike (Jaccard).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from scripts.lib.files import canonical_json
from scripts.lib.nearest import nearest_indices
from scripts.tools.answers import Answer
from scripts.tools.matching import Case

NOTHING = Answer((), 0, "")


def answers(train: Sequence[Case], cases: Sequence[Case]) -> dict[str, list[Answer]]:
    """What each baseline answers to each case."""
    return {
        "none": [NOTHING for _ in cases],
        "majority": [majority(train)] * len(cases),
        "nearest": nearest(train, cases),
    }


def majority(train: Sequence[Case]) -> Answer:
    """The most frequent answer with calls, the first in sorted order of equals."""
    due = {canonical_json(case.due): case.due for case in train if case.due}
    counted = Counter(canonical_json(case.due) for case in train if case.due)
    if not counted:
        return NOTHING
    text = min(counted, key=lambda key: (-counted[key], key))
    return Answer(due[text], 0, "")


def nearest(train: Sequence[Case], cases: Sequence[Case]) -> list[Answer]:
    """The calls of the most alike training turn."""
    if not train:
        return [NOTHING for _ in cases]
    found = nearest_indices([words(case.said) for case in train], [words(case.said) for case in cases])
    return [Answer(train[index].due, 0, "") for index in found]


def words(text: str) -> set[str]:
    """The words and values of a text in lower case."""
    return set(re.findall(r"[a-z0-9$]+", text.lower()))
