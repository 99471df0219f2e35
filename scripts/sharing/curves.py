"""Loss curves as CSV, which `dvc plots` reads."""

from __future__ import annotations

import csv
from pathlib import Path

from scripts.lib.files import atomic_path, read_jsonl
from scripts.sharing.dvcfile import curve_of, plots_of
from scripts.sharing.rooms import Stage


def write_curves(stage: Stage) -> None:
    """Writes ``step,loss`` of every run that has a training curve."""
    for loss in sorted(file for file in stage.outputs if file.endswith("/training/loss.jsonl")):
        if not Path(loss).is_file() or curve_of(loss) not in plots_of(stage):
            continue
        rows = [(row["step"], row["loss"]) for _, row in read_jsonl(Path(loss)) if "step" in row and "loss" in row]
        with atomic_path(Path(curve_of(loss))) as part, part.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([("step", "loss"), *rows])
