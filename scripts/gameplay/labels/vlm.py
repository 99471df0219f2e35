"""Labels from a vision-language model on this machine, through llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.gameplay.labels.labeller import Scene, cache_key, goal_of, prompt_for
from scripts.gameplay.options import LabelOptions
from scripts.lib.cli import UserError
from scripts.lib.files import sha256_file
from scripts.model.viewer import Viewer, open_picture

PIXELS = 640 * 480  # of a frame at most; the recorder writes no larger ones by default


class LocalModel:
    """A GGUF file with its projector ``mmproj.gguf`` beside it, as a context manager.

    Raises:
        UserError: a file is missing.
    """

    def __init__(self, options: LabelOptions) -> None:
        self.options, model = options, Path(options.model)
        self.files = (model, model.with_name("mmproj.gguf"))
        for path in self.files:
            if not path.is_file():
                raise UserError(f"{path}: not there; label.model names a GGUF file with mmproj.gguf beside it.")
        self.viewer = Viewer(
            *self.files, pictures=options.frames, pixels=PIXELS, answer=options.max_tokens, room=len(options.prompt)
        )

    def key(self) -> dict[str, Any]:
        """The model by its content, the prompt and the limits."""
        return cache_key(self.options, [sha256_file(path) for path in self.files])

    def label(self, scene: Scene) -> str:
        """The goal that the model names.

        Raises:
            LabelError: the answer is not a goal.
            UserError: a frame cannot be read.
        """
        pictures = [open_picture(path) for path in scene.frames]
        return goal_of(self.viewer.ask(prompt_for(self.options, len(pictures)), pictures).text)

    def __enter__(self) -> LocalModel:
        self.viewer.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.viewer.__exit__(None, None, None)
