"""Finding scenario files and reading one: bytes, turns, calls, and what is wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.dnd.calls import Call, scan
from scripts.dnd.consistency import contradictions
from scripts.dnd.markdown import Problem, Turn, parse
from scripts.dnd.options import DndCheckOptions
from scripts.dnd.registry import Registry
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


@dataclass
class Scenario:
    """One scenario, read: ``calls`` has a list for each turn."""

    source: Source
    turns: list[Turn] = field(default_factory=list)
    calls: list[list[Call]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    party: list[str] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Characters that calls can name: the party, then others who speak."""
        return list(dict.fromkeys([*self.party, *self.speakers]))

    @property
    def errors(self) -> list[Problem]:
        """The problems that keep the file out of training."""
        return [problem for problem in self.problems if problem.severity == "error"]


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


def read_scenario(source: Source, registry: Registry, options: DndCheckOptions) -> Scenario:
    """Reads and checks one scenario; whatever is wrong is among its problems."""
    scenario = Scenario(source)
    text = read_text(source.path, options, scenario.problems)
    if text is None:
        return scenario
    document = parse(text)
    scenario.turns, scenario.party, scenario.speakers = document.turns, document.party, document.speakers
    scenario.problems += document.problems
    for turn in document.turns:
        calls, problems = scan(turn.text, registry, scenario.names, turn.body_line)
        scenario.calls.append(calls)
        scenario.problems += problems
        known = ", ".join(tool.name for tool in registry.tools if tool.known)
        advice = f"is none of the known tools ({known}); `python -m scripts.dnd.tools extend` adds it, if it is meant."
        unknown = [(call.line, f"`{call.name}` {advice}") for call in calls if not call.known]
        scenario.problems += [Problem(line, "unknown_tool", message, "warning") for line, message in unknown]
    scenario.problems += contradictions(document.turns, scenario.calls, scenario.names, registry)
    scenario.problems.sort(key=lambda problem: (problem.line, problem.kind, problem.message))
    return scenario


def read_text(path: Path, options: DndCheckOptions, problems: list[Problem]) -> str | None:
    """A file as text; None, and a problem, where it is too large, empty, or not UTF-8. A large file is not opened."""
    size = path.stat().st_size
    limit = int(options.max_file_mb * 1e6)
    if size > limit:
        message = (
            f"the file has {size / 1e6:.1f} MB, the limit is {options.max_file_mb:g}; "
            "split it into scenarios, or raise check.max_file_mb."
        )
        problems.append(Problem(1, "too_large", message))
        return None
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"byte {error.start} (0x{raw[error.start]:02x}) is not UTF-8; save the file as UTF-8."
        problems.append(Problem(line, "not_utf8", message))
        return None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        problems.append(Problem(line, "not_text", "a zero byte: this is no text file; save it as UTF-8 Markdown."))
        return None
    if not re.search(r"\S", text):
        problems.append(Problem(1, "empty_file", "the file is empty; write a scenario, or delete it."))
        return None
    return text
