"""A contact sheet of test tiles, PNG or JPEG: minimap, true hillshade, predicted hillshade, error in yards."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from scripts.lib.cli import StageParser, UserError, run, say
from scripts.lib.fence import unfenced
from scripts.lib.files import below, read_json
from scripts.lib.records import read_records
from scripts.lib.sampling import spread
from scripts.lib.scoring import predicted_cases, read_predictions
from scripts.terrain.answer import AnswerError, from_text, rebuild
from scripts.terrain.grounds import Case, cases_of, options_of
from scripts.terrain.pictures import read_heights, write_picture
from scripts.terrain.shade import PAPER, error_picture, panel, tile_shade, titled

SIDE, GAP, TITLE = 192, 6, 24  # pixels
COLUMNS = ("minimap", "true ground", "rebuilt from the answer", "error: blue low, red high")


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__, params=False)
    stage.add_argument("--records", type=Path, required=True, help="test.jsonl, with stats.json beside it")
    stage.add_argument("--predictions", type=Path, nargs="+", required=True, help="<variant>.jsonl of each version")
    stage.add_argument("--gate", type=Path, help="gate.json: the version that ships is shown; else the first one")
    stage.add_argument("--out", type=Path, required=True, help="the picture to write, *.png or *.jpg")
    stage.add_argument("--rows", type=int, default=8, help="tiles, drawn evenly over those predicted")
    return stage


def main(args: argparse.Namespace) -> None:
    """Draws the sheet."""
    options = options_of(read_json(args.records.parent / "stats.json"))
    file = chosen(args.predictions, args.gate)
    predictions = read_predictions(file)
    every = cases_of(read_records(args.records), args.records.parent, options)
    cases = spread(predicted_cases(every, {file.stem: predictions}, args.records), args.rows)
    rows = [row_of(case, predictions[case.key]["completion"]) for case in cases]
    write_picture(args.out, stacked([heading(), *rows]))
    say(f"{args.out}: {len(rows)} tiles, answers of {file.stem}")


def chosen(files: Sequence[Path], gate: Path | None) -> Path:
    """The predictions to show.

    Raises:
        UserError: the version that ships is not among them.
    """
    if gate is None:
        return files[0]
    shipped = read_json(gate)["variant"]
    found = [file for file in files if file.stem == shipped]
    if not found:
        raise UserError(f"{gate}: ships {shipped}, of which --predictions names no {shipped}.jsonl; add it.")
    return found[0]


def heading() -> np.ndarray:
    """The names of the columns."""
    return beside([titled(SIDE, TITLE, name) for name in COLUMNS])


def row_of(case: Case, completion: str) -> np.ndarray:
    """One tile's panels, and below them its heights and the answer's error."""
    truth = case.record.expect[0]["truth"]
    true = read_heights(below(case.folder, truth["file"]), truth["low"], truth["step"])
    minimap = cv2.imread(str(below(case.folder, case.record.images[0])), cv2.IMREAD_COLOR)
    said, error, words = answered(completion, true, case)
    shades = [panel(minimap, SIDE), panel(tile_shade(true), SIDE), panel(said, SIDE), panel(error, SIDE)]
    told = f"{true.min():.0f} to {true.max():.0f} yards"
    notes = ["unseen style" if case.unseen else "", told, words, ""]
    return stacked([beside(shades), beside([titled(SIDE, TITLE, note) for note in notes])])


def answered(completion: str, true: np.ndarray, case: Case) -> tuple[np.ndarray, np.ndarray, str]:
    """The rebuilt ground's hillshade, its error as colours, and a few words on it."""
    try:
        ground = from_text(unfenced(completion), case.options)
    except AnswerError:
        blank = np.full((SIDE, SIDE, 3), PAPER, np.uint8)
        return blank, blank, "no readable answer"
    field = rebuild(ground.heights(case.options.levels))
    error = field - true
    most = max(float(true.max() - true.min()), 1.0)
    words = f"{field.min():.0f} to {field.max():.0f}, off by {np.sqrt(np.mean(error**2)):.0f}"
    return tile_shade(field), error_picture(error, most), words


def beside(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Panels side by side with gaps."""
    gap = np.full((len(panels[0]), GAP, 3), PAPER, np.uint8)
    return np.hstack([part for one in panels for part in (gap, one)] + [gap])


def stacked(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows below each other."""
    return np.vstack(rows)


if __name__ == "__main__":
    run(parser, main)
