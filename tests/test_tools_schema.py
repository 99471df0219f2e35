"""Tool schemas in every form, and the values of calls against their rules."""

import functools
import json
import random
from pathlib import Path

import pytest

from scripts.lib.cli import UserError
from scripts.tools.examples import Example, Source, Step, from_raw
from scripts.tools.generate import fits
from scripts.tools.generator.assemble import examples
from scripts.tools.schema import load_schema
from scripts.tools.validate import call_problems, canonical, canonical_call, faults_of, is_plain, plain_tests
from scripts.tools.values import normalise, problem_of

ROOT = Path(__file__).resolve().parents[1]

ADDRESS = {"type": "string", "format": "0xHHHHHH", "address_space": "pc"}
BUS = {"type": "string", "format": "0xHHHHHH", "address_space": "snes"}
BYTES = {"type": "string", "format": "hex-bytes"}
ROOM = {"type": "string", "format": "0xHHH"}
FRAMES = {"type": "integer", "minimum": 1, "maximum": 600}
SPEED = {"type": "string", "enum": ["normal", "turbo"]}
PARAMETERS = {"type": "object", "properties": {"frames": FRAMES, "speed": SPEED}, "required": ["frames"]}
FORMS = {
    "openai": [
        {"type": "function", "function": {"name": "mesen2.run", "description": "Runs.", "parameters": PARAMETERS}}
    ],
    "bare": [{"name": "mesen2.run", "description": "Runs.", "parameters": PARAMETERS}],
    "mcp": {"tools": [{"name": "mesen2.run", "description": "Runs.", "inputSchema": PARAMETERS}]},
    "nested": {
        "tools": {
            "mesen2": {
                "tools": {
                    "run": {
                        "description": "Runs.",
                        "parameters": {"frames": {**FRAMES, "examples": [60]}, "speed": SPEED},
                        "required": ["frames"],
                        "returns": "frames run",
                    }
                }
            }
        }
    },
}


def saved(tmp_path, value):
    path = tmp_path / "schema.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_tool(form, tmp_path):
    tools = load_schema(saved(tmp_path, FORMS[form]))
    assert list(tools) == ["mesen2.run"]
    tool = tools["mesen2.run"]
    assert (tool.description, tool.required) == ("Runs.", ("frames",))
    assert tool.parameters == {"frames": FRAMES, "speed": SPEED}
    assert tool.definition() == FORMS["openai"][0]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{", "not valid JSON"),
        ({"a": 1}, "not a tool schema"),
        ([], "defines no tool"),
        ([{"description": "x"}], "has no name"),
        ([*FORMS["bare"], *FORMS["mcp"]["tools"]], "mesen2.run is defined twice"),
        ([{"name": "a", "parameters": {"b": {}}}], "parameter 'b' has no type"),
        ([{"name": "a", "parameters": {**PARAMETERS, "required": ["slot"]}}], "required parameter 'slot'"),
        ({"tools": {"mesen2": {"run": {}}}}, "tools.mesen2 has no `tools`"),
        ([3], "no definition"),
        ("[" * 100_000, "not valid JSON"),
        ([{"name": 3}], "has no name"),
        ([{"name": "a", "parameters": {"properties": ["b"]}}], "`properties` is no mapping"),
        ([{"name": "a", "parameters": {**PARAMETERS, "required": 5}}], "`required` is no list"),
        ([{"name": "a", "parameters": {**PARAMETERS, "required": [["frames"]]}}], "required parameter ['frames']"),
        ([{"name": "a", "parameters": {"b": {"type": "integer", "minimum": "1"}}}], "'b': its minimum or maximum"),
        ([{"name": "a", "parameters": {"b": {"type": "integer", "minimum": 9, "maximum": 1}}}], "above its maximum"),
        ([{"name": "a", "parameters": {"b": {"type": "string", "pattern": "("}}}], "no regular expression"),
        ([{"name": "a", "parameters": {"b": {"type": "array", "items": {"type": "byte"}}}}], "'b', items has no type"),
    ],
)
def test_what_is_no_schema_is_one_sentence(value, words, tmp_path):
    with pytest.raises(UserError) as error:
        load_schema(saved(tmp_path, value))
    assert words in str(error.value)
    assert "schema.json" in str(error.value)
    assert "build it again" not in str(error.value)  # nobody built it


def test_a_tool_without_a_description_has_none(tmp_path):
    assert load_schema(saved(tmp_path, [{"name": "a", "description": None}]))["a"].description == ""


