"""The peer of `benchmarks.curate`: the same steps with `datasets.map` and datasketch's MinHashLSH.

How values are masked, what a cluster is and how groups are drawn are the project's own functions on both sides. Near
texts are LSH's candidates, filtered by the estimated similarity as datasketch advises. It is kept quick: batches, every
core, orjson, bulk signatures, made once and used for the proof as well.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import datasets
import fastjsonschema
import jsonschema
import orjson
import xxhash
from datasketch import LeanMinHash, MinHash, MinHashLSH

from scripts.lib.files import digest
from scripts.lib.leakage import clusters, shingles, words
from scripts.lib.split import Group, split_groups
from scripts.tools.keys import mask
from scripts.tools.options import ToolsCurateOptions
from scripts.tools.pool import SHINGLE
from scripts.tools.schema import load_schema

FORMATS = {"0xHHHHHH": r"^0x[0-9A-Fa-f]{1,6}\Z", "hex-bytes": r"^[0-9A-Fa-f]{2}( [0-9A-Fa-f]{2})*\Z"}
PERMUTATIONS, SEED = 128, 1
Columns = dict[str, list[Any]]


def curate(
    file: Path, schema: Path, options: ToolsCurateOptions, cache: Path, cores: int, tuned: bool
) -> tuple[int, int, int, int, dict[str, str], dict[str, str], dict[str, int]]:
    """From the file to proven splits: bad rows, repeats, near repeats, texts, groups, sides, leaks.

    ``tuned`` compiles the validators, signs equal texts once and hashes by xxhash.
    """
    datasets.disable_progress_bars()
    read = datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(cache))
    named = {"schema": schema, "tuned": tuned}
    rows = read.map(checked, batched=True, num_proc=cores, remove_columns=read.column_names, fn_kwargs=named)
    kept = without_repeats(rows.to_dict())
    sketches = dict(signed(dict(zip(kept["key"], kept["text"], strict=True)), cores, tuned))
    index = MinHashLSH(threshold=ToolsCurateOptions().near_threshold, num_perm=PERMUTATIONS)
    for key, sketch in sketches.items():
        index.insert(key, sketch, check_duplication=False)
    pairs = list(near_pairs(index, sketches, sorted(sketches), options.near_threshold))
    left = without_near(kept, pairs, options.drop_threshold)
    groups = grouped(left, pairs)
    sides = split(left, groups, options)
    leaks = {"exact": crossing(left["content"], left["id"], sides)}
    leaks["near"] = near_crossing(left, sides, index, sketches, options.near_threshold)
    counts = [len(read) - len(rows), len(rows) - len(kept["id"]), len(kept["id"]) - len(left["id"])]
    return *counts, len(set(left["text"])), groups, sides, leaks


@functools.cache
def validators(schema: Path, tuned: bool) -> dict[str, Callable[[Any], Any]]:
    """By tool a function that raises an error at wrong arguments; made once a process, as it cannot be pickled."""
    checker = jsonschema.FormatChecker(formats=())
    for name, pattern in FORMATS.items():
        checker.checks(name)(lambda value, pattern=pattern: re.search(pattern, value) is not None)
    compiled: dict[str, Callable[[Any], Any]] = {}
    for name, tool in load_schema(schema).items():
        form = {**tool.definition()["function"]["parameters"], "additionalProperties": False}
        if tuned:
            compiled[name] = fastjsonschema.compile(form, formats=FORMATS)
        else:
            compiled[name] = jsonschema.Draft202012Validator(form, format_checker=checker).validate
    return compiled


def is_valid(calls: Iterable[tuple[str, Any]], tools: Mapping[str, Callable[[Any], Any]]) -> bool:
    """Whether every call names a tool and its arguments keep that tool's schema."""
    try:
        for name, arguments in calls:
            tools[name](arguments)
    except (KeyError, jsonschema.ValidationError, fastjsonschema.JsonSchemaException):
        return False
    return True


def checked(batch: Columns, schema: Path, tuned: bool) -> Columns:
    """Valid rows as what the other steps compare: content, calls, masked text, template and stratum."""
    tools = validators(schema, tuned)
    columns: Columns = {name: [] for name in ("id", "key", "content", "calls", "text", "template", "stratum")}
    for messages, metadata in zip(batch["messages"], batch["metadata"], strict=True):
        steps = [step_of(message) for message in messages if message["role"] != "system"]
        calls = [call for _, _, made in steps for call in made]
        if not is_valid(calls, tools):
            continue
        first = calls[0][0] if calls else metadata["kind"]
        row = {"id": metadata["id"], "template": metadata["template"], "stratum": f"{first}/{metadata['difficulty']}"}
        row |= {"content": hashed(steps), "text": mask(messages[0]["content"])}
        row |= {"calls": hashed([made or text for role, text, made in steps if role == "assistant"])}
        for name, value in {**row, "key": row["text" if tuned else "id"]}.items():
            columns[name].append(value)
    return columns


