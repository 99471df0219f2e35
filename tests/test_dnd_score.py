"""dnd's scores: perfect answers, shuffled answers, well-formed but wrong answers, empty answers, and the baselines."""

import json
import random

import pytest

from scripts.dnd import baselines, score
from scripts.dnd.canonical import written
from scripts.dnd.matching import Turn, answered_calls, comparable, count, turns_of
from scripts.dnd.registry import Registry
from scripts.lib import scoring
from scripts.lib.cli import UserError
from scripts.lib.records import Record, text_message, write_records

REGISTRY = Registry()
SKILLS = ["stealth", "perception", "athletics", "arcana", "insight", "survival"]
ITEMS = ["rope", "lantern", "silver key", "torch", "map", "flask of oil"]


def conversation(number: int, party=("Aria", "Thorin")) -> Record:
    """Four turns: a check, a quiet one, a save beside a change of hit points, an item."""
    who = party[number % len(party)]
    skill, item = SKILLS[number % len(SKILLS)], ITEMS[number % len(ITEMS)]
    due = [
        [["check", [skill, who]]],
        [],
        [["save", ["dexterity", who, str(10 + number)]], ["health", [who, f"-{number + 1}"]]],
        [["inventory", [who, "add", item]]],
    ]
    messages = [text_message("system", "You are the dungeon master.")]
    for step, calls in enumerate(due):
        messages.append(text_message("user", f"{who} does thing {step} with {skill} and {item}."))
        messages.append(text_message("assistant", f"So be it. {' '.join(written(*call) for call in calls)}"))
    return Record(
        id=f"tale/{number:02d}",
        group=f"tale/{number:02d}",
        messages=messages,
        expect=[{"calls": calls} for calls in due],
        meta={"file": f"{number}.md", "party": list(party)},
    )


RECORDS = [conversation(number) for number in range(12)]
TRUE = {(record.id, answer): record.messages[answer].text for record in RECORDS for answer in record.answers}


def run_score(tmp_path, completions: dict, *extra: str, name: str = "tuned", stats: dict | None = None):
    write_records(tmp_path / "test.jsonl", RECORDS)
    write_records(tmp_path / "train.jsonl", [conversation(number, ("Vex", "Mora")) for number in range(20, 26)])
    rows = [
        {"id": key[0], "answer": key[1], "prompt_tokens": 9, "completion": text, "tokens": 5, "finish": "stop"}
        for key, text in completions.items()
    ]
    predictions = tmp_path / f"{name}.jsonl"
    predictions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if stats:
        (tmp_path / f"{name}.stats.json").write_text(json.dumps(stats))
    command = ["--records", str(tmp_path / "test.jsonl"), "--train", str(tmp_path / "train.jsonl")]
    command += ["--out", str(tmp_path / "metrics.json"), "--params", '{"resamples": 200}']
    score.main(score.parser().parse_args([*command, "--predictions", str(predictions), *extra]))
    return json.loads((tmp_path / "metrics.json").read_text())


def values(metrics, name="tuned"):
    return {metric: row["value"] for metric, row in metrics["variants"][name].items()}


def test_perfect_answers_score_one(tmp_path):
    metrics = run_score(tmp_path, TRUE)
    got = values(metrics)
    for metric in ("call_precision", "call_recall", "call_f1", "tool_f1", "well_formed"):
        assert got[metric] == 1, metric
    assert (got["false_call_rate"], got["stranger_rate"]) == (0, 0)
    assert metrics["variants"]["tuned"]["call_recall"]["n"] == 48
    assert metrics["variants"]["tuned"]["false_call_rate"]["n"] == 12
    assert (metrics["cases"], metrics["groups"]) == (48, 12)
    assert (tmp_path / "failures.jsonl").read_text() == ""


def test_shuffled_answers_score_low(tmp_path):
    texts = list(TRUE.values())
    random.Random(1).shuffle(texts)
    got = values(run_score(tmp_path, dict(zip(TRUE, texts, strict=True))))
    assert got["well_formed"] == 1
    assert got["call_f1"] < 0.15 < got["false_call_rate"]


