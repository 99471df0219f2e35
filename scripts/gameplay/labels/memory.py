"""A cache of models' answers, so that no answer is paid for twice."""

from __future__ import annotations

from pathlib import Path

from scripts.gameplay.labels.labeller import LabelError, Model, Scene
from scripts.lib.files import digest, read_json, sha256_file, write_json


class Memory:
    """A folder with a small file for each answer, goals and refusals alike.

    A file is named by a hash of the labeller's key and the frames' content.
    """

    def __init__(self, folder: Path, labeller: Model) -> None:
        self.folder, self.labeller, self.key = folder, labeller, labeller.key()
        self.asked = 0  # answers that were not in the cache

    def label(self, scene: Scene) -> str:
        """The goal of a segment, from the cache or from the labeller.

        Raises:
            LabelError: the labeller has none.
        """
        name = digest([self.key, [sha256_file(frame) for frame in scene.frames]])
        path = self.folder / name[:2] / f"{name}.json"
        if not path.is_file():
            self.asked += 1
            try:
                write_json(path, {"goal": self.labeller.label(scene)})
            except LabelError as error:
                write_json(path, {"why": str(error)})
        answer = read_json(path)
        if "why" in answer:
            raise LabelError(answer["why"])
        return answer["goal"]
