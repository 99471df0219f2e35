"""Configuration keys of earlier versions, and what stands for each today. They are refused with this advice."""

from __future__ import annotations

from collections.abc import Sequence

# The last parts of a key's path, from the most specific: a key is written in its section and in what a run overrides.
RENAMED = {
    "gpus": "this key was removed; use train.processes (and CUDA_VISIBLE_DEVICES to choose devices).",
}


def renamed_hint(path: Sequence[str]) -> str:
    """What to write for a key of an earlier version, or an empty string.

    >>> renamed_hint(["aerial", "runs", "world", "train", "gpus"])
    'this key was removed; use train.processes (and CUDA_VISIBLE_DEVICES to choose devices).'
    """
    for length in range(len(path), 0, -1):
        if hint := RENAMED.get(".".join(path[-length:])):
            return hint
    return ""
