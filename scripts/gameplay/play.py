"""Lets an agent play towards a goal, in ViZDoom or in a window of the desktop.

    python -m scripts.gameplay.play --model dist/gameplay/agent --goal "Go to the armor"
    python -m scripts.gameplay.play --model dist/gameplay/agent --goal "Go to the armor" --window "My game"

Every 0.3 seconds the agent decides for the next seven slots of 100 ms, of which the first three are played. Seven slots
without a key mean that the goal is reached. An answer that cannot be parsed is counted and presses no key. On the
desktop esc stops everything, and no key outside the vocabulary is ever pressed.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scripts.gameplay.answer import SLOT_SECONDS, SLOTS
from scripts.gameplay.film import Film, write_sheet, write_video
from scripts.gameplay.game.arena import Arena
from scripts.gameplay.game.episode import Episode, play
from scripts.gameplay.game.maps import SETS, map_of
from scripts.gameplay.goals import nearest_goal, warning_of
from scripts.gameplay.keys import Held
from scripts.gameplay.minds import mind_of
from scripts.gameplay.options import GameOptions
from scripts.gameplay.players import PERIOD, Hands
from scripts.gameplay.recorder.screen import Screen, parse_region
from scripts.lib.cli import StageParser, UserError, load_params, run, say

IDLE = 10  # slots without a key after which the goal counts as reached on the desktop


class Ending(NamedTuple):
    """How an episode ended, in words, and whether the goal was reached."""

    words: str
    good: bool


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    stage = StageParser(__doc__, params=False)
    stage.add_argument("--model", type=Path, required=True, help="a package, an adapter's folder, or a base's")
    stage.add_argument("--goal", required=True, help='such as "Go to the armor"')
    stage.add_argument("--period", type=float, default=PERIOD, help="seconds between decisions")
    stage.add_argument("--temperature", type=float, default=0.5, help="0 takes the likeliest token always")
    stage.add_argument("--seconds", type=float, default=30.0, help="of the game at most")
    stage.add_argument("--seed", type=int, default=0)
    stage.add_argument("--game", default="{}", help="ViZDoom: options of the game as JSON, or @file.json")
    stage.add_argument(
        "--map", type=int, help="ViZDoom: the number of the map; the first with such a goal if not given"
    )
    stage.add_argument("--maps", choices=SETS, default="test", help="ViZDoom: maps that no recording was made on")
    place = stage.add_mutually_exclusive_group()
    place.add_argument("--window", metavar="TITLE", help="play in the window with this title")
    place.add_argument("--region", type=parse_region, metavar="X,Y,W,H", help="play in this part of the desktop")
    stage.add_argument("--stop-key", default="esc", help="desktop: ends everything at once")
    stage.add_argument("--video", type=Path, help="save the episode, with the keys drawn in, as .mp4")
    stage.add_argument("--sheet", type=Path, help="save it as a contact sheet, .jpg")
    return stage


def main(args: argparse.Namespace) -> None:
    """Plays one episode."""
    executed = slots_in(args.period)
    with mind_of(args.model, args.temperature, args.seed) as mind:
        if warned := warning_of(args.goal, mind.goals):
            say(warned)
        hands, film = Hands(mind.player, executed, args.period), Film(args.goal)
        desktop = args.window is not None or args.region is not None
        ending = on_desktop(args, hands, film) if desktop else in_game(args, hands, film)
    decided = f"{len(hands.seconds)} decisions, {hands.late} late, {hands.unread} that could not be read"
    print(f"{args.goal}: {ending.words}; {decided}")
    if not film.frames:
        return
    if args.video:
        write_video(args.video, film)
    if args.sheet:
        write_sheet(args.sheet, film, *ending)
    for path in (args.video, args.sheet):
        if path:
            say(f"{path}: {len(film.frames)} slots")


def slots_in(period: float) -> int:
    """How many slots of each decision are played.

    Raises:
        UserError: fewer than one, or more than a decision has.
    """
    executed = round(period / SLOT_SECONDS)
    if not 1 <= executed <= SLOTS:
        raise UserError(f"--period {period:g}: a decision is for 0.1 to {SLOTS * SLOT_SECONDS:.1f} seconds.")
    return executed


def in_game(args: argparse.Namespace, hands: Hands, film: Film) -> Ending:
    """An episode in ViZDoom, which waits for each decision; a goal that the game does not have counts as the nearest.

    Raises:
        UserError: the map does not have this goal.
    """
    options = GameOptions.parse(load_params(args.game), "--game")
    judged = args.goal if args.goal in options.goals else nearest_goal(args.goal, options.goals)
    number = args.map
    if number is None:
        number = next(n for n in count() if judged in map_of(args.maps, n, options.goals).goals(options.goals))

    def keys(arena: Arena) -> Held:
        chosen = hands.keys(arena.picture, args.goal)
        film.add(arena.picture, chosen)
        return chosen

    outcome = play(options, Episode(args.maps, number, judged), keys, round(args.seconds / SLOT_SECONDS), sight=False)
    return Ending(f"{outcome.words} (map {args.maps}/{number})", outcome.success)


def on_desktop(args: argparse.Namespace, hands: Hands, film: Film) -> Ending:
    """An episode in a window or region of the desktop, in real time."""
    from scripts.gameplay.desktop import emergency_stop, keys_held

    with (
        contextlib.closing(Screen((640, 480), region=args.region, window=args.window)) as screen,
        emergency_stop(args.stop_key) as pressed,
        keys_held() as hold,
        ThreadPoolExecutor(1) as thinking,
    ):
        return pace(args, hands, film, screen.grab, hold, pressed.is_set, thinking)


def pace(
    args: argparse.Namespace,
    hands: Hands,
    film: Film,
    look: Callable[[], np.ndarray],
    hold: Callable[[Held], None],
    stopped: Callable[[], bool],
    thinking: ThreadPoolExecutor,
) -> Ending:
    """Plays slot by slot in real time; if a decision takes longer than a slot, no key is held until it is made.

    Args:
        look: captures the screen, uint8 [h, w, 3] in BGR order.
        hold: takes the keys to hold down from now on.
        stopped: whether the emergency key was pressed.
        thinking: runs the decisions.
    """
    slots, idle = round(args.seconds / SLOT_SECONDS), 0
    for slot in range(slots):
        picture = look()[..., ::-1]
        chosen = thinking.submit(hands.keys, picture, args.goal)
        started = time.monotonic()
        while not chosen.done() and not stopped():
            if time.monotonic() - started > SLOT_SECONDS:
                hold(frozenset())
            time.sleep(0.005)
        if stopped():
            hold(frozenset())
            return Ending(f"stopped by {args.stop_key} after {slot * SLOT_SECONDS:.1f} s", False)
        keys = chosen.result()
        hold(keys)
        film.add(picture, keys)
        idle = idle + 1 if not keys and hands.understood else 0  # an answer that cannot be parsed does not count
        if idle >= IDLE:
            return Ending(f"there after {(slot + 1) * SLOT_SECONDS:.1f} s, as the agent says", True)
        time.sleep(max(0.0, SLOT_SECONDS - (time.monotonic() - started)))
    return Ending(f"not there in {args.seconds:g} s, as the agent says", False)


if __name__ == "__main__":
    run(parser, main)
