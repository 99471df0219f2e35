"""All examples of a build: repeats taken out, what belongs together kept on one side, and the proof that it is.

Instructions are compared with their values masked, equal ones once, so that the exact search for near pairs stays
quick. Near are texts that share most runs of three words, and, because one exchanged word breaks most runs of a short
instruction, those of five words or more that are one word apart.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scripts.lib.cli import UserError
from scripts.lib.files import digest
from scripts.lib.leakage import Pair, clusters, near_pairs, one_word_pairs
from scripts.lib.split import Group, split_groups
from scripts.lib.workers import Workers
from scripts.tools.examples import Example, Fault
from scripts.tools.keys import calls_of, content_of
from scripts.tools.options import ToolsCurateOptions
from scripts.tools.valid import Keyed

SHINGLE = 3  # words: instructions are short
ONE_WORD_FROM = 5  # words: of fewer, the one that differs is half of what is said ("step into", "step over")


@dataclass
class Pool:
    """Examples by id after the repeats fell, and what fell."""

    examples: dict[str, Example] = field(default_factory=dict)
    masked: dict[str, str] = field(default_factory=dict)
    duplicates: list[Fault] = field(default_factory=list)
    near_duplicates: list[Fault] = field(default_factory=list)


def make_pool(
    examples: Sequence[Keyed], options: ToolsCurateOptions, workers: Workers | None = None
) -> tuple[Pool, list[Pair]]:
    """The pool, and the near pairs among its distinct masked texts (keys of a pair are masked texts)."""
    pool = Pool()
    first: dict[bytes, str] = {}
    for example, content, masked in sorted(examples, key=lambda one: one.example.id):
        same = first.setdefault(content, example.id)
        if same != example.id:
            pool.duplicates.append(Fault(example.source, "duplicate", f"{example.id} says and calls what {same} does."))
            continue
        pool.examples[example.id], pool.masked[example.id] = example, masked
    texts = sorted(set(pool.masked.values()))
    apart = start_one_word_pairs(texts, workers)
    pairs = near_pairs(said_words(texts), min(options.near_threshold, options.drop_threshold), SHINGLE)
    drop_near(pool, pairs, options.drop_threshold)
    return pool, merged(apart(), [pair for pair in pairs if pair.similarity >= options.near_threshold])


def said_words(masked: Iterable[str]) -> dict[str, list[str]]:
    """The words of masked texts; a masked value is none."""
    return {text: text.replace("#", " ").split() for text in masked}


def start_one_word_pairs(
    texts: Collection[str], workers: Workers | None, sides: Mapping[str, str] | None = None
) -> Callable[[], list[Pair]]:
    """What waits for the pairs of masked texts that differ by a single word."""
    given = [*texts], sides
    return workers.start(_one_word_pairs, *given) if workers else lambda: _one_word_pairs(*given)


def _one_word_pairs(texts: Sequence[str], sides: Mapping[str, str] | None) -> list[Pair]:
    return one_word_pairs({text: text.split() for text in texts}, ONE_WORD_FROM, sides)


def merged(apart: Iterable[Pair], near: Iterable[Pair]) -> list[Pair]:
    """Each pair once; of one that is near both ways the second similarity stays."""
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
            message = f"{name} calls the same as {known} and is phrased almost as it is."
            pool.near_duplicates.append(Fault(example.source, "near_duplicate", message))
            del pool.examples[name], pool.masked[name]


def group(pool: Pool, pairs: Sequence[Pair]) -> dict[str, str]:
    """The group of each example: joined are those of one template, of one masked text, and of near texts."""
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


def prove(pool: Pool, sides: Mapping[str, str], threshold: float, workers: Workers | None = None) -> dict[str, int]:
    """Counts pairs across splits, exact (content) and near (masked text), afresh from the examples; both must be 0.

    Raises:
        UserError: they are not; it names the pairs.
    """
    leaks: dict[str, list[tuple[str, str]]] = {"exact": [], "near": []}
    holders: dict[str, list[str]] = defaultdict(list)
    for name in sorted(pool.examples):
        holders[pool.masked[name]].append(name)
    where = {text: sides[names[0]] for text, names in holders.items()}
    apart = start_one_word_pairs(holders, workers, where)
    for names in holders.values():
        if len({sides[name] for name in names}) > 1:
            leaks["near"] += [(names[0], name) for name in names[1:] if sides[name] != sides[names[0]]]
            leaks["exact"] += exact_leaks(pool, names, sides)  # what is the same throughout has the same masked text
    near = near_pairs(said_words(holders), threshold, SHINGLE, where)
    for pair in merged(apart(), near):
        leaks["near"].append((holders[pair.first][0], holders[pair.second][0]))
    if leaks["exact"] or leaks["near"]:
        shown = "; ".join(f"{a} ({sides[a]}) and {b} ({sides[b]})" for a, b in [*leaks["exact"], *leaks["near"]][:5])
        raise UserError(
            f"{len(leaks['exact'])} exact and {len(leaks['near'])} near pairs lie across splits: {shown}. "
            "Delete one of each pair, or give both the same template."
        )
    return {kind: len(pairs) for kind, pairs in leaks.items()}
