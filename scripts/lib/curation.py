"""What every curate stage does in the same way.

A stage reads its input and sets bad rows aside (`quarantined`, `refuse_too_many_bad`), drops repeats and joins near
duplicates (`scripts.lib.leakage`), divides groups (`scripts.lib.split`), checks the result (`check_no_leakage`), thins
large splits (`keys_by_split`), and writes (`stored`, `write_curated`). The stage's own module defines what a bad row, a
repeat and a group are.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError, say
from scripts.lib.files import manifest, sha256_file, write_json, write_jsonl
from scripts.lib.records import Record
from scripts.lib.sampling import spread
from scripts.lib.split import SPLITS, counts_of

Row = dict[str, Any]
NAMED_BAD = 3  # bad rows that an error names
NAMED_ASIDE = 10  # rows set aside that are printed
NAMED_LEAKS = 5  # pairs that an error names


def quarantined(file: str, row: int | str | None, reason: str, message: object, **more: Any) -> Row:
    """A row of quarantine.jsonl: ``{"file": "a.jsonl", "row": 3, "reason": "unreadable", "message": "not JSON", ...}``.

    Args:
        row: line or row of the file from 1, or the key where the fault is; None for the file as a whole.
        reason: a short name, by which statistics count.
        message: what is wrong and what to do.
    """
    return {"file": file, "row": row, "reason": reason, "message": str(message), **more}


def as_clause(row: Row) -> str:
    """``a.jsonl, row 3: not JSON``."""
    place = f", row {row['row']}" if isinstance(row["row"], int) else f", {row['row']}" if row["row"] else ""
    return f"{row['file']}{place}: {row['message']}"


def refuse_too_many_bad(bad: Sequence[Row], total: int, limit: float, key: str, things: str, advice: str) -> None:
    """Stops where a larger share of the rows is bad than the limit, or nothing is good.

    Args:
        bad: rows as `quarantined` makes them.
        total: good and bad rows together.
        key: of the limit in the configuration.
        things: what the rows are, in the plural.

    Raises:
        UserError: names the first bad rows.
    """
    if len(bad) < total and len(bad) / total <= limit:
        return
    if not total:
        raise UserError(f"there are no {things}; {advice}.")
    shown = "; ".join(map(as_clause, bad[:NAMED_BAD]))
    more = f" (and {len(bad) - NAMED_BAD} more)" if len(bad) > NAMED_BAD else ""
    raise UserError(f"{len(bad)} of {total} {things} are bad, more than {key} {limit:g}: {shown}{more}; {advice}.")


def check_no_leakage(pairs: Mapping[str, Iterable[Sequence]], sides: Mapping[str, str], advice: str) -> dict[str, int]:
    """Counts of the pairs that lie across splits, by kind; all are 0.

    Args:
        pairs: finders by kind: iterables of ``(first, second)``, or with a similarity or a clause as third entry.
        sides: the split of each first and second.

    Raises:
        UserError: a pair lies across splits; with the counts and the first pairs.
    """
    leaks = {kind: [pair for pair in found if sides[pair[0]] != sides[pair[1]]] for kind, found in pairs.items()}
    every = [pair for found in leaks.values() for pair in found]
    if every:
        counts = " and ".join(f"{len(found)} {kind.replace('_', '-')}" for kind, found in leaks.items())
        shown = []
        for first, second, *rest in every[:NAMED_LEAKS]:
            details = [f"similarity {value:.2f}" if isinstance(value, float) else value for value in rest]
            shown.append(", ".join([f"{first} ({sides[first]}) and {second} ({sides[second]})", *details]))
        raise UserError(f"leakage: {counts} pairs lie across splits: {'; '.join(shown)}. {advice}")
    return dict.fromkeys(leaks, 0)


def keys_by_split(sides: Mapping[str, str], max_per_split: int | None = None) -> dict[str, list[str]]:
    """The sorted keys of each split; of val and test at most so many, drawn evenly."""
    keys = {split: [key for key in sorted(sides) if sides[key] == split] for split in SPLITS}
    return {split: keys[split] if split == "train" else spread(keys[split], max_per_split) for split in SPLITS}


def thinned_out(sides: Mapping[str, str], splits: Mapping[str, Sequence]) -> dict[str, int]:
    """How many keys of each split are not among those kept."""
    counts = counts_of(sides)
    return {split: counts[split] - len(splits[split]) for split in SPLITS}


def stored(out: Path, source: Path, folder: str, sha256: str | None = None) -> str:
    """Copies a file to ``<folder>/<first 16 digits of its SHA-256><suffix>`` below ``out``; returns that name."""
    name = f"{folder}/{(sha256 or sha256_file(source))[:16]}{source.suffix}"
    (out / folder).mkdir(parents=True, exist_ok=True)
    if not (out / name).is_file():
        shutil.copyfile(source, out / name)
    return name


def write_curated(
    out: Path,
    splits: Mapping[str, Iterable[Record | Row]],
    quarantine: Sequence[Row],
    stats: Row,
    summary: str,
    files: Iterable[str] | None = None,
) -> None:
    """Writes <split>.jsonl, quarantine.jsonl and stats.json, and prints what was set aside and how much is left.

    Args:
        summary: what came in, as a clause.
        files: names that records refer to, as `stored` gave them. pictures.json then lists them, and other files of
            the same folders and suffixes are removed: records of an earlier run referred to them.
    """
    counts = []
    for split in SPLITS:
        rows = (row.to_json() if isinstance(row, Record) else row for row in splits[split])
        counts.append(f"{split} {write_jsonl(out / f'{split}.jsonl', rows)}")
    write_jsonl(out / "quarantine.jsonl", quarantine)
    if files is not None:
        names = set(files)
        for folder, suffix in {(name.split("/")[0], Path(name).suffix) for name in names}:
            for path in out.glob(f"{folder}/*{suffix}"):
                if path.relative_to(out).as_posix() not in names:
                    path.unlink()
        write_json(out / "pictures.json", {"files": manifest(out, names)})
    write_json(out / "stats.json", stats)
    for row in islice(quarantine, NAMED_ASIDE):
        say(f"set aside: {as_clause(row)}")
    aside = f", {len(quarantine)} set aside (quarantine.jsonl says why)" if quarantine else ""
    say(f"{out}: {summary}{aside}; {', '.join(counts)}; no leakage")
