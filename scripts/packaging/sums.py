"""SHA256SUMS of a package: written once, checked anywhere (`sha256sum -c SHA256SUMS` reads it too)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.cli import UserError
from scripts.lib.files import inside, sha256_file, write_text

NAME = "SHA256SUMS"
LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True)
class Problem:
    """One way in which a package is not what was published.

    Attributes:
        kind: missing, extra, altered, or refused (a path that leaves the package, a link).
        name: the file's path inside the package.
        detail: what was found and what to do, in one sentence.
    """

    kind: str
    name: str
    detail: str


def package_files(folder: Path) -> list[str]:
    """Paths inside the folder, sorted, of everything that is not a folder, SHA256SUMS itself aside."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    return sorted(name for name in names if name != NAME)


def write_sums(folder: Path) -> None:
    """Writes SHA256SUMS over every file of the folder, sorted by name."""
    lines = [f"{sha256_file(folder / name)}  {name}\n" for name in package_files(folder)]
    write_text(folder / NAME, "".join(lines))


def read_sums(folder: Path) -> dict[str, str]:
    """Name to SHA-256, as SHA256SUMS says.

    Raises:
        UserError: there is no such file, a line is not "digest  name", or a name stands twice.
    """
    path = folder / NAME
    if not path.is_file():
        raise UserError(f"{path}: no such file, so {folder} is no package; name a folder such as dist/dnd/dm.")
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1):
        match = LINE.fullmatch(line)
        if match is None or match[2] in found:
            why = "this name stands twice" if match else "not a line of the form 'sha256  name'"
            raise UserError(f"{path}, line {number}: {why}; get the package again from its source.")
        found[match[2]] = match[1]
    return found


def check_sums(folder: Path) -> list[Problem]:
    """Compares a package with its SHA256SUMS; an empty list means that every byte is as published."""
    declared = read_sums(folder)
    problems = [problem for name in sorted(declared) if (problem := check_file(folder, name, declared[name]))]
    for name in package_files(folder):
        if name not in declared:
            problems.append(Problem("extra", name, "SHA256SUMS does not list this file; remove it."))
    return problems


def check_file(folder: Path, name: str, expected: str) -> Problem | None:
    """What is wrong with one listed file, or None. A path that leaves the folder is never opened."""
    try:
        path = inside(folder, name)
    except (UserError, ValueError, OSError):
        return Problem("refused", name, "this path leaves the package; do not trust it.")
    if (folder / name).is_symlink():
        return Problem("refused", name, "a link; a package holds plain files only.")
    if not path.is_file():
        return Problem("missing", name, "listed in SHA256SUMS but not there; get the package again.")
    found = sha256_file(path)
    if found != expected:
        return Problem("altered", name, f"its SHA-256 is {found[:12]}…, published was {expected[:12]}…; get it again.")
    return None
