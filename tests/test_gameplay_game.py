"""The game without a screen: maps, keys, the scripted player, and the recordings made with it."""

from __future__ import annotations

import json
import signal
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from gameplay_fixtures import read_frames

from scripts.gameplay import generate
from scripts.gameplay.game.arena import Arena
from scripts.gameplay.game.catalogue import BY_NAME, KINDS, goal_of
from scripts.gameplay.game.episode import Outcome, episodes, play
from scripts.gameplay.game.maps import map_of, seen
from scripts.gameplay.game.plan import CELL, SOLID
from scripts.gameplay.game.player import ScriptedPlayer, bearing
from scripts.gameplay.keys import KEYS, Held, word_of
from scripts.gameplay.options import GOALS, GameOptions, GamePlayerOptions
from scripts.gameplay.raw import Frame
from scripts.lib.cli import UserError
from scripts.lib.files import sha256_file

SMALL = GameOptions(resolution="160x120")
EPISODES = 10
IDLE: Held = frozenset()


def call(out: Path, **options: Any) -> Path:
    params = json.dumps({"resolution": "160x120", **options})
    generate.main(generate.parser().parse_args(["--out", str(out), "--params", params]))
    return out


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def frames_of(recording: Path) -> list[Frame]:
    frames, faults = read_frames(recording)
    assert faults == []
    return frames


def rows_of(recording: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (recording / "objects.jsonl").read_text().splitlines()]


def after(slots: list[Held]) -> Arena:
    """A map on which these keys were held, slot by slot."""
    with Arena(SMALL, 3) as arena:
        for keys in slots:
            arena.step(keys)
        return arena


@pytest.fixture(scope="module")
def idle() -> Arena:
    return after([IDLE] * 4)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return call(tmp_path_factory.mktemp("recordings"), recordings=3, frames=300)


@pytest.fixture(scope="module")
def scripted() -> list[tuple[Outcome, list[Held]]]:
    """How the scripted player fares on test maps, and the keys it held."""
    result = []
    for episode in episodes(SMALL, "test", EPISODES):
        player, held = ScriptedPlayer(GamePlayerOptions(), episode.number), []

        def keys(arena: Arena, player: ScriptedPlayer = player, held: list[Held] = held) -> Held:
            held.append(player.keys(arena))
            return held[-1]

        result.append((play(SMALL, episode, keys), held))
    return result


def test_goals_are_read_from_their_text() -> None:
    assert goal_of("Pick up the medkit").pickup
    assert goal_of("Go to the blue torch") == (BY_NAME["blue torch"], False)
    for text, said in [
        ("Find the orb", "is no goal"),
        ("Go to the sofa", "no known object"),
        ("Pick up the tree", "Go"),
    ]:
        with pytest.raises(ValueError, match=said):
            goal_of(text)


def test_a_map_is_the_same_again_and_in_no_other_set() -> None:
    train, test = ([map_of(name, number, GOALS).wad(1.0) for number in range(30)] for name in ("train", "test"))
    assert train[:5] == [map_of("train", number, GOALS).wad(1.0) for number in range(5)]
    assert len({*train, *test}) == 60


def test_every_object_of_a_map_is_seen_from_its_start() -> None:
    for number in range(40):
        game = map_of("train", number, GOALS)
        assert 3 <= len(game.objects) <= 4
        for name, place in game.objects.items():
            others = [other for other in game.objects.values() if other != place]
            assert seen(game.plan, game.start, place, others), name
            assert game.plan.free_around(place, CELL)
        walled = np.ones(game.plan.rooms.shape, bool)
        walled[1:-1, 1:-1] = False
        assert (game.plan.rooms[walled] == SOLID).all()


def test_a_way_leads_from_cell_to_cell_past_walls() -> None:
    plan = next(game for game in (map_of("train", n, GOALS) for n in range(40)) if game.plan.rooms.max() == 2).plan
    cells = np.argwhere(plan.rooms != SOLID)
    (first, last), steps = (cells[cells[:, 1].argmin()], cells[cells[:, 1].argmax()]), 0
    place, end = (((cell[1] + 0.5) * CELL, (cell[0] + 0.5) * CELL) for cell in (first, last))
    while place != end:
        ahead = plan.next_cell(place, end)
        assert np.abs(np.subtract(ahead, place)).sum() == CELL
        assert not plan.solid(np.array([ahead])).any()
        place, steps = ahead, steps + 1
    assert np.abs(last - first).sum() <= steps < len(cells)


def test_a_game_is_the_same_again() -> None:
    slots = [frozenset({"w", "left"}), frozenset({"w", "space"}), IDLE, frozenset({"d"})]
    handler = signal.getsignal(signal.SIGINT)
    once, again = after(slots), after(slots)
    assert signal.getsignal(signal.SIGINT) is handler  # the engine does not keep Ctrl+C
    assert (once.player, once.objects) == (again.player, again.objects)
    assert (once.picture == again.picture).all()
    assert once.picture.shape == (120, 160, 3)


