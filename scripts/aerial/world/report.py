"""What aerial adds to the report page: how the score falls from frame to frame ahead, and pictures of test windows."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from scripts.aerial.world.above import METRIC, paired_by_frame, sentence
from scripts.packaging import evidence
from scripts.report_parts import svg
from scripts.report_parts.sections import Line, Section, score_cell, sheet_section
from scripts.report_parts.sources import RunPaths

TITLE = "IoU without ground"
DRAWN = ("copy_last", "ego_warped", "ego_warped_true", "shuffled")  # baselines whose lines are drawn
HINT = (
    "The same score frame by frame. Whatever stands still is known from the last frame and the ego motion since: ego "
    "warped carries that frame along and predicts nothing beyond its edge. A model is worth what it gains on that."
)
SHEET = (
    "Test windows, drawn evenly from places without training frames: what came, what the shipped file predicted, and "
    "two answers that need no model. Time runs to the right; above each other the cells from above (ahead is up) and "
    "from the right (ahead is right)."
)


def sections(paths: RunPaths, metrics: dict[str, Any] | None, shipped: str) -> list[Section]:
    """Scores frame by frame with a chart, what is beaten where, and pictures of test windows."""
    return [*([horizon_section(metrics, shipped)] if metrics else []), *sheet_section(paths.reports, SHEET)]


def horizon_section(metrics: dict[str, Any], shipped: str) -> Section:
    """The chart, a table with intervals, and what is beaten where."""
    frames = metrics["horizons"]
    rows = [row for row in evidence.score_rows(metrics, shipped) if f"{METRIC}_{frames[0]['frame']}" in row.scores]
    lines = [
        Line(
            row.name.replace("_", " "),
            row.words,
            [score_cell(row.scores[f"{METRIC}_{frame['frame']}"]) for frame in frames],
            "shipped" if row.shipped else "",
        )
        for row in rows
    ]
    for at, name in enumerate(metrics.get("beats", {})):
        differences = paired_by_frame(metrics, name)
        if differences and all(row["value"] is not None for row in differences):
            cells = [(f"{row['value']:+.3f}", ends(row)) for row in differences]
            css = "rule" if at == 0 else ""
            lines.append(Line(f"model − {name.replace('_', ' ')}", "on the same windows", cells, css))
    return Section(
        title="How far ahead?",
        hint=f"{HINT} {' '.join(sentence(metrics, name) for name in metrics.get('beats', {}))}",
        charts=[chart([row for row in rows if row.shipped or row.name in DRAWN], frames)],
        header=[TITLE, *(f"+{frame['seconds']:g} s" for frame in frames)],
        lines=lines,
    )


def ends(row: dict[str, Any]) -> str:
    """An interval that may lie on both sides of 0."""
    return "" if row["low"] is None else f"{row['low']:+.3f} to {row['high']:+.3f}"


def chart(rows: list[evidence.Row], frames: list[dict[str, Any]]) -> Markup:
    """A line for what ships, one for each baseline, over seconds ahead."""
    seconds = [frame["seconds"] for frame in frames]
    x = svg.Scale(0, seconds[-1] * 1.02, svg.LEFT, svg.WIDTH - 110)
    y = svg.Scale(0, 1, svg.HEIGHT - svg.BOTTOM, svg.TOP)
    parts = [svg.axes(x, y, "seconds ahead", TITLE, svg.ticks(0, seconds[-1], 6), svg.ticks(0, 1, 6))]
    ends = []
    for row in sorted(rows, key=lambda row: row.shipped):
        values = [row.scores[f"{METRIC}_{frame['frame']}"].get("value") for frame in frames]
        points = [(x(at), y(value)) for at, value in zip(seconds, values, strict=True) if value is not None]
        if not points:
            continue
        kind = "shipped" if row.shipped else "baseline"
        parts.append(svg.polyline(points, "curve eval" if row.shipped else "rule baseline"))
        parts += [svg.dot(*point, kind, 3) for point in points]
        ends.append((points[-1][1], row.name.replace("_", " "), kind))
    for height, (_, name, kind) in zip(apart([end[0] for end in sorted(ends)]), sorted(ends), strict=True):
        parts.append(svg.text(x(seconds[-1]) + 8, height + 4, name, f"name {kind}", "start"))
    return svg.frame(svg.WIDTH, svg.HEIGHT, f"{TITLE} by seconds ahead", parts)


def apart(heights: list[float]) -> list[float]:
    """Rising heights moved so that a line of text fits between two, those that are too near each from their middle."""
    groups: list[list[float]] = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and placed(groups[-1])[0] - placed(groups[-2])[-1] < svg.LINE:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [place for group in groups for place in placed(group)]


def placed(group: list[float]) -> list[float]:
    """Lines of text one below the other, around the mean of where they should be."""
    first = sum(group) / len(group) - svg.LINE * (len(group) - 1) / 2
    return [first + svg.LINE * at for at in range(len(group))]
