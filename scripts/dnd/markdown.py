"""Scenario Markdown into turns.

Every level-1 heading opens a turn, whoever it names; the text below it, subsections included, belongs to that turn.
Headings are read as CommonMark reads them: up to three blanks before the mark, closing marks, underlined with ``===``,
and none inside a code fence or an HTML comment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "dm", "toolcall", "character"]

ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "player": "user",
    "players": "user",
    "dm": "dm",
    "gm": "dm",
    "dungeon master": "dm",
    "game master": "dm",
    "toolcall": "toolcall",
    "tool call": "toolcall",
    "tool result": "toolcall",
    "tool": "toolcall",
}
HEADING = re.compile(r"^ {0,3}#(?!#)(?:[ \t]+(?P<title>.*?))??(?:[ \t]+#+)?[ \t]*$")
UNDERLINE = re.compile(r"^ {0,3}=+[ \t]*$")
FENCE = re.compile(r"^ {0,3}(?P<mark>`{3,}(?=[^`]*$)|~{3,})(?P<info>.*)$")
RULE = re.compile(r"^ {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$")
SUBHEADING = re.compile(r"^ {0,3}#{2,6}(?:[ \t]|$)")
# A paragraph's line, which ``===`` below it turns into a heading: no list item, quote, heading or rule.
PARAGRAPH = re.compile(r"^ {0,3}(?![-+*>#=]|\d+[.)]\s)\S")


@dataclass(frozen=True)
class Problem:
    """Something wrong in a scenario.

    Attributes:
        line: line of the file, from 1.
        kind: a short name, such as ``empty_turn``.
        message: what is wrong and what to do.
        severity: ``error`` keeps the file out of training, ``warning`` does not.
    """

    line: int
    kind: str
    message: str
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True)
class Turn:
    """One turn: who speaks (``name`` for a character only), heading line, the body's first line, and the body."""

    role: Role
    name: str | None
    line: int
    body_line: int
    text: str


@dataclass
class Document:
    """The turns of one scenario, its party, and what is wrong with its structure."""

    turns: list[Turn] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    party: list[str] = field(default_factory=list)

    @property
    def speakers(self) -> list[str]:
        """Characters that have a turn of their own, in the order of their first."""
        return list(dict.fromkeys(turn.name for turn in self.turns if turn.name))


def parse(text: str) -> Document:
    """Splits a scenario into turns.

    Never raises: whatever is wrong (see `structure_problems`, `visible_lines`) is in ``problems``, sorted by line.
    """
    document = Document()
    lines, fenced = visible_lines(text, document.problems)
    headings = list(find_headings(lines, fenced))
    first = headings[0][0] if headings else len(lines)
    _report_preface(lines[:first], document.problems)
    for position, (start, body, title) in enumerate(headings):
        end = headings[position + 1][0] if position + 1 < len(headings) else len(lines)
        document.turns.append(_turn(title, start, body, lines[body:end]))
    document.problems += structure_problems(document.turns, lines, fenced)
    document.party = party_of(next((turn.text for turn in document.turns if turn.role == "system"), ""))
    document.problems.sort(key=lambda problem: problem.line)
    return document


def structure_problems(turns: list[Turn], lines: list[str], fenced: list[bool]) -> list[Problem]:
    """No turns, turns without a name or without text, and headings that lack the blank after their mark."""
    problems = []
    if not turns:
        message = "no level-1 heading opens a turn; write `# USER`, `# DM` and so on above each turn."
        problems.append(Problem(1, "no_turns", message))
    for turn in turns:
        if turn.name == "":
            problems.append(
                Problem(turn.line, "unnamed_turn", "this heading names nobody; write who speaks after `#`.")
            )
        if not has_content(turn.text):
            who = turn.name or turn.role.upper()
            message = f"the turn of {who} has no text; write it, or remove the heading."
            problems.append(Problem(turn.line, "empty_turn", message))
    for number, (line, hidden) in enumerate(zip(lines, fenced, strict=True), 1):
        if not hidden and line.startswith("#") and line[1:].strip().lower() in ROLES and line[1:2].isalpha():
            message = f"`{line.strip()}` is no heading without a blank; write `# {line[1:].strip()}`."
            problems.append(Problem(number, "heading_without_blank", message))
    if turns and not any(turn.role == "dm" for turn in turns):
        message = "no DM turn, so there is nothing to learn; write what the dungeon master says under `# DM`."
        problems.append(Problem(turns[0].line, "no_dm_turn", message, "warning"))
    return problems


