"""How often an agent reached its goal in the game, for the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.packaging import evidence
from scripts.report_parts import svg

PLAYERS = {
    "agent": "the agent, through llama.cpp",
    "random": "other keys of training at each decision",
    "majority": "holds the commonest keys of training",
    "repeat_last": "holds what it pressed first",
    "scripted": "knows the game's state: as well as one can do",
}


def loop_view(told: dict[str, Any] | None, speed: dict[str, Any] | None, sheets: list[str]) -> dict[str, Any] | None:
    """The chart of all players, a table by goal, and how fast decisions came; None where nothing was counted."""
    if told is None:
        return None
    players = told["players"]
    agent = players["agent"]
    return {
        "episodes": told["episodes"],
        "seconds": told["seconds"],
        "chart": svg.rank_chart([mark_of(name, row["success"]) for name, row in players.items()], "goal reached", 0, 1),
        "words": [(name, PLAYERS.get(name, "")) for name in players],
        "names": list(players),
        "goals": [(goal, [cell(row["goals"].get(goal, {})) for row in players.values()]) for goal in agent["goals"]],
        "better_at": told["clear"],
        "unread": agent["unread"],
        "decisions": agent["decisions"],
        "speed": speed,
        "sheets": sheets,
    }


def mark_of(name: str, score: dict[str, Any]) -> svg.Mark:
    """A player's row of the chart."""
    kind = {"agent": "shipped", "scripted": "variant"}.get(name, "baseline")
    return svg.Mark(name.replace("_", " "), score["value"], score["low"], score["high"], kind)


def cell(score: dict[str, Any]) -> dict[str, str]:
    """A share with its interval."""
    return {"value": evidence.share(score.get("value")), "interval": evidence.interval(score)}


def episode_files(folder: Path) -> list[Path]:
    """The pictures of episodes, in order."""
    return sorted(folder.glob("episode*.jpg"))