def test_well_formed_but_wrong_calls_score_zero(tmp_path):
    got = values(run_score(tmp_path, dict.fromkeys(TRUE, "[spellcast: Aria, wish, 9]")))
    assert got["well_formed"] == 1
    assert (got["call_f1"], got["tool_f1"], got["call_precision"], got["call_recall"]) == (0, 0, 0, 0)
    assert got["false_call_rate"] == 1


def test_empty_answers_have_no_precision_and_recall_nothing(tmp_path):
    metrics = run_score(tmp_path, dict.fromkeys(TRUE, ""))
    got = values(metrics)
    assert (got["call_precision"], got["well_formed"], got["stranger_rate"]) == (None, None, None)
    assert (got["call_recall"], got["call_f1"], got["false_call_rate"]) == (0, 0, 0)
    assert "n/a" in "\n".join(score.report(metrics))


def test_right_tool_with_wrong_arguments_is_a_tool_hit_only(tmp_path):
    got = values(run_score(tmp_path, {key: text.replace("-", "-9") for key, text in TRUE.items()}))
    assert got["tool_f1"] == 1
    assert got["call_recall"] == pytest.approx(36 / 48)


TURN = Turn("t", 2, "g", "Go on.", [["spellcast", ["Aria", "fireball", "3"]]], ("Aria", "Thorin"), ("Aria", "Thorin"))


@pytest.mark.parametrize(
    "text",
    [
        "[spellcast: Aria, Fireball, level 3]",
        "[SPELLCAST:aria ,fireball, 3rd level]",
        "[spellcast: Aria, fireball, +3]",
    ],
)
def test_spelling_makes_no_difference(text):
    calls, broken = answered_calls(text, TURN, REGISTRY)
    assert (count(calls, broken, TURN, REGISTRY)["hits"], broken) == (1, 0)


@pytest.mark.parametrize("text", ["[spellcast: Thorin, fireball, 3]", "[spellcast: Aria, fireball, 2]", "fireball!"])
def test_other_arguments_make_one(text):
    assert count(*answered_calls(text, TURN, REGISTRY), TURN, REGISTRY)["hits"] == 0


def test_signs_are_compared_and_a_plus_is_nothing():
    assert comparable("Health", ["Pip", "+8"]) == comparable("health", ["pip", "8"])
    assert comparable("health", ["Pip", "-8"]) != comparable("health", ["Pip", "8"])


def test_the_same_call_twice_hits_once():
    got = count(*answered_calls("[spellcast: Aria, fireball, 3] " * 2, TURN, REGISTRY), TURN, REGISTRY)
    assert (got["written"], got["hits"]) == (2, 1)


def test_broken_and_misshapen_calls_are_not_well_formed():
    text = "[check: stealth, Aria] [summon: a dragon] [health: Aria, much] [save: dexterity, Aria, 12"
    got = count(*answered_calls(text, TURN, REGISTRY), TURN, REGISTRY)
    assert (got["brackets"], got["well_formed"]) == (4, 1)


def test_strangers_are_those_outside_the_party():
    got = count(
        *answered_calls("[health: Gandalf, -3] [check: arcana, thorin] [roll: 1d6]", TURN, REGISTRY), TURN, REGISTRY
    )
    assert (got["addressed"], got["strangers"]) == (2, 1)


def test_majority_writes_the_most_frequent_call_for_the_party_at_hand():
    due = [[["check", ["stealth", "Vex"]]], [["check", ["stealth", "Mora"]]], [["roll", ["1d6"]]]]
    train = [Turn(f"t{i}", 2, "g", "", calls, ("Vex", "Mora"), ("Vex", "Mora")) for i, calls in enumerate(due)]
    (calls,) = baselines.answers(train, [TURN], REGISTRY)["majority"]
    assert [call.text for call in calls] == ["[check: stealth, Aria]"]


