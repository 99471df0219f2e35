"""Configuration keys of earlier versions, and what stands for each today. They are refused with this advice."""

from __future__ import annotations

from collections.abc import Sequence

# By section and key. The section stands anywhere in a configuration: at the top, in a system, in what a run overrides.
RENAMED = {
    "train.gpus": "this key was removed; use train.processes (and CUDA_VISIBLE_DEVICES to choose devices).",
}


def renamed_hint(path: Sequence[str]) -> str:
    """What to write for a key of an earlier version, or an empty string.

    Args:
        path: the key's sections and name. A stage is handed its section alone, so that the path is the bare name.

    >>> renamed_hint(["aerial", "runs", "world", "train", "gpus"])
    'this key was removed; use train.processes (and CUDA_VISIBLE_DEVICES to choose devices).'
    >>> renamed_hint(["export", "gpus"])
    ''
    """
    tail = ".".join(path[-2:])
    return next((hint for key, hint in RENAMED.items() if tail in (key, key.rpartition(".")[2])), "")
