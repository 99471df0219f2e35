"""What a scorer compares: the true ground of a test tile, and what an answer, or a baseline, says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.fence import unfenced
from scripts.lib.files import below
from scripts.lib.records import Record
from scripts.terrain.answer import AnswerError, Ground, from_text, rebuild
from scripts.terrain.options import AnswerOptions
from scripts.terrain.pictures import read_heights

Key = tuple[str, int]
SHOULDERS = 33  # a side of the height field that is compared, every eighth of 257 grid points


@dataclass(frozen=True)
class Said:
    """What is said of a tile.

    Attributes:
        field: heights in yards [33, 33]; None where the answer could not be read.
        ground: textures, liquids, holes and objects; None where nothing is said of them.
        why: what was wrong with an answer that could not be read.
    """

    field: np.ndarray | None
    ground: Ground | None
    why: str = ""


@dataclass(frozen=True)
class Case:
    """A test tile: the true height field [33, 33] in yards, and the ground that its answer describes."""

    record: Record
    answer: int
    folder: Path
    options: AnswerOptions

    @property
    def key(self) -> Key:
        """What names it in predictions."""
        return self.record.id, self.answer

    @property
    def group(self) -> str:
        """The block it lies in."""
        return self.record.group

    @property
    def unseen(self) -> bool:
        """Whether it is of a map in a style that no one trained on."""
        return self.record.meta.get("set") == "unseen"

    @cached_property
    def truth(self) -> np.ndarray:
        """Heights in yards."""
        told = self.record.expect[0]["truth"]
        return thinned(read_heights(below(self.folder, told["file"]), told["low"], told["step"]))

    @cached_property
    def ground(self) -> Ground:
        """What the record's own answer says."""
        return from_text(self.record.messages[self.answer].text, self.options)


def thinned(field: np.ndarray) -> np.ndarray:
    """A height field [257, 257] at every eighth grid point."""
    return field[::8, ::8]


def cases_of(records: Sequence[Record], folder: Path, options: AnswerOptions) -> list[Case]:
    """The cases of curated records in ``folder``."""
    return [Case(record, record.answers[-1], folder, options) for record in records]


def said_by(completion: str, options: AnswerOptions) -> Said:
    """What a model's answer says; it may stand in a code fence."""
    try:
        ground = from_text(unfenced(completion), options)
    except AnswerError as error:
        return Said(None, None, str(error))
    return Said(thinned(rebuild(ground.heights(options.levels))), ground)


def options_of(stats: Mapping[str, Any]) -> AnswerOptions:
    """The form of the answers, as curation recorded it."""
    return AnswerOptions.parse(stats["answer"]["form"], "stats.json")
