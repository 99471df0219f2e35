"""The tool registry: scanned, extended, documented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.dnd import tools
from scripts.dnd.registry import KNOWN, Registry, load_registry, system_preamble
from scripts.lib.cli import UserError

SCENARIO = """# SYSTEM

Use [roll: dice or skill] and others.

Party:

- Pip (Rogue)

# USER

I pray.

# DM

[bless: Pip, 3] [bless: Pip, 2] [bless: Pip] [transition wilderness] [spellcast: Shield, 1st level, Pip]
"""


def call(*args: Any) -> None:
    tools.main(tools.parser().parse_args([str(arg) for arg in args]))


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    folder = tmp_path / "scenarios" / "temple"
    folder.mkdir(parents=True)
    (folder / "prayer.md").write_text(SCENARIO, encoding="utf-8")
    path = tmp_path / "registry.json"
    call("scan", tmp_path / "scenarios", "--out", path)
    return path


def entries(path: Path) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(path.read_text(encoding="utf-8"))["tools"]}


def test_new_tools_are_found_with_their_shapes(registry: Path) -> None:
    rows = entries(registry)
    assert rows["bless"] == {
        "name": "bless",
        "known": False,
        "form": "[bless: character, number]",
        "parameters": [{"name": "character", "type": "text"}, {"name": "number", "type": "text"}],
        "description": "",
        "seen": 3,
        "shapes": [{"arguments": ["name", "number"], "count": 2}, {"arguments": ["name"], "count": 1}],
        "example": {"call": "[bless: Pip]", "file": "temple/prayer.md", "line": 15},
    }
    assert (rows["transition"]["seen"], rows["transition"]["known"]) == (1, False)
    # Counted in canonical form; the SYSTEM turn describes calls and makes none.
    assert rows["spellcast"]["shapes"] == [{"arguments": ["name", "text", "number"], "count": 1}]
    assert rows["roll"]["seen"] == 0


def test_the_six_come_first_and_a_scan_is_the_same_again(registry: Path, tmp_path: Path) -> None:
    names = list(entries(registry))
    assert names[:6] == sorted(tool.name for tool in KNOWN) and names[6:] == sorted(names[6:])
    before = registry.read_bytes()
    call("scan", tmp_path / "scenarios", "--out", registry)
    assert registry.read_bytes() == before
    assert str(tmp_path) not in before.decode()


def test_ones_own_tools_are_merged_and_known(registry: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"tools": [{"name": "Bless", "parameters": ["character", "level"]}]}), encoding="utf-8")
    call("extend", registry, "--from", own)
    row = entries(registry)["bless"]
    assert (row["known"], row["form"], row["seen"]) == (True, "[bless: character, level]", 3)
    assert row["parameters"][1] == {"name": "level", "type": "level"}
    call("scan", tmp_path / "scenarios", "--extra", own, "--out", tmp_path / "again.json")
    assert entries(tmp_path / "again.json")["bless"]["known"]


def test_the_page_shows_forms_and_examples(registry: Path, tmp_path: Path) -> None:
    call("document", registry, "--out", tmp_path / "tools.md")
    page = (tmp_path / "tools.md").read_text(encoding="utf-8")
    for text in ("`[save: type, character, dc]`", "## bless", "Arguments seen: name, number (2); name (1).", "line 15"):
        assert text in page
    assert "## award_exp" not in page  # built in, but not met


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ('{"tool": []}', "expected"),
        ('{"tools": [{"parameters": []}]}', "tool 1: name"),
        ('{"tools": [{"name": "a"}, {"name": "b:c"}]}', "tool 2: name: .*'b:c' is no tool name"),
    ],
)
def test_a_bad_list_of_tools_is_named(tmp_path: Path, registry: Path, text: str, message: str) -> None:
    own = tmp_path / "own.json"
    own.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        call("extend", registry, "--from", own)


def test_the_prompt_names_known_tools_and_those_in_use(registry: Path) -> None:
    text = system_preamble("Be brief.", load_registry(registry))
    assert text.startswith("Be brief.\nTools: [check: ability, character] [health: character, modifier]")
    assert "[bless: character, number]" in text and "[transition: scene]" in text and "award_exp" not in text
    assert "transition" not in system_preamble("Be brief.", Registry())
