"""Narration against results: contradictions are reported, honest scenarios are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.dnd.dice import findings, plain
from scripts.dnd.options import DndCheckOptions
from scripts.dnd.registry import Registry
from scripts.dnd.scenario import Scenario, read_scenario
from scripts.dnd.sources import Source

FIXTURES = Path(__file__).parent / "fixtures" / "dnd"


def read(path: Path) -> Scenario:
    return read_scenario(Source(path, path.name), Registry(), DndCheckOptions())


def of_text(folder: Path, *turns: str) -> list[tuple[str, int]]:
    path = folder / "scenario.md"
    path.write_text("\n".join(turns), encoding="utf-8")
    return [(problem.kind, problem.line) for problem in read(path).problems]


@pytest.mark.parametrize(
    "line",
    [
        "perception: 15 + 10(skill) = *25*",
        "investigation: Zara rolls 1d20+5 = 14+5 = 19",
        "initiative: Aria(17+3=20), Thorin(8-1=7)",
        "damage to Pip: 2d6+3 = 3+4+3 = 10",
        "damage to Pip: 2d6+3 = 7+3 = 10",
        "damage to Pip: 2d6+3 = (3+4)+3 = 10",
        "damage to Pip: 2d6+3 = [3, 4]+3 = 10",
        "damage to Pip: 2d6 = 7",
        "roll: 1d20 = 14 + 5 = 19",
        "roll: 1d20-1 = 9-1 = 8",
        "save dexterity: Pip rolls 1d20+2 = 11+2 = 13 vs DC 13, success",
        "roll: 1d20+5 = 1+5 = 6 vs AC 5, miss",
        "HP: 24/24, Gold: 350gp, version 1.5 = fine",
    ],
)
def test_sums_that_hold(line: str) -> None:
    assert findings(plain(line)) == []


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("perception: 15 + 10(skill) = *26*", "sum"),
        ("initiative: Aria(17+3=21)", "sum"),
        ("roll: 1d20+5 = 14+5 = 18", "sum"),
        ("roll: 1d20+5 = 14+4 = 18", "sum"),
        ("roll: 1d20+5 = 21+5 = 26", "dice_range"),
        ("damage to Pip: 2d6 = 3+7 = 10", "dice_range"),
        ("damage to Pip: 2d6 = 13", "dice_range"),
        ("stealth: 24 + 3 = 27", "dice_range"),
        ("save: Pip rolls 1d20+2 = 9+2 = 11 vs DC 13, success", "outcome"),
        ("roll: 1d20+5 = 12+5 = 17 vs AC 15, miss", "outcome"),
    ],
)
def test_sums_that_do_not(line: str, kind: str) -> None:
    assert [found[0] for found in findings(plain(line))] == [kind]


def test_every_contradiction_of_a_scenario_is_reported_with_its_line() -> None:
    problems = [(problem.kind, problem.line) for problem in read(FIXTURES / "contradictions.md").problems]
    assert sorted(problems) == sorted(
        [
            ("sum", 18),  # 8+1=10
            ("initiative", 22),  # Thorin before Goblin 1
            ("initiative", 22),  # Goblin 2 is told with 9
            ("initiative", 24),  # Thorin acts first
            ("sum", 36),  # 14+5=18
            ("dice_range", 37),  # a 22 on a d20
            ("outcome", 38),  # 10 against 13
            ("told_total", 43),  # 17
            ("health", 43),  # -6 for 7
        ]
    )


def test_contradictions_are_warnings() -> None:
    assert read(FIXTURES / "contradictions.md").errors == []


INITIATIVE = "# TOOLCALL\ninitiative: Aria(17+3=20), Thorin(8+1=9), Goblin(12+2=14)\n# DM"


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ("Initiative order: Aria (20), Goblin (14), Thorin (9)", False),
        ("Initiative order: Aria, Thorin, Goblin", True),
        ("Turn order: Aria → Goblin → Thorin.", False),
        ("Initiative: Aria 20, Goblin 14, Thorin 9", False),
        ("Initiative: Aria 20, Goblin 14, Thorin 19", True),
        ("Initiative order:\n\n1. Aria (20)\n2. the goblin (14)\n3. Thorin (9)", False),
        ("Initiative order:\n\n1. Goblin\n2. Aria", True),
        ("Aria goes first, then the goblin, then Thorin.", False),
        ("Aria goes first, then Thorin, then the goblin.", True),
        ("Thorin goes first!", True),
        ("Thorin is quickest here.", True),
        ("Aria acts on 20, the goblin on 14, and Thorin trails with a 9.", False),
        ("Aria acts on 20, the goblin on 13.", True),
        ("Thorin leads with 9. Aria follows at 20.", True),
        ("Aria stands at 30 feet, Thorin has 12 hit points, the goblin has 3 darts.", False),
        ("Aria, you act first! The goblins are near Thorin.", False),
        ("Thorin and Aria raise their shields, then the goblin laughs.", False),
    ],
)
def test_told_orders(tmp_path: Path, told: str, wrong: bool) -> None:
    assert bool(of_text(tmp_path, INITIATIVE, told)) == wrong


@pytest.mark.parametrize(
    ("result", "told", "wrong"),
    [
        ("damage to Pip: 2d6 = 3+4 = 7", "Ow. [health: Pip, -7]", False),
        ("damage to Pip: 2d6 = 3+4 = 7", "Ow. [health: Pip, -6]", True),
        ("damage to Pip: 2d6 = 3+4 = 7", "His shield takes half of it. [health: Pip, -3]", False),
        ("damage to Pip: 2d6 = 3+4 = 7\ndamage to Pip: 1d4 = 2", "Twice. [health: Pip, -9]", False),
        ("healing to Pip: 1d8+3 = 5+3 = 8", "Warm. [health: Pip, -8]", True),
        ("damage to goblin: 1d8 = 4", "It falls. [health: Pip, -2]", False),
        ("stealth: Pip rolls 1d20+2 = 9+2 = 11", "With a roll of 12 you pass.", True),
        ("stealth: Pip rolls 1d20+2 = 9+2 = 11", "You rolled an 11. Next, [roll: 2d6], or roll 3d6.", False),
    ],
)
def test_told_results(tmp_path: Path, result: str, told: str, wrong: bool) -> None:
    head = "# SYSTEM\nParty:\n- Pip (Rogue)\n# TOOLCALL"
    assert bool(of_text(tmp_path, head, result, "# DM", told)) == wrong
