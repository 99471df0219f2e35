"""Reads a scenario: bytes, turns, calls, and what is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from scripts.dnd.calls import Call, scan
from scripts.dnd.consistency import contradictions
from scripts.dnd.markdown import Problem, Turn, parse
from scripts.dnd.options import DndCheckOptions
from scripts.dnd.registry import Registry
from scripts.dnd.sources import Source


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
