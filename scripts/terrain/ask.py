"""A package's model, asked for the ground below a minimap, with the prompt and the image size of its training.

Unlike in scoring, a grammar constrains the answer to its form.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from scripts.lib.cli import UserError
from scripts.model.viewer import Viewer, open_picture, packaged
from scripts.terrain.grammar import grammar
from scripts.terrain.options import AnswerOptions
from scripts.terrain.pictures import STITCHED, resized
from scripts.terrain.question import CONFIG


def picture_of(minimap: Path, which: str) -> Path:
    """An image of a minimap's tile, beside the minimap or in the export's ``stitched``.

    Raises:
        UserError: it is in neither folder.
    """
    if which == "minimap":
        return minimap
    name = f"{minimap.stem}_{STITCHED[which]}.png"
    places = [minimap.with_name(name), minimap.parent.parent / "stitched" / name]
    for path in places:
        if path.is_file():
            return path
    raise UserError(f"{places[0]}: not there; the model was trained with it too, so put it beside the minimap.")


class Surveyor:
    """A package's model, as a context manager.

    Args:
        folder: the package.
        config: its terrain_config.json.

    Raises:
        UserError: a file of the package is missing.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.inputs, self.side, self.question = config["inputs"], config["image_size"], config["question"]
        self.grammar = grammar(AnswerOptions.parse(config["form"], CONFIG))
        self.viewer = Viewer(
            *packaged(folder),
            pictures=len(self.inputs),
            pixels=self.side**2,
            answer=int(config["longest_allowed_bytes"]),
            system_prompt=config["system_prompt"],
        )

    def ask(self, path: Path) -> str:
        """The answer to a minimap and to the other images that the model was trained with.

        Raises:
            UserError: an image is missing or cannot be read.
        """
        pictures = [resized(open_picture(picture_of(path, which)), self.side) for which in self.inputs]
        return self.viewer.ask(self.question, pictures, grammar=self.grammar).text

    def __enter__(self) -> Surveyor:
        self.viewer.__enter__()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.viewer.__exit__(kind, error, trace)
