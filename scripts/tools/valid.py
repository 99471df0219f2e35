"""From files to valid examples, each with its keys: row by row, in several processes where there are many rows."""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from scripts.lib.cli import UserError
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
    """What became of all rows."""

    examples: list[Keyed]
    faults: list[Fault]

    @property
    def rows_in(self) -> int:
        """How many rows there were."""
        return len(self.examples) + len(self.faults)


def read_valid(
    files: Sequence[Path], tools: Mapping[str, Tool], max_row_mb: float, max_bad_share: float, workers: Workers
) -> Valid:
    """Every row of the files: a valid example, or a fault; both in the order of the rows.

    Raises:
        UserError: more bad rows than their share may be, or nothing valid.
    """
    register, found = Register(), Valid([], [])
    for row in _judged(rows(files, row_limit(max_row_mb)), tools, workers):
        example = row if isinstance(row, Fault) else register.admit(row.example)
        if isinstance(example, Fault):
            found.faults.append(example)
        elif row.content or not (faults := faults_of(example, tools)):
            found.examples.append(row if example is row.example else row._replace(example=example))
        else:
            found.faults.append(faults[0])
    _must_be_good(found, max_bad_share)
    return found


def _must_be_good(found: Valid, limit: float) -> None:
    bad = [fault for fault in found.faults if fault.kind != NO_EXAMPLE]
    tried = len(found.examples) + len(bad)
    if found.examples and len(bad) <= limit * tried:
        return
    shown = "; ".join(f"{fault.source.file}, row {fault.source.row}: {fault.message}" for fault in bad[:3])
    raise UserError(
        f"{len(bad)} of {tried} examples are bad, more than check.max_bad_share {limit:g}: {shown or 'none.'} "
        "`python -m scripts.tools.check` lists all."
    )


def keyed(example: Example) -> Keyed:
    """A valid example with its keys."""
    return Keyed(example, content_of(example), mask(example.instruction))


def _judged(
    found: Iterable[tuple[Source, bytes, int]], tools: Mapping[str, Tool], workers: Workers
) -> Iterator[Keyed | Fault]:
    if workers.count == 1:
        for batch in _batches(found):
            yield from judge(tools, batch)
        return
    for part in workers.each(partial(_packed, tools), _batches(found)):
        yield from _unpacked(part)


def judge(tools: Mapping[str, Tool], batch: Sequence[Row]) -> list[Keyed | Fault]:
    """Each row read, checked and keyed; ids are not looked at.

    One step after the other for all rows, a fifth quicker than row by row: the steps push each other out of the cache.
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


def _batches(found: Iterable[tuple[Source, bytes, int]]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    held = 0
    for source, raw, size in found:
        batch.append((source.file, source.row, raw, size))
        held += len(raw)
        if held >= BATCH:
            yield batch
            batch, held = [], 0
    yield batch


# Pickling 20,000 examples takes more than a second, as much as reading them; marshal knows plain tuples only.


def _packed(tools: Mapping[str, Tool], batch: Sequence[Row]) -> bytes:
    return marshal.dumps([_plain(row) for row in judge(tools, batch)])


def _plain(row: Keyed | Fault) -> tuple[Any, ...]:
    if isinstance(row, Fault):
        return tuple(row.source), row.kind, row.message
    name, source, steps, *labels = row.example
    return name, tuple(source), [tuple(step) for step in steps], *labels, row.content, row.masked


def _unpacked(packed: bytes) -> Iterator[Keyed | Fault]:
    for row in marshal.loads(packed):
        if len(row) == 3:
            yield Fault(Source(*row[0]), *row[1:])
            continue
        name, source, steps, *labels, content, masked = row
        example = Example(name, Source(*source), tuple([Step(*step) for step in steps]), *labels)
        yield Keyed(example, content, masked)
