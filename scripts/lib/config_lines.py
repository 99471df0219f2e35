"""Finds the line of a key in the configuration files, for error messages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml


def key_line(files: Sequence[Path], path: Sequence[str], *, whole: bool = False) -> str:
    """``my.yaml line 3`` of the longest part of the key's path that a file has, in the last such file; else ``""``.

    Args:
        whole: only the key itself counts, no part of its path.

    >>> key_line([], ["dnd"])
    ''
    """
    hits = [
        (depth, number, f"{file} line {line}")
        for number, file in enumerate(files)
        for depth, line in _hits(file, path)
        if depth == len(path) - 1 or not whole
    ]
    return max(hits, default=(0, 0, ""))[2]


def _hits(file: Path, path: Sequence[str]) -> list[tuple[int, int]]:
    """(depth, line) of each part of the path that the file has, from the first part on."""
    node = yaml.compose(file.read_text(encoding="utf-8"))
    hits = []
    for depth, part in enumerate(path):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        step = next(((key, value) for key, value in pairs if key.value == part), None)
        if step is None:
            break
        hits.append((depth, step[0].start_mark.line + 1))
        node = step[1]
    return hits
