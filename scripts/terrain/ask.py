"""A package's model, asked what lies under a minimap, in the words and at the size it was trained with.

Answers are held to their form by a grammar, unlike those that are scored.
"""

from __future__ import annotations

import base64
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from scripts.lib.chat import render_text
from scripts.lib.cli import UserError
from scripts.lib.files import inside, read_json
from scripts.lib.options.terrain import AnswerOptions
from scripts.lib.records import Message, Part, text_message
from scripts.lib.tokenizer import TemplateTokenizer
from scripts.model.llama import Server
from scripts.model.vision import beside
from scripts.packaging.gguf_facts import read_facts
from scripts.terrain.grammar import grammar
from scripts.terrain.pictures import STITCHED, resized
from scripts.terrain.question import CONFIG

ROOM = 64  # tokens of prompt besides picture and answer


def picture_of(minimap: Path, which: str) -> Path:
    """A picture of a minimap's tile, beside it or where an export has it.

    Raises:
        UserError: it is in neither place.
    """
    if which == "minimap":
        return minimap
    name = f"{minimap.stem}_{STITCHED[which]}.png"
    places = [minimap.with_name(name), minimap.parent.parent / "stitched" / name]
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise UserError(f"{places[0]}: not there; the model was trained with it too, so put it beside the minimap.")
    return found


def encoded(path: Path, side: int) -> str:
    """A picture at the size that the model sees, as PNG in base64.

    Raises:
        UserError: it is no picture.
    """
    data = np.frombuffer(path.read_bytes(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None:
        raise UserError(f"{path}: cannot be read as a picture; name a PNG or JPEG.")
    done, png = cv2.imencode(".png", resized(picture, side))
    assert done
    return base64.b64encode(png.tobytes()).decode()


class Surveyor:
    """llama.cpp with a package's default model and projector, as a context manager.

    Args:
        folder: the package.
        config: its terrain_config.json.

    Raises:
        UserError: a file of the package is missing.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        deployed = read_json(folder / "deployment_config.json")
        self.config, self.answer = config, int(config["longest_allowed_bytes"])
        model = inside(folder, deployed["default"])
        facts = read_facts(model)
        self.tokenizer = TemplateTokenizer(facts.chat_template, {"bos_token": facts.bos, "eos_token": facts.eos})
        self.prompt = self._prompt()
        self.grammar = grammar(AnswerOptions.parse(config["form"], CONFIG))
        # At least as many as any of the known families makes of so many pictures.
        features = len(config["inputs"]) * (config["image_size"] // 14) ** 2
        context = features + ROOM + len(self.prompt) + self.answer
        self.server = Server(model, slots=1, context=context, mmproj=folder / "mmproj.gguf")

    def _prompt(self) -> str:
        system = self.config["system_prompt"]
        images = [Part(type="image") for _ in self.config["inputs"]]
        asked = Message(role="user", content=[*images, Part(type="text", text=self.config["question"])])
        messages = [*([text_message("system", system)] if system else []), asked]
        return render_text(self.tokenizer, messages, prompt=True)

    def ask(self, path: Path) -> str:
        """The answer to a minimap, and to the pictures beside it that the model was trained with.

        Raises:
            UserError: one is no picture, or is not there.
        """
        shown = [encoded(picture_of(path, which), self.config["image_size"]) for which in self.config["inputs"]]
        prompt = beside(self.prompt, shown, self.server.marker)
        return self.server.complete(prompt, self.answer, grammar=self.grammar).text

    def __enter__(self) -> Surveyor:
        self.server.__enter__()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.server.__exit__(kind, error, trace)
