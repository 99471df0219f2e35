"""Exact and near pairs: what prefix filtering finds is what comparing all with all finds."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from scripts.lib.leakage import Pair, across, clusters, exact_pairs, jaccard, near_pairs, shingles


def texts_with_near_copies(seed: int) -> dict[str, str]:
    dice = random.Random(seed)
    vocabulary = [f"w{number}" for number in range(40)]
    texts = {}
    for number in range(30):
        words = [dice.choice(vocabulary) for _ in range(dice.randint(3, 60))]
        texts[f"t{number:02}"] = " ".join(words)
        for _ in range(dice.randint(0, 3)):
            words[dice.randrange(len(words))] = dice.choice(vocabulary)
        texts[f"t{number:02} copy"] = " ".join(words)
    return texts


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_prefix_filtering_is_exact(seed: int, threshold: float) -> None:
    texts = texts_with_near_copies(seed)
    sets = {key: shingles(text) for key, text in texts.items()}
    brute = [
        Pair(a, b, jaccard(sets[a], sets[b]))
        for a, b in combinations(sorted(texts), 2)
        if jaccard(sets[a], sets[b]) >= threshold
    ]
    assert near_pairs(texts, threshold) == brute
    assert len(brute) > 3


def test_similarity_by_hand() -> None:
    first = shingles("a b c d e f g")  # abcde bcdef cdefg
    second = shingles("A, b c; d e f X")  # abcde bcdef cdefx
    assert jaccard(first, second) == pytest.approx(2 / 4)
    assert shingles("too short") == {("too", "short")}
    assert jaccard(shingles(""), shingles("")) == 0


def test_exact_pairs_ignore_case_and_punctuation() -> None:
    texts = {"a": "The door opens.", "b": "the door -- OPENS", "c": "the door shuts", "d": "The door opens!"}
    assert exact_pairs(texts) == [("a", "b", 1.0), ("a", "d", 1.0)]


def test_clusters_join_through_others() -> None:
    assert clusters("abcdef", [("b", "a"), ("c", "b"), ("e", "f")]) == {
        "a": "a", "b": "a", "c": "a", "d": "d", "e": "e", "f": "e",
    }  # fmt: skip


def test_only_pairs_across_splits_are_leaks() -> None:
    pairs = [Pair("a", "b", 0.9), Pair("a", "c", 0.8)]
    assert across(pairs, {"a": "train", "b": "train", "c": "test"}) == [Pair("a", "c", 0.8)]
