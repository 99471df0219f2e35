"""Labels from an endpoint with OpenAI's chat protocol, such as vLLM's, Ollama's or llama.cpp's."""

from __future__ import annotations

import os
from typing import Any

from scripts.gameplay.labels.labeller import Scene, cache_key, data_url, goal_of, prompt_for
from scripts.gameplay.options import LabelOptions
from scripts.lib.cli import UserError


class Endpoint:
    """A client of ``<url>/chat/completions``, as a context manager; frames are sent as data URLs."""

    def __init__(self, options: LabelOptions) -> None:
        import httpx

        self.options = options
        key = os.environ.get(options.key_variable, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        transport = httpx.HTTPTransport(retries=2)
        self.client = httpx.Client(headers=headers, timeout=options.timeout, transport=transport)

    def key(self) -> dict[str, Any]:
        """The model's name, the prompt and the limits; not the URL, because the same model may move."""
        return cache_key(self.options, self.options.model)

    def label(self, scene: Scene) -> str:
        """The goal that the model names.

        Raises:
            LabelError: the answer is not a goal.
            UserError: the endpoint cannot be reached, or refuses.
        """
        import httpx

        images = [{"type": "image_url", "image_url": {"url": data_url(path.read_bytes())}} for path in scene.frames]
        text = {"type": "text", "text": prompt_for(self.options, len(scene.frames))}
        body = {
            "model": self.options.model,
            "messages": [{"role": "user", "content": [*images, text]}],
            "max_tokens": self.options.max_tokens,
            "temperature": 0,
        }
        url = f"{self.options.url.rstrip('/')}/chat/completions"
        try:
            answer = self.client.post(url, json=body)
            answer.raise_for_status()
            content = answer.json()["choices"][0]["message"]["content"]
        except httpx.HTTPStatusError as error:
            code, reply = error.response.status_code, error.response.text
            raise UserError(f"{url}: refused with {code} ({reply!r:.200}); check label.model and the key.") from error
        except httpx.HTTPError as error:
            raise UserError(f"{url}: cannot be reached ({error}); start the endpoint, or correct label.url.") from error
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UserError(f"{url}: its answer is not OpenAI's chat protocol ({error!r}); check label.url.") from error
        return goal_of(content or "")

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
