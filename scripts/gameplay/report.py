"""What gameplay adds to the report page: how often an agent reached its goal in the game, and episodes of it."""

from __future__ import annotations

from typing import Any

from scripts.report_parts import svg
from scripts.report_parts.sections import Line, Section, picture, score_cell
from scripts.report_parts.sources import RunPaths, optional_json

PLAYERS = {
    "agent": "the agent, through llama.cpp",
    "random": "other keys of training at each decision",
    "majority": "holds the commonest keys of training",
    "repeat_last": "holds what it pressed first",
    "scripted": "reads the game's state: as well as one can do",
}
KINDS = {"agent": "shipped", "scripted": "variant"}
ALT = "An episode: what the agent saw, and the keys it chose"


def sections(paths: RunPaths, metrics: dict[str, Any] | None, shipped: str) -> list[Section]:
    """The chart of all players, a table by goal, and how fast decisions came; none where nothing was counted."""
    counts = optional_json(paths.reports / "loop.json")
    if counts is None:
        return []
    speed = optional_json(paths.reports / "loop.speed.json")
    players, agent = counts["players"], counts["players"]["agent"]
    better = ", ".join(counts["clear"])
    hint = (
        f"{counts['episodes']} episodes of at most {counts['seconds']} seconds in the game itself, on maps that no "
        "recording was made on; every player plays the same ones. Ranges are Wilson's, 95 of 100. The agent is "
        + (f"clearly better than every player without a model at: {better}. " if better else "")
        + ("" if better else "at no goal clearly better than every player without a model. ")
        + f"Of its {agent['decisions']} decisions {agent['unread']} could not be read"
    )
    if speed:
        hint += (
            f"; it made {speed['decisions_per_second']} a second here, {speed['late']} of them later than the slots "
        )
        hint += "they were for"
    marks = [
        svg.Mark(plain(name), row["success"]["value"], row["success"]["low"], row["success"]["high"], kind_of(name))
        for name, row in players.items()
    ]
    return [
        Section(
            title="Does it get there?",
            hint=f"{hint}.",
            charts=[svg.rank_chart(marks, "goal reached", 0, 1)],
            header=["goal", *map(plain, players)],
            lines=[
                Line(goal, "", [score_cell(row["goals"].get(goal, {})) for row in players.values()])
                for goal in agent["goals"]
            ],
            explained=[(plain(name), PLAYERS.get(name, "")) for name in players],
            pictures=[uri for path in sorted(paths.reports.glob("episode*.jpg")) for uri in picture(path)],
            alt=ALT,
        )
    ]


def plain(name: str) -> str:
    """A player's name in words."""
    return name.replace("_", " ")


def kind_of(name: str) -> str:
    """A player's class in the chart."""
    return KINDS.get(name, "baseline")
