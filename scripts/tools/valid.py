"""From files to valid examples, each with its keys: row by row, in several processes where there are many rows."""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from scripts.lib.curation import quarantined, refuse_too_many_bad
from scripts.lib.workers import Workers
from scripts.tools.examples import NO_EXAMPLE, Example, Fault, Register, Source, Step, parsed, row_limit, rows
from scripts.tools.keys import content_of, mask
from scripts.tools.schema import Tool
from scripts.tools.validate import PlainTests, canonical, faults_of, is_plain, plain_tests

BATCH = 1 << 20  # bytes of rows that a process works on at a time

Row = tuple[str, int, bytes, int]  # file, number, bytes, and how many there are


class Keyed(NamedTuple):
    """An example with canonical calls, and what it is compared by; of one that breaks the schema both are empty."""

    example: Example
    content: bytes
    masked: str


class Valid(NamedTuple):
    """All rows: valid examples, and the others as faults."""

    examples: list[Keyed]
    faults: list[Fault]


def read_valid(
    files: Sequence[Path], tools: Mapping[str, Tool], max_row_mb: float, max_bad_share: float, workers: Workers
) -> Valid:
    """Every row of the files: a valid example, or a fault; both in the order of the rows.

    Raises:
        UserError: a larger share of bad rows than allowed, or no valid example.
    """
    register, valid = Register(), Valid([], [])
    for row in _judged(rows(files, row_limit(max_row_mb)), tools, workers):
        example = row if isinstance(row, Fault) else register.admit(row.example)
        if isinstance(example, Fault):
            valid.faults.append(example)
        elif row.content or not (faults := faults_of(example, tools)):
            valid.examples.append(row if example is row.example else row._replace(example=example))
        else:
            valid.faults.append(faults[0])
    bad = [fault for fault in valid.faults if fault.kind != NO_EXAMPLE]
    aside = [quarantined(*fault.source, fault.kind, fault.message) for fault in bad]
    tried, advice = len(valid.examples) + len(bad), "mend them; `python -m scripts.tools.check` lists all"
    refuse_too_many_bad(aside, tried, max_bad_share, "check.max_bad_share", "examples", advice)
    return valid


def _judged(
    found: Iterable[tuple[Source, bytes, int]], tools: Mapping[str, Tool], workers: Workers
) -> Iterator[Keyed | Fault]:
    """Each row as `judge` returns it, in order; in helper processes where there are some."""
    if workers.count == 1:
        for batch in _batches(found):
            yield from judge(tools, batch)
        return
    for packed in workers.each(partial(_packed, tools), _batches(found)):
        for row in marshal.loads(packed):
            if len(row) == 3:
                yield Fault(Source(*row[0]), *row[1:])
                continue
            name, source, steps, *labels, content, masked = row
            example = Example(name, Source(*source), tuple([Step(*step) for step in steps]), *labels)
            yield Keyed(example, content, masked)


def _batches(found: Iterable[tuple[Source, bytes, int]]) -> Iterator[list[Row]]:
    """Rows in batches of about `BATCH` bytes."""
    batch: list[Row] = []
    held = 0
    for source, raw, size in found:
        batch.append((source.file, source.row, raw, size))
        held += len(raw)
        if held >= BATCH:
            yield batch
            batch, held = [], 0
    yield batch


def _packed(tools: Mapping[str, Tool], batch: Sequence[Row]) -> bytes:
    """The judged rows as plain tuples in marshal's format; pickling 20,000 examples takes as long as reading them."""
    plain: list[tuple[Any, ...]] = []
    for row in judge(tools, batch):
        if isinstance(row, Fault):
            plain.append((tuple(row.source), row.kind, row.message))
        else:
            name, source, steps, *labels = row.example
            plain.append((name, tuple(source), [tuple(step) for step in steps], *labels, row.content, row.masked))
    return marshal.dumps(plain)


def judge(tools: Mapping[str, Tool], batch: Sequence[Row]) -> list[Keyed | Fault]:
    """Each row read, checked and keyed, without a look at ids; keys are empty where an example breaks the schema.

    One step after the other for all rows is a fifth faster than row by row: the steps evict each other from the cache.
    """
    tests = plain_tests(tools)
    read = [parsed(Source(file, row), raw, size) for file, row, raw, size in batch]
    examples = [row if isinstance(row, Fault) else _checked(row, tools, tests) for row in read]
    contents = [content_of(row) if isinstance(row, Example) else b"" for row in examples]
    masks = [mask(row.instruction) if isinstance(row, Example) else "" for row in examples]
    return [
        row if isinstance(row, Keyed | Fault) else Keyed(row, content, masked)
        for row, content, masked in zip(examples, contents, masks, strict=True)
    ]


def _checked(example: Example, tools: Mapping[str, Tool], tests: PlainTests) -> Example | Keyed:
    """The example with canonical calls; without keys where it breaks the schema."""
    if is_plain(example, tests):
        return example
    return Keyed(example, b"", "") if faults_of(example, tools) else canonical(example, tools)
