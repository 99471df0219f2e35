"""Counts how often an agent reaches its goal in the game, beside players that need no model.

Episodes are played on maps that no recording was made on; every player plays the same ones. The agent is the GGUF that
ships, through llama.cpp. The game waits for each decision, so that a slow machine loses nothing but the time, which is
counted: a decision that takes longer than the slots it is for is late. Two of the agent's episodes are drawn. The gate
judges ``gate_checks``: the agent's success minus that of each player without a model, on the same episodes.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from scripts.gameplay.answer import SLOT_SECONDS
from scripts.gameplay.baselines import commonest
from scripts.gameplay.cases import Case, cases_of
from scripts.gameplay.film import Film, write_sheet
from scripts.gameplay.game.arena import Arena
from scripts.gameplay.game.episode import Episode, Outcome, episodes, play
from scripts.gameplay.game.player import ScriptedPlayer
from scripts.gameplay.keys import Held, word_of
from scripts.gameplay.options import GameOptions, GamePlayerOptions, LoopOptions
from scripts.gameplay.players import Agent, Constant, Hands, Player, Random
from scripts.lib.cli import StageParser, load_params, run
from scripts.lib.files import read_json, write_json
from scripts.lib.metrics import Bootstrap, difference, ratio_of, shown_estimate
from scripts.lib.options.deploy import GateOptions
from scripts.lib.records import read_records
from scripts.lib.tables import aligned
from scripts.model.viewer import Viewer
from scripts.packaging.gate import choose

CONFIDENCE = 0.95
WITHOUT_MODEL = ("random", "majority", "repeat_last")
SHEETS = 2
ANSWER = 96  # tokens: seven words and what stands around them
Making = Callable[[Episode, int], Player]


class Score(NamedTuple):
    """How often something succeeded, with Wilson's interval (Wilson 1927)."""

    successes: int
    n: int

    def to_json(self) -> dict[str, Any]:
        """The share, its interval, and the number of episodes."""
        from scipy.stats import binomtest

        if not self.n:
            return {"value": None, "low": None, "high": None, "n": 0}
        low, high = binomtest(self.successes, self.n).proportion_ci(CONFIDENCE, method="wilson")
        value = self.successes / self.n
        return {"value": round(value, 6), "low": round(low, 6), "high": round(high, 6), "n": self.n}


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--gguf", type=Path, nargs="+", required=True, help="the quantised models to choose from")
    stage.add_argument("--metrics", type=Path, required=True, help="metrics.json: the best of them is played")
    stage.add_argument("--gate", default="{}", help="options of the gate as JSON: its metric and tolerance")
    stage.add_argument("--mmproj", type=Path, required=True, help="its projector")
    stage.add_argument("--train", type=Path, required=True, help="train.jsonl, for the players without a model")
    stage.add_argument("--size", type=int, nargs=2, required=True, help="width and height of the agent's pictures")
    stage.add_argument("--system-prompt", default="")
    stage.add_argument("--game", default="{}", help="options of the game as JSON, or @file.json")
    stage.add_argument("--out", type=Path, required=True, help="loop.json; pictures go beside it")
    stage.add_argument("--scope", choices=["road", "learning", "real"], help="what the counts prove")
    return stage


def main(args: argparse.Namespace) -> None:
    """Plays all episodes with all players, writes loop.json and the pictures, prints the table."""
    options = LoopOptions.parse(load_params(args.params))
    game = GameOptions.parse(load_params(args.game), "--game")
    train = cases_of(read_records(args.train))
    due = episodes(game, "test", options.episodes)
    quants = {path.stem.removeprefix("model-"): path for path in args.gguf}
    limits = GateOptions.parse(load_params(args.gate), "--gate")
    shipped, _ = choose(read_json(args.metrics), quants, limits, args.metrics)
    rows: dict[str, Any] = {}
    speed: dict[str, Any] = {}
    with viewer_of(quants[shipped], args) as viewer:
        agent = Agent(viewer, tuple(args.size), options.temperature, options.seed)
        everyone = {"agent": agent_of(agent), **players_of(train, options.seed)}
        for name, player in everyone.items():
            rows[name], speed[name] = counted(name, due, player, game, options, sheets_of(args.out, name))
    rows["scripted"] = scripted(due, game, options)
    told = {"scope": args.scope, "variant": shipped, "episodes": len(due), "seconds": options.seconds}
    told |= {"gate_checks": [beat_check(rows, name) for name in WITHOUT_MODEL], "clear": clear(rows), "players": rows}
    write_json(args.out, told)
    write_json(args.out.with_suffix(".speed.json"), speed["agent"])
    print(report(told, speed["agent"]))


def viewer_of(model: Path, args: argparse.Namespace) -> Viewer:
    """The model with room for one picture, a question and its answer."""
    wide, high = args.size
    return Viewer(model, args.mmproj, pictures=1, pixels=wide * high, answer=ANSWER, system_prompt=args.system_prompt)


def agent_of(agent: Agent) -> Making:
    """The agent, the same in every episode."""
    return lambda episode, number: agent


def players_of(train: Sequence[Case], seed: int) -> dict[str, Making]:
    """The players without a model, by name; what they draw depends on the seed and the episode."""
    words = sorted({keys for case in train for keys in case.due}, key=word_of)
    common = commonest([case.due for case in train])

    def drawn(number: int) -> Held:
        return words[int(np.random.default_rng([seed, number]).integers(len(words)))]

    return {
        "random": lambda episode, number: Random(words, seed + number),
        "majority": lambda episode, number: Constant(common),
        "repeat_last": lambda episode, number: Constant(drawn(number)),
    }


