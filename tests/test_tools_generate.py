"""Generated tool-call examples: repeatable, varied, valid against the schema, and derivable from the request."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.cli import UserError
from scripts.tools import generate
from scripts.tools.generator import assemble, contents, kinds, normalise, render, values
from scripts.tools.generator.intents import SLOT, read_templates, templates

SCHEMA = Path(__file__).parents[1] / "data" / "raw" / "tools" / "schema.json"
OWN = {
    "veran": "yaze_debugger.read_memory yaze_debugger.get_registers z3ed_cli.inspect z3ed_cli.extract "
    "mesen2.read_memory",
    "farore": "mesen2.load_rom mesen2.run mesen2.screenshot yaze_debugger.read_memory mesen2.pause mesen2.step "
    "yaze_debugger.continue yaze_debugger.set_breakpoint yaze_debugger.step",
    "nayru": "yaze_debugger.write_memory yaze_debugger.assemble z3ed_cli.import z3ed_cli.validate z3ed_cli.modify "
    "mesen2.write_memory",
}


def call(out: Path, *more: str, schema: Path = SCHEMA) -> None:
    generate.main(generate.parser().parse_args(["--schema", str(schema), "--out", str(out), *more]))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.json")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("generated")
    call(out)
    return out


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*/*.json"))]


@pytest.fixture(scope="module")
def tools() -> dict[str, dict[str, Any]]:
    servers = json.loads(SCHEMA.read_text())["tools"]
    return {f"{server}.{name}": tool for server, group in servers.items() for name, tool in group["tools"].items()}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(folder: Path, tmp_path: Path) -> None:
    call(tmp_path / "again")
    call(tmp_path / "other", "--seed", "8")
    assert bytes_of(tmp_path / "again") == bytes_of(folder)
    assert bytes_of(tmp_path / "other") != bytes_of(folder)


def test_a_smaller_rerun_leaves_no_old_example_and_no_strange_file_goes(tmp_path: Path) -> None:
    call(tmp_path, "--count", "60")
    mine = tmp_path / "veran" / "mine.json"
    mine.write_text("{}")
    (tmp_path / "manifest.json").unlink()  # Snakemake removes a rule's outputs before it runs
    call(tmp_path, "--count", "30")
    assert len(list(tmp_path.glob("*/*.json"))) == 31
    assert mine.exists()


def test_manifest_names_every_file(folder: Path) -> None:
    listed = json.loads((folder / "manifest.json").read_text())
    assert (listed["seed"], listed["count"]) == (7, 1200)
    assert {row["name"] for row in listed["files"]} == set(bytes_of(folder)) - {"manifest.json"}
    assert all(set(row) == {"name", "bytes", "sha256"} for row in listed["files"])


def test_counts_and_shares(folder: Path, rows: list[dict[str, Any]], tools: dict[str, Any]) -> None:
    counts = json.loads((folder / "statistics.json").read_text())
    assert len(rows) == counts["examples"] == 1200
    assert counts["by_specialist"] == {"farore": 400, "nayru": 400, "veran": 400}
    assert counts["by_kind"] == {"ask": 96, "calls": 864, "decline": 120, "follow_up": 120}
    assert counts["templates"] >= 350
    assert counts["largest_template_share"] <= 0.015
    assert set(counts["by_calls"]) == {"0", "1", "2", "3", "4", "5"}
    assert set(counts["by_tool"]) == set(tools)
    for tool, by_difficulty in counts["by_tool"].items():
        assert set(by_difficulty) == {"simple", "medium", "complex"}, tool
        assert sum(by_difficulty.values()) >= 30, tool


def test_ids_are_unique_and_no_example_repeats(rows: list[dict[str, Any]]) -> None:
    pairs = Counter(json.dumps([row["instruction"], row["tool_calls"]]) for row in rows)
    assert len({row["id"] for row in rows}) == len(pairs) == len(rows)


def test_each_specialist_calls_its_own_tools(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert {entry["tool"] for entry in row["tool_calls"]} <= set(OWN[row["specialist"]].split()), row["id"]


def matches(rule: dict[str, Any], value: Any) -> bool:
    """Written anew here: the generator's own check must not vouch for itself."""
    if rule["type"] == "boolean":
        return value in (True, False) and isinstance(value, bool)
    if rule["type"] == "integer":
        low, high = rule.get("minimum", 0), rule.get("maximum", 10**9)
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    if not isinstance(value, str) or value not in rule.get("enum", [value]):
        return False
    form = rule.get("format", "")
    if form == "hex-bytes":
        return all(re.fullmatch("[0-9A-F]{2}", part) for part in value.split(" "))
    if form:
        return len(value) == len(form) and value.startswith("0x") and int(value, 16) <= limit(rule) and upper(value)
    return bool(value)


def limit(rule: dict[str, Any]) -> int:
    return 0x3FFFFF if rule.get("address_space") == "pc" else 0xFFFFFF


