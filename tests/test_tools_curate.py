"""Tool-call examples: every form and fault of a row, repeats, groups, the proof, and what a specialist is given."""

import json
import random

import pytest

from scripts.lib.cli import UserError
from scripts.lib.records import read_records
from scripts.lib.workers import Workers
from scripts.tools import check, curate, valid
from scripts.tools.examples import Example, Source, Step, find_files, read_examples, rows
from scripts.tools.keys import content_of, mask
from scripts.tools.options import ToolsCurateOptions
from scripts.tools.pool import group, make_pool, prove, split
from scripts.tools.schema import load_schema
from scripts.tools.valid import Keyed, read_valid

SCHEMA = [
    {
        "name": "mesen2.read_memory",
        "parameters": {
            "address": {"type": "string", "format": "0xHHHHHH"},
            "length": {"type": "integer", "minimum": 1, "maximum": 256},
        },
        "required": ["address"],
    },
    {"name": "mesen2.pause", "parameters": {}},
    {"name": "z3ed_cli.inspect", "parameters": {"what": {"type": "string", "enum": ["rooms", "sprites"]}}},
]
VERBS = [
    "Read",
    "Show me",
    "Please dump",
    "I want to see",
    "Print",
    "Fetch",
    "What lies in",
    "Give me",
    "List",
    "Peek at",
]
NOUNS = [
    "the save slots",
    "link's position",
    "the heart counter",
    "the rupee total",
    "the dungeon flags",
    "sprite slots",
]
TAILS = ["now", "for me, quickly", "before the boss fight starts", "while the game is paused", "as hex please"]


def raw(number, instruction, calls, **extra):
    calls = [{"tool": name, "parameters": given, "rationale": "", "expected_output": ""} for name, given in calls]
    return {"id": f"ex-{number}", "instruction": instruction, "tool_calls": calls, "difficulty": "simple", **extra}


def many(count=120, seed=3):
    """Examples of 30 templates; the address differs within a template."""
    chooser = random.Random(seed)
    templates = [f"{verb} {noun} at # {tail}" for verb in VERBS for noun in NOUNS for tail in TAILS]
    templates = chooser.sample(templates, 30)
    rows = []
    for number in range(count):
        template = templates[number % 30]
        address = f"0x{0x7E0000 + 97 * number:06X}"
        text = template.replace("#", address)
        level = ("simple", "medium", "complex")[number % 3]
        call = ("mesen2.read_memory", {"address": address})
        rows.append(raw(number, text, [call], template=f"t{number % 30}", difficulty=level, specialist="veran"))
    for number in range(10):
        rows.append(
            raw(f"p{number}", f"{VERBS[number % 10]} {number} {TAILS[number % 5]}: pause", [("mesen2.pause", {})])
        )
        rows.append(
            raw(f"d{number}", f"Write a poem on {NOUNS[number % 6]} {TAILS[number % 5]}", [], answer="I can't.")
        )
    return rows


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    nested = tmp_path / "examples" / "veran"
    nested.mkdir(parents=True)
    for number, row in enumerate(many()):
        (nested / f"{number}.json").write_text(json.dumps(row))
    return tmp_path


def run(folder, *extra, examples="examples"):
    arguments = ["--schema", folder / "schema.json", "--examples", folder / examples, "--out", folder / "out", *extra]
    curate.main(curate.parser().parse_args(list(map(str, arguments))))
    return json.loads((folder / "out" / "stats.json").read_text())


def test_counts_splits_and_proof(folder, capsys):
    (folder / "examples" / "summary.json").write_text('{"generated": 144}')
    again = many()[5] | {"id": "again"}
    (folder / "examples" / "again.json").write_text(json.dumps(again))
    stats = run(folder)
    assert stats["rows_in"] == 142
    assert (stats["valid"], stats["distinct"]) == (141, 140 - stats["near_duplicates"])
    assert stats["duplicates"] == 1
    assert stats["dropped"] == {"not_an_example": 1}
    assert stats["not_examples"][0].endswith("summary.json")
    assert f"{2 + stats['near_duplicates']} set aside (quarantine.jsonl says why)" in capsys.readouterr().err
    assert (stats["leakage"]["exact"], stats["leakage"]["near"]) == (0, 0)
    assert stats["leakage"]["naive_split_near"] > stats["leakage"]["naive_split_rows"] / 2
    sides = {side: read_records(folder / "out" / f"{side}.jsonl") for side in ("train", "val", "test")}
    templates = {side: {record.meta["template"] for record in rows} - {None} for side, rows in sides.items()}
    assert not templates["train"] & templates["test"]
    assert not templates["train"] & templates["val"]
    for level in ("simple", "medium", "complex"):
        assert stats["by_difficulty"][level]["test"] > 0
        assert stats["by_difficulty"][level]["val"] > 0
    assert sum(stats["by_kind"]["decline"].values()) == 10
    assert "Gaps" in (folder / "out" / "coverage.md").read_text()
    assert "`what` is never given" in (folder / "out" / "coverage.md").read_text()


