"""Finding bracketed calls in a turn, and reading them.

The rule. A bracket's content is a call when

- it begins with the name of a registered tool (case, blanks, hyphens and underscores aside), whatever follows:
  ``[roll: stealth]``, ``[transition wilderness]``, ``[Generate-Character: Paladin 1]``, ``[roll(1d20)]``; or
- it has the shape of a call: ``name: arguments`` with a name of one word or up to three lower-case words,
  ``name(arguments)``, or a name that is no word of prose (``long_rest``, ``castSpell``) with or without arguments.

Everything else is text: asides (``[sic]``, ``[laughs]``), notes and speakers (``[Note: ...]``, ``[Aria: ...]`` where
Aria is a known speaker), checkboxes, footnotes, numbers, Markdown links and images. Calls inside code are calls.
A bracket may run over lines, not over a blank line, and has 2,000 characters at most.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from scripts.dnd.markdown import FENCE, Problem
from scripts.dnd.registry import Registry

NOTES = {
    "note", "nb", "n.b", "ooc", "ic", "aside", "dm", "gm", "sic", "translation", "tip", "hint", "source", "image",
    "todo", "editor", "ed", "ps", "warning", "example", "whispering", "quietly", "narrator", "http", "https", "mailto",
}  # fmt: skip
SHAPES = (
    re.compile(
        r"(?P<name>[A-Za-z][\w-]*|[a-z][a-z0-9]*(?:[ _-][a-z][a-z0-9]*){1,2})\s*:(?!//)\s*(?P<rest>\S.*)", re.DOTALL
    ),
    re.compile(r"(?P<name>[A-Za-z][\w-]*)\((?P<rest>[^()]*(?:\([^()]*\)[^()]*)*)\)"),
    re.compile(r"(?P<name>[a-z][a-z0-9]*(?:_[a-z0-9]+)+|[a-z]+[A-Z]\w*)(?=$|[\s:,(])(?P<rest>.*)", re.DOTALL),
)
SEPARATOR = re.compile(r"\s*(?:[:=|;,]|->|→|[–—-](?=\s))?\s*")
LONGEST = 2000  # characters of a bracket; what is longer is prose
NEAR = 300  # characters about a bracket without a partner that are looked at
REFERENCE = re.compile(r"\[([^\[\]]{0,200})\]")
LINK = re.compile(r"\((?:<[^>\n]*>|[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?:\s+(?:\"[^\"]*\"|'[^']*'))?\)")
ADDRESS = re.compile(r"\(<?(?:[a-z][a-z0-9+.-]*:|[./#]|[^()\s]*[./#])", re.IGNORECASE)
DEFINITION = re.compile(
    r"^ {0,3}\[(?P<label>[^\]\n]+)\]:\s*(?:<[^>]*>|[a-z]+://|[./#]|www\.)", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True)
class Call:
    """One call as it stands in the text.

    Attributes:
        name: the registry's spelling; for a tool it does not have, the text's own in lower case.
        args: arguments as written, split at commas, blanks at their ends removed.
        raw: the text with its brackets.
        start, end: character span in the text that was scanned.
        line: line of the file.
        known: whether the tool is one of the registry's known ones.
    """

    name: str
    args: tuple[str, ...]
    raw: str
    start: int
    end: int
    line: int
    known: bool


def find_calls(text: str, registry: Registry, speakers: Collection[str] = ()) -> list[Call]:
    """All calls of a text, in order; malformed brackets are passed over."""
    return scan(text, registry, speakers)[0]


def scan(
    text: str, registry: Registry, speakers: Collection[str] = (), first_line: int = 1
) -> tuple[list[Call], list[Problem]]:
    """All calls of a text, and its nested and unbalanced brackets.

    ``speakers`` are names that no tool has: ``[Aria: I hide]`` is then a line of dialogue. ``first_line`` is the
    line of the file on which the text begins.
    """
    groups, strays = brackets(text)
    links = Spans(link_spans(text, groups, registry))
    breaks = [match.start() for match in re.finditer("\n", text)]
    calls = []
    problems = []
    for start, end in groups:
        read = None if end - start > LONGEST else read_call(text[start + 1 : end - 1], registry, speakers)
        if read is None or links.hold(start):
            continue
        line = first_line + bisect_left(breaks, start)
        tool = registry.get(read[0])
        calls.append(Call(read[0], read[1], text[start:end], start, end, line, bool(tool and tool.known)))
        if "[" in text[start + 1 : end - 1]:
            message = f"brackets inside the call {shown(text[start:end])}; one call a bracket, round ones inside."
            problems.append(Problem(line, "nested_brackets", message))
    code = Spans(code_spans(text)) if strays else Spans([])
    for position in strays:
        meant, message = stray(text, position, registry, speakers)
        if meant or not code.hold(position):
            line = first_line + bisect_left(breaks, position)
            problems.append(Problem(line, "unbalanced_brackets", message, "error" if meant else "warning"))
    return calls, problems


class Spans:
    """Character spans [low, high), joined where they touch or overlap, and asked often whether they hold a position."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        self.lows: list[int] = []
        self.highs: list[int] = []
        for low, high in sorted(spans):
            if self.highs and low <= self.highs[-1]:
                self.highs[-1] = max(high, self.highs[-1])
            else:
                self.lows.append(low)
                self.highs.append(high)

    def hold(self, position: int) -> bool:
        """Whether a span has this position."""
        index = bisect_right(self.lows, position) - 1
        return index >= 0 and position < self.highs[index]


