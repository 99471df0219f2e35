"""An agent from a package, an adapter or a base, ready to decide."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from scripts.gameplay.answer import Actions, from_text, question
from scripts.gameplay.players import Agent, Player, fitted
from scripts.gameplay.question import CONFIG
from scripts.lib.cli import UserError
from scripts.lib.files import read_json
from scripts.lib.records import Record, question_message, text_message

ANSWER = 96  # tokens: seven words and what stands around them
SIZE = (256, 192)  # pixels, where nothing says what the model was trained with


class Mind(NamedTuple):
    """A player, and the goals it was trained on, by how often; none are known of a base."""

    player: Player
    goals: Mapping[str, int]


@contextlib.contextmanager
def mind_of(path: Path, temperature: float, seed: int) -> Iterator[Mind]:
    """Opens a package, an adapter's folder or a base's.

    Raises:
        UserError: it is none of these, or cannot be loaded.
    """
    if (path / CONFIG).is_file():
        with packaged_mind(path, temperature, seed) as mind:
            yield mind
    elif (path / "adapter_config.json").is_file():
        yield Mind(Trained(base_of(path), path, *trained_with(path)), {})
    elif (path / "config.json").is_file():
        yield Mind(Trained(path), {})
    else:
        raise UserError(
            f"{path}: neither a package ({CONFIG}), an adapter (adapter_config.json) nor a base (config.json); "
            "name one, such as dist/gameplay/agent."
        )


@contextlib.contextmanager
def packaged_mind(folder: Path, temperature: float, seed: int) -> Iterator[Mind]:
    """The quantised model that a package ships, through llama.cpp."""
    from scripts.model.viewer import Viewer, packaged

    told = read_json(folder / CONFIG)
    wide, high = told["frame_size"]
    model, projector = packaged(folder)
    prompt = told["system_prompt"]
    with Viewer(model, projector, pictures=1, pixels=wide * high, answer=ANSWER, system_prompt=prompt) as viewer:
        yield Mind(Agent(viewer, (wide, high), temperature, seed), told["goals"])


def base_of(adapter: Path) -> Path:
    """The folder of the base that an adapter is for: models/base/<name> beside models/<system>/<run>/adapter.

    Raises:
        UserError: it is not there.
    """
    told = read_json(adapter.parent / "training" / "training_metadata.json")
    folder = adapter.resolve().parents[2] / "base" / told["base"]["name"]
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: not there, though {adapter} is for it; build it, or name the package instead.")
    return folder


def trained_with(adapter: Path) -> tuple[str, tuple[int, int]]:
    """The system prompt and the size of most pictures that an adapter was trained with, as recorded beside it."""
    told = read_json(adapter.parent / "training" / "training_metadata.json")
    sizes = told.get("audit", {}).get("train", {}).get("pictures", {})
    wide, high = map(int, max(sizes, key=sizes.get).split("x")) if sizes else SIZE
    return told.get("system_prompt", ""), (wide, high)


class Trained:
    """A base in transformers, with or without an adapter; greedy, and shown pictures of one size (width, height)."""

    def __init__(
        self, base: Path, adapter: Path | None = None, system_prompt: str = "", size: tuple[int, int] = SIZE
    ) -> None:
        from scripts.model.cases import window_of
        from scripts.model.generation import Transformer
        from scripts.model.predict import load_tokenizer
        from scripts.model.vision import eyes_of

        self.eyes = eyes_of(base)
        if self.eyes is None:
            raise UserError(f"{base}: this model takes no pictures; name one that sees.")
        self.size, self.tokenizer, self.window = size, load_tokenizer(base), window_of(base)
        self.model = Transformer(base, adapter, self.tokenizer)
        self.system = [text_message("system", system_prompt)] if system_prompt else []
        self._folder = tempfile.TemporaryDirectory(prefix="questline-play-")

    def decide(self, picture: np.ndarray, goal: str) -> Actions:
        """What the model says.

        Raises:
            AnswerError: it cannot be read.
        """
        path = Path(self._folder.name) / "frame.png"
        cv2.imwrite(str(path), fitted(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), self.size))
        (said,) = self.model.answer(self._cases(path, goal))
        return from_text(said.text)

    def _cases(self, path: Path, goal: str) -> Any:
        """The prompt, rendered as for predictions."""
        from scripts.model.cases import draw_cases

        messages = [*self.system, question_message(question(goal), 1), text_message("assistant", "")]
        record = Record(id="play", group="play", messages=messages, images=[path.name])
        shown = [path], [self.eyes.features(path)]  # type: ignore[union-attr]
        return draw_cases(
            [record],
            self.tokenizer,
            window=self.window,
            max_records=None,
            max_new_tokens=ANSWER,
            look=lambda _: shown,
        )
