"""The answers of an agent, and what they score, against counts made by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scripts.gameplay import score
from scripts.gameplay.answer import AnswerError, from_text, is_idle, question, to_text
from scripts.gameplay.baselines import answers
from scripts.gameplay.cases import cases_of
from scripts.gameplay.keys import KEYS, held, keys_of, word_of
from scripts.lib.cli import UserError
from scripts.lib.files import read_json, read_jsonl, write_jsonl
from scripts.lib.metrics import Bootstrap, Formula, estimate
from scripts.lib.records import Message, Part, Record, text_message, write_records
from scripts.model.cases import with_others_questions

W, LEFT, CHORD, NOTHING = (keys_of(word) for word in ("w", "left", "left+w", "none"))


def test_words_and_keys_are_inverse():
    assert word_of(["w", "left"]) == "left+w"
    for word in ("none", "w", "left+w", "+".join(sorted(KEYS))):
        assert word_of(keys_of(word)) == word
    assert held(["none"]) == frozenset()
    for wrong in ("jump", "w+w", "none+w", "", "W"):
        with pytest.raises(ValueError, match=r"unknown key|stands twice"):
            keys_of(wrong)


def test_answers_are_read_as_they_are_written():
    actions = (CHORD, CHORD, W, W, W, NOTHING, NOTHING)
    text = '{"actions":["left+w","left+w","w","w","w","none","none"]}'
    assert (to_text(actions), from_text(text), from_text(f"```json\n{text}\n```")) == (text, actions, actions)
    assert is_idle((NOTHING,) * 7) and not is_idle(actions)
    assert question("Go to the armor") == "Goal: Go to the armor\n\nPredict the next 7 actions:"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not valid JSON"),
        ('["w"]', "no list of 7"),
        ('{"actions":["w"]}', "no list of 7"),
        (json.dumps({"actions": ["w"] * 6 + ["fly"]}), "unknown key 'fly'"),
        (json.dumps({"actions": ["w"] * 6 + [3]}), "is 3, no word"),
    ],
)
def test_what_cannot_be_read_is_an_error_and_no_rest(text, said):
    with pytest.raises(AnswerError, match=said):
        from_text(text)


def record(number, recording, due, now, goal="Go to the armor"):
    asked = Message(role="user", content=[Part(type="image"), Part(type="text", text=question(goal))])
    return Record(
        id=f"{recording}/{number}",
        group=recording,
        messages=[asked, text_message("assistant", to_text(due))],
        images=["images/a.jpg"],
        expect=[{"now": word_of(now)}],
    )


TEST = [
    record(0, "one", (W,) * 7, LEFT),
    record(1, "one", (CHORD,) * 3 + (W,) * 4, CHORD),
    record(2, "two", (NOTHING,) * 7, W),
    record(3, "two", (W,) * 6 + (NOTHING,), W),
]


def test_counts_by_hand():
    row = score.count((CHORD,) * 3 + (W,) * 4, (W,) * 5 + (LEFT,) * 2)
    assert (row["first"], row["slots"], row["all_slots"], row["valid"]) == (0.0, 2.0, 7.0, 1.0)
    assert (row["hits:w"], row["given:w"], row["due:w"]) == (5.0, 5.0, 7.0)
    assert (row["hits:left"], row["given:left"], row["due:left"]) == (0.0, 2.0, 3.0)
    silent = score.count((NOTHING,) * 7, None)
    assert (silent["slots"], silent["idle_given"], silent["idle_due"], silent["valid"]) == (0.0, 0.0, 1.0, 0.0)


def test_macro_f1_leaves_out_keys_that_no_one_presses():
    hits, given, due = (np.zeros((len(KEYS), 2)) for _ in range(3))
    hits[KEYS.index("w")] = [6, 0]
    given[KEYS.index("w")] = [8, 0]
    due[KEYS.index("w")] = [8, 0]
    due[KEYS.index("a")] = [2, 0]
    one, nothing = score.macro_f1(np.concatenate([hits, given, due]))
    assert one == pytest.approx((12 / 16 + 0) / 2)
    assert np.isnan(nothing)


def test_any_statistic_has_an_interval():
    counts = {"hits": np.array([1.0, 0, 1, 1]), "cases": np.ones(4)}
    formula = Formula(("hits", "cases"), lambda totals: totals[0] / totals[1])
    whole = estimate(formula, counts, list("abcd"), Bootstrap())
    assert whole.value == 0.75 and whole.low < 0.75 < whole.high and whole.n == 4
    alone = estimate(formula, counts, ["a"] * 4, Bootstrap())
    assert (alone.value, alone.low) == (0.75, None)


def test_swapping_asks_every_prompt_another_one_s_question():
    """The last turn of the user alone, beside the same picture; where all are asked alike, nothing changes."""
    goals = ["Go to the tree", "Go to the orb", "Go to the tree"]
    records = [record(number, "r", (W,) * 7, W, goal) for number, goal in enumerate(goals)]
    swapped = with_others_questions(records)
    assert [one.messages[0].text for one in swapped] == [
        question(f"Go to the {name}") for name in ("orb", "tree", "orb")
    ]
    for one, old in zip(swapped, records, strict=True):
        assert (one.id, one.images, one.messages[1:]) == (old.id, old.images, old.messages[1:])
        assert [part.type for part in one.messages[0].content] == ["image", "text"]
    assert [one.messages[0].text for one in records] == [question(goal) for goal in goals]
    assert with_others_questions(records[::2]) == records[::2]
    again = Message(role="user", content=[Part(type="text", text="And now?"), Part(type="image")])
    longer = records[0].model_copy(update={"messages": [*records[0].messages, again, records[0].messages[1]]})
    one, other = with_others_questions([longer, records[1]])
    assert one.messages[:2] == longer.messages[:2] and one.messages[3:] == longer.messages[3:]
    assert [(part.type, part.text) for part in one.messages[2].content] == [
        ("text", question("Go to the orb")),
        ("image", None),
    ]
    assert other.messages[0].text == "And now?"
    with pytest.raises(UserError, match="r/0: no turn of a user"):
        with_others_questions([records[0].model_copy(update={"messages": records[0].messages[1:]})])


def test_baselines():
    said = answers(cases_of(TEST), cases_of(TEST))
    assert said["majority"] == [(W,) * 7] * 4  # 17 of 28 slots
    assert said["repeat_last"] == [(LEFT,) * 7, (CHORD,) * 7, (W,) * 7, (W,) * 7]


@pytest.mark.parametrize("goals", [("armor", "orb"), ("armor", "armor")])
def test_the_scorer(tmp_path, capsys, goals):
    """Where all are told one goal there is no other to tell, and nothing is said of it."""
    asked = [record(number, "one", (W,) * 7, W, f"Go to the {goals[number % 2]}").messages[0] for number in range(4)]
    rows = [
        one.model_copy(update={"messages": [said, *one.messages[1:]]}) for one, said in zip(TEST, asked, strict=True)
    ]
    write_records(tmp_path / "test.jsonl", rows)
    write_records(tmp_path / "train.jsonl", TEST)
    right = [one.messages[-1].text for one in TEST]
    said = {"base": ["?"] * 4, "tuned": right, "f16": [right[0], right[1], "?", right[0]], "shuffled": right[::-1]}
    said["misled"] = said["shuffled"]
    for name, texts in said.items():
        rows = [
            {"id": one.id, "answer": 1, "completion": text, "finish": "stop"}
            for one, text in zip(TEST, texts, strict=True)
        ]
        write_jsonl(tmp_path / f"{name}.jsonl", rows)
    given = ["--records", str(tmp_path / "test.jsonl"), "--train", str(tmp_path / "train.jsonl"), "--out"]
    given += [str(tmp_path / "metrics.json"), "--scope", "road", "--predictions"]
    score.main(score.parser().parse_args([*given, *(str(tmp_path / f"{name}.jsonl") for name in said)]))
    metrics = read_json(tmp_path / "metrics.json")
    values = {name: {metric: one["value"] for metric, one in row.items()} for name, row in metrics["variants"].items()}
    assert list(values) == ["base", "tuned", "f16"]
    told = {"misled"} if goals[0] != goals[1] else set()
    assert set(metrics["baselines"]) == {"shuffled", "majority", "repeat_last"} | told
    assert set(metrics["not_applicable"]) == {"misled"} - told
    assert metrics["oracles"] == ["repeat_last"]
    assert all(values["tuned"][metric] == 1.0 for metric in score.FORMULAS)
    assert (values["base"]["valid_json"], values["base"]["slot_accuracy"], values["base"]["idle_recall"]) == (0, 0, 0)
    assert values["base"]["idle_precision"] is None
    assert values["f16"]["slot_accuracy"] == pytest.approx((7 + 7 + 0 + 6) / 28, abs=1e-6)
    assert (values["f16"]["first_action"], values["f16"]["valid_json"]) == (0.75, 0.75)
    assert metrics["baselines"]["repeat_last"]["slot_accuracy"]["value"] == pytest.approx(
        (0 + 3 + 0 + 6) / 28, abs=1e-6
    )
    failed = [(row["variant"], row["id"]) for _, row in read_jsonl(tmp_path / "failures.jsonl")]
    assert failed == [*(("base", one.id) for one in TEST), ("f16", "two/2")]
    assert "do not quote them" in capsys.readouterr().out
