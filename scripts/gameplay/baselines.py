"""Answers that need no model: what a score has to beat before it means anything.

majority      the commonest keys of the training answers, in every slot.
repeat_last   the keys that are held when the frame is taken, in every slot; no agent is told them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scripts.gameplay.answer import SLOTS, Actions
from scripts.gameplay.cases import Case
from scripts.gameplay.keys import Held, word_of


def answers(train: Sequence[Case], cases: Sequence[Case]) -> dict[str, list[Actions]]:
    """What each baseline says of each case."""
    common = commonest([case.due for case in train])
    return {
        "majority": [(common,) * SLOTS for _ in cases],
        "repeat_last": [(case.now,) * SLOTS for case in cases],
    }


def commonest(due: Sequence[Actions]) -> Held:
    """The keys that stand in most slots; of several the first by their word."""
    counts = Counter(keys for actions in due for keys in actions)
    return min(counts, key=lambda keys: (-counts[keys], word_of(keys)))
