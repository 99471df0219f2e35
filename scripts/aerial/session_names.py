"""The names of the sessions to record. Imports nothing slow: the workflow reads it while planning."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from scripts.aerial.options import AerialSessionOptions

YEAR = 365 * 24 * 60  # minutes


@dataclass(frozen=True)
class Session:
    """One session to record."""

    number: int
    kind: str
    name: str

    @property
    def vehicle(self) -> str:
        """drone or rover."""
        return "rover" if self.kind == "rover" else "drone"


def sessions_of(options: AerialSessionOptions) -> list[Session]:
    """All sessions, named by vehicle and start time; the seed draws the first start, the others follow it."""
    first = datetime(2000, 1, 1) + timedelta(minutes=random.Random(options.seed).randrange(20 * YEAR))
    duration = timedelta(seconds=math.ceil(options.frames * options.dt) + 60)
    sessions = []
    for number in range(options.sessions):
        kind = options.kinds[number % len(options.kinds)]
        vehicle = "rover" if kind == "rover" else "drone"
        sessions.append(Session(number, kind, f"{vehicle}_{first + number * duration:%Y%m%d_%H%M%S}"))
    return sessions
