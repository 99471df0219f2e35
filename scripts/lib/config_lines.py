"""Where in the configuration's files a key stands, so that an error names file and line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml


def key_line(files: Sequence[Path], path: Sequence[str]) -> str:
    """``my.yaml line 3`` for the last file that has the key, or as much of its path as any file has; ``""`` if none.

    >>> key_line([], ["dnd"])
    ''
    """
    found = [
        (depth, number, f"{file} line {line}") for number, file in enumerate(files) for depth, line in _hits(file, path)
    ]
    return max(found)[2] if found else ""


def _hits(file: Path, path: Sequence[str]) -> list[tuple[int, int]]:
    """(depth, line) of each part of the path that the file has."""
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
