"""A vision-language model under llama.cpp: images and a question in, text out."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from scripts.lib.chat import render_text
from scripts.lib.cli import UserError
from scripts.lib.files import inside, read_json
from scripts.lib.records import question_message, text_message
from scripts.lib.tokenizer import TemplateTokenizer
from scripts.model.gguf_facts import read_facts
from scripts.model.llama import Completion, Server
from scripts.model.vision import beside

TEMPLATE = 64  # most tokens of the chat template around prompts and images


class Viewer:
    """llama.cpp with a model and its projector, as a context manager.

    Args:
        model, projector: GGUF files.
        pictures: most images of a question.
        pixels: most pixels of an image.
        answer: most tokens of an answer.
        system_prompt: the system prompt of training; "" for none.
        room: most tokens of the question.

    Raises:
        UserError: a file is missing.
    """

    def __init__(
        self,
        model: Path,
        projector: Path,
        *,
        pictures: int,
        pixels: int,
        answer: int,
        system_prompt: str = "",
        room: int = 64,
    ) -> None:
        facts = read_facts(model)
        self.tokenizer = TemplateTokenizer(facts.chat_template, {"bos_token": facts.bos, "eos_token": facts.eos})
        self.system, self.answer = system_prompt, answer
        features = pictures * (pixels // 14**2)  # at least as many as in any of the known families
        context = features + TEMPLATE + room + len(system_prompt) + answer
        self.server = Server(model, slots=1, context=context, mmproj=projector)

    def prompt(self, question: str, pictures: int) -> str:
        """The rendered prompt, as in training, with a placeholder for each image."""
        system = [text_message("system", self.system)] if self.system else []
        messages = [*system, question_message(question, pictures)]
        return render_text(self.tokenizer, messages, prompt=True)

    def ask(self, question: str, pictures: Sequence[np.ndarray], **sampling: Any) -> Completion:
        """The model's answer about images, each uint8 [h, w, 3], blue first; greedy if no sampling is given."""
        pngs = [cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1] for picture in pictures]
        encoded = [base64.b64encode(png).decode() for png in pngs]
        prompt = beside(self.prompt(question, len(encoded)), encoded, self.server.marker)
        return self.server.complete(prompt, self.answer, **sampling)

    def __enter__(self) -> Viewer:
        self.server.__enter__()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.server.__exit__(kind, error, trace)


def packaged(folder: Path) -> tuple[Path, Path]:
    """The default model of a package, and its projector.

    Raises:
        UserError: the folder is no package, or the model lies outside it.
    """
    return inside(folder, read_json(folder / "deployment_config.json")["default"]), folder / "mmproj.gguf"


def open_picture(path: Path) -> np.ndarray:
    """An image file, uint8 [h, w, 3], blue first.

    Raises:
        UserError: it cannot be decoded.
    """
    data = np.frombuffer(path.read_bytes(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None:
        raise UserError(f"{path}: cannot be read as a picture; name a PNG or JPEG.")
    return picture
