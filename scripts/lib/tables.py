"""Aligned text tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], *, underlined: bool = True) -> str:
    """Rows of equal length as lines, with two spaces between columns; the first row is the header."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = [["-" * width for width in widths]] if underlined else []
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in [rows[0], *rule, *rows[1:]]
    )
    return "\n".join(line.rstrip() for line in lines)