def visible_lines(text: str, problems: list[Problem]) -> tuple[list[str], list[bool]]:
    """The lines of a text with HTML comments blanked, and for each whether it is part of a code fence.

    A fence or comment that never ends is a problem, because it would swallow every turn below it.
    """
    lines: list[str] = []
    fenced: list[bool] = []
    fence = ""
    opened = comment = 0
    for number, raw in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        line = raw
        if not fence:
            line, comment = _without_comment(raw, comment, number)
        mark = FENCE.match(line)
        inside = bool(fence or mark)
        if mark and not fence:
            fence, opened = mark["mark"], number
        elif fence and re.fullmatch(rf" {{0,3}}{re.escape(fence[0])}{{{len(fence)},}}[ \t]*", line):
            fence = ""
        lines.append(line)
        fenced.append(inside)
    if fence:
        problems.append(Problem(opened, "unclosed_fence", f"a code fence opens here and never closes; add `{fence}`."))
    if comment:
        problems.append(Problem(comment, "unclosed_comment", "a comment opens here and never closes; add `-->`."))
    return lines, fenced


def _without_comment(line: str, opened: int, number: int) -> tuple[str, int]:
    """The line without its commented parts, and the line on which a comment that is still open began (0: none)."""
    kept = ""
    while line:
        if opened:
            _, closed, line = line.partition("-->")
            opened = 0 if closed else opened
            continue
        before, found, line = line.partition("<!--")
        kept += before
        opened = number if found else 0
    return kept, opened


def find_headings(lines: list[str], fenced: list[bool]) -> list[tuple[int, int, str]]:
    """Level-1 headings as (index of the heading's line, index of the line after it, title)."""
    found = []
    for index, line in enumerate(lines):
        if fenced[index]:
            continue
        if match := HEADING.match(line):
            found.append((index, index + 1, match["title"] or ""))
        elif UNDERLINE.match(line) and index > 0 and not fenced[index - 1] and PARAGRAPH.match(lines[index - 1]):
            above = lines[index - 2] if index > 1 else ""
            if not above.strip() or RULE.match(above):  # a paragraph of one line
                found.append((index - 1, index + 1, lines[index - 1].strip()))
    return found


def _turn(title: str, start: int, body: int, lines: list[str]) -> Turn:
    """A turn from its heading (0-based index ``start``) and body lines; rules and blanks at both ends go."""
    plain = re.sub(r"[*_`]+", " ", title) if re.search(r"^[*_`]", title) else title
    plain = re.sub(r"\s+", " ", plain).strip().rstrip(":").strip()
    role = ROLES.get(plain.lower().replace("_", " ").replace("-", " "), "character")
    low, high = 0, len(lines)
    while low < high and (not lines[low].strip() or RULE.match(lines[low])):
        low += 1
    while high > low and (not lines[high - 1].strip() or RULE.match(lines[high - 1])):
        high -= 1
    text = "\n".join(line.rstrip() for line in lines[low:high])
    name = plain if role == "character" else None
    return Turn(role=role, name=name, line=start + 1, body_line=body + low + 1, text=text)


def has_content(text: str) -> bool:
    """Whether a turn says anything besides subsection headings and rules."""
    return any(line.strip() and not SUBHEADING.match(line) and not RULE.match(line) for line in text.split("\n"))


def _report_preface(lines: list[str], problems: list[Problem]) -> None:
    """Text above the first turn belongs to nobody; front matter and rules are let pass."""
    body = list(lines)
    if body and body[0].strip() == "---" and "---" in [line.strip() for line in body[1:]]:
        end = [line.strip() for line in body[1:]].index("---") + 2
        body = [""] * end + body[end:]
    for number, line in enumerate(body, 1):
        if line.strip().lstrip("\ufeff") and not RULE.match(line):
            message = "text before the first turn is used by nobody; put it under `# SYSTEM`."
            problems.append(Problem(number, "text_before_first_turn", message, "warning"))
            return


ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+(?P<item>.+)$")
PARTY_KEYS = {"party", "the party", "party members", "characters", "players"}
PLAYER_KEYS = {"player", "player character"}


def party_of(text: str) -> list[str]:
    """Names of the party in a SYSTEM turn: items under ``Party:`` or ``## Party``, and ``Name:`` under ``## Player``.

    ``- **Marcus** (Dwarf Wizard, Level 1)`` gives ``Marcus``; ``_NONE_`` gives nobody.
    """
    members: list[str] = []
    section = ""
    for line in text.split("\n"):
        plain = re.sub(r"[*_]{2}", "", line).strip()
        key, colon, value = plain.lstrip("# ").partition(":")
        if match := ITEM.match(line):
            item = match["item"]
            named = re.match(r"[*_]*name[*_]*\s*:\s*[*_]*\s*(.+)", item, re.IGNORECASE)
            if section and (named or section == "party"):
                members.append(named[1] if named else item)
        elif colon or plain.startswith("##"):  # `**Role**: Dungeon Master`, `## Party`
            key = key.strip().lower()
            section = "party" if key in PARTY_KEYS else "player" if key in PLAYER_KEYS else ""
            members += re.split(r",(?![^()]*\))|\band\b|;", value) if section else []
    # The name is at the front of what is written of a member.
    names = [re.split(r"\s*[(:,;–—]|\s-\s", text.strip(), maxsplit=1)[0].strip(" *_`.\"'") for text in members]
    nobody = {"", "none", "n/a", "empty", "nobody"}
    return list(dict.fromkeys(name for name in names if name.lower() not in nobody))