def test_same_bytes_whatever_the_order_of_files(folder):
    run(folder)
    before = (folder / "out" / "train.jsonl").read_bytes()
    rows = many()
    random.Random(1).shuffle(rows)
    (folder / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(folder, examples="all.jsonl")
    ours = [json.loads(line) for line in before.splitlines()]
    theirs = [json.loads(line) for line in (folder / "out" / "train.jsonl").read_text().splitlines()]
    for row in (*ours, *theirs):
        del row["meta"]["file"], row["meta"]["row"]
    assert ours == theirs


def test_a_specialist_gets_its_tools_and_its_declines(folder):
    foreign = raw("other", "Dance for me", [], answer="I can't dance.", specialist="nayru")
    (folder / "examples" / "foreign.json").write_text(json.dumps(foreign))
    stats = run(folder, "--run", "veran", "--focus", "mesen2.read_memory", "--system-prompt", "You call tools.")
    assert stats["tools_shown"] == ["mesen2.read_memory"]
    assert stats["of_other_specialists"] == 11  # ten pauses and the foreign decline
    record = read_records(folder / "out" / "train.jsonl")[0]
    assert [tool["function"]["name"] for tool in record.tools] == ["mesen2.read_memory"]
    assert record.messages[0].text == "You call tools."
    called = {call["function"]["name"] for message in record.messages for call in message.tool_calls or []}
    assert called <= {"mesen2.read_memory"}


def test_openai_form_beside_it_reads_back(folder):
    run(folder)
    rows = [json.loads(line) for line in (folder / "out" / "test.openai.jsonl").read_text().splitlines()]
    call = next(m["tool_calls"][0] for row in rows for m in row["messages"] if m.get("tool_calls"))
    assert isinstance(call["function"]["arguments"], str)
    (folder / "round").mkdir()
    (folder / "out" / "test.openai.jsonl").rename(folder / "round" / "rows.jsonl")
    reading = read_examples([folder / "round" / "rows.jsonl"], 1.0)
    assert not reading.faults
    records = {record.id: record for record in read_records(folder / "out" / "test.jsonl")}
    for example in reading.examples:
        assert [list(call) for call in example.calls] == [
            call for entry in records[example.id].expect for call in entry["calls"]
        ]


def test_every_tool_needs_an_owner(folder):
    with pytest.raises(UserError, match=r"no specialist owns z3ed_cli\.inspect"):
        run(folder, "--owned", "mesen2.read_memory", "mesen2.pause")
    with pytest.raises(UserError, match=r"no tool 'mesen2\.fly'"):
        run(folder, "--focus", "mesen2.fly")


BAD = {
    "unknown_tool": raw("b1", "Fly", [("mesen2.fly", {})]),
    "missing_parameter": raw("b2", "Read", [("mesen2.read_memory", {})]),
    "bad_value": raw("b3", "Read", [("mesen2.read_memory", {"address": "here"})]),
    "unreadable": raw("b4", "Nothing to do", []),
    "too_many_calls": raw("b5", "Pause a lot", [("mesen2.pause", {})] * 6),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_rows_are_quarantined_with_file_and_row(kind, folder, capsys):
    (folder / "examples" / "zz.jsonl").write_text(json.dumps(many()[0] | {"id": "fine"}) + "\n" + json.dumps(BAD[kind]))
    stats = run(folder)
    assert stats["dropped"] == {kind: 1}
    (row,) = [row for row in map(json.loads, (folder / "out" / "quarantine.jsonl").open()) if row["reason"] == kind]
    assert row["file"].endswith("zz.jsonl")
    assert row["row"] == 2
    arguments = ["--schema", str(folder / "schema.json"), str(folder / "examples"), "--json"]
    assert check.main(check.parser().parse_args(arguments)) == 1
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    wrong = [row for row in printed if row["problems"]]
    assert [(row["row"], row["problems"][0]["kind"]) for row in wrong] == [(2, kind)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"tool_calls": [', "not valid JSON"),
        ('{"id": 1, "instruction": "x", "tool_calls": "none"}', "not a list"),
        ('{"id": 1, "tool_calls": []}', "has no `instruction`"),
        ('{"id": 1, "instruction": "x", "tool_calls": [{"parameters": {}}]}', "has no `tool`"),
        ('{"id": 1, "instruction": "x"}', "neither calls nor an `answer`"),
        ('{"id": 1, "instruction": "x", "answer": ["No."]}', "`answer` is no text"),
        ('{"id": 1, "instruction": "x", "turns": 3}', "`turns` is not a list"),
        ('{"id": 1, "instruction": "x", "turns": ["abc"]}', "`turns` is not a list"),
        ('{"id": 1, "instruction": "x", "turns": [{"results": [{}]}], "answer": "No."}', "before any call"),
        ('{"messages": [{"role": "assistant", "content": "x"}]}', "does not begin with the user"),
        (
            '{"messages": [{"role": "user", "content": " "}, {"role": "assistant"}]}',
            "does not begin with the user's words",
        ),
        (
            '{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": ""}]}',
            "neither calls nor words",
        ),
        (
            '{"messages": [{"role": "user", "content": [7]}, {"role": "assistant"}]}',
            "`content` is not a list of mappings",
        ),
        ('{"messages": [{"role": "user", "content": [{"type": "text", "text": null}]}]}', "the user's words"),
        (
            '{"messages": [{"role": "user", "content": "x"}, '
            '{"role": "assistant", "tool_calls": [{"function": null}]}]}',
            "no function name",
        ),
        (
            '{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": '
            '[{"function": {"name": "a", "arguments": "{oops"}}]}]}',
            "the arguments of a are not JSON",
        ),
        ('{"id": 1, "instruction": "' + "x" * 2_000_000 + '", "tool_calls": []}', "more than check.max_row_mb 1"),
    ],
)
def test_rows_that_cannot_be_read(text, words, tmp_path):
    (tmp_path / "a.jsonl").write_text(text + "\n")
    (fault,) = read_examples([tmp_path / "a.jsonl"], 1.0).faults
    assert fault.kind == "unreadable"
    assert words in fault.message
    assert fault.source.row == 1


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_of_a_row_too_large_only_the_beginning_is_read(name, tmp_path):
    large, after = {"id": "big", "instruction": "x" * 10_000_000, "tool_calls": []}, raw(1, "Halt", [("a.b", {})])
    text = json.dumps(large) if name == "a.json" else f"{json.dumps(large)}\n\n{json.dumps(after)}"
    (tmp_path / name).write_text(text)
    longest = max(len(row) for _, row, _ in rows([tmp_path / name], 1_000_000))
    assert longest == 1_000_000
    reading = read_examples([tmp_path / name], 1.0)
    assert [(fault.source.row, fault.kind) for fault in reading.faults] == [(1, "unreadable")]
    assert "10.0 MB, more than check.max_row_mb 1;" in reading.faults[0].message
    assert [one.source.row for one in reading.examples] == ([] if name == "a.json" else [3])


def test_what_calls_nothing_needs_no_list_of_calls_and_its_last_answer_tells_its_kind(tmp_path):
    asked = [("user", "Read it."), ("assistant", "Which address?"), ("user", "Never mind!")]
    lines = [
        {"id": "d", "instruction": "Dance", "answer": "I can't."},
        {"id": "q", "messages": [{"role": role, "content": text} for role, text in asked]},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [one.kind for one in read_examples([tmp_path / "a.jsonl"], 1.0).examples] == ["decline", "ask"]


def test_files_of_one_name_without_ids_are_different_examples(tmp_path):
    for folder, text in (("easy", "Halt"), ("hard", "Stop it"), ("more", "Wait")):
        (tmp_path / folder).mkdir()
        row = {key: value for key, value in raw(1, text, [("mesen2.pause", {})]).items() if key != "id"}
        (tmp_path / folder / "one.json").write_text(json.dumps(row))
    reading = read_examples(find_files([tmp_path]), 1.0)
    assert [(one.id, one.instruction) for one in reading.examples] == [
        ("one-1", "Halt"), ("one-1.2", "Stop it"), ("one-1.3", "Wait")
    ]  # fmt: skip
    assert not reading.faults


def test_a_second_row_of_an_id_is_a_fault(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(raw(1, text, [("mesen2.pause", {})])) + "\n" for text in "ab"))
    reading = read_examples([tmp_path / "a.jsonl"], 1.0)
    assert len(reading.examples) == 1
    assert reading.faults[0].kind == "id_twice"
    assert "row 1" in reading.faults[0].message


def test_too_many_bad_rows_stop_the_build(folder):
    for number in range(60):
        bad = raw(f"bad{number}", f"Fly {number}", [("mesen2.fly", {})])
        (folder / "examples" / f"bad{number}.json").write_text(json.dumps(bad))
    with pytest.raises(
        UserError, match=r"60 of 200 examples are bad, more than check\.max_bad_share 0\.2: .*bad0\.json"
    ):
        run(folder)


def keyed(example):
    return Keyed(example, content_of(example), mask(example.instruction))


def example(name, text, **extra):
    steps = (Step("user", text), Step("assistant", calls=(("mesen2.pause", {}),)))
    return Example(name, Source("f", 1), steps, "simple", extra.get("template"), None)


def test_masks_hide_values():
    assert mask("Read 16 bytes at $7E:F340, then 0x10!") == "read # bytes at # then #"
    assert mask("Write A9 05 8D at 7EF340") == mask("write FF 00 at 7EF341")
    assert mask("Put be ad 05 to a$7e:1, add 2.5s of x0x1 – über 3 Räume") == "put # to a # add # of x0x1 über # räume"


def test_rows_that_differ_by_one_word_stay_together_and_the_proof_would_notice():
    options = ToolsCurateOptions()
    texts = {"a": "Set a breakpoint at $1234", "b": "Set a breakpoint on $4321", "c": "Now set a breakpoint on 0x99"}
    texts |= {"y": "Go and open the big red door", "z": "Halt"}
    pool, pairs = make_pool([keyed(example(name, text)) for name, text in texts.items()], options)
    groups = group(pool, pairs)
    assert groups["a"] == groups["b"] == groups["c"]
    assert len(set(groups.values())) == 3
    sides = {"a": "train", "b": "test", "c": "train", "y": "val", "z": "train"}
    with pytest.raises(UserError, match=r"0 exact and 2 near pairs .* c \(train\) and b \(test\)"):
        prove(pool, sides, options.near_threshold)


def test_near_texts_and_templates_stay_together_and_the_proof_would_notice():
    options = ToolsCurateOptions()
    examples = [example(f"a{n}", f"Would you kindly stop the game at frame {n} for a look") for n in range(3)]
    examples += [example(f"b{n}", f"{VERBS[n]} {NOUNS[n % 6]} {TAILS[n % 5]}", template="same") for n in range(4)]
    examples += [example(f"c{n}", f"{VERBS[n]} {n * 'x'} {TAILS[n % 5]} {NOUNS[n % 6]} hold") for n in range(9)]
    pool, pairs = make_pool(list(map(keyed, examples)), options)
    groups = group(pool, pairs)
    assert len({groups[name] for name in groups if name[0] == "b"}) == 1
    sides = split(pool, groups, options)
    assert prove(pool, sides, options.near_threshold) == {"exact": 0, "near": 0}
    kept = [example("a", "stop the game at once"), example("z", "go and open the big red door")]
    pool, _ = make_pool(list(map(keyed, kept)), options)
    pool.examples["y"], pool.masked["y"] = example("y", "stop the game at once"), mask("stop the game at once")
    with pytest.raises(UserError, match=r"1 exact and 1 near pairs lie across splits: a \(train\) and y \(test\)"):
        prove(pool, {"a": "train", "z": "val", "y": "test"}, 0.7)


def odd_rows(count):
    """Rows of every kind: good, spelled otherwise, without an id, with a taken one, unreadable, of a bad value."""
    call = {"tool": "mesen2.read_memory", "parameters": {"address": "0x7ef340", "length": 4}}
    for number in range(count):
        row = {"id": f"r{number}", "instruction": f"Read the bytes of door {number} \u00e9", "tool_calls": [call]}
        changes = [
            {},
            {"id": None},
            {"id": "r0"},
            {"tool_calls": [{"tool": "mesen2.read_memory", "parameters": {"address": 2**70, "length": 4}}]},
            {"tool_calls": [{"tool": "mesen2.read_memory", "parameters": {"address": "0x7EF340", "length": 2**70}}]},
            {"tool_calls": [], "answer": "Which door?", "template": "ask", "specialist": "veran"},
            {"tool_calls": None},
        ]
        yield json.dumps(row | changes[number % len(changes)])
        yield "{" if number % 5 == 0 else json.dumps({"summary": number})


def test_helper_processes_read_what_one_process_reads(tmp_path, monkeypatch):
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(odd_rows(2_000)))
    monkeypatch.setattr(valid, "BATCH", 1 << 16)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    found = []
    for wanted in (False, True):
        with Workers(wanted) as workers:
            found.append(read_valid([file], load_schema(tmp_path / "schema.json"), 1.0, 1.0, workers))
    alone, helped = found
    assert alone == helped
    kinds = {fault.kind for fault in alone.faults}
    assert kinds == {"unreadable", "not_an_example", "id_twice", "bad_value"}
    assert len(alone.examples) + len(alone.faults) == 4_000
    assert [row.example.id for row in alone.examples[:3]] == ["r0", "rows-3", "r5"]
    assert alone.examples[0] == keyed(alone.examples[0].example)
    assert alone.examples[0].example.calls[0][1]["address"] == "0x7EF340"


def test_workers_keep_the_order_and_pass_errors_on(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    for wanted in (False, True):
        with Workers(wanted) as workers:
            assert workers.count == 1 + wanted
            assert list(workers.each(abs, iter(range(-50, 0)))) == list(range(50, 0, -1))
            assert workers.start(max, 3, 4)() == 4
            with pytest.raises(ValueError, match="invalid literal"):
                list(workers.each(int, ["1", "x"]))
