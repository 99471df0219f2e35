"""What terrain adds to the report page: the contact sheet."""

from __future__ import annotations

from typing import Any

from scripts.report_parts.sections import Section, sheet_section
from scripts.report_parts.sources import RunPaths

SHEET = (
    "Test tiles: the minimap that is the model's input, the true ground, the ground rebuilt from its answer, and how "
    "far that is off. No training tile lies at these places."
)


def sections(paths: RunPaths, metrics: dict[str, Any] | None, shipped: str) -> list[Section]:
    """The contact sheet."""
    return sheet_section(paths.reports, SHEET)
