"""Labelled segments to splits: by recording, proved, and without more rest than is wanted."""

import argparse
import json
from collections import Counter

import pytest

from scripts.gameplay import curate
from scripts.gameplay.answer import from_text
from scripts.lib.cli import UserError
from scripts.lib.files import read_jsonl, sha256_file, write_json, write_jsonl
from scripts.lib.records import read_records

GOAL = "Go to the tree"
WALK, REST = ["w"] * 7, ["none"] * 7


def ingested(root, name, actions, picture=None):
    """A recording as ingestion leaves it, with one segment; each frame's picture is its own bytes unless given."""
    folder, samples = root / name, []
    (folder / "frames").mkdir(parents=True)
    for number, words in enumerate(actions):
        frame = f"frames/{number}.jpg"
        (folder / frame).write_bytes(picture or f"{name} {number}".encode())
        samples.append({"frame": frame, "stamp": 100 * number, "now": words[0], "actions": words})
    files = [{"name": one["frame"], "sha256": sha256_file(folder / one["frame"])} for one in samples]
    ticks = dict(Counter(words[0] for words in actions))
    told = {"recording": name, "files": files, "ticks": ticks, "frames": len(actions)}
    write_json(folder / "manifest.json", {**told, "dropped": {}, "quarantined": {}})
    write_jsonl(folder / "segments.jsonl", [{"id": f"{name}/0", "recording": name, "samples": samples}])
    return folder


def labels(root, rows):
    write_jsonl(root / "labels.jsonl", rows)
    return [root / "labels.jsonl"]


def curated(tmp_path, folders, rows=None, **options):
    """Runs the stage; its statistics."""
    rows = [{"segment": f"{folder.name}/0", "goal": GOAL} for folder in folders] if rows is None else rows
    out, health = tmp_path / "out", json.dumps({"min_frames": 1})
    params = json.dumps({"seed": 7, **options})
    paths = labels(tmp_path, rows)
    curate.main(
        argparse.Namespace(ingested=folders, labels=paths, output=out, system_prompt="", health=health, params=params)
    )
    return json.loads((out / "stats.json").read_text())


@pytest.fixture
def recordings(tmp_path):
    return [ingested(tmp_path, f"r{number}", [WALK, ["a"] * 7, REST, REST]) for number in range(8)]


def test_no_recording_and_no_picture_lies_on_two_sides(tmp_path, recordings):
    told = curated(tmp_path, recordings)
    assert sorted(name for names in told["split"].values() for name in names) == [one.name for one in recordings]
    assert all(told["split"].values())
    pictures = {}
    for side in ("train", "val", "test"):
        records = read_records(tmp_path / "out" / f"{side}.jsonl")
        assert {one.group for one in records} == set(told["split"][side])
        pictures[side] = {name for one in records for name in one.images}
        assert len(records) == 4 * len(told["split"][side]) == told["rows"][side]
        for one in records:
            assert GOAL in one.messages[-2].text and (tmp_path / "out" / one.images[0]).is_file()
            assert len(from_text(one.messages[-1].text)) == 7
    assert sum(map(len, pictures.values())) == len(set().union(*pictures.values())) == 32


def test_a_picture_that_stands_in_two_recordings_stays_in_the_first_alone(tmp_path, recordings):
    title = b"press start"
    folders = [*recordings, *(ingested(tmp_path, f"s{number}", [WALK], picture=title) for number in range(3))]
    told = curated(tmp_path, folders)
    assert told["repeated_pictures"] == 2
    assert sum(told["rows"].values()) == 4 * 8 + 1


