"""Scores of tool calls: perfect, wrong and broken answers, declines, baselines, flips, the failures file."""

import json
import random

import pytest

from scripts.lib.cli import UserError
from scripts.lib.records import Message, Part, Record, text_message, write_records
from scripts.lib.tool_prompt import call_text
from scripts.tools import baselines, score
from scripts.tools.answers import Answer, parse
from scripts.tools.matching import cases_of, count, schema_of

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "",
            "parameters": {
                "type": "object",
                "properties": {
                    "address": {"type": "string", "format": "0xHHHHHH"},
                    "length": {"type": "integer", "minimum": 1, "maximum": 256},
                },
                "required": ["address"],
            },
        },
    }
    for name in ("mesen2.read_memory", "yaze.read_memory")
]
SCHEMA = schema_of([Record(id="x", group="x", messages=[text_message("user", "x")], tools=TOOLS)])


def record(number, calls=None, kind="calls"):
    """One request; two calls each third time, unless it has to be declined."""
    given = {"address": f"0x7E{number:04X}", "length": 1 + number}
    due = calls or [["mesen2.read_memory", given], *([["yaze.read_memory", given]] if number % 3 == 0 else [])]
    due = due if kind == "calls" else []
    tool_calls = [{"type": "function", "function": {"name": name, "arguments": value}} for name, value in due]
    answer = Message(role="assistant", content=[Part(type="text", text="")], tool_calls=tool_calls or None)
    messages = [text_message("user", f"Request {number} of {kind}: read {1 + number} bytes"), answer]
    expect = [{"calls": due, "kind": kind}]
    meta = {"difficulty": "simple"}
    return Record(
        id=f"r{number:02}-{kind}", group=f"g{number}", messages=messages, tools=TOOLS, expect=expect, meta=meta
    )


RECORDS = [record(n) for n in range(12)] + [record(n, kind="decline") for n in range(12, 16)] + [record(16, kind="ask")]
CASES = cases_of(RECORDS, SCHEMA)


def true_text(case):
    return "\n".join(call_text(*call) for call in case.due) or "I can't do that."


def scored(tmp_path, **texts):
    """metrics.json of variants whose answers ``texts`` gives as functions of a case."""
    write_records(tmp_path / "test.jsonl", RECORDS)
    write_records(tmp_path / "train.jsonl", [record(n) for n in range(20, 40)])
    for name, text in texts.items():
        rows = [{"id": c.id, "answer": c.answer, "completion": text(c), "finish": "stop"} for c in CASES]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = [tmp_path / f"{name}.jsonl" for name in texts]
    arguments = [
        "--records",
        tmp_path / "test.jsonl",
        "--train",
        tmp_path / "train.jsonl",
        "--out",
        tmp_path / "m.json",
    ]
    score.main(score.parser().parse_args(list(map(str, [*arguments, "--run", "veran", "--predictions", *files]))))
    return json.loads((tmp_path / "m.json").read_text())


def values(metrics, name):
    return {key: row["value"] for key, row in metrics["variants"][name].items() if key != "perplexity"}


def test_perfect_answers_score_one_everywhere(tmp_path):
    metrics = scored(tmp_path, tuned=true_text)
    assert set(values(metrics, "tuned").values()) == {1.0}
    assert (metrics["cases"], metrics["calls_due"], metrics["turns_without_call"]) == (17, 16, 5)
    assert metrics["by_tool"]["tuned"] == {"mesen2.read_memory": {"exact": 12, "tools": 12, "cases": 12}}
    assert (tmp_path / "failures.jsonl").read_text() == ""


def test_answers_of_other_requests_are_well_formed_and_wrong(tmp_path):
    texts = {case.key: true_text(case) for case in CASES}
    due = [case.key for case in CASES if case.due]
    moved = dict(zip(due, [texts[key] for key in due[1:] + due[:1]], strict=True))
    metrics = scored(tmp_path, base=lambda case: "", tuned=lambda case: moved.get(case.key, "No."))
    found = values(metrics, "tuned")
    assert found["exact_match"] == 0
    assert 0.3 < found["tool_accuracy"] < 0.7
    assert 0 < found["parameter_f1"] < 0.7
    assert found["schema_validity"] == found["decline_recall"] == found["decline_precision"] == 1
    silent = values(metrics, "base")
    assert (silent["exact_match"], silent["parameter_recall"], silent["parameter_precision"]) == (0, 0, None)
    assert silent["schema_validity"] is None
    assert silent["decline_precision"] == pytest.approx(5 / 17, abs=1e-6)
    rows = [json.loads(line) for line in (tmp_path / "failures.jsonl").open()]
    assert {row["variant"] for row in rows} == {"base", "tuned"}
    assert rows[0]["expected"][0]["name"] == "mesen2.read_memory"
    assert rows[0]["instruction"].startswith("Request 0")


@pytest.mark.parametrize(
    ("text", "exact", "hits", "given", "valid"),
    [
        ({"address": "$7e:0001", "length": "2"}, 1, 3, 3, 0),  # means the same, but the schema would refuse it
        ({"address": "0x7E0001"}, 0, 2, 2, 1),
        ({"address": "0x7E0001", "length": 3}, 0, 2, 3, 1),
        ({"address": "0x7E0001", "length": 2, "view": "hex"}, 0, 3, 4, 0),
    ],
)
def test_counts_of_one_answer(text, exact, hits, given, valid):
    case = next(case for case in CASES if case.id.startswith("r01"))
    found = count(parse(call_text("mesen2.read_memory", text)), case, SCHEMA)
    assert (found["exact"], found["hits"], found["given"], found["valid"]) == (exact, hits, given, valid)
    assert found["wanted"] == 3


