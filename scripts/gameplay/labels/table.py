"""Labels from a table that a person fills in: a CSV with a row a segment."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.gameplay.labels.labeller import LabelError, Scene, goal_of
from scripts.lib.cli import UserError

COLUMNS = ("recording", "segment", "goal")


class Table:
    """Goals by recording and segment.

    Raises:
        UserError: as `read_table`.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.goals = path, read_table(path)

    def label(self, scene: Scene) -> str:
        """The goal in the table.

        Raises:
            LabelError: there is none, or it does not have three to five words.
        """
        goal = self.goals.get((scene.recording, scene.segment), "")
        if not goal:
            raise LabelError(f"{self.path} names no goal for it; write one into the column `goal`")
        return goal_of(goal)


def read_table(path: Path) -> dict[tuple[str, str], str]:
    """Goals by recording and segment, as the table has them.

    Raises:
        UserError: the file is missing, lacks a column, or names a segment twice.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such table; write one with `python -m scripts.gameplay.label --sheet FOLDER`.")
    goals: dict[tuple[str, str], str] = {}
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = set(COLUMNS) - set(reader.fieldnames or [])
        if missing:
            raise UserError(f"{path}: has no column {', '.join(sorted(missing))}; its first line names the columns.")
        for row in reader:
            name = (row["recording"] or "", row["segment"] or "")
            if name in goals:
                raise UserError(f"{path}, line {reader.line_num}: {'/'.join(name)} stands twice; remove one row.")
            goals[name] = (row["goal"] or "").strip()
    return goals


def table_text(scenes: Sequence[Scene], known: Mapping[tuple[str, str], str]) -> str:
    """The CSV for these segments; known goals are kept."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for scene in scenes:
        name = (scene.recording, scene.segment)
        writer.writerow([*name, known.get(name, "")])
    return stream.getvalue()