def brackets(text: str) -> tuple[list[tuple[int, int]], list[int]]:
    """Matched brackets as spans [start, end), sorted by start, and the positions of those without a partner."""
    groups: list[tuple[int, int]] = []
    strays: list[int] = []
    stack: list[int] = []
    for match in re.finditer(r"\\.|\[|\]|\n[ \t]*(?=\n)", text, re.DOTALL):
        mark = match[0]
        if mark == "[":
            stack.append(match.start())
        elif mark == "]" and stack:
            groups.append((stack.pop(), match.end()))
        elif mark == "]":
            strays.append(match.start())
        elif mark.startswith("\n"):
            strays += stack
            stack.clear()
    return sorted(groups), sorted(strays + stack)


def link_spans(text: str, groups: list[tuple[int, int]], registry: Registry) -> list[tuple[int, int]]:
    """Spans of brackets that Markdown reads as links, images, footnotes and their definitions.

    ``[roll: 1d20](hits)`` is a call before an aside: after a call only an address makes a link.
    """
    labels = {match["label"].strip().lower() for match in DEFINITION.finditer(text)}
    spans = []
    for start, end in groups:
        content = text[start + 1 : min(end - 1, start + LONGEST)]
        is_call = registry.pattern.match(content.strip()) is not None
        link = LINK.match(text, end)
        if content.startswith("^") or content.strip().lower() in labels:
            spans.append((start, end))
        elif link and (not is_call or ADDRESS.match(text, end)):
            spans.append((start, link.end()))
        elif (reference := REFERENCE.match(text, end)) and reference[1].strip().lower() in labels:
            spans.append((start, reference.end()))
    return spans


def code_spans(text: str) -> Iterator[tuple[int, int]]:
    """Character spans of fenced blocks and of inline code."""
    position, opened, fence = 0, 0, ""
    for line in text.split("\n"):
        mark = FENCE.match(line)
        if fence and line.strip().startswith(fence) and not line.strip().strip(fence[0]):
            yield opened, position + len(line)
            fence = ""
        elif not fence and mark:
            opened, fence = position, mark["mark"]
        position += len(line) + 1
    for match in re.finditer(r"(?<!`)(`+)(?!`)(?:[^`]|(?!\1(?!`))`)+?(?<!`)\1(?!`)", text):
        yield match.start(), match.end()


def read_call(content: str, registry: Registry, speakers: Collection[str] = ()) -> tuple[str, tuple[str, ...]] | None:
    """A bracket's content as (name, arguments), or None where it is no call (see the module's rule)."""
    plain = re.sub(r"^[*_`]+([\w -]+?)(:?)[*_`]+", r"\1\2", content.strip()).strip(" \t\n`")
    if match := registry.pattern.match(plain):
        tool = registry.get(match["name"])
        rest = plain[match.end() :]
        return (tool.name if tool else match["name"].lower()), split_args(_without_separator(rest))
    labels = NOTES | {label.lower() for speaker in speakers if speaker for label in (speaker, speaker.split()[0])}
    for shape in SHAPES:
        if match := shape.fullmatch(plain):
            name = re.sub(r"\s+", " ", match["name"]).lower()
            return None if name in labels else (name, split_args(_without_separator(match["rest"])))
    return None


def _without_separator(rest: str) -> str:
    """What follows a tool's name, without the colon (or what stands for it) and round brackets about it all."""
    rest = rest[SEPARATOR.match(rest).end() :].strip()  # type: ignore[union-attr]
    wrapped = rest.startswith("(") and rest.endswith(")") and rest.count("(") == 1
    return rest[1:-1].strip() if wrapped else rest


def split_args(text: str) -> tuple[str, ...]:
    """Arguments at commas (or semicolons), except inside round brackets, quotes and numbers such as 1,000."""
    masked = re.sub(r"\([^()]*\)|\"[^\"]*\"|“[^”]*”|\[[^\[\]]*\]", lambda match: "\0" * len(match[0]), text)
    masked = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "\0", masked)
    cuts = [match.start() for match in re.finditer("[,;]", masked)]
    edges = [-1, *cuts, len(text)]
    pieces = [text[low + 1 : high] for low, high in pairwise(edges)]
    cleaned = [re.sub(r"\s+", " ", piece).strip(" *_`") for piece in pieces]
    return tuple(piece for piece in cleaned if piece)


def stray(text: str, position: int, registry: Registry, speakers: Collection[str]) -> tuple[bool, str]:
    """Of a bracket without a partner: whether a call was meant, and what to say."""
    if text[position] == "[":
        rest = re.split(r"\n[ \t]*\n|\[", text[position + 1 : position + NEAR], maxsplit=1)[0]
        meant = read_call(rest.split("\n", 1)[0], registry, speakers) is not None
        return meant, f"`[` without its `]` at {shown('[' + rest)}; close the bracket."
    before = re.split(r"[\[\n]", text[max(0, position - NEAR) : position])[-1]
    # A call was meant where a tool's name with its colon comes before.
    rests = (before[match.start() :] for match in re.finditer(r"[A-Za-z]\w*", before))
    names = ((registry.pattern.match(rest), rest) for rest in rests)
    named = any(match and rest[match.end() :].lstrip().startswith(":") for match, rest in names)
    message = f"`]` without its `[` after {shown(before)}; open the bracket, or remove this one."
    return named or before.endswith("]"), message


def shown(text: str, limit: int = 60) -> str:
    """A piece of text for a message: on one line, in quotes, not too long."""
    plain = re.sub(r"\s+", " ", text).strip()
    return f"`{plain if len(plain) <= limit else plain[: limit - 3] + '...'}`"
