"""Exact and near pairs: what prefix filtering finds is what comparing all with all finds."""

from __future__ import annotations

import random
import re
from itertools import combinations

import pytest

from scripts.lib import similar
from scripts.lib.leakage import (
    Pair,
    clusters,
    exact_pairs,
    jaccard,
    near_pairs,
    one_word_pairs,
    repeats,
    shingles,
    words,
)


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


def one_word_apart(first: list[str], second: list[str]) -> bool:
    """By trying every place."""
    if len(first) == len(second):
        return sum(a != b for a, b in zip(first, second, strict=True)) == 1
    short, long = sorted((first, second), key=len)
    return any(short == long[:at] + long[at + 1 :] for at in range(len(long)))


@pytest.mark.parametrize("seed", range(3))
def test_one_word_pairs_join_what_comparing_all_with_all_joins(seed: int) -> None:
    dice = random.Random(seed)
    different = sorted({tuple(dice.choices("abc", k=dice.randint(3, 7))) for _ in range(120)})
    texts = {f"t{number:03}": list(text) for number, text in enumerate(different)}
    brute = [
        (a, b)
        for a, b in combinations(texts, 2)
        if min(len(texts[a]), len(texts[b])) >= 5 and one_word_apart(texts[a], texts[b])
    ]
    found = one_word_pairs(texts, 5)
    assert {(pair.first, pair.second) for pair in found} <= set(brute)
    assert clusters(texts, found) == clusters(texts, brute)
    assert len(brute) > 10 and len(set(clusters(texts, brute).values())) > 20


@pytest.mark.parametrize("seed", range(3))
def test_pairs_across_sides_are_those_of_all_pairs(seed: int) -> None:
    texts = texts_with_near_copies(seed)
    dice = random.Random(seed)
    sides = {key: dice.choice(["train", "val", "test"]) for key in texts}
    every = [pair for pair in near_pairs(texts, 0.4) if sides[pair.first] != sides[pair.second]]
    assert near_pairs(texts, 0.4, sides=sides) == every and every


def test_one_word_pairs_across_sides_show_every_mixture() -> None:
    dice = random.Random(1)
    texts = {f"t{number:03}": dice.choices("ab", k=dice.randint(4, 6)) for number in range(60)}
    sides = {key: dice.choice(["train", "test"]) for key in texts}
    across = one_word_pairs(texts, 4, sides)
    assert all(sides[pair.first] != sides[pair.second] for pair in across)
    assert {pair[:2] for pair in across} <= {pair[:2] for pair in one_word_pairs(texts, 4)}
    cluster = clusters(texts, one_word_pairs(texts, 4))
    mixed = {name for name in cluster.values() if len({sides[key] for key in texts if cluster[key] == name}) > 1}
    assert {cluster[pair.first] for pair in across} == mixed and mixed


def test_one_word_pairs_by_hand() -> None:
    texts = {"a": "set a breakpoint at #", "b": "set a breakpoint on #", "c": "please set a breakpoint on #"}
    texts |= {"d": "set the breakpoints on #", "e": "step into", "f": "step over"}
    found = one_word_pairs({key: text.split() for key, text in texts.items()}, 5)
    assert found == [Pair("a", "b", 0.8), Pair("b", "c", pytest.approx(5 / 6))]


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


def test_repeats_name_the_first_of_equals() -> None:
    assert repeats({"d": 1, "a": 2, "b": 1, "c": 1, "e": 2}) == {"b": "d", "c": "d", "e": "a"}


@pytest.mark.parametrize("width", [1, 3, 5])
def test_texts_without_words_have_no_pairs_and_short_ones_are_compared_whole(width: int) -> None:
    assert near_pairs({}, 0.7, width) == near_pairs({"a": "", "b": "..."}, 0.7, width) == []
    assert near_pairs({"a": "Wait!", "b": "", "c": "wait", "d": "go"}, 0.7, width) == [Pair("a", "c", 1.0)]


def test_pairs_are_the_same_in_small_blocks_and_with_numbers_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = texts_with_near_copies(seed=9)
    whole = near_pairs(texts, 0.3)
    monkeypatch.setattr(similar, "BLOCK", 20)
    monkeypatch.setattr(similar, "LARGEST", 1000)
    assert near_pairs(texts, 0.3) == whole != []


@pytest.mark.parametrize(
    "text", ["It's 9 o'clock_now\x1f!", "a\tb\nc\x0bd\x1ce", "Zähl ÄÖ-ß: 3²", "".join(map(chr, range(300)))]
)
def test_words_are_those_of_the_pattern(text):
    assert words(text) == re.findall(r"\w+", text.lower())
