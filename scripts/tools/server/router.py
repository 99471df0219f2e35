"""Classifies an instruction by specialist, from the training instructions of each, in about a millisecond.

The classifier is a multinomial naive Bayes over words and word pairs with a uniform prior (Manning, Raghavan and
Schuetze 2008, Introduction to Information Retrieval, chapter 13). For specialist c and an instruction's features f::

    score(c) = sum over f of log((count(c, f) + SMOOTHING) / sum over g of (count(c, g) + SMOOTHING))
    share(c) = softmax(score / temperature)(c)

Naive Bayes counts correlated words as independent evidence and is overconfident; the temperature, fitted on held-out
phrases, corrects this (Guo et al. 2017, https://arxiv.org/abs/1706.04599).
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
# Parts of an instruction that do not depend on the specialist: file names, addresses, numbers.
KINDS = (
    (re.compile(r"[\w./\\~-]*\w\.[a-z][a-z0-9]{1,4}\b"), " filename "),
    (re.compile(r"(?:0x|\$)[0-9a-f:]+"), " address "),
    (re.compile(r"\d+"), " number "),
)
WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Choice:
    """The classification of one instruction.

    Attributes:
        name: the likeliest specialist.
        shares: probability by specialist; they sum to 1.
        known: the fraction of the instruction's words that occur in the phrases, 0 to 1, weighted by inverse document
            frequency.
    """

    name: str
    shares: dict[str, float]
    known: float

    @property
    def confidence(self) -> float:
        """0 to 1; low if specialists are equally likely, and if no specialist was trained on the words."""
        return self.shares[self.name] * self.known


def words_of(text: str) -> list[str]:
    """Lower-case words; a file name, address or number becomes the word for its kind."""
    text = text.lower()
    for pattern, word in KINDS:
        text = pattern.sub(word, text)
    return WORD.findall(text)


def features_of(text: str) -> set[str]:
    """Words and pairs of neighbouring words."""
    words = words_of(text)
    return {*words, *map(" ".join, pairwise(words))}


class Router:
    """The classifier, fitted on phrases by specialist; a specialist without phrases is never preferred."""

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
        words = set(words_of(instruction))
        weights = {word: math.log((self._rows + 2) / (self._document_counts[word] + 1)) for word in words}
        known = sum(weights[word] for word in words if self._document_counts[word])
        return Choice(self.names[best], named, known / sum(weights.values()) if weights else 0.0)


class _Table:
    """Log-probabilities [specialists, features] of features that occur in the phrases.

    Args:
        rows: (features, index of the specialist) of each phrase.
        classes: number of specialists.
    """

    def __init__(self, rows: Sequence[tuple[set[str], int]], classes: int) -> None:
        self.columns = {feature: at for at, feature in enumerate(sorted(set().union(*(row for row, _ in rows))))}
        counts = np.full((classes, len(self.columns)), SMOOTHING)
        for features, index in rows:
            counts[index, [self.columns[feature] for feature in features]] += 1
        self.logs = np.log(counts / counts.sum(axis=1, keepdims=True)) if self.columns else counts

    def scores(self, features: set[str]) -> np.ndarray:
        """Summed log-probabilities of the known features, [specialists]; zeros if no feature is known."""
        known = [self.columns[feature] for feature in features if feature in self.columns]
        return self.logs[:, known].sum(axis=1)


def _fit_temperature(rows: Sequence[tuple[set[str], int]], classes: int) -> float:
    """The temperature with the lowest negative log-likelihood of held-out phrases (`FOLDS`-fold cross-validation)."""
    if not rows:
        return 1.0
    scores, labels = [], []
    for fold in range(FOLDS):
        table = _Table([row for at, row in enumerate(rows) if at % FOLDS != fold], classes)
        for features, label in rows[fold::FOLDS]:
            scores.append(table.scores(features))
            labels.append(label)
    each = np.arange(len(labels))
    losses = [-np.log(_softmax(np.stack(scores) / t)[each, labels]).mean() for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def _softmax(values: np.ndarray) -> np.ndarray:
    """The softmax along the last axis, without zeros."""
    powers = np.exp(np.maximum(values - values.max(axis=-1, keepdims=True), -700))
    return powers / powers.sum(axis=-1, keepdims=True)
