"""Loads an agent from a package, an adapter or a base."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from scripts.gameplay.answer import Actions, from_text, question
from scripts.gameplay.players import Agent, Player, fitted
from scripts.gameplay.question import CONFIG
from scripts.lib.cli import UserError
from scripts.lib.files import read_json
from scripts.lib.records import Record, question_message, text_message

ANSWER = 96  # tokens: seven words and the JSON around them
SIZE = (256, 192)  # pixels, if the training metadata has no picture sizes


class Mind(NamedTuple):
    """A player, and how often it was trained on each goal; empty for a base."""

    player: Player
    goals: Mapping[str, int]


@contextlib.contextmanager
def mind_of(path: Path, temperature: float, seed: int) -> Iterator[Mind]:
    """Opens a package (its quantised model, through llama.cpp), an adapter's folder or a base's.

    An adapter's base is models/base/<name> beside models/<system>/<run>/adapter.

    Raises:
        UserError: it is none of these, or cannot be loaded.
    """
    if (path / CONFIG).is_file():
        from scripts.model.viewer import Viewer, packaged

        config = read_json(path / CONFIG)
        wide, high = config["frame_size"]
        prompt = config["system_prompt"]
        with Viewer(*packaged(path), pictures=1, pixels=wide * high, answer=ANSWER, system_prompt=prompt) as viewer:
            yield Mind(Agent(viewer, (wide, high), temperature, seed), config["goals"])
    elif (path / "adapter_config.json").is_file():
        base = path.resolve().parents[2] / "base" / training_metadata(path)["base"]["name"]
        if not (base / "config.json").is_file():
            raise UserError(f"{base}: not there, though {path} is for it; build it, or name the package instead.")
        yield Mind(Trained(base, path, *trained_with(path)), {})
    elif (path / "config.json").is_file():
        yield Mind(Trained(path), {})
    else:
        raise UserError(
            f"{path}: neither a package ({CONFIG}), an adapter (adapter_config.json) nor a base (config.json); "
            "name one, such as dist/gameplay/agent."
        )


def training_metadata(adapter: Path) -> dict:
    """The metadata that training wrote beside the adapter."""
    return read_json(adapter.parent / "training" / "training_metadata.json")


def trained_with(adapter: Path) -> tuple[str, tuple[int, int]]:
    """The system prompt of an adapter's training, and the most common picture size (width, height) in pixels."""
    metadata = training_metadata(adapter)
    sizes = metadata.get("audit", {}).get("train", {}).get("pictures", {})
    wide, high = map(int, max(sizes, key=sizes.get).split("x")) if sizes else SIZE
    return metadata.get("system_prompt", ""), (wide, high)


class Trained:
    """A base in transformers, with or without an adapter; decodes greedily. ``size``: width and height of pictures.

    Raises:
        UserError: the base is not a vision-language model.
    """

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
        """The model's answer; the prompt is rendered as for predictions.

        Raises:
            AnswerError: it cannot be parsed.
        """
        from scripts.model.cases import draw_cases

        path = Path(self._folder.name) / "frame.png"
        cv2.imwrite(str(path), fitted(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), self.size))
        messages = [*self.system, question_message(question(goal), 1), text_message("assistant", "")]
        record = Record(id="play", group="play", messages=messages, images=[path.name])
        images = [path], [self.eyes.features(path)]  # type: ignore[union-attr]
        cases = draw_cases(
            [record], self.tokenizer, window=self.window, max_records=None, max_new_tokens=ANSWER, look=lambda _: images
        )
        (answer,) = self.model.answer(cases)
        return from_text(answer.text)
