"""Loss curves as CSV, which `dvc plots` reads."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from scripts.lib.files import atomic_path, read_jsonl
from scripts.sharing.dvcfile import curve_of, losses_of
from scripts.sharing.rooms import Stage


def write_curves(stage: Stage) -> None:
    """Writes ``step,loss`` of every run that has a training curve."""
    for loss in filter(os.path.isfile, losses_of(stage)):
        rows = [(row["step"], row["loss"]) for _, row in read_jsonl(Path(loss)) if "step" in row and "loss" in row]
        with atomic_path(Path(curve_of(loss))) as part, part.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([("step", "loss"), *rows])
