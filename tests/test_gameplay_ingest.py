"""A raw recording to segments, samples and pictures; every kind of bad input named, and the rest goes on."""

from __future__ import annotations

import json

import cv2
import pytest
from gameplay_fixtures import START, every_tick, jpeg, read_frames, write_raw

from scripts.gameplay import check, ingest
from scripts.gameplay.pictures import PictureForm, decode, size_of
from scripts.gameplay.raw import frame_name
from scripts.lib.cli import UserError
from scripts.lib.files import sha256_file


def run_ingest(folder, out, **options):
    given = ["--recording", str(folder), "--out", str(out), "--params", json.dumps(options)]
    ingest.main(ingest.parser().parse_args(given))
    lines = {name: (out / f"{name}.jsonl").read_text().splitlines() for name in ("segments", "quarantine")}
    return json.loads((out / "manifest.json").read_text()), *(
        [json.loads(one) for one in lines[name]] for name in lines
    )


def run_check(capsys, *arguments):
    code = check.main(check.parser().parse_args([*map(str, arguments), "--json"]))
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def file_of(folder, after, ending=".json"):
    return folder / f"{frame_name(START + after)}{ending}"


@pytest.fixture
def folder(tmp_path):
    return write_raw(tmp_path / "play", every_tick(60), goal="Go to the lantern")


def test_a_recording_becomes_segments_and_pictures(folder, tmp_path):
    (folder / "recording.json").write_text('{"game": "made"}')
    truth = [{"stamp": START + 1000, "objects": [{"name": "lantern", "x": 0.5}]}]
    (folder / "objects.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in truth))
    made, segments, faults = run_ingest(folder, tmp_path / "out", frame_size=[64, 32])
    assert [row["id"] for row in segments] == [f"play/{START}", f"play/{START + 4000}"]
    first, second = segments
    assert first | {"samples": None, "frames": None, "words": None} == {
        "id": f"play/{START}",
        "recording": "play",
        "start": START,
        "end": START + 4000,
        "goal": "Go to the lantern",
        "words": None,
        "frames": None,
        "samples": None,
    }
    assert first["words"] == ["w"] * 40 and len(second["words"]) == 20
    frames = [START + after for after in (0, 1000, 2000, 3000)]
    assert [row["stamp"] for row in first["frames"]] == frames
    assert [row.get("objects") for row in first["frames"]] == [None, truth[0], None, None]
    name = f"frames/{START + 100}.jpg"
    assert first["samples"][1] == {"frame": name, "stamp": START + 100, "now": "w", "actions": ["w"] * 7}
    assert cv2.imread(str(tmp_path / "out" / name)).shape == (32, 64, 3)
    assert second["samples"][-1]["actions"] == ["none"] * 7
    assert faults == [] and made["recorder"] == {"game": "made"}
    counted = {
        key: made[key] for key in ("frames", "seconds", "gaps", "segments", "samples", "goals", "ticks", "dropped")
    }
    assert counted == {
        "frames": 60,
        "seconds": 6.0,
        "gaps": 0,
        "segments": 2,
        "samples": 60,
        "goals": {"Go to the lantern": 2},
        "ticks": {"w": 60},
        "dropped": {},
    }
    assert [warned["kind"] for warned in made["warnings"]] == ["camera", "frames"]


def test_the_manifest_names_every_file_with_its_hash(folder, tmp_path):
    out = tmp_path / "out"
    made, *_ = run_ingest(folder, out)
    there = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} - {"manifest.json"}
    assert {row["name"] for row in made["files"]} == there and len(there) == 62
    assert all(row["sha256"] == sha256_file(out / row["name"]) for row in made["files"])


def test_the_same_recording_gives_the_same_bytes_and_old_pictures_go(folder, tmp_path):
    run_ingest(folder, tmp_path / "a")
    run_ingest(write_raw(tmp_path / "old" / "play", every_tick(9, first=900)), tmp_path / "b")
    run_ingest(folder, tmp_path / "b")
    run_ingest(folder, tmp_path / "b")
    one, other = ({p.name: p.read_bytes() for p in (tmp_path / x).rglob("*") if p.is_file()} for x in "ab")
    assert one == other


def test_several_processes_write_the_same(tmp_path, monkeypatch):
    folder = write_raw(tmp_path / "play", every_tick(140))
    made = []
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        made.append(run_ingest(folder, tmp_path / threads))
    assert made[0] == made[1] and made[0][0]["samples"] == 140


