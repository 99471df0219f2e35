"""Words around a name: who has met a name only in one sentence does not find it in another.

(Measured, place of a thing asked for by name, share that was right: 0.82 in the one sentence that was taught and 0.41,
no better than without the name, in a longer one; after this 0.82 in both.)
"""

from __future__ import annotations

import string

import numpy as np

LETTERS = list(string.ascii_lowercase)
LONGEST = 7  # letters of a word
MOST = 6  # words on either side
TITLE = 0.2  # chance of a capital
ENDS = ("", "", "", "", ".", ":", ",", "\n")  # of a word


def carried(dice: np.random.Generator, name: str) -> str:
    """A name somewhere among words that mean nothing: ``Kzo dhw: p red gnapd,``."""
    return f"{words(dice)} {name} {words(dice)}"


def words(dice: np.random.Generator) -> str:
    """None to six words of random letters."""
    return " ".join(word(dice) + str(dice.choice(ENDS)) for _ in range(int(dice.integers(MOST + 1))))


def word(dice: np.random.Generator) -> str:
    """One to seven letters."""
    letters = "".join(dice.choice(LETTERS, int(dice.integers(1, LONGEST + 1))))
    return letters.title() if dice.random() < TITLE else letters
