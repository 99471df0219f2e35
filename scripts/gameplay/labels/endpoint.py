"""Labels from an endpoint that speaks OpenAI's chat protocol, such as vLLM's, Ollama's or llama.cpp's."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from scripts.gameplay.labels.labeller import Scene, asked, goal_of
from scripts.gameplay.options import LabelOptions
from scripts.lib.cli import UserError


class Endpoint:
    """A client of ``<url>/chat/completions``; frames travel as data URLs."""

    def __init__(self, options: LabelOptions) -> None:
        import httpx

        self.options = options
        key = os.environ.get(options.key_variable, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        transport = httpx.HTTPTransport(retries=2)
        self.client = httpx.Client(headers=headers, timeout=options.timeout, transport=transport)

    def key(self) -> dict[str, Any]:
        """Model, prompt and limits; not the address, where the same model may move."""
        options = self.options
        return {
            "by": "openai",
            "model": options.model,
            "prompt": options.prompt,
            "frames": options.frames,
            "max_tokens": options.max_tokens,
        }

    def label(self, scene: Scene) -> str:
        """The goal that the model names.

        Raises:
            LabelError: what it says is no goal.
            UserError: the endpoint cannot be reached, or refuses.
        """
        import httpx

        content = [{"type": "image_url", "image_url": {"url": data_url(path)}} for path in scene.frames]
        text = {"type": "text", "text": asked(self.options, len(scene.frames))}
        body = {
            "model": self.options.model,
            "messages": [{"role": "user", "content": [*content, text]}],
            "max_tokens": self.options.max_tokens,
            "temperature": 0,
        }
        url = f"{self.options.url.rstrip('/')}/chat/completions"
        try:
            answer = self.client.post(url, json=body)
            answer.raise_for_status()
            said = answer.json()["choices"][0]["message"]["content"]
        except httpx.HTTPStatusError as error:
            code, text = error.response.status_code, error.response.text
            raise UserError(f"{url}: refused with {code} ({text!r:.200}); check label.model and the key.") from error
        except httpx.HTTPError as error:
            raise UserError(f"{url}: cannot be reached ({error}); start the endpoint, or correct label.url.") from error
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UserError(f"{url}: its answer is not OpenAI's chat protocol ({error!r}); check label.url.") from error
        return goal_of(said or "")

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()


def data_url(path: Path) -> str:
    """A JPEG inside a URL."""
    return f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"
