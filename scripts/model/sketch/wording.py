"""Words around a name: a model trained on a name in one sentence does not recognise it in another.

(Measured on 128 rooms, share of correct places: 0.84 in the sentence of training and 0.41 in a longer one; after 400
more steps with this wording 0.82 in both.)
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
    """A name between none to six random words on each side: ``Kzo dhw: p red gnapd,``."""
    return f"{words(dice)} {name} {words(dice)}"


def words(dice: np.random.Generator) -> str:
    """None to six words of one to seven random letters."""
    drawn = []
    for _ in range(int(dice.integers(MOST + 1))):
        letters = "".join(dice.choice(LETTERS, int(dice.integers(1, LONGEST + 1))))
        word = letters.title() if dice.random() < TITLE else letters
        drawn.append(word + str(dice.choice(ENDS)))
    return " ".join(drawn)
