"""Bracketed calls: found whatever their form, told from asides, brought to one canonical form."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from scripts.dnd.calls import find_calls, scan
from scripts.dnd.canonical import canonical, expected, resolve, rewrite
from scripts.dnd.registry import Registry, Tool

FIXTURES = Path(__file__).parent / "fixtures" / "dnd"
REGISTRY = Registry()
NAMES = ["Pip", "Elara", "Dax Ironfist"]


@pytest.mark.parametrize(
    ("raw", "name", "args", "known"),
    [
        ("[check: stealth, Pip]", "check", ("stealth", "Pip"), True),
        ("[add_to_inventory GP 25]", "add_to_inventory", ("GP 25",), False),
        ("[generate character: Paladin 1]", "generate character", ("Paladin 1",), False),
        ("[Generate-Character: Paladin 1]", "generate character", ("Paladin 1",), False),
        ("[transition wilderness]", "transition", ("wilderness",), False),
        ("[spellcast: Cure Wounds, 2nd level, Dax]", "spellcast", ("Cure Wounds", "2nd level", "Dax"), True),
        ("[ROLL(1d20)]", "roll", ("1d20",), True),
        ("[**roll**: perception]", "roll", ("perception",), True),
        ("[inventory: Pip,\n  add, rope (50 ft, silk)]", "inventory", ("Pip", "add", "rope (50 ft, silk)"), True),
        ("[award_exp: 1,200, party]", "award_exp", ("1,200", "party"), False),
        ("[bless: Pip]", "bless", ("Pip",), False),
        ("[turn undead: Pip]", "turn undead", ("Pip",), False),
        ("[castSpell Pip]", "castspell", ("Pip",), False),
        ("[long_rest]", "long_rest", (), False),
        ("[roll:]", "roll", (), True),
    ],
)
def test_a_call_is_found_in_any_form(raw: str, name: str, args: tuple[str, ...], known: bool) -> None:
    text = f"Before {raw} after."
    (call,) = find_calls(text, REGISTRY)
    assert (call.raw, call.name, call.args, call.known) == (raw, name, args, known)
    assert text[call.start : call.end] == raw


@pytest.mark.parametrize(
    "text",
    [
        "[sic] [laughs] [laughs quietly] [he bows] [...] [1] [3, 4]",
        "- [ ] open\n- [x] shut\n- [X] done",
        "[a link](http://example.org/roll:1) ![a map](map.png) [roll](rules.md#roll)",
        "[the rules][rules] and [rules]\n\n[rules]: https://example.org",
        "as said[^1]\n\n[^1]: a note",
        r"\[roll: 1d20\]",
        "[Note: the goblins flee] [Aria: I hide] [Chapter Two: the fall] [check-in desk]",
    ],
)
def test_asides_are_no_calls(text: str) -> None:
    assert scan(text, REGISTRY, ["Aria"]) == ([], [])


def test_calls_side_by_side_and_before_an_aside_are_no_links() -> None:
    text = "[roll: 1d20][health: Pip, -3](ouch) `[save: wisdom, Pip, 12]`"
    assert [call.name for call in find_calls(text, REGISTRY)] == ["roll", "health", "save"]


def test_lines_are_those_of_the_file() -> None:
    calls, problems = scan("one\n\n[roll: 1d20]\n[check: stealth, Pip", REGISTRY, (), first_line=10)
    assert [call.line for call in calls] == [12]
    assert [(problem.line, problem.kind, problem.severity) for problem in problems] == [
        (13, "unbalanced_brackets", "error")
    ]


@pytest.mark.parametrize(
    ("text", "kind", "severity"),
    [
        ("[roll: 1d20", "unbalanced_brackets", "error"),
        ("[roll: 1d20)", "unbalanced_brackets", "error"),
        ("[roll: 1d20\n\nnext]", "unbalanced_brackets", "error"),
        ("roll: 1d20]", "unbalanced_brackets", "error"),
        ("[roll: 1d20]]", "unbalanced_brackets", "error"),
        ("[roll: [check: stealth, Pip]]", "nested_brackets", "error"),
        ("he drew a [ in the sand", "unbalanced_brackets", "warning"),
    ],
)
def test_broken_brackets_are_reported(text: str, kind: str, severity: str) -> None:
    problems = scan(text, REGISTRY)[1]
    assert (kind, severity) in [(problem.kind, problem.severity) for problem in problems]
    assert not [problem for problem in problems if problem.severity == "error" and severity == "warning"]


def test_a_map_in_a_fence_is_no_broken_call_but_a_call_is_one() -> None:
    assert scan("```\n[== ==\n```\n", REGISTRY)[1] == []
    assert scan("```\n[roll: 1d20\n```\n", REGISTRY)[1][0].severity == "error"


@pytest.mark.parametrize("names", [NAMES, []])
@pytest.mark.parametrize(
    ("raw", "form"),
    [
        ("[spellcast: Elara, fireball, 3]", "[spellcast: Elara, fireball, 3]"),
        ("[spellcast: Elara, Fireball at 3rd level]", "[spellcast: Elara, fireball, 3]"),
        ("[spellcast: Cure Wounds, 2nd level, Pip]", "[spellcast: Pip, cure wounds, 2]"),
        ("[spellcast: Pip, Light, cantrip]", "[spellcast: Pip, light, 0]"),
        ("[health: Pip, −6 HP]", "[health: Pip, -6]"),
        ("[health: 6, Pip]", "[health: Pip, +6]"),
        ("[health: Pip, -1,200]", "[health: Pip, -1200]"),
        ("[save: Pip, Dex saving throw, DC 13]", "[save: dexterity, Pip, 13]"),
        ("[save: dc=13, type=dex, character=Pip]", "[save: dexterity, Pip, 13]"),
        ("[check: Pip, Sleight of Hand check]", "[check: sleight of hand, Pip]"),
        ("[inventory: Pip, Add, Silk Rope]", "[inventory: Pip, add, silk rope]"),
        ("[Roll for initiative]", "[roll: initiative]"),
        ("[roll: D20 + 5]", "[roll: 1d20+5]"),
        ("[roll: thieves_tools]", "[roll: thieves tools]"),
        ("[transition wilderness]", "[transition: wilderness]"),
    ],
)
def test_one_canonical_form(raw: str, form: str, names: list[str]) -> None:
    (call,) = find_calls(raw, REGISTRY)
    found = canonical(call, REGISTRY, names)
    assert (found.text, found.standard) == (form, True)
    assert rewrite(form, REGISTRY, names) == form


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        ("[check stealth Pip]", "[check: stealth, Pip]"),
        ("[spellcast: dax fireball 3]", "[spellcast: Dax Ironfist, fireball, 3]"),
        ("[spellcast: Cure Wounds, 2nd level, Dax]", "[spellcast: Dax Ironfist, cure wounds, 2]"),
        ("[inventory: rope, add, Pip]", "[inventory: Pip, add, rope]"),
        ("[health: the wererat, -4]", "[health: the wererat, -4]"),
    ],
)
def test_known_names_settle_what_is_who(raw: str, form: str) -> None:
    assert rewrite(raw, REGISTRY, NAMES) == form


@pytest.mark.parametrize(
    "raw", ["[spellcast: fireball]", "[inventory: prices listed above]", "[check: stealth, Pip, loudly]", "[roll]"]
)
def test_calls_that_do_not_fill_their_form_are_marked(raw: str) -> None:
    (call,) = find_calls(raw, REGISTRY)
    assert not canonical(call, REGISTRY, NAMES).standard


def test_argument_orders_of_a_file_come_to_one() -> None:
    text = (FIXTURES / "orders.md").read_text(encoding="utf-8").split("# DM")[1]
    assert expected(text, REGISTRY, ["Elara", "Dax"]) == [
        ["spellcast", ["Dax", "cure wounds", "2"]],
        ["spellcast", ["Elara", "fireball", "3"]],
        ["save", ["dexterity", "Dax", "13"]],
        ["check", ["stealth", "Elara"]],
        ["health", ["Dax", "-6"]],
        ["inventory", ["Elara", "add", "rope"]],
        ["roll", ["initiative"]],
    ]


def test_rewriting_touches_calls_only() -> None:
    text = "A [Roll: D20] and [sic] *b* [a](b.md).\n\n  [x] [check: Pip, STEALTH]!"
    assert rewrite(text, REGISTRY, NAMES) == "A [roll: 1d20] and [sic] *b* [a](b.md).\n\n  [x] [check: stealth, Pip]!"


def test_a_tool_of_ones_own_has_its_own_order() -> None:
    registry = REGISTRY.merged([Tool.model_validate({"name": "bless", "parameters": ["spell", "character"]})])
    (call,) = find_calls("[Bless: Pip, Shield of Faith]", registry)
    assert call.known
    assert canonical(call, registry, NAMES).text == "[bless: shield of faith, Pip]"


def test_a_part_of_a_name_is_enough_unless_two_share_it() -> None:
    assert resolve("dax", NAMES) == "Dax Ironfist"
    assert resolve("Ironfist", [*NAMES, "Bera Ironfist"]) is None
    assert resolve("nobody", NAMES) is None


def test_rewriting_any_mess_of_brackets_is_stable() -> None:
    pieces = [
        "[",
        "]",
        "roll",
        "check: stealth, Pip",
        ": ",
        "spellcast",
        ", ",
        "3",
        "Pip",
        "\n",
        "\n\n",
        "`",
        "(",
        ")",
        "x",
    ]
    dice = random.Random(5)
    for _ in range(500):
        text = "".join(dice.choice(pieces) for _ in range(dice.randint(1, 25)))
        once = rewrite(text, REGISTRY, NAMES)
        nested = any(problem.kind == "nested_brackets" for problem in scan(text, REGISTRY)[1])
        assert nested or rewrite(once, REGISTRY, NAMES) == once, text