@pytest.mark.parametrize("fence", ["```json\n{}\n```", "```\n{}```", "\n{}\n"])
def test_calls_as_bare_json_may_stand_in_a_fence(fence):
    text = '[{"name": "mesen2.pause", "arguments": {}}, {"name": "mesen2.run", "parameters": {"frames": 2}}]'
    answer = parse(fence.replace("{}", text))
    assert (answer.calls, answer.text) == ((("mesen2.pause", {}), ("mesen2.run", {"frames": 2})), "")
    assert parse("Use ```{}``` here.").declines


@pytest.mark.parametrize("address", ["0x000010", "0x0010", "0x10", "$10", "00:0010", 16])
def test_an_address_is_the_same_however_it_is_written(address):
    [case] = cases_of([record(50, [["mesen2.read_memory", {"address": "0x0010"}]])], SCHEMA)
    found = count(parse(call_text("mesen2.read_memory", {"address": address})), case, SCHEMA)
    assert (found["exact"], found["hits"], found["given"], found["wanted"]) == (1, 2, 2, 2)
    other = count(parse(call_text("mesen2.read_memory", {"address": "0x11"})), case, SCHEMA)
    assert (other["exact"], other["hits"]) == (0, 1)


def test_calls_in_another_order_too_few_and_too_many_are_no_match(tmp_path):
    texts = {
        "turned": lambda case: "\n".join(call_text(*call) for call in reversed(case.due)) or "No.",
        "first": lambda case: call_text(*case.due[0]) if case.due else "No.",
        "more": lambda case: "\n".join([true_text(case), call_text(*case.due[0])]) if case.due else "No.",
    }
    metrics = scored(tmp_path, **texts)
    # Four of the twelve requests want two calls.
    exact = {name: metrics["variants"][name]["exact_match"]["value"] for name in texts}
    assert exact == {"turned": pytest.approx(8 / 12, abs=1e-6), "first": pytest.approx(8 / 12, abs=1e-6), "more": 0}
    first = values(metrics, "first")
    assert first["parameter_precision"] == 1 > first["parameter_recall"] == pytest.approx(12 / 16)
    assert values(metrics, "more")["parameter_recall"] == 1


def test_an_answer_cut_inside_a_character_is_scored(tmp_path):
    scored(tmp_path, tuned=lambda case: "I can't \ud83e")
    failures = [json.loads(line)["completion"] for line in (tmp_path / "failures.jsonl").open(encoding="utf-8")]
    assert len(failures) == 12 and set(failures) == {"I can't \ufffd"}


def test_order_and_broken_calls_count():
    case = CASES[0]
    assert len(case.due) == 2
    assert count(Answer(tuple(reversed(case.due)), 0, ""), case, SCHEMA)["exact"] == 0
    assert count(Answer(case.due, 1, ""), case, SCHEMA)["exact"] == 0
    decline = next(case for case in CASES if case.kind == "decline")
    assert count(Answer((), 1, ""), decline, SCHEMA)["right"] == 0
    assert count(Answer((), 0, "no"), decline, SCHEMA)["right"] == 1


def test_baselines_copy_what_they_say(tmp_path):
    train = cases_of(
        [record(n) for n in range(20, 40)] + [record(99, [["yaze.read_memory", {"address": "0x1"}]])], SCHEMA
    )
    found = baselines.answers(train, train)
    assert found["nearest"] == [Answer(case.due, 0, "") for case in train]
    assert {answer.calls for answer in found["none"]} == {()}
    assert len({str(answer.calls) for answer in found["majority"]}) == 1
    metrics = scored(tmp_path, tuned=true_text)
    assert metrics["baselines"]["none"]["exact_match"]["value"] == 0
    assert metrics["baselines"]["nearest"]["exact_match"]["value"] == 0


def test_flips_and_pairs_between_variants(tmp_path):
    half = lambda case: true_text(case) if case.id < "r06" else "no"  # noqa: E731
    metrics = scored(tmp_path, base=lambda case: "no", tuned=true_text, f16=half, Q8_0=true_text)
    flips = {row["variant"]: (row["against"], row["gained"], row["lost"]) for row in metrics["flips"]}
    assert flips == {"tuned": ("base", 12, 0), "f16": ("tuned", 0, 6), "Q8_0": ("f16", 6, 0)}
    pairs = {(row["variant"], row["against"]): row["value"] for row in metrics["paired"]}
    steps = {("tuned", "base"): 1.0, ("f16", "tuned"): -0.5, ("Q8_0", "f16"): 0.5}
    rivals = ("base", "none", "majority", "nearest")  # what the gate may ask the quantised file to beat
    assert set(pairs) == set(steps) | {("Q8_0", rival) for rival in rivals}
    assert {pair: pairs[pair] for pair in steps} == steps
    assert pairs["Q8_0", "base"] == pairs["Q8_0", "nearest"] == 1.0


def test_order_of_rows_changes_nothing(tmp_path):
    first = scored(tmp_path, tuned=true_text)
    lines = (tmp_path / "tuned.jsonl").read_text().splitlines(keepends=True)
    random.Random(2).shuffle(lines)
    (tmp_path / "tuned.jsonl").write_text("".join(lines))
    arguments = ["--records", "test.jsonl", "--train", "train.jsonl", "--out", "n.json", "--predictions", "tuned.jsonl"]
    paths = [text if text.startswith("--") else str(tmp_path / text) for text in arguments]
    score.main(score.parser().parse_args([*paths, "--run", "veran"]))
    assert json.loads((tmp_path / "n.json").read_text()) == first


def test_records_without_expectations_are_refused():
    bare = Record(id="a", group="a", messages=[text_message("user", "x"), text_message("assistant", "y")])
    with pytest.raises(UserError, match="record a: `expect` does not give"):
        cases_of([bare], SCHEMA)