def test_nearest_copies_the_likest_turn_with_the_current_party():
    said = ["Mora sneaks past the guard", "Mora lifts the heavy gate"]
    due = [[["check", ["stealth", "Mora"]]], [["check", ["athletics", "Mora"]], ["health", ["Troll", "-2"]]]]
    train = [
        Turn(f"t{i}", 2, "g", s, d, ("Vex", "Mora"), ("Vex", "Mora"))
        for i, (s, d) in enumerate(zip(said, due, strict=True))
    ]
    turn = Turn("q", 2, "q", "Thorin lifts a gate of iron", [], ("Aria", "Thorin"), ("Aria", "Thorin"))
    (calls,) = baselines.answers(train, [turn], REGISTRY)["nearest"]
    assert [call.text for call in calls] == ["[check: athletics, Thorin]", "[health: Troll, -2]"]


def test_baselines_of_an_empty_training_split_write_nothing():
    assert baselines.answers([], [TURN], REGISTRY) == {"none": [[]], "majority": [[]], "nearest": [[]]}


def test_none_is_scored_like_any_other_answer(tmp_path):
    row = run_score(tmp_path, TRUE)["baselines"]["none"]
    assert (row["call_f1"]["value"], row["call_precision"]["value"], row["false_call_rate"]["value"]) == (0, None, 0)


def test_pairs_overflow_speed_and_perplexity(tmp_path, capsys):
    stats = {"tokens_per_second": 50.0, "peak_memory_bytes": 10**9, "perplexity": {"value": 7.5, "tokens": 123}}
    base = tmp_path / "base.jsonl"
    rows = [{"id": k[0], "answer": k[1], "completion": "", "finish": "overflow"} for k in TRUE]
    base.write_text("".join(json.dumps(row) + "\n" for row in rows))
    metrics = run_score(tmp_path, TRUE, str(base), "--scope", "road", stats=stats)
    (pair,) = metrics["paired"]
    assert (pair["variant"], pair["against"], pair["value"]) == ("tuned", "base", 1)
    assert metrics["overflow"] == {"tuned": 0, "base": 48}
    assert metrics["variants"]["tuned"]["perplexity"] == {"value": 7.5, "low": None, "high": None, "n": 123}
    assert metrics["variants"]["base"]["perplexity"]["value"] is None
    printed = capsys.readouterr().out
    assert "do not quote" in printed and "(nearest)" in printed and "48 prompts did not fit" in printed


def test_failures_tell_what_was_due_and_what_came(tmp_path):
    completions = {**TRUE, ("tale/03", 2): "Nothing happens."}
    run_score(tmp_path, completions)
    (row,) = map(json.loads, (tmp_path / "failures.jsonl").read_text().splitlines())
    assert (row["variant"], row["id"], row["answer"]) == ("tuned", "tale/03", 2)
    assert (row["expected"], row["answered"]) == (["[check: arcana, Thorin]"], [])
    assert "arcana" in row["prompt_tail"]


def test_scoring_twice_gives_the_same_bytes(tmp_path):
    run_score(tmp_path, TRUE)
    first = (tmp_path / "metrics.json").read_bytes()
    run_score(tmp_path, TRUE)
    assert (tmp_path / "metrics.json").read_bytes() == first


def test_variants_that_answered_different_turns_are_refused(tmp_path):
    part = tmp_path / "base.jsonl"
    part.write_text('{"id": "tale/00", "answer": 2, "completion": "", "finish": "stop"}\n')
    with pytest.raises(UserError, match="different turns"):
        run_score(tmp_path, TRUE, str(part))


def test_a_prediction_of_no_turn_and_a_bad_row_are_named(tmp_path):
    with pytest.raises(UserError, match="'tale/99'"):
        run_score(tmp_path, {**TRUE, ("tale/99", 2): "x"})
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": "a", "answer": 2, "finish": "stop"}\n')
    with pytest.raises(UserError, match=r"bad\.jsonl, line 1: 'completion'"):
        scoring.read_predictions(bad)


def test_records_without_expectations_are_refused():
    record = RECORDS[0].model_copy(update={"expect": []})
    with pytest.raises(UserError, match="curate"):
        turns_of([record])
