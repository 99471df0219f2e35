"""Draws test windows: what the model was shown, what came, what it foretold, and what two simple answers say.

Each window is a block: time runs to the right, answers stand below each other. A cell of the block shows the highest
cells from above (ahead is up) and, under that, the nearest cells from the right (ahead is right), with the IoU without
ground of an answer. The windows are drawn evenly from the test split, good and bad alike.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from scripts.aerial.animation import PAPER, Look, enlarged, from_above, legend, shaded, written
from scripts.aerial.picture import class_colours
from scripts.aerial.world.baselines import answers
from scripts.aerial.world.counts import count
from scripts.aerial.world.dataset import Dataset, load_dataset
from scripts.aerial.world.options import WorldDataOptions
from scripts.aerial.world.runners import decided, history_of, onnx_runner
from scripts.lib.cli import StageParser, run, say
from scripts.lib.files import atomic_path, read_json
from scripts.lib.metrics import ratio, shown

WINDOWS, SIZE, GAP, HEAD, NAME = 4, 118, 8, 18, 84  # windows; pixels
TALLEST = 150  # pixels of a view from the side
QUALITY = 88
SIMPLE = {"copy_last": "copy last", "ego_warped": "ego-warped"}


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__, params=False)
    stage.add_argument("--input", type=Path, required=True, help="the folder that holds the sessions")
    stage.add_argument("--test", type=Path, required=True, help="windows to draw (JSONL)")
    stage.add_argument("--onnx", type=Path, required=True, help="folder of model-<name>.onnx files")
    stage.add_argument("--metrics", type=Path, required=True, help="metrics.json: the threshold")
    stage.add_argument("--gate", type=Path, required=True, help="gate.json: which file is shipped")
    stage.add_argument("--out", type=Path, required=True, help="the picture (.jpg)")
    return stage


def main(args: argparse.Namespace) -> None:
    """Foretells some windows with the shipped file and draws them."""
    cv2.setNumThreads(1)
    data = load_dataset(args.test, args.input).evenly(WINDOWS)
    runner = onnx_runner(args.onnx / f"model-{read_json(args.gate)['variant']}.onnx")
    threshold, look = read_json(args.metrics)["threshold"], look_of(data.options)
    blocks = []
    for at in range(len(data)):
        batch = data.batch([at])
        probabilities, _ = runner(history_of(batch, data.options.history))
        said = decided(probabilities[0], threshold, data.options.classes.free)
        blocks.append(block(batch["grids"][0].numpy(), said, data, at, look))
    picture = sheet(blocks, look)
    done, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(picture[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    with atomic_path(args.out) as part:
        part.write_bytes(jpeg.tobytes())
    say(f"{args.out}: {len(blocks)} test windows")


def look_of(options: WorldDataOptions) -> Look:
    """Colours and proportions of a grid; its lowest layers alone, where the rest would be too high to show."""
    names = {number: name for number, name in enumerate(options.classes.names) if number != options.classes.free}
    colours = class_colours({name: number for number, name in names.items()})
    return Look(colours, names, tuple(options.grid.range), False, 0.0, SIZE)


def block(grids: np.ndarray, said: np.ndarray, data: Dataset, at: int, look: Look) -> np.ndarray:
    """A window, uint8 [h, w, 3]: rows came, foretold and the simple answers; columns the history's ends and futures."""
    options, row = data.options, data.rows[at]
    history, future = grids[: options.history], grids[options.history :]
    simple = answers(history, row, options)
    steps = ahead(options.future)
    head = heading(
        [("-%g s" % (row.dt * (options.history - 1))), "now", *("+%g s" % (row.dt * (one + 1)) for one in steps)]
    )
    lines = [head, line("came", [history[0], history[-1], *(future[one] for one in steps)], None, options, look)]
    told = {"foretold": said} | {words: simple[name].grids for name, words in SIMPLE.items()}
    for name, grids_said in told.items():
        shown_grids = [None, None, *(grids_said[one] for one in steps)]  # type: ignore[index]
        lines.append(line(name, shown_grids, [None, None, *(future[one] for one in steps)], options, look))
    return titled(np.concatenate(lines), row.id)


def ahead(future: int) -> list[int]:
    """The horizons that are drawn, counted from 0: the first, one in the middle, the last."""
    return sorted({0, (future - 1) // 2, future - 1})


def line(
    name: str,
    grids: Sequence[np.ndarray | None],
    true: Sequence[np.ndarray | None] | None,
    options: WorldDataOptions,
    look: Look,
) -> np.ndarray:
    """One answer over time; ``None`` leaves its place empty."""
    side = side_height(look)
    cells = [np.full((SIZE + side + HEAD + GAP, NAME, 3), 255, np.uint8)]
    written(cells[0], name, (2, SIZE // 2))
    for at, grid in enumerate(grids):
        cell = np.full((SIZE + side + HEAD + GAP, SIZE + GAP, 3), 255, np.uint8)
        if grid is not None:
            cell[:SIZE, :SIZE] = cv2.resize(from_above(grid, look), (SIZE, SIZE), interpolation=cv2.INTER_NEAREST)
            cell[SIZE + 2 : SIZE + 2 + side, :SIZE] = from_right(grid, look, side)
            if true is not None:
                written(cell, f"IoU {shown(iou(true[at], grid, options))}", (0, SIZE + side + 15))
        cells.append(cell)
    return np.concatenate(cells, axis=1)


def iou(true: np.ndarray | None, said: np.ndarray, options: WorldDataOptions) -> float | None:
    """IoU without ground of one frame."""
    assert true is not None, "an answer stands beside what came"
    both, due, told = count(true, said, options.classes)[:, -1].tolist()
    return ratio(both, due + told - both)


def side_height(look: Look) -> int:
    """Pixels of a view from the side, as tall as the grid is beside its length."""
    return min(TALLEST, max(8, round(SIZE * look.spans[2] / look.spans[0])))


def from_right(grid: np.ndarray, look: Look, height: int) -> np.ndarray:
    """The nearest cell seen from the right; ahead is right, up is up."""
    first = np.argmax(grid > 0, axis=1)
    classes = np.take_along_axis(grid, first[:, None], axis=1)[:, 0]
    colours = shaded(classes, 1 - first / max(1, grid.shape[1] - 1), look).transpose(1, 0, 2)[::-1]
    return enlarged(colours, SIZE, height)


def heading(texts: Sequence[str]) -> np.ndarray:
    """Times over the columns."""
    row = np.full((HEAD, NAME + len(texts) * (SIZE + GAP), 3), 255, np.uint8)
    for at, text in enumerate(texts):
        written(row, text, (NAME + at * (SIZE + GAP), 13))
    return row


def titled(picture: np.ndarray, text: str) -> np.ndarray:
    """A block with the window's name over it and a rule below."""
    head = np.full((HEAD + 4, picture.shape[1], 3), PAPER, np.uint8)
    written(head, text, (4, 15))
    return cv2.copyMakeBorder(
        np.concatenate([head, picture]), 0, GAP, 0, 2 * GAP, cv2.BORDER_CONSTANT, value=(255, 255, 255)
    )


def sheet(blocks: Sequence[np.ndarray], look: Look) -> np.ndarray:
    """Blocks two and two, and what the colours mean."""
    blank = np.full_like(blocks[0], 255)
    rows = [np.concatenate([*blocks[at : at + 2], blank][:2], axis=1) for at in range(0, len(blocks), 2)]
    whole = np.concatenate(rows)
    return np.concatenate([whole, legend(whole.shape[1], look)])


if __name__ == "__main__":
    run(parser, main)