def counted(
    name: str, due: Sequence[Episode], making: Making, game: GameOptions, options: LoopOptions, sheets: Iterator[Path]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Plays the episodes with one player; what came of it, and how fast this machine was."""
    outcomes: list[Outcome] = []
    seconds: list[float] = []
    unread = late = 0
    for number, episode in enumerate(tqdm(due, desc=name, unit="episode", disable=None)):
        hands = Hands(making(episode, number), options.executed, options.executed * SLOT_SECONDS)
        film = Film(episode.goal)
        outcomes.append(play(game, episode, watched(hands, film), limit_of(options), sight=False))
        seconds, unread, late = [*seconds, *hands.seconds], unread + hands.unread, late + hands.late
        if number < SHEETS and (path := next(sheets, None)):
            write_sheet(path, film, outcomes[-1].words, outcomes[-1].success)
    speed = {"late": late, "decisions_per_second": round(len(seconds) / max(sum(seconds), 1e-9), 3)}
    return {**summary(outcomes), "decisions": len(seconds), "unread": unread}, speed


def watched(hands: Hands, film: Film) -> Callable[[Arena], Held]:
    """The keys of a slot, kept for the film."""

    def keys(arena: Arena) -> Held:
        chosen = hands.keys(arena.picture, arena.goal)
        film.add(arena.picture, chosen)
        return chosen

    return keys


def sheets_of(out: Path, name: str) -> Iterator[Path]:
    """Where pictures of a player's episodes go: of the agent's only."""
    if name == "agent":
        yield from (out.with_name(f"episode{number}.jpg") for number in range(1, SHEETS + 1))


def scripted(due: Sequence[Episode], game: GameOptions, options: LoopOptions) -> dict[str, Any]:
    """The player that knows the game's state: how well one can do."""
    outcomes = []
    for number, episode in enumerate(tqdm(due, desc="scripted", unit="episode", disable=None)):
        player = ScriptedPlayer(GamePlayerOptions(), options.seed + number)
        outcomes.append(play(game, episode, player.keys, limit_of(options)))
    return summary(outcomes)


def limit_of(options: LoopOptions) -> int:
    """An episode's limit in slots."""
    return round(options.seconds / SLOT_SECONDS)


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Success in all episodes and by goal, steps to the goal, and how failures went."""
    goals = sorted({one.episode.goal for one in outcomes})
    steps = [one.steps for one in outcomes if one.steps is not None]
    return {
        "success": rate(outcomes).to_json(),
        "reached": [int(one.success) for one in outcomes],
        "goals": {goal: rate([one for one in outcomes if one.episode.goal == goal]).to_json() for goal in goals},
        "stood": Score(sum(one.stood for one in outcomes), len(outcomes)).to_json(),
        "steps": {"median": float(np.median(steps)) if steps else None, "n": len(steps)},
        "wrong": dict(sorted(Counter(one.wrong for one in outcomes if one.wrong and not one.success).items())),
    }


def rate(outcomes: Sequence[Outcome]) -> Score:
    """How many reached their goal."""
    return Score(sum(one.success for one in outcomes), len(outcomes))


def report(told: dict[str, Any], speed: dict[str, Any]) -> str:
    """The table for a terminal, and which goals the agent is clearly better at."""
    rows = [["", "goal reached", "stood there", "slots to goal"]]
    for name, row in told["players"].items():
        steps = row["steps"]["median"]
        rows.append([name, shown(row["success"]), shown(row["stood"]), "n/a" if steps is None else f"{steps:.0f}"])
    made = told["players"]["agent"]["decisions"]
    said = [f"{told['episodes']} episodes on maps that no recording was made on; intervals {CONFIDENCE:.0%} (Wilson)."]
    said += [aligned(rows), f"clearly better than all players without a model: {', '.join(told['clear']) or 'nowhere'}"]
    said += [f"{speed['decisions_per_second']} decisions a second, {speed['late']} of {made} late"]
    return "\n".join(said)


def beat_check(players: dict[str, Any], name: str) -> dict[str, Any]:
    """Whether the agent reaches its goal more often than another player: the paired difference excludes 0."""
    counts = {
        player: {"reached": np.array(players[player]["reached"], np.float64), "episodes": np.ones(episodes_of(players))}
        for player in ("agent", name)
    }
    groups = [str(number) for number in range(episodes_of(players))]
    formula, bootstrap = ratio_of("reached", "episodes"), Bootstrap(confidence=CONFIDENCE)
    gained = difference(formula, counts["agent"], counts[name], groups, bootstrap).to_json()
    passed = gained["low"] is not None and gained["low"] > 0
    rates = (shown(players[player]["success"]) for player in ("agent", name))
    detail = f"goal reached {' against '.join(rates)}, difference on the same episodes {shown_estimate(gained)}"
    return {"name": f"goal reached: beats {name}", "passed": passed, "detail": detail}


def episodes_of(players: dict[str, Any]) -> int:
    """How many episodes everybody played."""
    return len(players["agent"]["reached"])


def clear(players: dict[str, Any]) -> list[str]:
    """The goals ("all" for all episodes) at which the agent's interval lies above those of random and the constants."""
    agent = players["agent"]
    others = [players[name] for name in WITHOUT_MODEL]
    found = ["all"] if all(agent["success"]["low"] > one["success"]["high"] for one in others) else []
    return found + [
        goal for goal, row in agent["goals"].items() if all(row["low"] > one["goals"][goal]["high"] for one in others)
    ]


def shown(score: dict[str, Any]) -> str:
    """``0.50 [0.38, 0.62]``."""
    return f"{score['value']:.2f} [{score['low']:.2f}, {score['high']:.2f}]"


if __name__ == "__main__":
    run(parser, main)
