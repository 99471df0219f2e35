"""All examples of a build: repeats removed, related examples kept in one split, and the check of the split.

Instructions are compared with their values masked (``read # bytes``), equal ones once. Near duplicates are texts that
share most runs of three words, and texts of five words or more that are one word apart, because one exchanged word
breaks most runs of a short instruction.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scripts.lib.curation import check_no_leakage
from scripts.lib.files import digest
from scripts.lib.leakage import Pair, clusters, near_pairs, one_word_pairs, repeats
from scripts.lib.split import Group, split_groups
from scripts.lib.workers import Workers
from scripts.tools.examples import Example, Fault
from scripts.tools.keys import calls_of, content_of
from scripts.tools.options import ToolsCurateOptions
from scripts.tools.valid import Keyed

SHINGLE = 3  # words: instructions are short
ONE_WORD_FROM = 5  # words; in a shorter text the word that differs is half of the request ("step into", "step over")


@dataclass
class Pool:
    """Examples by id without repeats, their masked texts, and the repeats."""

    examples: dict[str, Example] = field(default_factory=dict)
    masked: dict[str, str] = field(default_factory=dict)
    duplicates: list[Fault] = field(default_factory=list)
    near_duplicates: list[Fault] = field(default_factory=list)


def make_pool(
    examples: Sequence[Keyed], options: ToolsCurateOptions, workers: Workers | None = None
) -> tuple[Pool, list[Pair]]:
    """The pool, and the near pairs among its distinct masked texts (keys of a pair are masked texts)."""
    pool = Pool()
    ordered = sorted(examples, key=lambda row: row.example.id)
    copies = repeats({row.example.id: row.content for row in ordered})
    for example, _, masked in ordered:
        if example.id in copies:
            message = f"{example.id} says and calls the same as {copies[example.id]}."
            pool.duplicates.append(Fault(example.source, "duplicate", message))
        else:
            pool.examples[example.id], pool.masked[example.id] = example, masked
    texts = sorted(set(pool.masked.values()))
    apart = (workers or Workers(False)).start(_one_word_pairs, texts, None)
    near = near_pairs(run_words(texts), min(options.near_threshold, options.drop_threshold), SHINGLE)
    drop_near(pool, near, options.drop_threshold)
    return pool, merged(apart(), [pair for pair in near if pair.similarity >= options.near_threshold])


def run_words(masked: Iterable[str]) -> dict[str, list[str]]:
    """The words of masked texts whose runs are compared; a masked value is none of them."""
    return {text: text.replace("#", " ").split() for text in masked}


def _one_word_pairs(texts: Sequence[str], sides: Mapping[str, str] | None) -> list[Pair]:
    return one_word_pairs({text: text.split() for text in texts}, ONE_WORD_FROM, sides)


def merged(apart: Iterable[Pair], near: Iterable[Pair]) -> list[Pair]:
    """Each pair once; of a pair that is near in both ways the second similarity stays."""
    return sorted({(pair.first, pair.second): pair for pair in [*apart, *near]}.values())


def drop_near(pool: Pool, pairs: Sequence[Pair], threshold: float) -> None:
    """Drops the later of two examples that call the same and are phrased almost the same."""
    close = [(pair.first, pair.second) for pair in pairs if pair.similarity >= threshold]
    same = clusters(pool.masked.values(), close)
    members = Counter(same[text] for text in pool.masked.values())
    first: dict[tuple[str, bytes], str] = {}
    for name, example in list(pool.examples.items()):
        cluster = same[pool.masked[name]]
        if members[cluster] == 1:
            continue
        known = first.setdefault((cluster, calls_of(example)), name)
        if known != name:
            message = f"{name} calls the same as {known} and is phrased almost the same."
            pool.near_duplicates.append(Fault(example.source, "near_duplicate", message))
            del pool.examples[name], pool.masked[name]


def group(pool: Pool, pairs: Sequence[Pair]) -> dict[str, str]:
    """The group of each example: examples of one template, of one masked text, or of near texts are joined."""
    texts = set(pool.masked.values())
    links = {(pair.first, pair.second) for pair in pairs if pair.first in texts and pair.second in texts}
    first: dict[str, str] = {}
    for name, example in pool.examples.items():
        if example.template is not None:
            text = pool.masked[name]
            links.add((first.setdefault(example.template, text), text))
    joined = clusters(texts, links)
    return {name: joined[text] for name, text in pool.masked.items()}


def split(pool: Pool, groups: Mapping[str, str], options: ToolsCurateOptions) -> dict[str, str]:
    """The split of each example.

    A group's stratum is that of its first example: first tool (or kind, without calls) and difficulty.
    """
    drawn: dict[str, Group] = {}
    for name in sorted(groups):
        if groups[name] not in drawn:
            example = pool.examples[name]
            stratum = f"{example.calls[0][0] if example.calls else example.kind}/{example.difficulty}"
            drawn[groups[name]] = Group(digest(groups[name]), stratum)
    sides = split_groups(drawn, options.val_share, options.test_share, options.seed)
    return {name: sides[key] for name, key in groups.items()}


def prove(pool: Pool, sides: Mapping[str, str], threshold: float, workers: Workers | None = None) -> dict[str, int]:
    """Counts of pairs across splits, exact (content) and near (masked text), searched again; both are 0.

    Raises:
        UserError: there are such pairs; it names them.
    """
    holders: dict[str, list[str]] = defaultdict(list)
    for name in sorted(pool.examples):
        holders[pool.masked[name]].append(name)
    where = {text: sides[names[0]] for text, names in holders.items()}
    apart = (workers or Workers(False)).start(_one_word_pairs, list(holders), where)
    near = near_pairs(run_words(holders), threshold, SHINGLE, where)
    # Examples of equal content have the same masked text.
    mixed = [names for names in holders.values() if len({sides[name] for name in names}) > 1]
    copies = [repeats({name: content_of(pool.examples[name]) for name in names}) for names in mixed]
    pairs = {
        "exact": [(first, name) for same in copies for name, first in same.items()],
        "near": [
            *((names[0], name) for names in mixed for name in names[1:]),
            *((holders[pair.first][0], holders[pair.second][0]) for pair in merged(apart(), near)),
        ],
    }
    return check_no_leakage(pairs, sides, "Delete one of each pair, or give both the same template.")