def test_a_leak_stops_the_build(recordings):
    goals = {f"{folder.name}/0": GOAL for folder in recordings}
    told = [json.loads((folder / "manifest.json").read_text()) for folder in recordings]
    rows = [list(curate.samples_of(folder, one, goals)) for folder, one in zip(recordings, told, strict=True)]
    clean = {
        "a": [one._replace(recording="a") for one in rows[0]],
        "b": [one._replace(recording="b") for one in rows[1]],
    }
    assert curate.prove(clean, {"a": "train", "b": "test"}) == {"recordings": 0, "pictures": 0}
    leaking = {**clean, "b": [*clean["b"], clean["a"][0]._replace(recording="b")]}
    with pytest.raises(
        UserError, match=r"0 recordings and 1 pictures pairs .*0\.jpg \(train\) and b, .*0\.jpg \(test\)"
    ):
        curate.prove(leaking, {"a": "train", "b": "test"})
    with pytest.raises(UserError, match=r"4 recordings and 4 pictures pairs lie across splits: a, .* and c, "):
        curate.prove({**clean, "c": clean["a"]}, {"a": "train", "b": "test", "c": "val"})


def test_segments_without_a_goal_are_kept_apart_and_too_many_stop_the_build(tmp_path, recordings):
    rows = [{"segment": f"{folder.name}/0", "goal": GOAL} for folder in recordings]
    rows[3] = {"segment": "r3/0", "why": "the labeller said nothing"}
    told = curated(tmp_path, recordings, rows)
    assert told["segments_without_goal"] == 1 and told["unusable"] == ["r3"]
    [(_, row)] = read_jsonl(tmp_path / "out" / "quarantine.jsonl")
    assert row["row"] == "r3/0" and row["message"] == "the labeller said nothing"
    rows[4:6] = [{"segment": f"r{number}/0", "why": "no"} for number in (4, 5)]
    with pytest.raises(
        UserError, match=r"3 of 8 segments are bad, more than curate.max_bad_share 0.2: .*labels.jsonl, r3/0: the"
    ):
        curated(tmp_path, recordings, rows)
    with pytest.raises(UserError, match="r0/0 is labelled twice"):
        curated(tmp_path, recordings, [rows[0], rows[0]])


@pytest.mark.parametrize(("share", "kept"), [(1.0, 60), (0.5, 40), (0.2, 25), (0.01, 20)])
def test_rest_is_thinned_out_of_train_alone(tmp_path, share, kept):
    """Two of three frames rest; those kept are a share of what is left, drawn from all of the time."""
    folders = [ingested(tmp_path, f"r{n}", [WALK, REST, REST] * 10) for n in range(4)]
    told = curated(tmp_path, folders, max_idle=share, val_share=0.25, test_share=0.25)
    assert {side: len(names) for side, names in told["split"].items()} == {"train": 2, "val": 1, "test": 1}
    assert told["rows"] == {"train": kept, "val": 30, "test": 30}
    rows = [json.loads(one.messages[-1].text)["actions"] for one in read_records(tmp_path / "out/train.jsonl")]
    assert rows.count(WALK) == 20 and rows.count(REST) == kept - 20
    half = rows[: len(rows) // 2]
    assert abs(half.count(REST) - rows.count(REST) / 2) <= 1
    assert told["thinned_out"] == {"train": 60 - kept, "val": 0, "test": 0}


@pytest.mark.parametrize("actions", [[REST, WALK] * 10, [REST, WALK, WALK, WALK, WALK] * 4, [WALK, REST] * 10])
def test_rest_keeps_its_share_where_train_is_cut_down_too(tmp_path, actions):
    folders = [ingested(tmp_path, f"r{n}", actions) for n in range(4)]
    told = curated(tmp_path, folders, max_idle=0.25, max_train=8, val_share=0.25, test_share=0.25)
    assert told["rows"]["train"] == 8
    rows = [json.loads(one.messages[-1].text)["actions"] for one in read_records(tmp_path / "out/train.jsonl")]
    assert 1 <= rows.count(REST) <= 2 and rows.count(WALK) == 8 - rows.count(REST)


def test_recordings_of_rest_alone_are_no_empty_train(tmp_path):
    folders = [ingested(tmp_path, f"r{n}", [REST] * 10) for n in range(4)]
    with pytest.raises(UserError, match=r"no frame of train presses a key: with curate.max_idle 0.5 none is left"):
        curated(tmp_path, folders, max_idle=0.5)
    assert curated(tmp_path, folders, val_share=0.12)["rows"]["train"] == 10 * 2