@pytest.mark.parametrize(
    ("value", "rule", "words"),
    [
        ("0x01FFFF", ADDRESS, None),
        ("0x7EF340", ADDRESS, "beyond the end of a ROM file"),
        ("0x7EF340", BUS, None),
        ("7EF340", BUS, "not an address"),
        ("0x1234567", BUS, "not an address"),
        ("0A ff", BYTES, None),
        ("0Aff", BYTES, "two hex digits each"),
        (60, FRAMES, None),
        (0, FRAMES, "outside 1 to 600"),
        (True, FRAMES, "not an integer"),
        ("60", FRAMES, "not an integer"),
        (1.5, FRAMES, "not an integer"),
        ("fast", SPEED, "choose one of 'normal', 'turbo'"),
        (1.5, {"type": "number"}, None),
        ([1], {"type": "array"}, None),
        (["7E0010"], {"type": "array", "items": BUS}, "has an item 1 that is '7E0010', not an address"),
        (["0x7E0010", "0x7E0011"], {"type": "array", "items": BUS}, None),
        ("0x01a", ROOM, None),
        ("0x1234", ROOM, "not a number of the form 0xHHH"),
        ("the cellar", ROOM, "not a number of the form 0xHHH"),
        (True, {"type": "boolean"}, None),
        ("abc", {"type": "string", "pattern": "^x"}, "does not match"),
    ],
)
def test_values_against_rules(value, rule, words):
    found = problem_of(value, rule)
    assert found is None if words is None else words in found


@pytest.mark.parametrize(
    ("value", "rule", "same"),
    [
        ("$7e:f340", BUS, "0x7EF340"),
        ("0x7ef340", BUS, "0x7EF340"),
        ("7E:40", BUS, "0x7E0040"),
        (0x40, BUS, "0x000040"),
        ("0x5", BUS, "0x000005"),
        ("somewhere", BUS, "somewhere"),
        ("0x0010", BUS, "0x000010"),
        (-1, BUS, -1),
        ("0x1a", ROOM, "0x01A"),
        ("0x001A", ROOM, "0x01A"),
        (26, ROOM, "0x01A"),
        ("0x1234", ROOM, "0x1234"),
        (["$7e:f340", 16], {"type": "array", "items": BUS}, ["0x7EF340", "0x000010"]),
        ("0a,FF 1", BYTES, "0a,FF 1"),
        ("0a,ff", BYTES, "0A FF"),
        ("$A9 $05", BYTES, "A9 05"),
        ("16", FRAMES, 16),
        ("0x10", FRAMES, 16),
        (16.0, FRAMES, 16),
        ("soon", FRAMES, "soon"),
        ("True", {"type": "boolean"}, True),
        (" turbo ", SPEED, "turbo"),
        (7, None, 7),
    ],
)
def test_values_that_mean_the_same_are_written_alike(value, rule, same):
    assert normalise(value, rule) == same


def test_problems_of_a_call_are_named(tmp_path):
    tools = load_schema(saved(tmp_path, FORMS["mcp"]))

    def kinds(name, **given):
        return [kind for kind, _ in call_problems((name, given), tools)]

    assert kinds("mesen2.run", frames=60, speed="turbo") == []
    assert kinds("mesen2.run") == ["missing_parameter"]
    assert kinds("mesen2.run", frames=0, slot=1) == ["bad_value", "unknown_parameter"]
    ((kind, message),) = call_problems(("mesen2.rum", {}), tools)
    assert kind == "unknown_tool"
    assert "did you mean 'mesen2.run'?" in message
    assert canonical_call(("mesen2.run", {"speed": "turbo", "frames": "60"}), tools) == (
        "mesen2.run",
        {"frames": 60, "speed": "turbo"},
    )
    assert list(canonical_call(("mesen2.run", {"speed": "turbo", "frames": "60"}), tools)[1]) == ["frames", "speed"]


def test_plain_calls_are_valid_and_canonical(tmp_path):
    """The quick test may miss a call that is in order, and never takes one that is not."""
    tools = load_schema(ROOT / "data/raw/tools/schema.json")
    tests, dice, plain = plain_tests(tools), random.Random(5), 0
    values = [
        "0x7EF340",
        "0x7ef340",
        "0x40",
        "$7E",
        "",
        "0A FF",
        "0a ff",
        "save",
        0,
        1,
        16,
        70_000,
        -1,
        1.0,
        True,
        None,
        [],
    ]
    for tool in tools.values():
        values += [value for rule in tool.parameters.values() for value in rule.get("enum", [])]
    for _ in range(20_000):
        tool = dice.choice(list(tools.values()))
        keys = [key for key in tool.parameters if dice.random() < 0.7] + ["other"] * (dice.random() < 0.02)
        dice.shuffle(keys) if dice.random() < 0.1 else None
        call = (tool.name, {key: dice.choice(values) for key in keys})
        example = Example(
            "x", Source("f", 1), (Step("user", "x"), Step("assistant", calls=(call,))), "simple", None, None
        )
        if is_plain(example, tests):
            plain += 1
            assert not faults_of(example, tools)
            assert json.dumps(canonical(example, tools).calls) == json.dumps(example.calls)
    assert plain > 100


def test_generated_calls_are_plain():
    tools = load_schema(ROOT / "data/raw/tools/schema.json")
    rows = examples(300, 7, functools.partial(fits, tools))
    read = [canonical(from_raw(row, Source("f", 1)), tools) for row in rows]
    share = sum(is_plain(example, plain_tests(tools)) for example in read) / len(read)
    assert share > 0.8  # else the quick test is no longer worth its lines
