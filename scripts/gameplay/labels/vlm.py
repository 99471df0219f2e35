"""Labels from a vision-language model on this machine, through llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.gameplay.labels.labeller import Scene, asked, goal_of
from scripts.gameplay.options import LabelOptions
from scripts.lib.cli import UserError
from scripts.lib.files import sha256_file
from scripts.model.viewer import Viewer, open_picture

PIXELS = 640 * 480  # of a frame at most; larger ones than the recorder writes are not ingested


class LocalModel:
    """A GGUF file with its projector ``mmproj.gguf`` beside it.

    Raises:
        UserError: a file is missing.
    """

    def __init__(self, options: LabelOptions) -> None:
        self.options, self.model = options, Path(options.model)
        self.projector = self.model.with_name("mmproj.gguf")
        for path in (self.model, self.projector):
            if not path.is_file():
                raise UserError(f"{path}: not there; label.model names a GGUF file with mmproj.gguf beside it.")
        self.viewer = Viewer(
            self.model,
            self.projector,
            pictures=options.frames,
            pixels=PIXELS,
            answer=options.max_tokens,
            room=len(options.prompt),
        )

    def key(self) -> dict[str, Any]:
        """The model by its content, the prompt and the limits."""
        options = self.options
        return {
            "by": "vlm",
            "model": [sha256_file(self.model), sha256_file(self.projector)],
            "prompt": options.prompt,
            "frames": options.frames,
            "max_tokens": options.max_tokens,
        }

    def label(self, scene: Scene) -> str:
        """The goal that the model names.

        Raises:
            LabelError: what it says is no goal.
            UserError: a frame cannot be read.
        """
        pictures = [open_picture(path) for path in scene.frames]
        return goal_of(self.viewer.ask(asked(self.options, len(pictures)), pictures).text)

    def __enter__(self) -> LocalModel:
        self.viewer.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.viewer.__exit__(None, None, None)
