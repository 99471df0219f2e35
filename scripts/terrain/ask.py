"""A package's model, asked what lies under a minimap, in the words and at the size it was trained with."""

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
from scripts.lib.records import Message, Part, text_message
from scripts.lib.tokenizer import TemplateTokenizer
from scripts.model.llama import Server
from scripts.model.vision import beside
from scripts.packaging.gguf_facts import read_facts
from scripts.terrain.pictures import resized

ROOM = 64  # tokens of prompt besides picture and answer


class Surveyor:
    """llama.cpp with a package's default model and projector, as a context manager.

    Args:
        folder: the package.
        config: its terrain_config.json.

    Raises:
        UserError: a file of the package is missing, or it was trained on more pictures than a minimap.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        deployed = read_json(folder / "deployment_config.json")
        self.config, self.answer = config, int(config["longest_allowed_bytes"])
        if config["inputs"] != ["minimap"]:
            raise UserError(f"{folder}: was trained with {', '.join(config['inputs'])}; only minimaps can be rebuilt.")
        model = inside(folder, deployed["default"])
        facts = read_facts(model)
        self.tokenizer = TemplateTokenizer(facts.chat_template, {"bos_token": facts.bos, "eos_token": facts.eos})
        self.prompt = self._prompt()
        features = (config["image_size"] // 14) ** 2  # at least as many as any of the known families makes
        context = features + ROOM + len(self.prompt) + self.answer
        self.server = Server(model, slots=1, context=context, mmproj=folder / "mmproj.gguf")

    def _prompt(self) -> str:
        system = self.config["system_prompt"]
        asked = Message(role="user", content=[Part(type="image"), Part(type="text", text=self.config["question"])])
        messages = [*([text_message("system", system)] if system else []), asked]
        return render_text(self.tokenizer, messages, prompt=True)

    def ask(self, path: Path) -> str:
        """The answer to a minimap.

        Raises:
            UserError: it is no picture.
        """
        data = np.frombuffer(path.read_bytes(), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
        if picture is None:
            raise UserError(f"{path}: cannot be read as a picture; name a PNG or JPEG.")
        done, png = cv2.imencode(".png", resized(picture, self.config["image_size"]))
        assert done
        encoded = base64.b64encode(png.tobytes()).decode()
        return self.server.complete(beside(self.prompt, [encoded], self.server.marker), self.answer).text

    def __enter__(self) -> Surveyor:
        self.server.__enter__()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.server.__exit__(kind, error, trace)
