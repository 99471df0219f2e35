"""When to capture: deadlines on a monotonic clock, and captures that came late or were skipped."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

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
    """Deadlines ``start + n * period`` in monotonic seconds; a slow capture never moves the deadlines after it."""

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
        """Notes that a capture begins; a deadline is skipped if the next one has passed too."""
        missed = max(0, int((now - self.deadline) / self.period))
        self.number += missed
        self.skipped += missed
        self.late += now - self.deadline > LATE * self.period
        self.begun.append(now)
        self.number += 1


def interval_ms(begun: list[float]) -> dict[str, float | None]:
    """Mean and 95th percentile of the time between captures, in milliseconds; None for fewer than two captures."""
    gaps = np.diff(begun) * 1000
    if not len(gaps):
        return {"mean": None, "p95": None}
    return {"mean": round(sum(gaps.tolist()) / len(gaps), 2), "p95": round(percentile_95(gaps), 2)}


def percentile_95(values: list[float] | np.ndarray) -> float:
    """The smallest of the values [n] that at least 95 percent of them do not exceed."""
    return float(np.percentile(values, 95, method="inverted_cdf"))
