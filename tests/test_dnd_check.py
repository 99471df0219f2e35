"""The check command: a table or JSON lines, exit codes, and bad files named with what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.dnd import check
from scripts.dnd.sources import find_scenarios
from scripts.lib.cli import UserError

FIXTURES = Path(__file__).parent / "fixtures" / "dnd"
GOOD = "# USER\n\nI hide.\n\n# DM\n\nDo. [check: stealth, Pip]\n"


def call(*args: str) -> int:
    return check.main(check.parser().parse_args(list(args)))


def as_json(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, list[dict[str, Any]]]:
    code = call(*args, "--json")
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_one_json_line_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = as_json(capsys, str(FIXTURES / "shapes.md"))
    (row,) = rows
    assert code == 0
    assert sorted(row) == ["calls", "file", "problems", "turns"]
    assert row["file"].endswith("tests/fixtures/dnd/shapes.md")
    assert row["turns"][2] == {"role": "character", "line": 32, "name": "Kaelen Thornstep"}
    assert [(found["turn"], found["line"], found["raw"], found["known"]) for found in row["calls"]] == [
        (4, 43, "[spellcast: Light, cantrip, Marcus]", True),
        (6, 72, "[generate character: Paladin 1]", False),
        (6, 72, "[add_to_inventory GP 25]", False),
        (7, 76, "[transition wilderness]", False),
    ]
    assert row["calls"][0]["args"] == ["Light", "cantrip", "Marcus"]
    assert row["calls"][0]["canonical"] == "[spellcast: Marcus, light, 0]"
    assert {problem["kind"] for problem in row["problems"]} == {"unknown_tool"}
    assert {tuple(sorted(problem)) for problem in row["problems"]} == {("kind", "line", "message", "severity")}


def test_warnings_do_not_fail_and_errors_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(str(FIXTURES / "contradictions.md")) == 0
    out = capsys.readouterr().out
    assert "warning: line 18: sum" in out and "1 scenarios, 9 turns, 3 calls; 0 with errors, 8 warnings" not in out
    assert call(str(FIXTURES)) == 1
    said = capsys.readouterr()
    assert "unbalanced.md, line 7: unbalanced_brackets" in said.err and "empty_turn.md, line 5" in said.err
    assert "3 with errors" in said.out


@pytest.mark.parametrize(
    ("content", "kind", "line"),
    [
        (b"", "empty_file", 1),
        (b" \n\t\n", "empty_file", 1),
        (b"\xef\xbb\xbf", "empty_file", 1),
        (b"# USER\n\ncaf\xe9\n", "not_utf8", 3),
        ("# USER\n".encode("utf-16"), "not_utf8", 1),
        (b"# USER\n\na\0b\n", "not_text", 3),
        (b"# USER\n\n# DM\n\nHi.\n", "empty_turn", 1),
        (b"# DM\n\n[roll: 1d20\n", "unbalanced_brackets", 3),
    ],
)
def test_bad_files_are_named_with_line_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, kind: str, line: int
) -> None:
    path = tmp_path / "bad.md"
    path.write_bytes(content)
    code, (row,) = as_json(capsys, str(path))
    assert code == 1
    assert (row["problems"][0]["kind"], row["problems"][0]["line"]) == (kind, line)
    assert ";" in row["problems"][0]["message"]  # what is wrong; what to do
    assert call(str(path)) == 1
    assert f"{path}, line {line}: {kind}" in capsys.readouterr().err


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "bom.md"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert call(str(path)) == 0


def test_a_large_file_is_refused_unread(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.md"
    with path.open("wb") as stream:
        stream.truncate(50_000_000)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail(f"{self} was read"))
    code, (row,) = as_json(capsys, str(path))
    assert code == 1
    assert row["problems"][0]["kind"] == "too_large"
    assert "50.0 MB, the limit is 5" in row["problems"][0]["message"]


def test_no_scenarios_at_all(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# About\n\nThis folder.", encoding="utf-8")
    (tmp_path / "notes.txt").write_text(GOOD, encoding="utf-8")
    with pytest.raises(UserError, match="no scenarios"):
        call(str(tmp_path))
    with pytest.raises(UserError, match="no such file or folder"):
        call(str(tmp_path / "missing"))


def test_names_are_relative_sorted_and_distinct(tmp_path: Path) -> None:
    for name in ("two/combat/b.md", "one/combat/b.md", "one/combat/a.MD", "one/.git/c.md", "one/combat/README.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(GOOD, encoding="utf-8")
    sources = find_scenarios([tmp_path / "one", tmp_path / "two", tmp_path / "one" / "combat" / "b.md"])
    assert [source.name for source in sources] == ["combat/a.MD", "combat/b.md", "combat/b~2.md"]
    assert {source.category for source in sources} == {"combat"}
    assert find_scenarios([tmp_path / "one" / "combat"])[0].category == "uncategorised"


def test_a_registry_makes_tools_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bless.md"
    path.write_text("# DM\n\nLight. [bless Pip]\n", encoding="utf-8")
    registry = tmp_path / "registry.json"
    registry.write_text('{"tools": [{"name": "bless", "parameters": ["character"]}]}', encoding="utf-8")
    assert as_json(capsys, str(path))[1][0]["calls"] == []
    _, (row,) = as_json(capsys, str(path), "--registry", str(registry))
    assert (row["calls"][0]["canonical"], row["calls"][0]["known"]) == ("[bless: Pip]", True)
