"""Players, hands, counts and the desktop loop, with players whose decisions are written down."""

from __future__ import annotations

from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from scripts.gameplay import loop, play
from scripts.gameplay.answer import AnswerError
from scripts.gameplay.cases import Case
from scripts.gameplay.film import Film, write_sheet, write_video
from scripts.gameplay.game.episode import Episode, Outcome
from scripts.gameplay.goals import nearest_goal, warning_of
from scripts.gameplay.keys import keys_of
from scripts.gameplay.loop import Score, clear, players_of, summary
from scripts.gameplay.minds import trained_with
from scripts.gameplay.players import Constant, Hands, Random, fitted
from scripts.lib.cli import UserError
from scripts.lib.files import write_json

W, LEFT, CHORD, NOTHING = (keys_of(word) for word in ("w", "left", "left+w", "none"))
PICTURE = np.zeros((48, 64, 3), np.uint8)


class Written:
    """Says what is written, in turn; None cannot be read."""

    def __init__(self, *said):
        self.said = list(said)

    def decide(self, picture, goal):
        words = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if words is None:
            raise AnswerError("no JSON")
        return tuple(keys_of(word) for word in words.split())


def test_of_seven_slots_the_first_three_are_played():
    hands = Hands(Written("w w left none none none none", "left+w none w none none none none"))
    played = [hands.keys(PICTURE, "Go to the armor") for _ in range(6)]
    assert played == [W, W, LEFT, CHORD, NOTHING, W]
    assert (len(hands.seconds), hands.unread, hands.late) == (2, 0, 0)


def test_what_cannot_be_read_presses_nothing_and_is_counted():
    hands = Hands(Written(None, "w w w w w w w"), executed=2)
    assert [hands.keys(PICTURE, "") for _ in range(4)] == [NOTHING, NOTHING, W, W]
    assert hands.unread == 1


def test_decisions_that_take_longer_than_their_slots_are_late():
    hands = Hands(Written("w w w w w w w"), period=0.3)
    hands.seconds = [0.1, 0.31, 2.0]
    assert hands.late == 2


def test_players_without_a_model():
    cases = [Case(None, 0, (W, W, W, W, W, LEFT, LEFT), NOTHING), Case(None, 1, (CHORD,) * 3 + (W,) * 4, W)]
    making = players_of(cases, seed=7)
    episode = Episode("test", 0, "Go to the armor")
    assert making["majority"](episode, 0).decide(PICTURE, "") == (W,) * 7
    held = {making["repeat_last"](episode, number).decide(PICTURE, "")[0] for number in range(20)}
    assert held == {W, LEFT, CHORD}
    one, again = (making["random"](episode, 3) for _ in range(2))
    drawn = [one.decide(PICTURE, "") for _ in range(20)]
    assert drawn == [again.decide(PICTURE, "") for _ in range(20)]
    assert {keys for actions in drawn for keys in actions} == {W, LEFT, CHORD}
    assert all(len(set(actions)) == 1 for actions in drawn)
    assert isinstance(one, Random) and Constant(W).decide(PICTURE, "")[0] == W


def test_intervals_are_wilsons():
    # the score interval, by hand: (p + z²/2n ± z √(p(1 - p)/n + z²/4n²)) / (1 + z²/n), z = 1.959964
    assert Score(8, 10).to_json() == {"value": 0.8, "low": 0.490162, "high": 0.943318, "n": 10}
    assert Score(0, 20).to_json()["high"] == pytest.approx(0.161125, abs=1e-5)
    assert Score(0, 0).to_json()["value"] is None


def outcome(goal, steps, wrong=None):
    return Outcome(Episode("test", 0, goal), steps, steps is not None, wrong, steps or 200)


def test_counts_by_goal():
    told = summary([outcome("A", 30), outcome("A", None, "tree"), outcome("B", 50), outcome("B", 70, "lamp")])
    assert (told["success"]["value"], told["success"]["n"]) == (0.75, 4)
    assert {goal: row["value"] for goal, row in told["goals"].items()} == {"A": 0.5, "B": 1.0}
    assert told["steps"] == {"median": 50.0, "n": 3}
    assert told["wrong"] == {"tree": 1}  # what was met on the way to a goal that was reached is no failure


