"""When to capture: deadlines on a monotonic clock, and what came late or not at all."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import pairwise

LATE = 0.5  # share of a period; a capture that began more than this after its deadline is late


class Clock:
    """Milliseconds since 1970 that never run backwards: the wall clock is read once, then monotonic time is added."""

    def __init__(self) -> None:
        self.anchor = time.time() - time.monotonic()

    def stamp(self, moment: float) -> int:
        """The stamp in milliseconds of a moment in monotonic seconds."""
        return round((self.anchor + moment) * 1000)


@dataclass
class Pace:
    """Deadlines ``start + n * period`` in monotonic seconds; a capture's slowness never moves the ones after it."""

    period: float
    start: float
    number: int = 0
    late: int = 0
    skipped: int = 0
    begun: list[float] = field(default_factory=list)

    @property
    def deadline(self) -> float:
        """When the next capture is due."""
        return self.start + self.number * self.period

    def begin(self, now: float) -> None:
        """Notes that a capture begins; deadlines with another one after them that has passed too are skipped."""
        missed = max(0, int((now - self.deadline) / self.period))
        self.number += missed
        self.skipped += missed
        self.late += now - self.deadline > LATE * self.period
        self.begun.append(now)
        self.number += 1


def interval_ms(begun: list[float]) -> dict[str, float | None]:
    """Mean and 95th percentile of the time between captures, in milliseconds; None where there are fewer than two."""
    gaps = sorted((after - before) * 1000 for before, after in pairwise(begun))
    if not gaps:
        return {"mean": None, "p95": None}
    return {"mean": round(sum(gaps) / len(gaps), 2), "p95": round(percentile(gaps, 0.95), 2)}


def percentile(ordered: list[float], share: float) -> float:
    """The smallest of the sorted values that at least ``share`` of them do not exceed."""
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[max(0, rank - 1)]
