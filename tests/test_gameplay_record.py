"""The parts of the recorder that need no screen: pace, keys, choice, writer, places, the sync check's sums."""

from __future__ import annotations

import argparse
import ctypes
import errno
import importlib.util
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from gameplay_fixtures import read_frames

from scripts.gameplay import record, record_setup
from scripts.gameplay.recorder import writer as writing
from scripts.gameplay.recorder.keyboard import KeyState, name_of
from scripts.gameplay.recorder.missing import needs
from scripts.gameplay.recorder.pace import Clock, Pace, interval_ms
from scripts.gameplay.recorder.screen import clipped, padded, parse_region, parse_size, resized
from scripts.gameplay.recorder.session import Choice, Commands, new_folder, wait
from scripts.gameplay.recorder.status import Status, status_text
from scripts.gameplay.recorder.sync import Capture, Robot, middle, offsets, sync_text
from scripts.gameplay.recorder.windows import Gone, Rect, Windows, find_in, pick
from scripts.gameplay.recorder.writer import Shot, Writer
from scripts.lib.cli import UserError

GREY = np.full((16, 16, 3), 90, np.uint8)


def test_deadlines_are_absolute_and_what_is_missed_is_counted():
    pace = Pace(0.1, start=50.0)
    for now in (50.0, 50.101, 50.26, 50.3, 50.68):  # on time, on time, late, on time, two skipped and late
        pace.begin(now)
    assert (pace.late, pace.skipped) == (2, 2)
    assert pace.deadline == pytest.approx(50.7)
    assert interval_ms(pace.begun) == {"mean": 170.0, "p95": 380.0}
    assert interval_ms([50.0]) == {"mean": None, "p95": None}


def test_stamps_do_not_follow_a_clock_that_is_set_back(monkeypatch):
    walls = iter([1_795_000_000.0, 1_794_000_000.0])
    monkeypatch.setattr("time.time", lambda: next(walls))
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    clock = Clock()
    assert [clock.stamp(moment) for moment in (100.0, 100.25)] == [1_795_000_000_000, 1_795_000_000_250]


def test_keys_are_held_until_released_and_no_tap_is_lost():
    state = KeyState()
    assert state.press("w", 1.0)
    assert not state.press("w", 1.03)  # held down, it repeats
    assert state.take() == {"w"}
    assert state.press("space", 1.1)
    state.release("space")
    assert state.take() == {"w", "space"}
    assert state.take() == {"w"}
    state.release("w")
    assert state.take() == frozenset()
    for number, name in enumerate(["p", "d", "c", "a", "s", "up", "left"]):
        state.press(name, 2.0 + number)
    assert state.take() == {"d", "c", "a", "s", "up"}  # P is a control, and five are kept


