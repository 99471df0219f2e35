"""An agent's keys on a real desktop: sent by pynput, heard by the recorder; and the key that stops everything."""

from __future__ import annotations

import subprocess
import sys

import pytest
from virtual_display import PATIENCE, ROOT, a_game, a_recorder, eventually, keys, lacking, virtual_display

pytestmark = [pytest.mark.screen, pytest.mark.skipif(bool(lacking()), reason=lacking())]

PLAY = """
from argparse import Namespace
from scripts.gameplay import play
from scripts.gameplay.film import Film
from scripts.gameplay.keys import keys_of
from scripts.gameplay.players import Hands

class Written:
    said = {said!r}
    def decide(self, picture, goal):
        assert picture.shape == (480, 640, 3), picture.shape
        words = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        return (keys_of(words),) * 7

args = Namespace(goal="Go to the armor", seconds={seconds}, stop_key="esc", window="meadow", region=None)
ending = play.on_desktop(args, Hands(Written(), executed=7), Film(args.goal))
print(ending.words)
"""


@pytest.fixture(scope="module")
def desktop():
    with virtual_display() as env, a_game(env, "meadow", "#205020"):
        yield env


def player(env, said, seconds):
    script = PLAY.format(said=said, seconds=seconds)
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=env, stdout=pipe, text=True)


def test_keys_are_pressed_together_and_let_go(desktop, tmp_path):
    with a_recorder(desktop, tmp_path / "out", "--start", "--rate", "20") as recorder:
        eventually(lambda: len(recorder.frames()) > 2, "recording")
        playing = player(desktop, ["w", "left+w", "space", "none"], 20)
        said = playing.communicate(timeout=PATIENCE)[0]
        eventually(lambda: recorder.words()[-1] == [] and len(recorder.words()) > 3, "letting go")
    assert "as the agent says" in said
    words = recorder.words()
    assert words[0] == [] and words[-1] == []
    held = [word for word in words if word]
    assert held[0] == ["w"] and ["left", "w"] in held and held[-1] == ["space"]
    assert {key for word in held for key in word} == {"w", "left", "space"}


def test_esc_stops_and_lets_go(desktop, tmp_path):
    with a_recorder(desktop, tmp_path / "out", "--start", "--rate", "20") as recorder:
        playing = player(desktop, ["w"], 60)
        eventually(lambda: ["w"] in recorder.words(), "playing")
        keys(desktop, "key", "Escape")
        said = playing.communicate(timeout=PATIENCE)[0]
        eventually(lambda: recorder.words()[-1] == [], "letting go")
    assert said.startswith("stopped by esc after ")
