"""The part that all labellers share: frames of a segment in, a goal of three to five words out."""

from __future__ import annotations

import base64
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
        objects: the game's own state at each frame of the segment, where there is one.
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
    """A labeller whose answers are expensive, and therefore cached.

    ``key`` is the cache key: all that the answers depend on besides the frames.
    """

    def key(self) -> dict[str, Any]: ...


def cache_key(options: LabelOptions, model: Any) -> dict[str, Any]:
    """The cache key of a model: its identity, the prompt and the limits."""
    return {"by": options.by, "model": model, **options.model_dump(include={"prompt", "frames", "max_tokens"})}


def goal_of(text: str) -> str:
    """A goal as prompts have it: one line, no quotes, no full stop, the first letter in upper case.

    Raises:
        LabelError: it does not have three to five words.
    """
    line = text.strip().splitlines()[0] if text.strip() else ""
    words = WORD.findall(line.removeprefix("Goal:"))
    if not FEWEST <= len(words) <= MOST:
        raise LabelError(f"a goal has {FEWEST} to {MOST} words, not {len(words)}: {line!r:.80}")
    goal = " ".join(words)
    return goal[0].upper() + goal[1:]


def prompt_for(options: LabelOptions, count: int) -> str:
    """The prompt for this many frames."""
    return options.prompt.replace("{count}", str(count))


def data_url(jpeg: bytes) -> str:
    """A JPEG inside a URL (RFC 2397)."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
