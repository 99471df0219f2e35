"""Answers of models, remembered by what they depend on, so that none is paid for twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.gameplay.labels.labeller import LabelError, Model, Scene
from scripts.lib.files import digest, read_json, sha256_file, write_json


class Memory:
    """A folder with a small file for each answer, goals and refusals alike.

    The name of a file is a hash of the labeller's key and of the frames' content.
    """

    def __init__(self, folder: Path, labeller: Model) -> None:
        self.folder, self.labeller, self.key = folder, labeller, labeller.key()
        self.asked = 0  # answers that were not remembered

    def label(self, scene: Scene) -> str:
        """The goal of a segment, remembered or asked for.

        Raises:
            LabelError: the labeller has none.
        """
        path = self.path(scene)
        if not path.is_file():
            self.asked += 1
            write_json(path, self._ask(scene))
        known = read_json(path)
        if "why" in known:
            raise LabelError(known["why"])
        return known["goal"]

    def _ask(self, scene: Scene) -> dict[str, Any]:
        try:
            return {"goal": self.labeller.label(scene)}
        except LabelError as error:
            return {"why": str(error)}

    def path(self, scene: Scene) -> Path:
        """Where the answer of a segment lies."""
        name = digest([self.key, [sha256_file(path) for path in scene.frames]])
        return self.folder / name[:2] / f"{name}.json"