@pytest.mark.parametrize(
    ("key", "field", "sign"),
    [("left", "angle", 1), ("right", "angle", -1), ("up", "pitch", -1), ("down", "pitch", 1)],
)
def test_keys_that_turn(idle: Arena, key: str, field: str, sign: int) -> None:
    turned = after([frozenset({key})] * 4)
    assert sign * (getattr(turned.player, field) - getattr(idle.player, field)) > 20
    assert (turned.player.x, turned.player.y) == (idle.player.x, idle.player.y)


@pytest.mark.parametrize(("key", "degrees"), [("w", 0), ("a", 90), ("s", 180), ("d", -90)])
def test_keys_that_walk(idle: Arena, key: str, degrees: int) -> None:
    body = after([frozenset({key})] * 4).player
    moved = complex(body.x - idle.player.x, body.y - idle.player.y)
    heading = np.exp(1j * np.radians(body.angle + degrees))
    assert body.angle == idle.player.angle
    assert abs(moved) > 20
    assert (moved / abs(moved) * heading.conjugate()).real == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("key", "seen"), [("space", True), ("c", True), ("enter", False)])
def test_keys_that_change_the_view_alone(idle: Arena, key: str, seen: bool) -> None:
    """enter is the game's button to use things, and these maps hold nothing that answers to it."""
    pressed = after([frozenset({key})] * 4)
    assert pressed.player == idle.player
    assert (pressed.picture != idle.picture).any() == seen


def test_boxes_lie_where_the_objects_are() -> None:
    with Arena(SMALL, 3) as arena:
        found = 0
        for _ in range(32):
            arena.step({"left"})
            for thing in arena.objects:
                if thing.box is not None and thing.box[0] > 2 and thing.box[2] < 158:
                    middle = 80 - 80 * np.tan(np.radians(bearing(arena, (thing.x, thing.y))))
                    assert thing.box[0] - 2 <= middle <= thing.box[2] + 2, thing
                    found += 1
        assert found > 10
        blind = Arena(SMALL, 3, sight=False)
    with blind:
        assert all(thing.box is None for thing in blind.objects)


def test_the_scripted_player_reaches_its_goals_and_stands_still(scripted: list[tuple[Outcome, list[Held]]]) -> None:
    outcomes = [outcome for outcome, _ in scripted]
    assert len({outcome.episode.goal for outcome in outcomes}) >= 6
    assert sum(outcome.success and outcome.stood for outcome in outcomes) >= 9
    assert sum(outcome.wrong is not None for outcome in outcomes) <= 1
    for outcome, held in scripted:
        assert not outcome.stood or held[-10:] == [IDLE] * 10


def test_the_scripted_player_finds_a_way_to_what_it_cannot_see() -> None:
    episode = next(row for row in episodes(SMALL, "test", EPISODES) if goal_of(row.goal).pickup)
    assert play(SMALL, episode, ScriptedPlayer(GamePlayerOptions(), 1).keys, sight=False).success


def test_a_look_up_is_taken_back(recordings: Path) -> None:
    pitches = [abs(row["player"]["pitch"]) for path in recordings.glob("vizdoom_*") for row in rows_of(path)]
    assert 7 < max(pitches) < 11
    assert np.mean(np.array(pitches) > 1) < 0.1


def test_a_random_player_rarely_reaches_a_goal() -> None:
    rng = np.random.default_rng(5)
    found = [
        play(SMALL, episode, lambda arena: frozenset(rng.choice(KEYS, 2, replace=False).tolist()), 100, sight=False)
        for episode in episodes(SMALL, "test", EPISODES)
    ]
    assert sum(outcome.success for outcome in found) <= 2
    assert not any(outcome.stood for outcome in found)


def test_the_wrong_object_is_told() -> None:
    """A player that goes to another object than the arena's goal."""
    number = next(n for n in range(20) if len(map_of("test", n, GOALS).goals(GOALS)) == 4)
    with Arena(SMALL, number, maps="test") as arena:
        asked, other = arena.goals[:2]
        arena.aim(other)
        player = ScriptedPlayer(GamePlayerOptions(), 1)
        for _ in range(200):
            arena.task = goal_of(other)
            keys = player.keys(arena)
            arena.task = goal_of(asked)
            arena.step(keys)
        assert not arena.reached
        assert arena.wrong == goal_of(other).kind.name


def test_recordings_have_the_layout_of_a_persons(recordings: Path) -> None:
    folders = sorted(recordings.glob("vizdoom_*"))
    assert folders
    for folder in folders:
        frames, rows = frames_of(folder), rows_of(folder)
        assert [row["stamp"] for row in rows] == [frame.stamp for frame in frames]
        assert len(frames) == 300
        assert {frame.goal for frame in frames} == {"UNLABELED"}
        assert cv2.imread(str(frames[0].picture)).shape == (120, 160, 3)
        for (frame, row), (later, _) in pairwise(zip(frames, rows, strict=True)):
            assert row["goal"] in GOALS
            assert row["map"].startswith("train/")
            assert 85 <= later.stamp - frame.stamp <= 115 or later.stamp - frame.stamp > 2900
    listed = json.loads((recordings / "files.json").read_text())
    assert {row["name"] for row in listed["files"]} == bytes_of(recordings).keys() - {"files.json"}
    assert all(sha256_file(recordings / row["name"]) == row["sha256"] for row in listed["files"])
    assert sum(listed["goals"].values()) == 900


