"""Which sessions there are to record, known before anything is; imports nothing that a plan would wait for."""

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
    """All sessions; their names' times come from the seed's own clock, one session after the other."""
    clock = datetime(2000, 1, 1) + timedelta(minutes=random.Random(options.seed).randrange(20 * YEAR))
    lasts = timedelta(seconds=math.ceil(options.frames * options.dt) + 60)
    found = []
    for number in range(options.sessions):
        kind = options.kinds[number % len(options.kinds)]
        vehicle = "rover" if kind == "rover" else "drone"
        found.append(Session(number, kind, f"{vehicle}_{clock + number * lasts:%Y%m%d_%H%M%S}"))
    return found