def upper(value: str) -> bool:
    return value[2:] == value[2:].upper()


def test_every_call_fits_the_schema(rows: list[dict[str, Any]], tools: dict[str, Any]) -> None:
    made = [entry for row in rows for entry in row["tool_calls"]]
    assert len(made) > 1000
    for entry in made:
        tool, given = tools[entry["tool"]], entry["parameters"]
        assert set(tool["required"]) <= set(given) <= set(tool["parameters"]), entry
        assert all(matches(tool["parameters"][name], value) for name, value in given.items()), entry


def test_the_schema_is_small_enough_for_every_prompt(tools: dict[str, Any]) -> None:
    for name, tool in tools.items():
        definition = {"name": name, **{key: tool[key] for key in ("description", "parameters", "required")}}
        assert len(json.dumps(definition)) < 560, name


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (normalise.address, "$7EF340", "0x7EF340"),
        (normalise.address, "7E:F340", "0x7EF340"),
        (normalise.address, "$7e:f340", "0x7EF340"),
        (normalise.address, "7EF340h (the bow slot)", "0x7EF340"),
        (normalise.address, "bank $0D, address $00A2", "0x0D00A2"),
        (normalise.address, "0xf8", "0x0000F8"),
        (normalise.count, "a word", 2),
        (normalise.count, "0x10 bytes", 16),
        (normalise.count, "twenty-four bytes", 24),
        (normalise.count, "half a kilobyte", 512),
        (normalise.count, "two seconds", 120),
        (normalise.count, "1.5 seconds", 90),
        (normalise.count, "a minute", 3600),
        (normalise.count, "$20 instructions", 32),
        (normalise.entry, "26 (decimal)", "0x01A"),
        (normalise.entry, "$1a", "0x01A"),
        (normalise.hex_bytes, "$63, $00", "63 00"),
        (normalise.hex_bytes, "0x0a 0xFF", "0A FF"),
        (normalise.hex_bytes, "a9018d", "A9 01 8D"),
        (normalise.hex_bytes, "the word 0x0190 (low byte first)", "90 01"),
        (normalise.hex_bytes, "99 (decimal)", "63"),
        (normalise.hex_bytes, "three NOPs", "EA EA EA"),
        (normalise.hex_bytes, "two zero bytes", "00 00"),
        (normalise.code, "`lda #$0f; sta $13 / rtl`", "LDA #$0F : STA $13 : RTL"),
        (normalise.code, "```\nclc\nrtl\n```", "CLC : RTL"),
        (normalise.condition, "the accumulator holds $05", "A == 0x05"),
        (normalise.slot, "0x0C", 12),
        (normalise.file_name, '"out/a.bin"', "out/a.bin"),
        (contents.code_size, "LDA #$01 : STA $7EF359 : RTL", 7),
    ],
)
def test_a_spelling_has_one_meaning(read: Any, text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (normalise.address, "the bow"),
        (normalise.count, "some bytes"),
        (normalise.entry, "12"),
        (normalise.hex_bytes, "A"),
    ],
)
def test_what_is_no_value_is_refused(read: Any, text: str) -> None:
    with pytest.raises(ValueError):
        read(text)


def test_a_spelling_that_reads_otherwise_is_not_drawn() -> None:
    with pytest.raises(ValueError, match="reads as"):
        values.drawn(normalise.count, 3, "a word")


@pytest.mark.parametrize("slot", sorted(kinds.KINDS))
def test_every_slot_draws(slot: str) -> None:
    rng = random.Random(1)
    assert all(kinds.draw(rng, slot).text for _ in range(100))


def test_every_phrase_tells_what_its_calls_hold() -> None:
    rng = random.Random(3)
    for template in templates():
        row = assemble.example(template, template.specialist or "veran", rng)
        assert not SLOT.search(row["instruction"] + row.get("answer", "")), template.id


def test_template_ids_and_phrases_are_unique() -> None:
    assert len({template.id for template in templates()}) == len(templates())
    pairs = Counter((template.specialist, template.phrase.casefold()) for template in templates())
    assert max(pairs.values()) == 1, pairs.most_common(3)


