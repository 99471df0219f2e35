"""The recorder on a virtual display: a real window, real key events, kills and signals."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import cv2
import pytest
from gameplay_fixtures import read_frames
from virtual_display import ROOT, a_game, a_recorder, eventually, keys, lacking, virtual_display

pytestmark = [pytest.mark.screen, pytest.mark.skipif(bool(lacking()), reason=lacking())]


@pytest.fixture(scope="module")
def env():
    with virtual_display() as one:
        yield one


def test_keys_reach_the_frames_in_order_and_the_picture_is_the_window(env, tmp_path):
    """Steps wait for the frame that shows them, so that a slow machine is only slower."""
    steps = [
        ("keydown", "w", ["w"]),
        ("keydown", "Left", ["left", "w"]),
        ("keyup", "w", ["left"]),
        ("keyup", "Left", []),
    ]
    with a_game(env, "A game", "#c02040"), a_recorder(env, tmp_path / "play", "--window", "a game", "--start") as one:
        eventually(lambda: len(one.frames()) > 2, "a frame")
        keys(env, "keydown", "x")  # not in the vocabulary
        for how, key, expected in steps:
            keys(env, how, key)
            eventually(lambda state=expected: one.words()[-1] == state, f"{how} {key}")
        keys(env, "keyup", "x")
        told = one.end(signal.SIGTERM)
    assert one.process.returncode == 0
    assert one.words() == [[], ["w"], ["left", "w"], ["left"], []]
    [summary], frames = one.summaries(), one.frames()
    assert summary["finished"]
    assert summary["frames"] == len(frames) > 4
    assert f"{len(frames)} frames in " in told
    assert "● REC 00:0" in one.said()
    first = cv2.imread(str(frames[0].picture))
    assert first.shape == (480, 640, 3)
    assert abs(first.mean(axis=(0, 1)) - (0x40, 0x20, 0xC0)).max() < 4
    assert max(cv2.imread(str(frame.picture)).mean() for frame in frames) > 240  # it lit up


def test_p_starts_and_stops_and_changes_saves_fewer_frames(env, tmp_path):
    with a_recorder(env, tmp_path / "play", "--region", "0,0,320,240", "--save", "changes") as one:
        eventually(lambda: "ready" in one.said(), "readiness")
        press_p_until_it_records(env, one)
        eventually(lambda: len(one.frames()) > 3, "frames")
        assert not one.summaries()[0]["finished"]
        keys(env, "key", "p")
        eventually(lambda: one.said().count("ready") == 2, "the end of the first recording")
        keys(env, "key", "p")
        eventually(lambda: len(one.folders()) == 2 and len(one.frames()) > 3, "the second recording")
        told = one.end(signal.SIGINT)
    assert one.process.returncode == 0
    assert told.count(" frames in ") == 2
    assert len(one.summaries()) == 2
    for summary in one.summaries():
        assert summary["finished"]
        assert 3 < summary["frames"] < summary["captures"]
    before, after = one.frames(0), one.frames(1)
    assert before[-1].stamp < after[0].stamp


def test_a_kill_loses_less_than_a_second(env, tmp_path):
    """On a busy machine the captures themselves may pause for longer; they do not three times."""
    for attempt in range(3):
        with a_recorder(env, tmp_path / f"play{attempt}", "--region", "0,0,320,240", "--start") as one:
            eventually(lambda one=one: len(one.frames()) > 12, "frames")
            killed = time.time() * 1000
            one.end(signal.SIGKILL)
        frames, faults = read_frames(one.folders()[0])
        # Between the picture of a frame and its JSON a picture may stand alone; it is the newest.
        assert [fault for fault in faults if (fault.kind, fault.file[-3:]) != ("alone", "jpg")] == []
        assert len(faults) <= 1
        assert all(cv2.imread(str(frame.picture)) is not None for frame in frames)
        assert not one.summaries()[0]["finished"]
        if killed - frames[-1].stamp < 1000:
            return
    pytest.fail(f"the newest frame is {killed - frames[-1].stamp:.0f} ms older than the kill")


def test_a_window_that_closes_ends_the_recording_with_what_was_captured(env, tmp_path):
    with (
        a_game(env, "Fleeting", "#204060") as game,
        a_recorder(env, tmp_path / "play", "--window", "Fl", "--start") as one,
    ):
        eventually(lambda: len(one.frames()) > 1, "a frame")
        game.kill()
        told = one.process.communicate(timeout=30)[0]
    assert one.process.returncode == 2
    assert "error: the window 'Fl' was closed or hidden" in one.said()
    assert "Traceback" not in one.said()
    assert f"{len(one.frames())} frames in " in told
    assert one.summaries()[0]["finished"]


def test_the_sync_check_says_how_long_after_a_key_its_effect_is_seen(env):
    command = [sys.executable, "-m", "scripts.gameplay.record", "--sync-check", "--presses", "6"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    median, most, seen = map(int, re.search(r"median (-?\d+) ms, p95 (-?\d+) ms, n (\d+)", done.stdout).groups())
    assert median <= most
    assert seen >= 1


def press_p_until_it_records(env, one):
    """The listener says that it is ready a moment before the display has told it of the first key."""
    while not one.folders():
        keys(env, "key", "p")
        end = time.monotonic() + 10
        while not one.folders() and time.monotonic() < end:
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--window", "Nothing"], "error: no window has 'Nothing' in its title; there are: 'A game'."),
        (["--region", "0,0,4000,10"], "error: --region 0,0,4000,10: it reaches beyond the desktop (1024x768 pixels"),
        (["--monitor", "7"], "error: --monitor 7: there are monitors 1 to 1 here"),
    ],
)
def test_a_place_that_is_not_there_is_named(env, tmp_path, options, message):
    with a_game(env, "A game", "#000000"), a_recorder(env, tmp_path / "play", *options) as one:
        one.process.wait(30)
    assert one.process.returncode == 2
    assert one.said().startswith(message)
    assert not one.folders()
