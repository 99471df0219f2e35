"""Answers that need no model: what a score has to beat before it means anything.

mean      the mean height field of the training tiles, their commonest textures and mean number of objects, no liquid.
flat      a plane at the tile's own mean height, which no one is told; it says nothing else.
nearest   whatever is true of the training tile whose minimap looks most alike (colours of 16 × 16 cells).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from scripts.lib.cli import UserError
from scripts.lib.files import below
from scripts.terrain.answer import Ground
from scripts.terrain.grounds import Case, Said

THUMB = 16  # cells a side


def answers(train: Sequence[Case], cases: Sequence[Case]) -> dict[str, list[Said]]:
    """What each baseline says of each case."""
    field = np.mean([case.truth for case in train], axis=0)
    common = common_ground(train)
    return {
        "mean": [Said(field, common)] * len(cases),
        "flat": [Said(np.full_like(case.truth, case.truth.mean()), None) for case in cases],
        "nearest": [Said(train[at].truth, train[at].ground) for at in nearest(train, cases)],
    }


def common_ground(train: Sequence[Case]) -> Ground:
    """Textures that at least half of the tiles have, the mean number of objects, neither liquid nor hole."""
    grounds = [case.ground for case in train]
    names = Counter(name for ground in grounds for name in ground.textures)
    kept = {name: 100 for name in sorted(names) if 2 * names[name] >= len(grounds)}
    objects = round(float(np.mean([count_of(ground) for ground in grounds])))
    none = np.zeros_like(grounds[0].holes)
    return Ground(0, 1, np.zeros(none.shape, int), kept, {}, none, {"object": (objects, [])})


def count_of(ground: Ground) -> int:
    """Objects of all kinds."""
    return sum(count for count, _ in ground.objects.values())


def nearest(train: Sequence[Case], cases: Sequence[Case]) -> list[int]:
    """For each case the place of the training tile with the least squared difference of thumbnails."""
    known = np.stack([thumbnail(case) for case in train])
    squares = np.square(known).sum(axis=1)
    return [int(np.argmin(squares - 2 * known @ thumbnail(case))) for case in cases]


def thumbnail(case: Case) -> np.ndarray:
    """The colours of the minimap, float64 [16 · 16 · 3]."""
    path = below(Path(case.folder), case.record.images[0])
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise UserError(f"{path}: cannot be read as a picture; curate the data again.")
    return cv2.resize(picture, (THUMB, THUMB), interpolation=cv2.INTER_AREA).astype(np.float64).reshape(-1)
