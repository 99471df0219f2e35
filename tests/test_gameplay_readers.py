"""Other people's recordings: both OWAMcap versions and VPT pairs, and what is wrong with them."""

from __future__ import annotations

import json
import re

import cv2
import pytest
from gameplay_fixtures import (
    START,
    pressed,
    released,
    screen,
    vpt_line,
    write_owamcap,
    write_raw,
    write_video,
    write_vpt,
)

from scripts.gameplay import ingest
from scripts.gameplay.keys import code_of, word_of_code
from scripts.gameplay.options import GameplayCheckOptions
from scripts.gameplay.readers import video
from scripts.gameplay.readers.sources import Source, find_recordings, recording_at
from scripts.gameplay.reading import read
from scripts.lib.cli import UserError

VERSIONS = ("0.3.2", "0.5.1")


def reading_of(path, **options):
    return read(recording_at(path), GameplayCheckOptions(**options))


def words(reading):
    return [[word_of_code(code) for code in one.held.tolist()] for one in reading.timeline.stretches]


def told(reading):
    return [(fault.kind, fault.message) for fault in reading.faults]


def taken(reading):
    """Numbers of the good pictures; a recording that is refused has none, and says why."""
    return sorted(reading.take(dict.fromkeys(range(len(reading.recording.shots))), None))


def must_refuse(reading, message):
    assert taken(reading) == [] and reading.recording is None
    assert re.search(message, told(reading)[-1][1])


def play(version, first=0.0):
    """One second: w from 200 ms on, left too from 500 to 700 ms, e beside it; each screen told a frame late."""
    said = [(0, "keyboard/state", {"buttons": [179]}), (0, "window", {"title": "a", "rect": [0, 0, 1, 1], "hWnd": 1})]
    said += [
        (100 * n + 120, "screen", screen(version, 100 * n + 120 - 20 * (n == 3), first + 100 * n)) for n in range(9)
    ]
    said += [(200, "keyboard", pressed(87)), (210, "keyboard", pressed(87)), (300, "keyboard", pressed(69))]
    said += [(400, "keyboard", released(69)), (500, "keyboard", pressed(37)), (700, "keyboard", released(37))]
    said += [(950, "keyboard/state", {"buttons": [179]})]  # its release was lost
    return sorted(said, key=lambda row: row[0])


