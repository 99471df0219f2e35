"""Which specialist an instruction is for, from the instructions each was trained on: no model, a millisecond.

A multinomial naive Bayes over words and pairs of neighbouring words, every specialist equally likely beforehand. Naive
Bayes counts words that always come together as separate proof and so is far too sure of itself; a temperature,
fitted on held-out parts of the same phrases, takes that back.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

SMOOTHING = 0.5
FOLDS = 5
TEMPERATURES = np.geomspace(0.5, 100, 60)
# What differs from one instruction to the next without telling anything: file names, addresses, numbers.
KINDS = (
    (re.compile(r"[\w./\\~-]*\w\.[a-z][a-z0-9]{1,4}\b"), " filename "),
    (re.compile(r"(?:0x|\$)[0-9a-f:]+"), " address "),
    (re.compile(r"\d+"), " number "),
)
WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Choice:
    """The router's opinion of one instruction.

    Attributes:
        name: the likeliest specialist.
        shares: likelihood by specialist, summing to 1.
        known: how much of the instruction the phrases ever mentioned, 0 to 1; rare words weigh more.
    """

    name: str
    shares: dict[str, float]
    known: float

    @property
    def confidence(self) -> float:
        """0 to 1; low where specialists tie and where the words are strange to all of them."""
        return self.shares[self.name] * self.known


def words_of(text: str) -> list[str]:
    """Lower-case words; file names, addresses and numbers as one word each."""
    text = text.lower()
    for pattern, word in KINDS:
        text = pattern.sub(word, text)
    return WORD.findall(text)


def features_of(text: str) -> set[str]:
    """Words and pairs of neighbouring words."""
    words = words_of(text)
    return {*words, *(f"{one} {two}" for one, two in pairwise(words))}


class Router:
    """Learns from phrases by specialist; a specialist without phrases is never preferred."""

    def __init__(self, phrases: Mapping[str, Sequence[str]]) -> None:
        self.names = list(phrases)
        rows = [(features_of(text), index) for index, name in enumerate(self.names) for text in phrases[name]]
        self._table = _Table(rows, len(self.names))
        self._document_counts = Counter(feature for features, _ in rows for feature in features)
        self._rows = len(rows)
        self.temperature = _fit_temperature(rows, len(self.names))

    def choose(self, instruction: str) -> Choice:
        """The specialist for an instruction."""
        shares = _softmax(self._table.scores(features_of(instruction)) / self.temperature)
        best = int(shares.argmax())
        named = {name: float(share) for name, share in zip(self.names, shares, strict=True)}
        return Choice(self.names[best], named, self._known(instruction))

    def _known(self, instruction: str) -> float:
        words = set(words_of(instruction))
        weights = {word: math.log((self._rows + 2) / (self._document_counts[word] + 1)) for word in words}
        total = sum(weights.values())
        return sum(weights[word] for word in words if self._document_counts[word]) / total if total else 0.0


def accuracy(router: Router, cases: Sequence[tuple[str, str]]) -> float:
    """The share of (instruction, specialist) pairs that the router gets right; 0 where there are none."""
    return sum(router.choose(text).name == name for text, name in cases) / max(1, len(cases))


class _Table:
    """Log-likelihoods [specialists, features]."""

    def __init__(self, rows: Sequence[tuple[set[str], int]], classes: int) -> None:
        self.columns = {feature: at for at, feature in enumerate(sorted(set().union(*(row for row, _ in rows))))}
        counts = np.full((classes, len(self.columns)), SMOOTHING)
        for features, index in rows:
            counts[index, [self.columns[feature] for feature in features]] += 1
        self.logs = np.log(counts / counts.sum(axis=1, keepdims=True)) if self.columns else counts

    def scores(self, features: set[str]) -> np.ndarray:
        """[specialists]: summed logs of the features seen before; zeros where there are none."""
        known = [self.columns[feature] for feature in features if feature in self.columns]
        return self.logs[:, known].sum(axis=1)


def _fit_temperature(rows: Sequence[tuple[set[str], int]], classes: int) -> float:
    """The temperature under which held-out phrases are likeliest."""
    held: list[tuple[np.ndarray, int]] = []
    for fold in range(FOLDS):
        table = _Table([row for at, row in enumerate(rows) if at % FOLDS != fold], classes)
        held += [(table.scores(features), index) for features, index in rows[fold::FOLDS]]
    if not held:
        return 1.0
    scores, right = np.stack([score for score, _ in held]), np.array([index for _, index in held])
    losses = [-np.log(_softmax(scores / t)[np.arange(len(right)), right]).mean() for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def _softmax(values: np.ndarray) -> np.ndarray:
    """Shares along the last axis, none of them zero."""
    powers = np.exp(np.maximum(values - values.max(axis=-1, keepdims=True), -700))
    return powers / powers.sum(axis=-1, keepdims=True)
