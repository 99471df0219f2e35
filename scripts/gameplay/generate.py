"""Records a scripted player in a game without a screen, in the layout of a person's recordings.

In the folder: recordings `vizdoom_0001`, ... with a picture and a JSON file for each frame, and beside them
`objects.jsonl` (for each frame the goal, the player and the objects in view); last, `files.json` with the size and
hash of every file. The same seed and options give the same bytes.
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from scripts.gameplay.game.session import shots
from scripts.gameplay.names import name_of
from scripts.gameplay.options import GameGenerateOptions
from scripts.gameplay.raw import write_frame
from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import manifest, write_json, write_jsonl

FILES, OBJECTS = "files.json", "objects.jsonl"
OURS = re.compile(r"(\.)?vizdoom_\d{4}")  # a recording; with a dot, one that was not finished


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("--out", type=Path, required=True, help="folder to write")
    return result


def clear(out: Path) -> None:
    """Removes the recordings of an earlier run; whatever else lies in the folder stays.

    Raises:
        UserError: a folder has the name of such a recording, and is none.
    """
    found = [path for path in out.glob("*") if OURS.fullmatch(path.name)]
    for path in found:
        if not path.name.startswith(".") and not (path / OBJECTS).is_file():
            raise UserError(f"{path}: not a recording of this command; choose another --out, or move it away.")
    (out / FILES).unlink(missing_ok=True)
    for path in found:
        shutil.rmtree(path)


def jpeg(picture: np.ndarray, quality: int) -> bytes:
    """A picture [h, w, 3], red first, as a JPEG file."""
    _, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def record(options: GameGenerateOptions, number: int, out: Path, used: Counter[str], bar: tqdm) -> list[str]:
    """Writes a recording, which takes its name when it is whole; returns its files, relative to ``out``."""
    name = name_of(number)
    part, rows = out / f".{name}", []
    part.mkdir(parents=True)
    for shot in shots(options, number, used):
        write_frame(part, shot.stamp, jpeg(shot.picture, options.quality), shot.keys)
        rows.append(shot.row)
        bar.update()
    write_jsonl(part / OBJECTS, rows)
    part.rename(out / name)
    return [f"{name}/{path.name}" for path in (out / name).iterdir()]


def main(args: argparse.Namespace) -> None:
    """Makes the recordings, one after the other."""
    options = GameGenerateOptions.parse(load_params(args.params))
    cv2.setNumThreads(1)
    clear(args.out)
    names: list[str] = []
    used: Counter[str] = Counter()
    with tqdm(total=options.recordings * options.frames, desc="play", unit="frame", disable=None) as bar:
        for number in range(options.recordings):
            names += record(options, number, args.out, used, bar)
    files = manifest(args.out, names)
    goals = dict(sorted(used.items()))
    write_json(args.out / FILES, {"options": options.model_dump(mode="json"), "goals": goals, "files": files})
    frames = sum(name.endswith(".jpg") for name in names)
    size = sum(row["bytes"] for row in files) / 1e6
    say(f"{args.out}: {options.recordings} recordings, {frames} frames, {size:.1f} MB")


if __name__ == "__main__":
    run(parser, main)