@pytest.mark.parametrize("version", VERSIONS)
def test_owamcap_by_hand(tmp_path, version):
    reading = reading_of(write_owamcap(tmp_path, version, play(version)))
    assert words(reading) == [["none"] * 2 + ["w"] * 3 + ["left+w"] * 2 + ["w"] * 3 + ["none"]]
    assert reading.recording.ignored == {"e": 1, "key 179": 1}
    # the soonest message came 100 ms after the beginning of its frame: that much later is the clock of all
    assert (reading.recording.shots - START).tolist() == [100 + 100 * n for n in range(9)]
    assert taken(reading) == list(range(9)) and told(reading) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_owamcap_pictures_are_those_that_messages_name(tmp_path, version):
    path = write_owamcap(tmp_path / "in", version, play(version, first=300.0), frames=14)  # the first 3 are not named
    ingest.main(ingest.parser().parse_args(["--recording", str(path), "--out", str(tmp_path / "out")]))
    (row,) = [json.loads(line) for line in (tmp_path / "out/segments.jsonl").read_text().splitlines()]
    levels = [round(cv2.imread(str(tmp_path / "out" / one["frame"])).mean() / 8) for one in row["samples"]]
    assert levels == [3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert row["samples"][3] == {
        "frame": f"frames/{START + 400}.jpg",
        "stamp": START + 400,
        "now": "w",
        "actions": ["left+w", "left+w", "w", "w", "w", "none", "none"],
    }


def test_a_video_is_decoded_forward_and_once(tmp_path, monkeypatch):
    reading = reading_of(write_owamcap(tmp_path, "0.5.1", play("0.5.1")))
    grabbed = []

    class Forward:
        """A capture that can do nothing but go on."""

        def __init__(self, capture):
            self.get, self.retrieve, self.release = capture.get, capture.retrieve, capture.release
            self.capture = capture

        def grab(self):
            grabbed.append(self.capture.grab())
            return grabbed[-1]

    opened = video.opened
    monkeypatch.setattr(video, "opened", lambda path: Forward(opened(path)))
    assert taken(reading) == list(range(9))
    assert grabbed == [True] * 10 + [False]


@pytest.mark.parametrize(("mouse", "word"), [("auto", "left"), ("raw", "left"), ("cursor", "down"), ("off", "none")])
def test_the_mouse_turns_by_raw_movements_where_there_are_any(tmp_path, mouse, word):
    said = [(0, "screen", screen("0.5.1", 0, 0)), (1000, "screen", screen("0.5.1", 1000, 900))]
    said += [(520, "mouse/raw", {"last_x": -15, "last_y": 0, "us_flags": 0})] * 2
    said += [(530, "mouse/raw", {"last_x": 9999, "last_y": 0, "us_flags": 1})]  # a place, no movement
    said += [
        (500, "mouse", {"event_type": "move", "x": 10, "y": 10}),
        (540, "mouse", {"event_type": "move", "x": 10, "y": 40}),
    ]
    said += [(545, "mouse", {"event_type": "click", "x": 10, "y": 40, "button": "left", "pressed": True})]
    said.sort(key=lambda row: row[0])
    reading = reading_of(write_owamcap(tmp_path, "0.5.1", said), mouse={"turns": mouse})
    assert words(reading)[0][5] == word and set(words(reading)[0][:5] + words(reading)[0][6:]) == {"none"}
    assert reading.recording.ignored == {"mouse left": 1}


def test_a_recorder_that_says_nothing_for_seconds_leaves_a_gap(tmp_path):
    said = [(100 * n, "screen", screen("0.5.1", 100 * n, 100 * n)) for n in range(10)]
    later = [(5000 + 100 * n, "screen", screen("0.5.1", 5000 + 100 * n, 5000 + 100 * n)) for n in range(5)]
    reading = reading_of(write_owamcap(tmp_path, "0.5.1", said + later, frames=56))
    assert [(gap.at - START, gap.seconds) for gap in reading.timeline.gaps] == [(900, 4.1)]


def test_owamcap_clocks_that_drift_apart(tmp_path):
    said = [(100 * n, "screen", screen("0.5.1", 100 * n, 80 * n)) for n in range(60)]
    reading = reading_of(write_owamcap(tmp_path, "0.5.1", said, frames=60))
    ((kind, message),) = told(reading)
    assert kind == "clock" and "drift 0." in message and reading.recording is None
    assert reading_of(tmp_path / "desk.mcap", video={"max_clock_difference": 1.0}).recording is not None


def test_owamcap_video_that_ends_before_its_events(tmp_path):
    said = [(100 * n, "screen", screen("0.5.1", 100 * n, 100 * n)) for n in range(40)]
    path = write_owamcap(tmp_path / "in", "0.5.1", said, frames=30)
    ingest.main(ingest.parser().parse_args(["--recording", str(path), "--out", str(tmp_path / "out")]))
    made = json.loads((tmp_path / "out/manifest.json").read_text())
    assert (made["segments"], made["frames"], made["quarantined"]) == (0, 0, {"clock": 1})
    assert list((tmp_path / "out/frames").iterdir()) == []
    (row,) = map(json.loads, (tmp_path / "out/quarantine.jsonl").read_text().splitlines())
    assert "ends 1.0 s before its last event" in row["message"]


def test_owamcap_video_that_lacks_a_few_frames(tmp_path):
    said = [(100 * n, "screen", screen("0.5.1", 100 * n, 100 * n)) for n in range(33)]
    reading = reading_of(write_owamcap(tmp_path, "0.5.1", said, frames=30))
    assert taken(reading) == list(range(30))
    ((kind, message),) = told(reading)
    assert kind == "picture" and message.startswith("3 frames that events name are not in it")


def test_owamcap_of_another_video(tmp_path):
    said = [(100 * n, "screen", screen("0.5.1", 100 * n, 100 * n + 40 * (n > 0))) for n in range(30)]
    reading = reading_of(write_owamcap(tmp_path, "0.5.1", said, frames=40))
    must_refuse(reading, "only 1 of 30 frames that events name are in it")


def test_owamcap_without_video_and_damaged(tmp_path):
    path = write_owamcap(tmp_path, "0.5.1", play("0.5.1"), frames=0)
    assert told(reading_of(path)) == [("alone", "its video desk.mkv is not there; put it beside the events.")]
    write_video(tmp_path / "desk.mkv", 10, 10.0)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    assert told(reading_of(path))[0][0] in ("mcap", "video")
    path.write_bytes(b"no mcap at all")
    ((kind, message),) = told(reading_of(path))
    assert kind == "mcap" and "cannot be read as MCAP" in message
    (tmp_path / "desk.mkv").write_bytes(b"no video")
    path.write_bytes(whole)
    must_refuse(reading_of(path), r"desk.mkv cannot be opened as a video")


def test_owamcap_that_breaks_off_is_used_as_far_as_it_goes(tmp_path):
    said = [(100 * n, "screen", screen("0.5.1", 100 * n, 100 * n)) for n in range(10)]
    path = write_owamcap(tmp_path, "0.5.1", said)
    path.write_bytes(path.read_bytes()[:-400])  # index and footer are gone
    reading = reading_of(path)
    assert [kind for kind, _ in told(reading)] == ["mcap"] and len(reading.recording.shots) == 10
    assert [one.last for one in reading.timeline.stretches] == [False] and reading.timeline.gaps == []


def test_owamcap_messages_without_what_they_should_say(tmp_path):
    said = [(0, "keyboard", {"event_type": "press"}), (0, "keyboard", b"{"), (0, "mouse", {"event_type": "move"})]
    said += [(0, "screen", {"utc_ns": START * 1_000_000})]
    said += [(100 * n, "screen", screen("0.5.1", 100 * n, 100 * n)) for n in range(10)]
    reading = reading_of(write_owamcap(tmp_path, "0.5.1", said))
    assert [message for _, message in told(reading)] == [
        "3 messages lack what their kind says; they are left out.",
        "1 screen messages refer to no frame of desk.mkv; they are left out.",
    ]


def test_owamcap_time_that_runs_backwards(tmp_path):
    said = [(100 * n, "screen", screen("0.5.1", 100 * n, 100 * n)) for n in range(20)]
    said[10:10] = [(-5000, "keyboard", pressed(87)), (-4900, "window", {})]
    reading = reading_of(write_owamcap(tmp_path, "0.5.1", said, frames=20))
    ((kind, message),) = told(reading)
    assert kind == "backwards" and message.startswith("messages 11 to 12 run against the order of the file")
    assert words(reading) == [["none"] * 10, ["w"] * 10]
    assert [gap.why for gap in reading.timeline.gaps] == ["keys unknown"]


def test_owamcap_threads_that_write_a_little_out_of_order(tmp_path):
    said = [(100 * n, "screen", screen("0.5.1", 100 * n, 100 * n)) for n in range(10)]
    said[4:6] = said[5:3:-1]
    reading = reading_of(write_owamcap(tmp_path, "0.5.1", said))
    assert told(reading) == [] and len(reading.recording.shots) == 10


def lines(count, *keys, step=50):
    return [vpt_line(START + step * n, *keys) for n in range(count)]


def test_vpt_by_hand(tmp_path):
    said = lines(20)
    said[4] = vpt_line(START + 200, "w", "left.shift", dx=-12)
    said[5] = vpt_line(START + 250, "w", "left.shift", dx=-12)
    said[6] = vpt_line(START + 300, dx=99, isGuiOpen=True)
    said[8] = vpt_line(START + 400, "space", "f", dy=30)
    reading = reading_of(write_vpt(tmp_path, said))
    assert words(reading) == [["none", "none", "left+w", "none", "down+space", *["none"] * 6]]
    assert reading.recording.ignored == {"left.shift": 1, "f": 1}
    assert taken(reading) == list(range(20)) and told(reading) == []


def test_vpt_pictures_are_those_of_their_lines(tmp_path):
    write_vpt(tmp_path / "in", [*lines(6), "{", *lines(20)[7:]])
    paths = ["--recording", str(tmp_path / "in/play.jsonl"), "--out", str(tmp_path / "out")]
    ingest.main(ingest.parser().parse_args([*paths, "--params", '{"min_segment": 0.1}']))
    rows = [json.loads(line) for line in (tmp_path / "out/segments.jsonl").read_text().splitlines()]
    assert [row["start"] - START for row in rows] == [350]
    found = [
        (one["stamp"] - START, round(cv2.imread(str(tmp_path / "out" / one["frame"])).mean() / 8))
        for one in rows[0]["samples"]
    ]
    assert found == [(350 + 100 * n, 7 + 2 * n) for n in range(7)]
    (fault,) = map(json.loads, (tmp_path / "out/quarantine.jsonl").read_text().splitlines())
    assert fault["kind"] == "json" and fault["message"].startswith("line 7: ")


def test_vpt_lag_is_a_gap(tmp_path):
    said = [*lines(10, "w"), *[vpt_line(START + 2000 + 50 * n, "w") for n in range(10)]]
    reading = reading_of(write_vpt(tmp_path, said))
    assert [len(one) for one in words(reading)] == [6, 6] and told(reading) == []
    assert [gap.seconds for gap in reading.timeline.gaps] == [1.55]


@pytest.mark.parametrize(
    ("count", "rate", "step", "message"),
    [
        (60, 20.0, 50, "60 frames for 40 lines, 1.0 s more than video.max_clock_difference 0.5 allows"),
        (25, 20.0, 50, "25 frames for 40 lines, 0.8 s less than"),
        (40, 30.0, 50, "a frame every 33 ms for a line every 50 ms, more than video.max_rate_difference 0.1"),
        (0, 20.0, 50, "cannot be opened"),
    ],
)
def test_vpt_videos_whose_clock_disagrees(tmp_path, count, rate, step, message):
    reading = reading_of(write_vpt(tmp_path, lines(40, step=step), frames=count, rate=rate))
    must_refuse(reading, message)


def test_vpt_a_few_frames_less(tmp_path):
    reading = reading_of(write_vpt(tmp_path, lines(40), frames=35))
    assert taken(reading) == list(range(35))
    assert [message[:30] for _, message in told(reading)] == ["5 frames that events name are "]


def test_vpt_bad_lines(tmp_path):
    said = [*lines(4), "[]", '{"keyboard": {"keys": []}}', *lines(10)[6:]]
    said[8] = vpt_line(START - 10_000)
    said[9] = json.dumps(json.loads(said[9]) | {"mouse": {"dx": "far"}})
    reading = reading_of(write_vpt(tmp_path, said))
    assert [(kind, message.split(":")[0]) for kind, message in told(reading)] == [
        ("json", "line 5"),
        ("json", "line 6"),
        ("json", "line 10"),
        ("backwards", "line 9"),
    ]
    assert (reading.recording.shots - START).tolist() == [0, 50, 100, 150, 300, 350]


def test_vpt_that_breaks_off_has_no_true_end(tmp_path):
    whole, cut = (reading_of(write_vpt(tmp_path / end, [*lines(9), end])) for end in (vpt_line(START + 450), '{"mou'))
    assert [one.last for one in whole.timeline.stretches] == [True]
    assert [one.last for one in cut.timeline.stretches] == [False] and cut.timeline.gaps == []


def test_vpt_bad_line_between_two_of_the_same_millisecond(tmp_path):
    rows = [*lines(4), "{", vpt_line(START + 150, "w"), *lines(10)[6:]]
    recording = reading_of(write_vpt(tmp_path, rows)).recording
    w = code_of(["w"])
    assert (recording.stamps - START).tolist() == [0, 50, 100, 150, 150, 300, 350, 400, 450]
    assert recording.held.tolist() == [0, 0, 0, 0, w, 0, 0, 0, 0]
    assert (recording.shots - START).tolist() == [0, 50, 100, 150, 150, 300, 350, 400, 450]


def test_vpt_halves_that_are_alone(tmp_path):
    path = write_vpt(tmp_path, lines(5))
    path.with_suffix(".jsonl").rename(tmp_path / "kept")
    assert [kind for kind, _ in told(reading_of(path))] == ["alone"]
    (tmp_path / "kept").rename(path.with_suffix(".jsonl"))
    path.unlink()
    assert told(reading_of(tmp_path)) == [("alone", "its video play.mp4 is not there; put it beside the events.")]


def test_recordings_are_found(tmp_path):
    write_raw(tmp_path / "b", [(0, "w")])
    (tmp_path / "a").mkdir()
    write_vpt(tmp_path / "c", lines(2))
    write_owamcap(tmp_path, "0.5.1", play("0.5.1"))
    write_raw(tmp_path / ".unfinished", [(0, "w")])
    (tmp_path / "notes").mkdir()
    (tmp_path / "folder.mcap").mkdir()
    (tmp_path / "folder.mcap/n.txt").write_text("no recording")
    (tmp_path / "notes/n.txt").write_text("no recording")
    found = [("raw", "a"), ("raw", "b"), ("vpt", "c/play.mp4"), ("owamcap", "desk.mcap")]
    assert find_recordings([tmp_path, tmp_path / "b"]) == [Source(kind, tmp_path / name) for kind, name in found]
    assert [source.name for source in find_recordings([tmp_path])] == ["a", "b", "play", "desk"]
    with pytest.raises(UserError, match="holds 4 recordings; name one"):
        recording_at(tmp_path)
    with pytest.raises(UserError, match="holds no recording"):
        recording_at(tmp_path / "notes")
    with pytest.raises(UserError, match="no such file or folder"):
        recording_at(tmp_path / "nowhere")