BAD = {
    # name: what is done to the frame at 2000 ms of 60, kind, part of what is said, frames and ticks that are left
    "no JSON": (lambda f: file_of(f, 2000).unlink(), "alone", "has no JSON", 59, 59),
    "no picture": (lambda f: file_of(f, 2000, ".jpg").unlink(), "alone", "has no picture", 59, 60),
    "cut JSON": (lambda f: file_of(f, 2000).write_text('{"action_seq'), "json", "it may be cut off", 59, 59),
    "no keys": (lambda f: file_of(f, 2000).write_text("{}"), "json", "no list `action_sequence`", 59, 59),
    "unknown key": (
        lambda f: file_of(f, 2000).write_text('{"action_sequence": ["w", "q"]}'),
        "key",
        "unknown key 'q'",
        59,
        59,
    ),
    "none beside a key": (
        lambda f: file_of(f, 2000).write_text('{"action_sequence": ["none", "w"]}'),
        "key",
        "unknown key 'none'",
        59,
        59,
    ),
    "cut picture": (
        lambda f: file_of(f, 2000, ".jpg").write_bytes(jpeg()[:-40]),
        "picture",
        "is cut off (its end-of-image marker is missing)",
        59,
        60,
    ),
    "empty picture": (lambda f: file_of(f, 2000, ".jpg").write_bytes(b""), "picture", "is empty", 59, 60),
    "no picture at all": (lambda f: file_of(f, 2000, ".jpg").write_bytes(b"GIF89a"), "picture", "is no JPEG", 59, 60),
    "broken picture": (
        lambda f: file_of(f, 2000, ".jpg").write_bytes(b"\xff\xd8nothing\xff\xd9"),
        "picture",
        "cannot be decoded",
        59,
        60,
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_frame_is_named_and_the_rest_goes_on(folder, tmp_path, capsys, name):
    spoil, kind, message, frames, ticks = BAD[name]
    spoil(folder)
    code, (row,) = run_check(capsys, folder)
    assert code == 1 and row["usable"] and row["frames"] == frames and row["seconds"] == ticks / 10
    (problem,) = row["problems"]
    assert problem["kind"] == kind and message in problem["message"] and frame_name(START + 2000) in problem["file"]
    made, segments, faults = run_ingest(folder, tmp_path / "out")
    assert faults == [problem] and made["quarantined"] == {kind: 1} and made["frames"] == frames
    stamps = [one["stamp"] - START for row in segments for one in row["samples"]]
    assert 2000 not in stamps and made["samples"] == len(stamps)
    assert sum(made["dropped"].values()) + len(stamps) == 59 + (kind == "picture")  # every picture is accounted for
    # where the keys are unknown, windows that would reach there are left out too
    assert (
        stamps[:20]
        == [100 * tick for tick in range(20 if ticks == 60 else 13)] + stamps[20 if ticks == 60 else 13 : 20]
    )
    assert len(stamps) == (59 if ticks == 60 else 52)


def test_time_that_runs_backwards_is_named(folder, tmp_path, capsys):
    late = file_of(folder, 2000).name.split("_")
    for ending in (".json", ".jpg"):
        file_of(folder, 2000, ending).rename(folder / f"{late[0]}_{late[1]}_{START - 60_000}{ending}")
    code, (row,) = run_check(capsys, folder)
    assert code == 1 and [one["kind"] for one in row["problems"]] == ["backwards"]
    assert str(START - 60_000) in row["problems"][0]["file"]
    assert (row["frames"], row["gaps"], row["seconds"]) == (59, 1, 5.9)


def test_pictures_that_make_no_sample_are_counted_by_reason(tmp_path):
    twice = [(after + late, word) for after, word in every_tick(30) for late in (0, 20)]
    made, *_ = run_ingest(write_raw(tmp_path / "play", twice), tmp_path / "out", stride=2)
    assert (made["frames"], made["samples"]) == (60, 15)
    assert made["dropped"] == {"pictures beside a nearer one, or of unknown keys": 30, "pictures between strides": 15}


@pytest.mark.parametrize(("keys", "ticks"), [("w", 60), ("a", 59)])
def test_a_second_frame_of_the_same_millisecond_is_named(folder, capsys, keys, ticks):
    name = f"20000101_000000_{START}"  # another time zone's name, perhaps, for the first frame
    (folder / f"{name}.json").write_text(json.dumps({"action_sequence": [keys]}))
    (folder / f"{name}.jpg").write_bytes(jpeg())
    _, (row,) = run_check(capsys, folder)
    assert [(one["kind"], one["message"].split(" ")[0]) for one in row["problems"]] == [("duplicate", name)]
    # where the two do not agree, the keys of that moment are not known
    assert (row["frames"], row["seconds"]) == (60, ticks / 10)


def test_links_that_lead_nowhere_are_named(folder, capsys):
    for ending in (".json", ".jpg"):
        file_of(folder, 2000, ending).unlink()
        file_of(folder, 2000, ending).symlink_to("nowhere")
    file_of(folder, 3000, ".jpg").unlink()
    file_of(folder, 3000, ".jpg").symlink_to("nowhere")
    _, (row,) = run_check(capsys, folder)
    found = [(one["kind"], one["file"]) for one in row["problems"]]
    names = [str(file_of(folder, 2000)), str(file_of(folder, 3000, ".jpg"))]
    assert found == [("unreadable", name) for name in names] and row["frames"] == 58


def test_names_that_are_no_frames(folder, capsys):
    (folder / "cover.jpg").write_bytes(jpeg())
    (folder / f"{frame_name(START)}.jpeg").write_bytes(jpeg())
    (folder / "objects.jsonl").write_text("\n{}\nnothing\n")
    (folder / "recording.json").write_text("[]")
    _, (row,) = run_check(capsys, folder)
    assert sorted(one["kind"] for one in row["problems"]) == ["duplicate", "json", "name", "objects", "objects"]
    assert row["frames"] == 60
    frames, faults = read_frames(folder)
    assert len(frames) == 60 and [fault.kind for fault in faults] == ["duplicate", "name"]


def test_a_pause_of_two_hours_is_named_and_both_sides_are_used(tmp_path, capsys):
    folder = write_raw(tmp_path / "play", [*every_tick(30), *every_tick(30, first=72_000)])
    code, (row,) = run_check(capsys, folder)
    assert code == 1 and row["usable"] and (row["gaps"], row["longest_gap"]) == (1, 7197.1)
    assert [one["kind"] for one in row["problems"]] == ["gap"] and "120 minutes" in row["problems"][0]["message"]
    made, segments, faults = run_ingest(folder, tmp_path / "out")
    assert [row["start"] - START for row in segments] == [0, 7_200_000] and faults[0]["kind"] == "gap"
    assert made["dropped"] == {"pictures with a gap in their window": 7} and made["samples"] == 53


def test_a_short_pause_is_a_gap_but_no_problem(tmp_path, capsys):
    folder = write_raw(tmp_path / "play", [*every_tick(30), *every_tick(30, first=200)])
    code, (row,) = run_check(capsys, folder)
    assert (code, row["gaps"], row["longest_gap"], row["problems"]) == (0, 1, 17.1, [])


def test_an_empty_recording_is_named_and_leaves_an_empty_manifest(tmp_path, capsys):
    (tmp_path / "all" / "empty").mkdir(parents=True)
    write_raw(tmp_path / "all" / "play", every_tick(20))
    code, rows = run_check(capsys, tmp_path / "all")
    assert code == 1 and [row["usable"] for row in rows] == [False, True]
    assert [one["kind"] for one in rows[0]["problems"]] == ["empty"] and rows[0]["seconds"] == 0.0
    made, segments, faults = run_ingest(tmp_path / "all" / "empty", tmp_path / "out")
    assert (made["segments"], segments, made["frames"]) == (0, [], 0) and faults[0]["kind"] == "empty"
    assert [row["name"] for row in made["files"]] == ["quarantine.jsonl", "segments.jsonl"]


def test_check_for_a_person(folder, capsys):
    file_of(folder, 2000, ".jpg").unlink()
    assert check.main(check.parser().parse_args([str(folder), "--no-pictures"])) == 1
    said = capsys.readouterr()
    assert said.out == f"{folder}: raw, 59 frames, 6.0 s, 0 gaps; w 100%\n"
    assert "warning: play: 59 frames, fewer than 2000" in said.err and "alone: has no picture" in said.err


def test_nothing_to_check(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UserError, match="holds no recording"):
        check.main(check.parser().parse_args([str(tmp_path)]))


def test_pictures_are_decoded_no_larger_than_needed():
    data = jpeg(size=(640, 480))
    assert size_of(data) == (640, 480)
    assert decode(data, PictureForm(256, 192, 90)).shape == (240, 320, 3)
    assert decode(data, PictureForm(160, 128, 90)).shape == (240, 320, 3)
    assert decode(data, PictureForm(160, 96, 90)).shape == (120, 160, 3)
    assert decode(data, PictureForm(512, 384, 90)).shape == (480, 640, 3)
    assert decode(data, None).shape == (60, 80)
