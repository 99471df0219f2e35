"""Scenario Markdown into turns: every real shape, and what is said of broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.dnd.markdown import parse, party_of

FIXTURES = Path(__file__).parent / "fixtures" / "dnd"


def kinds(text: str) -> list[tuple[str, int, str]]:
    return [(problem.kind, problem.line, problem.severity) for problem in parse(text).problems]


def test_every_shape_of_a_turn_is_read() -> None:
    document = parse((FIXTURES / "shapes.md").read_text(encoding="utf-8"))
    assert [(turn.role, turn.name, turn.line) for turn in document.turns] == [
        ("system", None, 5),
        ("user", None, 26),
        ("character", "Kaelen Thornstep", 32),
        ("user", None, 36),
        ("dm", None, 40),
        ("toolcall", None, 66),
        ("dm", None, 70),
        ("character", "Old Marn", 74),
    ]
    assert document.problems == []
    assert document.party == ["Kaelen Thornstep", "Marcus", "Dax Ironfist"]
    assert document.speakers == ["Kaelen Thornstep", "Old Marn"]


def test_a_turn_keeps_its_subsections_and_fences_but_no_rules_comments_or_trailing_blanks() -> None:
    turns = parse((FIXTURES / "shapes.md").read_text(encoding="utf-8")).turns
    assert turns[1].text == "I look around."
    assert "### The door" in turns[4].text and "# not a turn" in turns[4].text
    assert "note of the author" not in turns[4].text
    assert turns[4].text.endswith("a footnote")
    assert turns[4].body_line == 43


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends_of_any_system(newline: str) -> None:
    turns = parse(newline.join(["# USER", "", "Hi.", "# DM", "Ho."])).turns
    assert [(turn.line, turn.text) for turn in turns] == [(1, "Hi."), (4, "Ho.")]


def test_a_longer_fence_holds_a_shorter_one() -> None:
    turns = parse("# DM\n````\n```\n# no\n```\n# no\n````\n# USER\nyes").turns
    assert [turn.line for turn in turns] == [1, 8]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# USER\n\n# DM\n\nHi.", ("empty_turn", 1, "error")),
        ("# DM\nHi.\n# Kett\n\n---\n\n## Aside\n", ("empty_turn", 3, "error")),
        ("no heading", ("no_turns", 1, "error")),
        ("# DM\nHi.\n```\n# USER\nlost", ("unclosed_fence", 3, "error")),
        ("# DM\nHi.\n<!-- lost", ("unclosed_comment", 3, "error")),
        ("# DM\nHi.\n#\nWho?", ("unnamed_turn", 3, "error")),
        ("# DM\nHi.\n#USER\nlost", ("heading_without_blank", 3, "error")),
        ("hello\n# DM\nHi.", ("text_before_first_turn", 1, "warning")),
        ("# USER\nHi.", ("no_dm_turn", 1, "warning")),
    ],
)
def test_broken_structure_is_named_with_its_line(text: str, expected: tuple[str, int, str]) -> None:
    assert expected in kinds(text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Party:\n\n- Aria (Elf Ranger, Level 3)\n- Thorin: a dwarf\n\nWeather: rain\n- not she", ["Aria", "Thorin"]),
        ("**Party**: Aria, Thorin and Lyra (a wizard, human)", ["Aria", "Thorin", "Lyra"]),
        ("## Party\n\n_NONE_\n", []),
        ("## Player\n\n- Name: Darius Truthseeker\n- Class: Paladin\n\n## Party\n\n* **Marcus** (Wizard)", None),
        ("Role: Dungeon Master", []),
    ],
)
def test_the_party_is_read_from_the_system_turn(text: str, names: list[str] | None) -> None:
    assert party_of(text) == (["Darius Truthseeker", "Marcus"] if names is None else names)
