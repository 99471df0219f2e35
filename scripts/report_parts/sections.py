"""A section of the page that a system adds: a hint, charts, one table, pictures, and words that are explained."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from scripts.packaging import evidence


@dataclass(frozen=True)
class Line:
    """A row of a section's table.

    Attributes:
        cells: value and interval of each column, as text.
        css: class of the row: shipped, rule (a line above it) or "".
    """

    name: str
    words: str
    cells: list[tuple[str, str]]
    css: str = ""


@dataclass(frozen=True)
class Section:
    """One block of a run's page; texts are escaped by the template, charts are SVG."""

    title: str
    hint: str
    charts: list[Markup] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    explained: list[tuple[str, str]] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    alt: str = ""


def score_cell(score: dict[str, Any]) -> tuple[str, str]:
    """A score's value and interval as text."""
    return evidence.share(score.get("value")), evidence.interval(score)


def picture(path: Path) -> list[str]:
    """A JPEG as a data URI; none where there is no such file."""
    if not path.is_file():
        return []
    return [f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"]


def sheet_section(folder: Path, hint: str) -> list[Section]:
    """The contact sheet of a run, where it was drawn."""
    pictures = picture(folder / "sheet.jpg")
    return [Section("What does it see?", hint, pictures=pictures, alt=hint)] if pictures else []
