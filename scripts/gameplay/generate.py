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
from tqdm import tqdm

from scripts.gameplay.game.session import shots
from scripts.gameplay.names import names_of
from scripts.gameplay.options import GameGenerateOptions
from scripts.gameplay.pictures import encode_jpeg
from scripts.gameplay.raw import write_frame
from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import manifest, write_json, write_jsonl

FILES, OBJECTS = "files.json", "objects.jsonl"
OURS = re.compile(r"(\.)?vizdoom_\d{4}")  # a recording; with a dot, an unfinished one


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("--out", type=Path, required=True, help="folder to write")
    return result


def main(args: argparse.Namespace) -> None:
    """Makes the recordings, one after the other; each takes its name when it is complete."""
    options = GameGenerateOptions.parse(load_params(args.params))
    cv2.setNumThreads(1)
    clear(args.out)
    names: list[str] = []
    used: Counter[str] = Counter()
    with tqdm(total=options.recordings * options.frames, desc="play", unit="frame", disable=None) as bar:
        for number, name in enumerate(names_of(options.recordings)):
            part, rows = args.out / f".{name}", []
            part.mkdir(parents=True)
            for shot in shots(options, number, used):
                jpeg = encode_jpeg(cv2.cvtColor(shot.picture, cv2.COLOR_RGB2BGR), options.quality)
                write_frame(part, shot.stamp, jpeg, shot.keys)
                rows.append(shot.row)
                bar.update()
            write_jsonl(part / OBJECTS, rows)
            part.rename(args.out / name)
            names += [f"{name}/{path.name}" for path in (args.out / name).iterdir()]
    files = manifest(args.out, names)
    goals = dict(sorted(used.items()))
    write_json(args.out / FILES, {"options": options.model_dump(mode="json"), "goals": goals, "files": files})
    frames = sum(name.endswith(".jpg") for name in names)
    size = sum(row["bytes"] for row in files) / 1e6
    say(f"{args.out}: {options.recordings} recordings, {frames} frames, {size:.1f} MB")


def clear(out: Path) -> None:
    """Removes the recordings of an earlier run; all other files in the folder stay.

    Raises:
        UserError: a folder has the name of such a recording but was not made by this command.
    """
    recordings = [path for path in out.glob("*") if OURS.fullmatch(path.name)]
    for path in recordings:
        if not path.name.startswith(".") and not (path / OBJECTS).is_file():
            raise UserError(f"{path}: not a recording of this command; choose another --out, or move it away.")
    (out / FILES).unlink(missing_ok=True)
    for path in recordings:
        shutil.rmtree(path)


if __name__ == "__main__":
    run(parser, main)
