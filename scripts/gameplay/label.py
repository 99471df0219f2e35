"""Names the goal of each segment of a recording: goals of three to five words, as the labeller says them.

    python -m scripts.gameplay.label --ingested data/ingested/gameplay/one --out labels.jsonl --params '{"by": "state"}'
    python -m scripts.gameplay.label --ingested data/ingested/gameplay/* --sheet my/goals

Written is a row a segment, with ``goal`` or ``why`` there is none. Answers of models are remembered (--memory) by
frames, prompt, model and settings: an edited recording asks for its own segments only, and a killed run goes on. With
--sheet nothing is labelled: a table to fill in, and a page that shows the segments, are written into a folder.
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
    scenes = [scene for folder in args.ingested for scene in scenes_of(folder, options.frames)]
    if args.sheet:
        write_sheet(args.sheet, scenes)
        return
    if args.out is None:
        raise UserError("--out is missing; name the file for the labels, or a folder with --sheet.")
    with labeller_of(options, args.memory) as labeller:
        rows = [labelled(labeller, scene) for scene in tqdm(scenes, desc="label", unit="segment", disable=None)]
        asked = f", {labeller.asked} asked for" if isinstance(labeller, Memory) else ""
    write_jsonl(args.out, rows)
    without = sum("why" in row for row in rows)
    aside = f", {without} without a goal (`why` says it)" if without else ""
    say(f"{args.out}: {len(rows)} segments{asked}{aside}")


def scenes_of(folder: Path, frames: int) -> Iterator[Scene]:
    """The segments of an ingested recording, with at most so many frames each."""
    for _, row in read_jsonl(folder / "segments.jsonl"):
        shown = [below(folder, frame["frame"]) for frame in row["frames"]]
        objects = [frame["objects"] for frame in row["frames"] if "objects" in frame]
        yield Scene(row["recording"], row["id"], spread(shown, frames), objects)


@contextlib.contextmanager
def labeller_of(options: LabelOptions, memory: Path) -> Iterator[Labeller]:
    """The labeller that the options name; models are opened, and asked through their memory.

    Raises:
        UserError: a file that it needs is missing.
    """
    if options.by == "state":
        yield State()
    elif options.by == "file":
        yield Table(Path(options.file))
    else:
        with model_of(options) as model:
            yield Memory(memory, model)


def model_of(options: LabelOptions) -> Any:
    """The model that is asked; its packages are loaded only where it is."""
    if options.by == "openai":
        from scripts.gameplay.labels.endpoint import Endpoint

        return Endpoint(options)
    from scripts.gameplay.labels.vlm import LocalModel

    return LocalModel(options)


def labelled(labeller: Labeller, scene: Scene) -> dict[str, Any]:
    """A segment's row."""
    row = {"recording": scene.recording, "segment": scene.segment}
    try:
        return row | {"goal": labeller.label(scene)}
    except LabelError as error:
        return row | {"why": str(error)}


if __name__ == "__main__":
    run(parser, main)