def test_declines_and_questions_make_no_call(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["kind"] in ("decline", "ask"):
            assert row["tool_calls"] == []
            assert row["answer"].startswith("I can't") if row["kind"] == "decline" else row["answer"].endswith("?")
        else:
            assert 1 <= len(row["tool_calls"]) <= 5
            assert ("answer" in row) == ("turns" in row) == (row["kind"] == "follow_up")


def shown(value: Any, text: str) -> bool:
    """Whether a tool's result shows a value: as it is, its low word, or its bytes from the low one up."""
    if str(value) in text:
        return True
    number = int(str(value).replace(" ", ""), 16) if isinstance(value, str) else value
    size = len(value.split()) if isinstance(value, str) and " " in value else 3
    low_first = [number.to_bytes(4, "little")[:many].hex(" ").upper() for many in (3, 2, 1)]
    other_way = "0x" + number.to_bytes(max(size, 3), "big")[-size:][::-1].hex().upper()
    return any(form in text for form in (*low_first, other_way, f"0x{number & 0xFFFF:04X}"))


def test_follow_ups_use_what_a_tool_returned(rows: list[dict[str, Any]]) -> None:
    chosen = [row for row in rows if row["kind"] == "follow_up"]
    flat = [[{key: entry[key] for key in ("tool", "parameters")} for entry in row["tool_calls"]] for row in chosen]
    assert flat == [[entry for turn in row["turns"] for entry in turn["tool_calls"]] for row in chosen]
    for row in chosen:
        hidden = [slot for step in by_id()[row["template"]].steps for slot in step.arguments if slot.hidden]
        before = " ".join(result["content"] for turn in row["turns"][:-1] for result in turn["results"])
        last = row["turns"][-1]["tool_calls"][0]["parameters"]
        assert hidden
        assert all(shown(last[argument.name], before) for argument in hidden), row["id"]
        spoken = row["instruction"]
        assert all(str(last[argument.name]) not in spoken for argument in hidden if argument.name == "address")


def by_id() -> dict[str, Any]:
    return {template.id: template for template in templates()}


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [("le3", "0x0D8034", "34 80 0D"), ("le2", "0x008034", "34 80"), ("le1", 60, "3C"), ("low", "0x0001F3", "0x01F3")],
)
def test_results_show_values_as_a_tool_does(form: str, value: Any, text: str) -> None:
    assert render.formed(value, form) == text


def test_bad_arguments_are_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        call(tmp_path / "out", schema=tmp_path / "none.json")
    with pytest.raises(UserError, match="--count 0"):
        call(tmp_path / "out", "--count", "0")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(UserError, match="defines no tool"):
        call(tmp_path / "out", schema=tmp_path / "list.json")
    assert not (tmp_path / "out").exists()


def test_a_schema_without_a_tool_is_named(tmp_path: Path) -> None:
    schema = json.loads(SCHEMA.read_text())
    del schema["tools"]["mesen2"]["tools"]["pause"]
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    with pytest.raises(UserError, match=r"no tool 'mesen2\.pause'"):
        call(tmp_path / "out", schema=tmp_path / "schema.json")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("calls:\n  go: {calls: [mesen2.run frames], phrases: ['Run.']}", "calls.go: no {frames}, which .* 'frames'"),
        ("calls:\n  go: {calls: [mesen2.run], phrases: ['Run {hours}.']}", "calls.go: unknown slot {hours}"),
        ("calls:\n  go: {calls: [mesen2.run], phrases: ['Run {Frames}.']}", "calls.go: a brace that is not part"),
        ("calls:\n  go: {calls: [mesen2.run], phrases: ['Run {label}.']}", "calls.go: {label} without {address}"),
        ("calls:\n  go: {calls: [mesen2.run frames^timer:le9], phrases: [Run.]}", "calls.go: unknown form {timer:le9}"),
        ("calls:\n  go: {calls: [mesen2.run]}", "calls.go.phrases: field required"),
        ("calls:\n  go: {calls: [mesen2.run], phrases: [a: b]}", "calls.go.phrases.0: input should be a valid string"),
        (
            "calls:\n  go: {calls: [mesen2.run], phrase: [Run.]}",
            "unknown key 'calls.go.phrase'; did you mean",
        ),
        ("calls:\n  go: {calls: [mesen2.run], phrases: []}", "calls.go.phrases: .* at least 1 item"),
        ("calls:\n  go: {}\n  go: {}", "repeated key 'go'.*line 3"),
        (
            "follow_up:\n  go: {calls: [mesen2.run], results: [[a]], answers: [b], phrases: [c]}",
            "follow_up.go: .*two lines in each",
        ),
        ("ask:\n  go: {phrases: [Run.]}", "ask.go.answers: field required"),
        ("calls: [", "not readable as YAML"),
    ],
)
def test_a_bad_row_of_a_table_is_named(table: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "veran.yaml"
    path.write_text(table)
    with pytest.raises(UserError, match=f"veran.yaml: .*{message}"):
        list(read_templates(path, "veran"))


def test_an_intent_gives_one_template_per_phrase(tmp_path: Path) -> None:
    path = tmp_path / "veran.yaml"
    path.write_text(
        "calls:\n  go:\n    calls: [mesen2.run frames]\n    phrases: |\n      Run: {frames}\n\n      Go {frames}.\n"
    )
    found = list(read_templates(path, "veran"))
    assert [template.id for template in found] == ["veran.go.01", "veran.go.02"]
    assert [template.phrase for template in found] == ["Run: {frames}", "Go {frames}."]