def test_clear_needs_intervals_apart():
    def row(successes):
        score = Score(successes, 20).to_json()
        return {"success": score, "goals": {"A": score, "B": Score(successes // 2, 10).to_json()}}

    others = {name: row(2) for name in ("random", "majority", "repeat_last")}
    assert clear({"agent": row(18), **others}) == ["all", "A", "B"]
    assert clear({"agent": row(12), **others}) == ["all", "A"]
    assert clear({"agent": row(5), **others}) == []


def test_a_goal_that_is_not_known_is_told_with_the_nearest():
    known = ["Go to the armor", "Pick up the medkit", "Go to the red torch"]
    assert nearest_goal("Walk to the armour", known) == "Go to the armor"
    assert nearest_goal("Get the medkit", known) == "Pick up the medkit"
    assert warning_of("Go to the armor", known) is None
    assert warning_of("Anything", []) is None
    assert "the nearest goal that it knows is 'Go to the red torch'" in warning_of("Go to the torch", known)


def film(slots):
    made = Film("Go to the armor")
    for slot in range(slots):
        made.add(np.full_like(PICTURE, slot), CHORD)
    return made


@pytest.mark.parametrize("slots", [1, 7, 100])
def test_a_sheet_shows_an_episode(tmp_path, slots):
    write_sheet(tmp_path / "a.jpg", film(slots), "reached after 3.0 s", True)
    sheet = cv2.imread(str(tmp_path / "a.jpg"))
    rows = -(-min(slots, 24) // 6)
    assert sheet.shape == (26 + rows * (150 + 20 + 4), 6 * 204, 3)


def test_a_video_has_every_slot(tmp_path):
    write_video(tmp_path / "a.mp4", film(12))
    video = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    frames = 0
    while video.read()[0]:
        frames += 1
    assert frames == 12
    with pytest.raises(UserError, match=r"name it \.mp4"):
        write_video(tmp_path / "a.nothing", film(1))


@pytest.mark.parametrize(("period", "slots"), [(0.3, 3), (0.1, 1), (0.7, 7)])
def test_a_period_is_a_number_of_slots(period, slots):
    assert play.slots_in(period) == slots


@pytest.mark.parametrize("period", [0.0, 0.8])
def test_a_period_beyond_the_answer_is_refused(period):
    with pytest.raises(UserError, match=r"a decision is for 0\.1 to 0\.7 seconds"):
        play.slots_in(period)


def paced(said, stop_after=None, seconds=3.0):
    """Plays on a desktop that only writes down what is held."""
    held = []
    stopped = (lambda: len(held) >= stop_after) if stop_after else (lambda: False)
    args = Namespace(goal="Go to the armor", seconds=seconds, stop_key="esc")
    with ThreadPoolExecutor(1) as thinking:
        ending = play.pace(args, Hands(Written(*said)), Film(""), lambda: PICTURE, held.append, stopped, thinking)
    return ending, held


def test_on_the_desktop_it_ends_where_the_agent_says_that_it_is_there():
    ending, held = paced(["w w w none none none none", "none none none none none none none"])
    assert ending.good and "there after 1.3 s" in ending.words
    assert [keys for keys in held if keys] == [W] * 3


def test_answers_that_cannot_be_read_never_say_that_the_goal_is_reached():
    ending, held = paced([None], seconds=1.6)
    assert not ending.good and ending.words.startswith("not there in")
    assert not any(held)


def test_the_emergency_key_lets_go_of_everything():
    ending, held = paced(["w w w w w w w"], stop_after=4)
    assert not ending.good and "stopped by esc" in ending.words
    assert held[-1] == NOTHING and W in held


def test_pictures_are_brought_to_the_size_of_training():
    assert fitted(np.zeros((480, 640, 3), np.uint8), (256, 192)).shape == (192, 256, 3)
    same = np.zeros((192, 256, 3), np.uint8)
    assert fitted(same, (256, 192)) is same


def test_an_adapter_is_shown_pictures_of_the_size_that_it_was_trained_with(tmp_path):
    told = {"system_prompt": "Play.", "audit": {"train": {"pictures": {"128x96": 7, "64x48": 1}}}}
    write_json(tmp_path / "training/training_metadata.json", told)
    assert trained_with(tmp_path / "adapter") == ("Play.", (128, 96))
    write_json(tmp_path / "training/training_metadata.json", {"audit": {"train": {}}})
    assert trained_with(tmp_path / "adapter") == ("", (256, 192))


def test_the_report_says_where_the_agent_is_better(capsys):
    row = {"success": Score(18, 20).to_json(), "stood": Score(9, 20).to_json(), "steps": {"median": 30.0, "n": 18}}
    told = {"episodes": 20, "clear": ["all"], "players": {"agent": {**row, "decisions": 100}}}
    said = loop.report(told, {"decisions_per_second": 2.5, "late": 40})
    assert "clearly better than all players without a model: all" in said
    assert "2.5 decisions a second, 40 of 100 late" in said
