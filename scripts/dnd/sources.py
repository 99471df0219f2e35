"""Finds scenario files. A plan imports it, so it reads none of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.cli import UserError


@dataclass(frozen=True)
class Source:
    """A scenario file: its path, and its name inside the folder that was searched (``combat/bridge.md``)."""

    path: Path
    name: str

    @property
    def category(self) -> str:
        """The first folder of the name, by which scenarios are grouped; ``uncategorised`` for a file in none."""
        return self.name.split("/")[0] if "/" in self.name else "uncategorised"


def find_scenarios(paths: Sequence[Path]) -> list[Source]:
    """Scenario files of the given files and folders, sorted by name.

    In folders every ``*.md`` counts, README.md and hidden ones aside. Names are relative to the folder given (a file's:
    to the folder above its own); where two folders have the same name inside, the folder's own name goes in front.

    Raises:
        UserError: a path does not exist, or there are no scenarios at all.
    """
    found: dict[Path, Source] = {}
    for root in paths:
        if not root.exists():
            raise UserError(f"{root}: no such file or folder; check the path.")
        for path in _files(root) if root.is_dir() else [root]:
            base = root if root.is_dir() else path.parent.parent
            found.setdefault(path.resolve(), Source(path, path.relative_to(base).as_posix()))
    if not found:
        where = ", ".join(map(str, paths)) or "no path given"
        raise UserError(f"{where}: no scenarios; put *.md files there, with a level-1 heading above each turn.")
    taken: Counter[str] = Counter()
    sources = []
    for source in found.values():
        taken[source.name] += 1
        number = taken[source.name]
        sources.append(source if number == 1 else Source(source.path, f"{source.name[:-3]}~{number}.md"))
    return sorted(sources, key=lambda source: source.name)


def _files(root: Path) -> Iterator[Path]:
    """The scenario files below a folder."""
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.suffix.lower() == ".md" and path.name.lower() != "readme.md" and path.is_file() and not hidden:
            yield path
