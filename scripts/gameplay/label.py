"""Names the goal of each segment of a recording, in three to five words.

    python -m scripts.gameplay.label --ingested data/ingested/gameplay/one --out labels.jsonl --params '{"by": "state"}'
    python -m scripts.gameplay.label --ingested data/ingested/gameplay/* --sheet my/goals

The output has one row a segment, with ``goal``, or with ``why`` if there is none. Answers of models are cached
(--memory) by frames, prompt, model and settings: an edited recording asks for its own segments only, and a killed run
resumes. With --sheet nothing is labelled: a table to fill in, and a page that shows the segments, are written into a
folder.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts.gameplay.labels.labeller import LabelError, Labeller, Scene
from scripts.gameplay.labels.memory import Memory
from scripts.gameplay.labels.sheet import write_sheet
from scripts.gameplay.labels.state import State
from scripts.gameplay.labels.table import Table
from scripts.gameplay.options import LabelOptions
from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import below, read_jsonl, write_jsonl
from scripts.lib.sampling import spread

MEMORY = Path("data/.labels/gameplay")


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--ingested", nargs="+", type=Path, required=True, help="folders of ingested recordings")
    stage.add_argument("--out", type=Path, help="labels.jsonl, of all of them")
    stage.add_argument("--memory", type=Path, default=MEMORY, help="where answers of models are remembered")
    stage.add_argument("--sheet", type=Path, help="write goals.csv and goals.html into this folder instead")
    return stage


def main(args: argparse.Namespace) -> None:
    """Labels all segments, or writes the table for a person."""
    options = LabelOptions.parse(load_params(args.params))
    scenes = []
    for folder in args.ingested:
        for _, row in read_jsonl(folder / "segments.jsonl"):
            frames = [below(folder, frame["frame"]) for frame in row["frames"]]
            objects = [frame["objects"] for frame in row["frames"] if "objects" in frame]
            scenes.append(Scene(row["recording"], row["id"], spread(frames, options.frames), objects))
    if args.sheet:
        write_sheet(args.sheet, scenes)
        return
    if args.out is None:
        raise UserError("--out is missing; name the file for the labels, or a folder with --sheet.")
    rows: list[dict[str, Any]] = []
    with labeller_of(options, args.memory) as labeller:
        for scene in tqdm(scenes, desc="label", unit="segment", disable=None):
            row = {"recording": scene.recording, "segment": scene.segment}
            try:
                rows.append(row | {"goal": labeller.label(scene)})
            except LabelError as error:
                rows.append(row | {"why": str(error)})
        asked = f", {labeller.asked} asked for" if isinstance(labeller, Memory) else ""
    write_jsonl(args.out, rows)
    without = sum("why" in row for row in rows)
    aside = f", {without} without a goal (`why` says it)" if without else ""
    say(f"{args.out}: {len(rows)} segments{asked}{aside}")


@contextlib.contextmanager
def labeller_of(options: LabelOptions, memory: Path) -> Iterator[Labeller]:
    """The labeller that the options name; a model is loaded only if it is named, and asked through its cache.

    Raises:
        UserError: a file that it needs is missing.
    """
    if options.by == "state":
        yield State()
    elif options.by == "file":
        yield Table(Path(options.file))
    elif options.by == "openai":
        from scripts.gameplay.labels.endpoint import Endpoint

        with Endpoint(options) as endpoint:
            yield Memory(memory, endpoint)
    else:
        from scripts.gameplay.labels.vlm import LocalModel

        with LocalModel(options) as model:
            yield Memory(memory, model)


if __name__ == "__main__":
    run(parser, main)