def test_chords_every_key_and_standing_at_goals(recordings: Path, scripted: list[tuple[Outcome, list[Held]]]) -> None:
    words = {word_of(keys) for _, held in scripted for keys in held}
    stood, ended = 0, 0
    for folder in recordings.glob("vizdoom_*"):
        frames, rows = frames_of(folder), rows_of(folder)
        words.update(word_of(frame.keys) for frame in frames)
        quiet = 0
        for frame, row, later in zip(frames, rows, rows[1:], strict=False):
            quiet = quiet + 1 if row["reached"] and not frame.keys else 0
            if (later["goal"], later["map"]) != (row["goal"], row["map"]):
                ended, stood = ended + 1, stood + (quiet >= 10)
    assert ended >= 8
    assert stood == ended
    assert {"left+w", "right+w", "left+s", "none"} <= words
    assert {key for word in words for key in word.split("+")} == {*KEYS, "none"}


def test_goals_are_in_view_where_the_player_stands_at_them(recordings: Path) -> None:
    """What a picture does not show cannot be learnt from it; what was picked up leaves its name in the picture."""
    rows = [row for folder in recordings.glob("vizdoom_*") for row in rows_of(folder)]
    there = [row for row in rows if row["reached"] and row["goal"].startswith("Go")]
    assert len(there) > 50
    assert np.mean([row["target"]["box"] is not None for row in there]) > 0.98


def test_recordings_have_the_same_bytes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    few = bytes_of(call(tmp_path / "few", recordings=2, frames=60))
    assert bytes_of(call(tmp_path / "again", recordings=2, frames=60)) == few
    assert list(work.iterdir()) == []
    other = bytes_of(call(tmp_path / "few", recordings=1, frames=60, seed=8))
    assert all(not name.startswith("vizdoom_0002") for name in other)
    assert not other.items() & {name: few[name] for name in few if name.endswith(".jpg")}.items()


def test_frames_are_saved_at_changes(recordings: Path, tmp_path: Path) -> None:
    every = frames_of(recordings / "vizdoom_0001")
    some = frames_of(call(tmp_path, recordings=1, frames=300, save="changes") / "vizdoom_0001")
    kept = {frame.stamp for frame in some}
    changed = {later.stamp for frame, later in pairwise(every) if later.keys != frame.keys}
    assert changed < kept < {frame.stamp for frame in every}
    assert len(kept) < 0.75 * len(every)


def test_a_folder_of_someone_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "vizdoom_0001").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="choose another --out"):
        call(tmp_path, recordings=1, frames=20)
    (tmp_path / "vizdoom_0001").rmdir()
    (tmp_path / ".vizdoom_0001").mkdir()  # left by a run that was stopped
    call(tmp_path, recordings=1, frames=20)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "vizdoom_0001", "files.json"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"recordings": 0}, "recordings"),
        ({"resolution": "100x100"}, "resolution"),
        ({"goals": ["Go to the sofa"]}, "no known object"),
        ({"goals": ["Go to the orb", "Go to the orb"]}, "twice"),
        ({"keys": {"w": "MOVE_BACKWARD"}}, "two keys hold down MOVE_BACKWARD"),
        ({"keys": {"w": "RUN"}}, "keys.w"),
        ({"player": {"stand": [9, 3]}}, "the smaller first"),
        ({"pace": 1.5}, "reach must be at least 64"),
        ({"frame": 3}, "did you mean 'frames'"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        call(tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_goal_that_a_map_does_not_hold_is_refused() -> None:
    missing = next(goal for goal in GOALS if goal not in map_of("train", 0, GOALS).goals(GOALS))
    with pytest.raises(UserError, match="its goals are"):
        Arena(SMALL, 0, missing)


def test_without_vizdoom_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vizdoom", None)
    with pytest.raises(UserError, match=r"demo\.txt"), Arena(SMALL, 0):
        pass


@pytest.mark.parametrize("first", range(0, len(KINDS), 3))
def test_objects_are_drawn(first: int) -> None:
    """The sprites of the catalogue are in the game's data."""
    names = {kind.name for kind in KINDS[first : first + 3]}
    found: set[str] = set()
    with Arena(GameOptions(resolution="160x120", goals=[f"Go to the {name}" for name in sorted(names)]), 1) as arena:
        assert set(arena.map.objects) == names
        for _ in range(32):
            arena.step({"left"})
            found |= {thing.name for thing in arena.objects if thing.box is not None}
    assert found == names