def step_of(message: dict[str, Any]) -> tuple[str, list[str], list[tuple[str, Any]]]:
    """Role, words and calls of a message."""
    functions = [call["function"] for call in message.get("tool_calls") or []]
    calls = [(function["name"], orjson.loads(function["arguments"])) for function in functions]
    return message["role"], words(message["content"] or ""), calls


def hashed(value: Any) -> str:
    """A short name for a JSON value."""
    return xxhash.xxh3_128_hexdigest(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


def taken(rows: Columns, places: Iterable[int]) -> Columns:
    """Some rows, in the order of the places."""
    places = list(places)
    return {name: [values[place] for place in places] for name, values in rows.items()}


def without_repeats(rows: Columns) -> Columns:
    """The first of each content by id, in the order of ids."""
    first: dict[str, int] = {}
    for place in sorted(range(len(rows["id"])), key=rows["id"].__getitem__):
        first.setdefault(rows["content"][place], place)
    return taken(rows, first.values())


def signatures(batch: Columns, tuned: bool) -> Columns:
    """MinHash values of each text's shingles."""
    sets = [[" ".join(words).encode() for words in shingles(text, SHINGLE)] for text in batch["text"]]
    hashfunc = xxhash.xxh32_intdigest if tuned else None
    made = MinHash.generator(sets, num_perm=PERMUTATIONS, seed=SEED, hashfunc=hashfunc)
    return {"values": [sketch.hashvalues for sketch in made]}


def signed(texts: Mapping[str, str], cores: int, tuned: bool) -> Iterator[tuple[str, LeanMinHash]]:
    """Each key with its text's sketch."""
    rows = datasets.Dataset.from_dict({"key": list(texts), "text": list(texts.values())})
    named = {"tuned": tuned}
    rows = rows.map(signatures, batched=True, num_proc=cores, remove_columns=["text"], fn_kwargs=named)
    for batch in rows.with_format("numpy").iter(1000):
        for key, values in zip(batch["key"], batch["values"], strict=True):
            yield str(key), LeanMinHash(seed=SEED, hashvalues=values, scheme="affine32")


def near_pairs(
    index: MinHashLSH, sketches: Mapping[str, LeanMinHash], asked: Iterable[str], threshold: float
) -> Iterator[tuple[str, str, float]]:
    """Candidates of the index whose estimated similarity is high enough; each pair of asked keys once."""
    done: set[str] = set()
    for key in asked:
        done.add(key)
        for other in index.query(sketches[key]):
            if other not in done and (similarity := sketches[key].jaccard(sketches[other])) >= threshold:
                yield key, other, similarity


def without_near(rows: Columns, pairs: Iterable[tuple[str, str, float]], threshold: float) -> Columns:
    """Drops the later of two rows that call the same and are phrased almost the same."""
    same = clusters(set(rows["key"]), [pair for pair in pairs if pair[2] >= threshold])
    first: dict[tuple[str, str], int] = {}
    for place, key in enumerate(rows["key"]):
        first.setdefault((same[key], rows["calls"][place]), place)
    return taken(rows, first.values())


def grouped(rows: Columns, pairs: Iterable[tuple[str, str, float]]) -> dict[str, str]:
    """The group of each row by id: joined by near texts and by templates."""
    keys = set(rows["key"])
    links = [(key, other) for key, other, _ in pairs if key in keys and other in keys]
    first: dict[str, str] = {}
    for key, template in zip(rows["key"], rows["template"], strict=True):
        if template is not None:
            links.append((first.setdefault(template, key), key))
    joined = clusters(keys, links)
    return {name: joined[key] for name, key in zip(rows["id"], rows["key"], strict=True)}


def split(rows: Columns, groups: Mapping[str, str], options: ToolsCurateOptions) -> dict[str, str]:
    """The split of each row by id."""
    drawn: dict[str, Group] = {}
    for name, stratum_name in zip(rows["id"], rows["stratum"], strict=True):
        drawn.setdefault(groups[name], Group(digest(groups[name]), stratum_name))
    sides = split_groups(drawn, options.val_share, options.test_share, options.seed)
    return {name: sides[key] for name, key in groups.items()}


def crossing(values: list[str], names: list[str], sides: Mapping[str, str]) -> int:
    """Values that stand on two sides."""
    first: dict[str, str] = {}
    return sum(sides[first.setdefault(value, name)] != sides[name] for value, name in zip(values, names, strict=True))


def near_crossing(
    rows: Columns, sides: Mapping[str, str], index: MinHashLSH, sketches: Mapping[str, LeanMinHash], threshold: float
) -> int:
    """Near pairs across splits: one of the two lies in val or test, so only those are asked for."""
    held: dict[str, set[str]] = defaultdict(set)
    for name, key in zip(rows["id"], rows["key"], strict=True):
        held[key].add(sides[name])
    asked = [key for key, splits in held.items() if splits != {"train"}]
    pairs = near_pairs(index, sketches, asked, threshold)
    across = sum(other in held and held[key] != held[other] for key, other, _ in pairs)
    return across + sum(len(splits) > 1 for splits in held.values())
