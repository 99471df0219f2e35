"""All examples of a build: repeats taken out, what belongs together kept on one side, and the proof that it is.

Two instructions are compared with their values masked (``Read # bytes at #``): the same request with another address
is the same lesson. Equal masked texts are compared once, so that the exact search for near pairs stays quick.
Near are texts that share most runs of three words, and, because one exchanged word breaks most runs of a short
instruction, those of five words or more that are one word apart.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from scripts.lib.cli import UserError
from scripts.lib.files import canonical_json, digest
from scripts.lib.leakage import Pair, clusters, near_pairs, one_word_pairs, words
from scripts.lib.options.tools import ToolsCurateOptions
from scripts.lib.split import Group, split_groups
from scripts.tools.examples import Example, Fault

SHINGLE = 3  # words: instructions are short
ONE_WORD_FROM = 5  # words: of fewer, the one that differs is half of what is said ("step into", "step over")
VALUE = re.compile(r"\b(?:0x[0-9a-f]+|\d[\w:.]*)|\$[0-9a-f:]+|\b[0-9a-f]{2}(?: [0-9a-f]{2})+\b")  # in lower case
MASKED = re.compile(r"[\w#]+")


@dataclass
class Pool:
    """Examples by id after the repeats fell, and what fell."""

    examples: dict[str, Example] = field(default_factory=dict)
    masked: dict[str, str] = field(default_factory=dict)
    duplicates: list[Fault] = field(default_factory=list)
    near_duplicates: list[Fault] = field(default_factory=list)


def mask(text: str) -> str:
    """The words of an instruction in lower case, a ``#`` for every value."""
    return " ".join(MASKED.findall(VALUE.sub(" # ", text.lower())))


def content_of(example: Example) -> bytes:
    """What an example teaches, as one key: everything said and called, in order."""
    return _key([[step.role, step.text and words(step.text), step.calls] for step in example.steps])


def calls_of(example: Example) -> bytes:
    """All that the assistant does, as one key."""
    return _key([step.calls or words(step.text) for step in example.steps if step.role == "assistant"])


def _key(value: Any) -> bytes:
    """The same for equal JSON values only; within a process, `digest` is for what is written."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # a whole number of more than 64 bits
        text = canonical_json(value).encode()
    return hashlib.blake2b(text, digest_size=16).digest()


def make_pool(examples: Sequence[Example], options: ToolsCurateOptions) -> tuple[Pool, list[Pair]]:
    """The pool, and the near pairs among its distinct masked texts (keys of a pair are masked texts)."""
    pool = Pool()
    first: dict[bytes, str] = {}
    for example in sorted(examples, key=lambda one: one.id):
        same = first.setdefault(content_of(example), example.id)
        if same != example.id:
            pool.duplicates.append(Fault(example.source, "duplicate", f"{example.id} says and calls what {same} does."))
            continue
        pool.examples[example.id] = example
        pool.masked[example.id] = mask(example.instruction)
    texts = {text: text for text in pool.masked.values()}
    pairs = near_pairs(texts, min(options.near_threshold, options.drop_threshold), SHINGLE)
    drop_near(pool, pairs, options.drop_threshold)
    return pool, with_one_word_apart([pair for pair in pairs if pair.similarity >= options.near_threshold], texts)


def with_one_word_apart(
    pairs: Iterable[Pair], texts: Iterable[str], sides: Mapping[str, str] | None = None
) -> list[Pair]:
    """Near pairs of masked texts and those that differ by a single word, each pair once."""
    apart = one_word_pairs({text: text.split() for text in texts}, ONE_WORD_FROM, sides)
    return sorted({(pair.first, pair.second): pair for pair in [*apart, *pairs]}.values())


def drop_near(pool: Pool, pairs: Sequence[Pair], threshold: float) -> None:
    """Drops the later of two examples that call the same and are phrased almost the same."""
    by_text = _by_text(pool)
    close = [(pair.first, pair.second) for pair in pairs if pair.similarity >= threshold]
    same = clusters(by_text, close)
    members = Counter(same[text] for text in pool.masked.values())
    first: dict[tuple[str, bytes], str] = {}
    for name in sorted(pool.examples):
        cluster = same[pool.masked[name]]
        if members[cluster] == 1:
            continue
        example = pool.examples[name]
        known = first.setdefault((cluster, calls_of(example)), name)
        if known != name:
            message = f"{name} calls the same as {known} and is phrased almost as it is."
            pool.near_duplicates.append(Fault(example.source, "near_duplicate", message))
            del pool.examples[name], pool.masked[name]


def _by_text(pool: Pool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name, text in pool.masked.items():
        found[text].append(name)
    return found


def group(pool: Pool, pairs: Sequence[Pair]) -> dict[str, str]:
    """The group of each example: joined are those of one template, of one masked text, and of near texts."""
    texts = set(pool.masked.values())
    joined = clusters(sorted(texts), [pair for pair in pairs if pair.first in texts and pair.second in texts])
    templates: dict[str, str] = {}
    links = []
    for name, example in sorted(pool.examples.items()):
        own = joined[pool.masked[name]]
        if example.template is not None:
            links.append((templates.setdefault(example.template, own), own))
    whole = clusters(joined.values(), links)
    return {name: whole[joined[text]] for name, text in pool.masked.items()}


def split(pool: Pool, groups: Mapping[str, str], options: ToolsCurateOptions) -> dict[str, str]:
    """The split of each example; a group's stratum is the first tool and difficulty of its first example."""
    members: dict[str, list[str]] = defaultdict(list)
    for name in sorted(groups):
        members[groups[name]].append(name)
    drawn = {key: Group(digest(key), stratum(pool.examples[names[0]])) for key, names in members.items()}
    sides = split_groups(drawn, options.val_share, options.test_share, options.seed)
    return {name: sides[key] for name, key in groups.items()}


