"""What every labeller has in common: frames of a segment in, a goal of three to five words out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from scripts.gameplay.options import LabelOptions

FEWEST, MOST = 3, 5  # words
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


@dataclass(frozen=True)
class Scene:
    """A segment to label.

    Attributes:
        recording, segment: their names.
        frames: pictures, in order.
        objects: what the game itself said of each frame of the segment, where it did.
    """

    recording: str
    segment: str
    frames: Sequence[Path]
    objects: Sequence[dict[str, Any]]


class LabelError(ValueError):
    """Why a segment has no goal."""


class Labeller(Protocol):
    """Names goals, or raises a `LabelError`."""

    def label(self, scene: Scene) -> str: ...


class Model(Labeller, Protocol):
    """A labeller that costs something to ask; a context manager.

    ``key`` holds all that its answers depend on besides the frames: under that they are remembered.
    """

    def key(self) -> dict[str, Any]: ...

    def __enter__(self) -> Model: ...

    def __exit__(self, *error: object) -> None: ...


def goal_of(text: str) -> str:
    """A goal as it is written in prompts: one line, no quotes, no stop at its end, a capital at its beginning.

    Raises:
        LabelError: it has not three to five words.
    """
    line = text.strip().splitlines()[0] if text.strip() else ""
    words = WORD.findall(line.removeprefix("Goal:"))
    if not FEWEST <= len(words) <= MOST:
        raise LabelError(f"a goal has {FEWEST} to {MOST} words, not {len(words)}: {line!r:.80}")
    goal = " ".join(words)
    return goal[0].upper() + goal[1:]


def asked(options: LabelOptions, count: int) -> str:
    """The prompt for so many frames."""
    return options.prompt.replace("{count}", str(count))
