"""Whether recordings are fit to train on: shares of keys and goals, and warnings where they are out of bounds.

Counts come first (ticks in which each word was held, frames, segments of each goal), so that the counts of many
recordings can be added up and judged as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from scripts.gameplay.keys import CAMERA, MOVEMENT, NONE, keys_of
from scripts.gameplay.options import HealthOptions


class Counts(NamedTuple):
    """Ticks in which each word was held, frames, and segments of each goal."""

    words: Mapping[str, int]
    frames: int
    goals: Mapping[str, int] = {}

    @property
    def ticks(self) -> int:
        """All of them."""
        return sum(self.words.values())


class Warned(NamedTuple):
    """A figure that is out of bounds: ``caution`` or ``warning``, a word for it, and a sentence."""

    level: str
    kind: str
    message: str

    def to_json(self) -> dict[str, str]:
        """As manifests and ``--json`` hold it."""
        return self._asdict()


def figures(counts: Counts) -> dict[str, Any]:
    """Shares of all ticks by key (``none`` too) and by word, most first, and those that `warnings` judges."""
    keys: Counter[str] = Counter()
    camera = movement = 0
    for word, ticks in counts.words.items():
        held = keys_of(word)
        keys.update(dict.fromkeys(held or {NONE}, ticks))
        camera += ticks if held & CAMERA else 0
        movement += ticks if held & MOVEMENT else 0
    return {
        "keys": shares(keys, counts.ticks),
        "words": shares(counts.words, counts.ticks),
        "none": ratio(counts.words.get(NONE, 0), counts.ticks),
        "camera_to_movement": ratio(camera, movement),
        "goal_ratio": ratio(max(counts.goals.values(), default=0), min(counts.goals.values(), default=0)),
    }


def shares(counts: Mapping[str, int], whole: int) -> dict[str, float]:
    """Each count as a share of the whole, the largest first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {name: round(count / whole, 4) for name, count in ordered if count}


def ratio(above: int, below: int) -> float | None:
    """A quotient; None where there is nothing to divide by."""
    return above / below if below else None


def warnings(counts: Counts, options: HealthOptions) -> list[Warned]:
    """The figures that are out of bounds, in a fixed order."""
    shares_of = figures(counts)
    none, camera, goals = (shares_of[name] for name in ("none", "camera_to_movement", "goal_ratio"))
    rows: list[Warned] = []
    if none is not None and none > options.none_caution:
        serious = none > options.none_warn
        level, limit = ("warning", options.none_warn) if serious else ("caution", options.none_caution)
        rows.append(Warned(level, "none", f"no key is held in {none:.0%} of the time, more than {limit:.0%}."))
    if camera is not None and camera < options.min_camera:
        message = f"the camera turns in {camera:.0%} as many ticks as there is movement"
        rows.append(Warned("warning", "camera", f"{message}, fewer than {options.min_camera:.0%}."))
    if goals is not None and goals > options.max_goal_ratio:
        most, least = max(counts.goals.values()), min(counts.goals.values())
        message = f"the commonest goal stands {most} times and the rarest {least} times"
        rows.append(Warned("warning", "goals", f"{message}, more than {options.max_goal_ratio:.2f} times as often."))
    if counts.frames < options.min_frames:
        message = f"{counts.frames} frames, fewer than {options.min_frames}; record more."
        rows.append(Warned("warning", "frames", message))
    return rows