def test_a_control_whose_release_was_never_heard_works_again():
    state = KeyState()
    assert state.press("p", 1.0)
    assert not state.press("p", 1.5)
    assert state.press("p", 60.0)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (SimpleNamespace(name="left"), "left"),
        (SimpleNamespace(name="shift"), None),
        (SimpleNamespace(char="W", vk=0x57), "w"),
        (SimpleNamespace(char="p", vk=None), "p"),
        (SimpleNamespace(char="x", vk=None), None),
        (SimpleNamespace(char=None, vk=68), None),
        (None, None),  # a code that pynput does not know
    ],
)
def test_keys_outside_the_vocabulary_have_no_name(key, name, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    assert name_of(key) == name


def test_changes_saves_new_keys_and_every_third_capture():
    choice, held, saved = Choice(changes=True), [[], [], [], [], ["w"], ["w"], [], [], [], []], []
    for at, keys in enumerate(map(frozenset, held)):
        if choice.wants(keys) and at != 4:  # which the disk refuses, so that the next one stands for it
            choice.saved(keys)
            saved.append(at)
    assert saved == [0, 3, 5, 6, 9]
    assert all(map(Choice(changes=False).wants, [frozenset()] * 5))


def test_the_status_names_what_is_happening(capsys):
    assert (
        status_text(12.9, 118, 1, 2, frozenset({"w", "left"})) == "● REC 00:12  118 frames  1 dropped  2 late  left+w"
    )
    assert status_text(3725, 0, 0, 0, frozenset()).startswith("● REC 1:02:05")
    status = Status()
    for seconds in (0.0, 0.1, 4.9, 5.1):
        status.show(seconds, 1, 0, 0, frozenset())
    status.end()
    lines = capsys.readouterr().err.splitlines()
    assert [line[:11] for line in lines] == ["● REC 00:00", "● REC 00:05"]  # no terminal: one line every few seconds


def test_a_full_queue_refuses_frames_instead_of_waiting(tmp_path, monkeypatch):
    go, write_frame = threading.Event(), writing.write_frame

    def slow(*arguments):
        assert go.wait(30)
        write_frame(*arguments)

    monkeypatch.setattr(writing, "write_frame", slow)
    writer = Writer(tmp_path, rate=10, quality=90)
    for number in range(20):
        writer.offer(Shot(1_795_000_000_000 + number, frozenset({"w"}), GREY))
    go.set()
    writer.close()
    assert writer.most == 5
    assert writer.written in (5, 6)  # one more where the thread had already taken the first
    assert writer.written + writer.refused == 20
    frames, faults = read_frames(tmp_path)
    assert [frame.stamp % 1000 for frame in frames] == list(range(writer.written))
    assert faults == []


def test_a_full_disk_ends_the_recording(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing, "write_frame", full)
    writer = Writer(tmp_path, rate=10, quality=90)
    writer.offer(Shot(1, frozenset(), GREY))
    with pytest.raises(OSError, match="No space left"):
        writer.close()


def test_each_recording_has_a_folder_of_its_own(tmp_path):
    names = [new_folder(tmp_path / "play", 1_795_271_103_417).name for _ in range(2)]
    assert names == ["20261121_142503", "20261121_142503-2"]


def test_a_command_ends_the_wait():
    commands = Commands()
    assert wait(commands, 0.0) is None  # long past
    threading.Timer(0.15, commands.put, ["toggle"]).start()
    assert wait(commands, None) == "toggle"


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "0,0,0,10", "0,0,10,-1"])
def test_a_region_that_is_none_is_refused(text):
    assert parse_region("-8,0,64,48") == Rect(-8, 0, 64, 48)
    with pytest.raises(argparse.ArgumentTypeError, match=r"no width|not left,top"):
        parse_region(text)


@pytest.mark.parametrize("text", ["640", "640x", "4x4", "640x480x3", "100000x10"])
def test_a_size_that_is_none_is_refused(text):
    assert parse_size("640X480") == (640, 480)
    with pytest.raises(argparse.ArgumentTypeError, match="size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--out is missing"),
        (["--out", "x", "--rate", "0"], "--rate 0: "),
        (["--out", "x", "--rate", "nan"], "--rate nan: "),
        (["--out", "x", "--quality", "101"], "--quality 101: "),
        (["--out", "x", "--seconds", "-1"], "--seconds -1: "),
        (["--sync-check", "--presses", "0"], "--presses 0: "),
    ],
)
def test_options_that_cannot_be_met_are_named(options, message):
    with pytest.raises(UserError, match=f"^{message}"):
        record.main(record.parser().parse_args(options))


def test_a_window_that_leaves_the_desktop_is_black_there():
    desktop, place = Rect(0, 0, 100, 100), Rect(-10, 80, 40, 40)
    seen = clipped(place, desktop)
    assert seen == Rect(0, 80, 30, 20)
    assert clipped(Rect(200, 0, 10, 10), desktop).width < 1
    picture = padded(np.full((20, 30, 4), 200, np.uint8), place, seen)
    assert picture.shape == (40, 40, 4)
    assert picture[:20, 10:].min() == 200
    assert picture[20:].max() == picture[:, :10].max() == 0
    assert resized(picture, (64, 48)).shape == (48, 64, 3)


