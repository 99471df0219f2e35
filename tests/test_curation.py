"""The frame of the curate stages: bad rows, the leakage check, thinning, and what is written."""

import json

import pytest

from scripts.lib.cli import UserError
from scripts.lib.curation import (
    check_no_leakage,
    keys_by_split,
    quarantined,
    refuse_too_many_bad,
    stored,
    thinned_out,
    write_curated,
)
from scripts.lib.leakage import Pair
from scripts.lib.records import Record, read_records, text_message


def bad(count):
    return [quarantined("a.jsonl", number, "unreadable", f"not JSON {number}") for number in range(1, count + 1)]


@pytest.mark.parametrize(("count", "total", "limit"), [(29, 100, 0.29), (57, 100, 0.57), (0, 1, 0.0), (99, 100, 1.0)])
def test_a_share_of_bad_rows_at_the_limit_is_allowed(count, total, limit):
    refuse_too_many_bad(bad(count), total, limit, "check.max_bad_share", "rows", "mend them")


@pytest.mark.parametrize(("count", "total", "limit"), [(30, 100, 0.29), (1, 100, 0.0), (5, 5, 1.0)])
def test_more_bad_rows_or_nothing_but_bad_rows_are_refused(count, total, limit):
    with pytest.raises(UserError) as refused:
        refuse_too_many_bad(bad(count), total, limit, "check.max_bad_share", "rows", "mend them")
    message = str(refused.value)
    assert f"{count} of {total} rows are bad, more than check.max_bad_share {limit:g}: " in message
    assert "a.jsonl, row 1: not JSON 1" in message
    assert ("a.jsonl, row 3: not JSON 3" in message) == (count > 2) and "row 4" not in message
    assert ("(and" in message) == (count > 3) and message.endswith("; mend them.")


def test_no_rows_at_all_are_refused():
    with pytest.raises(UserError, match=r"^there are no frames; check the path\.$"):
        refuse_too_many_bad([], 0, 0.2, "data.max_bad_share", "frames", "check the path")


def test_only_pairs_across_splits_are_leaks():
    sides = {"a": "train", "b": "train", "c": "test", "d": "val"}
    pairs = {"exact": [("a", "b")], "near": (pair for pair in [Pair("a", "b", 0.83)])}
    assert check_no_leakage(pairs, sides, "Mend it.") == {"exact": 0, "near": 0}
    pairs = {"exact": [("a", "b"), ("c", "d")], "look_alikes": [Pair("a", "b", 0.9), Pair("a", "c", 0.83)]}
    with pytest.raises(UserError) as refused:
        check_no_leakage(pairs, sides, "Mend it.")
    assert str(refused.value) == (
        "leakage: 1 exact and 1 look-alikes pairs lie across splits: c (test) and d (val); "
        "a (train) and c (test), similarity 0.83. Mend it."
    )
    with pytest.raises(UserError, match=r": a \(train\) and c \(test\), 2\.50 m apart\. Mend it\.$"):
        check_no_leakage({"near": [("a", "c", "2.50 m apart")]}, sides, "Mend it.")


def test_val_and_test_are_thinned_evenly_and_counted():
    sides = {f"k{number}": ("train", "val", "test")[number % 3] for number in range(9)}
    assert keys_by_split(sides) == {
        "train": ["k0", "k3", "k6"], "val": ["k1", "k4", "k7"], "test": ["k2", "k5", "k8"],
    }  # fmt: skip
    few = keys_by_split(sides, 2)
    assert few == {"train": ["k0", "k3", "k6"], "val": ["k1", "k4"], "test": ["k2", "k5"]}
    assert thinned_out(sides, few) == {"train": 0, "val": 1, "test": 1}


def test_written_are_splits_quarantine_figures_and_the_files_that_records_name(tmp_path, capsys):
    (tmp_path / "source.jpg").write_bytes(b"picture")
    out = tmp_path / "out"
    name = stored(out, tmp_path / "source.jpg", "images")
    assert name == stored(out, tmp_path / "source.jpg", "images") == "images/2cea274d0bedc39e.jpg"
    for stale in ("images/old.jpg", "images/notes.txt"):
        (out / stale).write_bytes(b"old")
    record = Record(id="a", group="a", messages=[text_message("user", "Hello.")])
    splits = {"train": [record], "val": [record, {"id": "b"}], "test": []}
    write_curated(out, splits, bad(12), {"rows": 3}, "15 rows in", [name])
    assert [one.id for one in read_records(out / "train.jsonl")] == ["a"]
    assert json.loads((out / "val.jsonl").read_text().splitlines()[1]) == {"id": "b"}
    assert len((out / "quarantine.jsonl").read_text().splitlines()) == 12
    assert json.loads((out / "stats.json").read_text()) == {"rows": 3}
    assert [row["name"] for row in json.loads((out / "pictures.json").read_text())["files"]] == [name]
    assert sorted(path.name for path in (out / "images").iterdir()) == sorted([name.split("/")[1], "notes.txt"])
    printed = capsys.readouterr().err.splitlines()
    assert printed[0] == "set aside: a.jsonl, row 1: not JSON 1" and len(printed) == 11
    assert printed[-1] == (
        f"{out}: 15 rows in, 12 set aside (quarantine.jsonl says why); train 1, val 2, test 0; no leakage"
    )
