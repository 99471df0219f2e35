"""Scenarios to splits: one record shape, canonical calls, no leakage, every drop with its reason."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from scripts.dnd import curate
from scripts.dnd.options import DndCheckOptions, DndCurateOptions
from scripts.lib.cli import UserError
from scripts.lib.records import read_records

SYLLABLES = ("ba", "be", "bi", "du", "ka", "ki", "lo", "mu", "na", "ne", "no", "ra", "ri", "so", "ta", "ti", "vu")
WORDS = [first + last for first in SYLLABLES for last in ("l", "n", "r", "s", "t")]
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny byte-level tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([" ".join(WORDS)], trainer)
    folder = tmp_path_factory.mktemp("base")
    whole = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")
    whole.chat_template = TEMPLATE
    whole.save_pretrained(folder)
    return folder


def sentence(dice: random.Random, length: int = 12) -> str:
    return " ".join(dice.choice(WORDS) for _ in range(length)).capitalize() + "."


def scenario(seed: int, turns: int = 3) -> str:
    dice = random.Random(seed)
    lines = ["# SYSTEM", "", "Role: Dungeon Master", "Party:", "", "- Pip (Rogue)", "- Dax Ironfist (Fighter)", ""]
    for number in range(turns):
        lines += ["# User", "", sentence(dice), "", "# DM", "", sentence(dice, 25) + " [check: Pip, Stealth]", ""]
        lines += ["# TOOLCALL", "", "stealth: Pip rolls 1d20+2 = 9+2 = 11", "", "# DM", "", sentence(dice, 25), ""]
        lines += ["# Old Marn", "", sentence(dice), ""] if number + 1 < turns else []
    return "\n".join(lines)


def write(folder: Path, scenarios: dict[str, str | bytes]) -> Path:
    for name, text in scenarios.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def sample(count: int = 12) -> dict[str, str | bytes]:
    return {f"{'combat' if number % 2 else 'travel'}/s{number:02}.md": scenario(number) for number in range(count)}


def call(raw: Path, base: Path, out: Path, check: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    args = [str(raw), "--base", str(base), "--out", str(out), "--system-prompt", "Be brief."]
    args += ["--params", json.dumps(params), "--check", json.dumps(check or {})]
    curate.main(curate.parser().parse_args(args))
    return json.loads((out / "stats.json").read_text(encoding="utf-8"))


def records_of(out: Path) -> dict[str, Any]:
    return {side: read_records(out / f"{side}.jsonl") for side in ("train", "val", "test")}


def test_a_scenario_becomes_one_record(tmp_path: Path, base: Path) -> None:
    call(write(tmp_path / "raw", sample()), base, tmp_path / "out")
    records = {record.id: record for rows in records_of(tmp_path / "out").values() for record in rows}
    record = records["combat/s01"]
    roles = [message.role for message in record.messages]
    assert roles[:8] == ["system", "user", "assistant", "tool", "assistant", "user", "user", "assistant"]
    assert record.messages[0].text.startswith("Be brief.\nTools: [check: ability, character]")
    assert record.messages[0].text.endswith("- Pip (Rogue)\n- Dax Ironfist (Fighter)")
    assert record.messages[2].text.endswith("[check: stealth, Pip]")
    assert record.messages[5].text.startswith("Old Marn: ")
    assert record.expect == [{"calls": [["check", ["stealth", "Pip"]]]}, {"calls": []}] * 3
    assert record.meta == {
        "file": "combat/s01.md",
        "party": ["Pip", "Dax Ironfist"],
        "names": ["Pip", "Dax Ironfist", "Old Marn"],
        "lines": [13, 21, 33, 41, 53, 61],
    }


def test_messages_are_in_the_content_list_form(tmp_path: Path, base: Path) -> None:
    call(write(tmp_path / "raw", sample()), base, tmp_path / "out")
    row = json.loads((tmp_path / "out" / "train.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert sorted(row["messages"][1]) == ["content", "role"]
    assert [sorted(part) for part in row["messages"][1]["content"]] == [["text", "type"]]


def test_the_figures_add_up(tmp_path: Path, base: Path) -> None:
    stats = call(write(tmp_path / "raw", sample()), base, tmp_path / "out")
    split = records_of(tmp_path / "out")
    assert stats["scenarios"]["in"] == stats["scenarios"]["out"] == 12
    assert stats["records"] == {side: len(rows) for side, rows in split.items()}
    assert sum(stats["turns"]["scored"].values()) == 12 * 6
    assert sum(stats["turns"]["without_call"].values()) == 12 * 3
    assert sum(stats["calls"]["by_tool"]["check"].values()) == stats["calls"]["rewritten"] == 36
    assert all(sum(row.values()) == 6 and min(row.values()) > 0 for row in stats["categories"].values())
    assert stats["leakage"]["exact"] == stats["leakage"]["near"] == 0
    assert 0 < stats["leakage"]["naive_split_near"] <= stats["leakage"]["naive_split_rows"]
    assert 0 < stats["tokens"]["p50"] <= stats["tokens"]["p95"] <= stats["tokens"]["max"] <= 1024
    assert 0 < stats["supervised_share"]["least"] <= stats["supervised_share"]["all"] < 1


def test_val_and_test_are_thinned_and_the_rest_is_counted(tmp_path: Path, base: Path) -> None:
    raw = write(tmp_path / "raw", sample(24))
    every, few = call(raw, base, tmp_path / "all"), call(raw, base, tmp_path / "few", max_per_split=1)
    assert every["thinned_out"] == {"train": 0, "val": 0, "test": 0} and every["records"]["test"] > 1
    assert few["records"] == {"train": every["records"]["train"], "val": 1, "test": 1}
    assert few["thinned_out"] == {side: every["records"][side] - few["records"][side] for side in few["records"]}
    assert few["records"] == {side: len(rows) for side, rows in records_of(tmp_path / "few").items()}
    assert few["turns"]["scored"]["test"] == 6 and few["categories"] == every["categories"]


def test_the_same_bytes_from_another_folder(tmp_path: Path, base: Path) -> None:
    raw = write(tmp_path / "raw", sample())
    call(raw, base, tmp_path / "one")
    shutil.copytree(raw, tmp_path / "elsewhere" / "copied")
    call(tmp_path / "elsewhere" / "copied", base, tmp_path / "two")
    for name in ("train.jsonl", "val.jsonl", "test.jsonl", "stats.json", "quarantine.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        assert str(tmp_path) not in (tmp_path / "one" / name).read_text(encoding="utf-8")


def test_bad_files_are_quarantined_with_file_row_and_reason(tmp_path: Path, base: Path) -> None:
    bad: dict[str, str | bytes] = {
        "combat/empty.md": b"",
        "combat/latin.md": b"# DM\n\ncaf\xe9\n",
        "combat/open.md": "# DM\n\nRoll.\n\n[roll: 1d20\n",
        "travel/mute.md": "# USER\n\nHello?\n",
    }
    raw = write(tmp_path / "raw", {**sample(), **bad})
    stats = call(raw, base, tmp_path / "out", check={"max_bad_share": 0.3})
    rows = [json.loads(line) for line in (tmp_path / "out" / "quarantine.jsonl").read_text("utf-8").splitlines()]
    assert [(row["file"], row["row"], row["reason"]) for row in rows] == [
        ("combat/empty.md", 1, "empty_file"),
        ("combat/latin.md", 3, "not_utf8"),
        ("combat/open.md", 5, "unbalanced_brackets"),
        ("travel/mute.md", 1, "no_dm_turn"),
    ]
    assert (stats["scenarios"]["in"], stats["scenarios"]["out"]) == (16, 12)
    assert sum(stats["scenarios"]["dropped"].values()) == 4
    assert stats["scenarios"]["quarantined"] == rows


def test_too_many_bad_files_stop_the_build(tmp_path: Path, base: Path) -> None:
    raw = write(tmp_path / "raw", {**sample(4), "combat/a.md": b"", "combat/b.md": b""})
    bad = r"2 of 6 scenarios are bad, more than check\.max_bad_share 0\.2: combat/a.md, row 1: the file is empty"
    with pytest.raises(UserError, match=bad):
        call(raw, base, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_repeats_go_and_near_copies_stay_on_one_side(tmp_path: Path, base: Path) -> None:
    rows = sample(30)
    for number in range(10):
        rows[f"copies/near{number}.md"] = str(rows[f"{'combat' if number % 2 else 'travel'}/s{number:02}.md"]).replace(
            "Pip rolls", "Now Pip rolls"
        )
        rows[f"copies/exact{number}.md"] = rows[f"{'combat' if number % 2 else 'travel'}/s{number:02}.md"]
    stats = call(write(tmp_path / "raw", rows), base, tmp_path / "out")
    assert stats["scenarios"]["dropped"] == {"duplicate (file)": 10}
    side_of = {record.id: side for side, found in records_of(tmp_path / "out").items() for record in found}
    assert len(stats["near_clusters"]) == 10
    for members in stats["near_clusters"].values():
        assert len(members) == 2 and len({side_of[name] for name in members}) == 1
    assert set(side_of.values()) == {"train", "val", "test"}


def test_a_copied_answer_joins_two_scenarios(tmp_path: Path, base: Path) -> None:
    rows = sample()
    answer = sentence(random.Random(99), 30)
    for name in ("combat/s01.md", "travel/s02.md"):
        rows[name] = str(rows[name]) + f"\n# USER\n\nAnd?\n\n# DM\n\n{answer}\n"
    stats = call(write(tmp_path / "raw", rows), base, tmp_path / "out")
    assert stats["near_clusters"] == {"combat/s01": ["combat/s01", "travel/s02"]}


def test_a_long_scenario_is_split_at_turn_borders_and_nothing_is_lost(tmp_path: Path, base: Path) -> None:
    whole = {**sample(6), "combat/saga.md": scenario(77, turns=12)}
    raw = write(tmp_path / "raw", whole)
    call(raw, base, tmp_path / "one", max_tokens=100_000)
    stats = call(raw, base, tmp_path / "many", max_tokens=1200)

    def saga(out: Path) -> list[Any]:
        found = [record for rows in records_of(out).values() for record in rows if record.group == "combat/saga"]
        return sorted(found, key=lambda record: record.meta.get("part", 0))

    (long,), parts = saga(tmp_path / "one"), saga(tmp_path / "many")
    assert len(parts) > 2 and stats["tokens"]["split_scenarios"] == 1 and stats["tokens"]["max"] <= 1200
    assert [record.id for record in parts] == [f"combat/saga#{number}" for number in range(1, len(parts) + 1)]
    assert all(part.messages[0] == long.messages[0] for part in parts)
    assert [message for part in parts for message in part.messages[1:]] == long.messages[1:]
    assert [entry for part in parts for entry in part.expect] == long.expect
    assert [line for part in parts for line in part.meta["lines"]] == long.meta["lines"]


def test_a_turn_that_fits_no_window_is_quarantined_with_its_line(tmp_path: Path, base: Path) -> None:
    rows = sample(6)
    last = sentence(random.Random(1), 2000)
    rows["combat/s01.md"] = str(rows["combat/s01.md"]) + f"\n# USER\n\nGo on.\n\n# DM\n\n{last}\n"
    stats = call(write(tmp_path / "raw", rows), base, tmp_path / "out", max_tokens=1300)
    found = [json.loads(line) for line in (tmp_path / "out" / "quarantine.jsonl").read_text("utf-8").splitlines()]
    assert [(row["file"], row["what"], row["reason"]) for row in found] == [("combat/s01.md", "turn", "too_long")] * 2
    lines = str(rows["combat/s01.md"]).split("\n")
    assert [lines[row["row"] - 1] for row in found] == ["# USER", "# DM"]
    assert "the limit is 1300" in found[1]["message"]
    assert stats["turns"]["too_long"] == 2 and stats["tokens"]["max"] <= 1300
    assert last not in (tmp_path / "out" / "train.jsonl").read_text(encoding="utf-8")


def test_a_folder_without_tokenizer_is_refused(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", sample(3))
    with pytest.raises(UserError, match="no tokenizer here"):
        call(raw, tmp_path, tmp_path / "out")
    (tmp_path / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"tokenizer\.json: cannot be read"):
        call(raw, tmp_path, tmp_path / "out")


def test_two_scenarios_are_too_few(tmp_path: Path, base: Path) -> None:
    with pytest.raises(UserError, match="2 independent groups"):
        call(write(tmp_path / "raw", sample(2)), base, tmp_path / "out")


def test_unknown_options_are_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'max_tokens'"):
        DndCurateOptions.parse({"max_token": 3})
    with pytest.raises(UserError, match="did you mean 'max_file_mb'"):
        DndCheckOptions.parse({"max_file_mB": 3})