def test_a_window_is_found_by_its_title_or_a_part_of_it():
    titles = {1: "Doom", 2: "Doom - notes", 3: "Files"}
    assert pick(titles, "doom") == 1
    assert pick(titles, "NOTES") == 2
    with pytest.raises(UserError, match=r"2 windows have 'oom' in their title \('Doom', 'Doom - notes'\)"):
        pick(titles, "oom")
    with pytest.raises(UserError, match=r"no window has 'Quake' in its title; there are: 'Doom', "):
        pick(titles, "Quake")


class User32:
    """Two windows as user32 tells of them, the second hidden; names and arguments are those of Windows."""

    titles = {7: "Game", 9: "Hidden"}

    def __init__(self):
        self.GetTopWindow = lambda _: 7
        self.GetWindow = lambda handle, which: {7: 9}.get(handle.value) if which == 2 else None
        self.IsIconic = lambda _: 0
        self.IsWindowVisible = lambda handle: handle.value == 7

    def GetWindowTextW(self, handle, text, length):
        text.value = self.titles[handle.value]

    def GetClientRect(self, handle, edges):
        ctypes.cast(edges, ctypes.POINTER(ctypes.c_long * 4)).contents[:] = [0, 0, 640, 480]
        return 1

    def ClientToScreen(self, handle, corner):
        ctypes.cast(corner, ctypes.POINTER(ctypes.c_long * 2)).contents[:] = [30, 40]


def test_windows_are_found_on_windows():
    desktop = User32()
    place = find_in(Windows(desktop), "game")
    assert place() == Rect(30, 40, 640, 480)
    with pytest.raises(UserError, match="there are: 'Game'"):
        find_in(Windows(desktop), "Hidden")
    desktop.IsIconic = lambda _: 1
    with pytest.raises(Gone):
        place()


def test_offsets_are_taken_from_the_key_to_the_first_lit_frame():
    lit = {3, 4, 13, 14, 15}  # the second press at 1.15 lights up only two frames later, the third never
    carry = {3, 12, 25}
    captures = [Capture(number / 10, number in lit, number in carry) for number in range(60)]
    first, second, third = offsets([0.24, 1.15, 2.45], captures)
    assert (round(first.ms), first.frames) == (60, 0)
    assert (round(second.ms), second.frames) == (150, 1)
    assert third is None
    text = sync_text([0.24, 1.15, 2.45], captures, presses=4)
    assert "median 105 ms, p95 150 ms, n 2; that frame comes 0 to 1 (median 0.5) after" in text
    assert text.endswith("2 of 4 presses were not heard, or no frame shows them")


def test_a_sync_check_without_effect_or_keys_says_what_to_do():
    with pytest.raises(UserError, match="no frame shows their effect; see that nothing covers"):
        sync_text([0.2], [Capture(n / 10, False, n == 3) for n in range(30)], presses=1)
    with pytest.raises(UserError, match="none of 3 key presses was heard"):
        sync_text([], [], presses=3)
    assert middle(Rect(40, 60, 320, 240)) == Rect(120, 120, 160, 120)


def test_the_next_press_comes_when_the_effect_of_the_last_is_over():
    pressed, robot = [], Robot(lambda: pressed.append(1), 1e-6, presses=2)
    start = robot._last + 2.1  # the first press needs no effect before it
    asked = [robot.done(Capture(start + n / 10, n in (2, 3), n == 2)) for n in range(6)]
    assert (robot.left, any(asked)) == (0, False)  # the second press came after capture 4
    assert robot.done(Capture(start + 5, False, False))  # never seen: given up


def test_what_is_not_installed_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="the recorder needs mss, not installed here; run `make record-setup`"):
        needs("mss")


def test_on_linux_nothing_needs_a_compiler():
    assert "--no-deps" in record_setup.pip_command("linux")
    assert "--no-deps" not in record_setup.pip_command("darwin")