def stratum(example: Example) -> str:
    """What must not be missing from a split: first tool (or kind, without calls) and difficulty."""
    calls = example.calls
    return f"{calls[0][0] if calls else example.kind}/{example.difficulty}"


def exact_leaks(pool: Pool, names: Sequence[str], sides: Mapping[str, str]) -> list[tuple[str, str]]:
    """Examples on another side than the first one that says and calls the same."""
    first: dict[bytes, str] = {}
    pairs = [(first.setdefault(content_of(pool.examples[name]), name), name) for name in names]
    return [(known, name) for known, name in pairs if sides[known] != sides[name]]


def prove(pool: Pool, sides: Mapping[str, str], threshold: float) -> dict[str, int]:
    """Counts pairs across splits, exact (content) and near (masked text), afresh from the examples; both must be 0.

    Raises:
        UserError: they are not; it names the pairs.
    """
    leaks: dict[str, list[tuple[str, str]]] = {"exact": [], "near": []}
    holders: dict[str, list[str]] = defaultdict(list)
    for name in sorted(pool.examples):
        holders[pool.masked[name]].append(name)
    for names in holders.values():
        if len({sides[name] for name in names}) > 1:
            leaks["near"] += [(names[0], name) for name in names[1:] if sides[name] != sides[names[0]]]
            leaks["exact"] += exact_leaks(pool, names, sides)  # what is the same throughout has the same masked text
    where = {text: sides[names[0]] for text, names in holders.items()}
    texts = {text: text for text in holders}
    for pair in with_one_word_apart(near_pairs(texts, threshold, SHINGLE, where), holders, where):
        leaks["near"].append((holders[pair.first][0], holders[pair.second][0]))
    if leaks["exact"] or leaks["near"]:
        shown = "; ".join(f"{a} ({sides[a]}) and {b} ({sides[b]})" for a, b in [*leaks["exact"], *leaks["near"]][:5])
        raise UserError(
            f"{len(leaks['exact'])} exact and {len(leaks['near'])} near pairs lie across splits: {shown}. "
            "Delete one of each pair, or give both the same template."
        )
    return {kind: len(pairs) for kind, pairs in leaks.items()}
