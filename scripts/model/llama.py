"""llama.cpp's server (xllamacpp) inside this process: quiet, on a free port of the loopback interface.

`scripts.model.logits` gives full logits.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from scripts.lib.cli import UserError
from scripts.lib.process import job_threads
from scripts.model.logits import GGML_TYPE_F32, LogitReader, cannot_load, let_idle_threads_sleep, must_be_gguf

__all__ = ["Completion", "LogitReader", "Server"]

GREEDY = {"temperature": 0.0, "seed": 7}
SILENT = -1  # llama.cpp's verbosity below every message
READ_TIMEOUT = 3600  # seconds without a byte; a long prompt on a slow machine is silent for minutes


@dataclass(frozen=True)
class Completion:
    """A generated answer.

    Attributes:
        text: the answer, without special tokens and without an incomplete character at its end.
        tokens: the number of generated tokens, with the end-of-turn token.
        finish: "stop" where the model ended its turn, "length" where ``max_tokens`` or the context ended it.
        prompt_tokens: tokens of the prompt.
    """

    text: str
    tokens: int
    finish: str
    prompt_tokens: int


@dataclass(eq=False)
class Server:
    """llama.cpp's server for one GGUF, as a context manager.

    Args:
        gguf: the model.
        slots: prompts that are processed at the same time.
        context: tokens of prompt and answer of each slot.
        mmproj: the projector of a vision-language model.
        exact: keep keys and values in float32, for certificates.
        adapters: adapter GGUFs; a request selects one by ``lora=server.only(index)``.

    Raises:
        UserError: a file is missing or llama.cpp cannot load it.
    """

    gguf: Path
    _: KW_ONLY
    slots: int
    context: int
    mmproj: Path | None = None
    exact: bool = False
    adapters: Sequence[Path] = ()
    _server: Any = field(default=None, init=False)

    def __enter__(self) -> Server:
        let_idle_threads_sleep()
        import xllamacpp

        for path in filter(None, (self.gguf, self.mmproj, *self.adapters)):
            must_be_gguf(path)
        try:
            self._server = xllamacpp.Server(self._params(xllamacpp))
        except RuntimeError as error:
            raise cannot_load(self.gguf, error) from error
        address = urlsplit(self._server.listening_address)
        self._host, self._port = address.hostname, address.port
        # The server listens before its task queue runs, and a server that is closed in between never ends. Only the
        # queue answers this request.
        self._json("/slots")
        return self

    def __exit__(self, *_: object) -> None:
        self._server = None  # its destructor ends the server's threads

    def _params(self, xllamacpp: Any) -> Any:
        params = xllamacpp.CommonParams()
        params.model.path = str(self.gguf)
        if self.mmproj is not None:
            params.mmproj.path = str(self.mmproj)
            params.image_min_tokens = 1  # else small images are enlarged; their sides are multiples of a feature's
        if self.exact:
            params.cache_type_k = params.cache_type_v = GGML_TYPE_F32
            params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        adapters = [xllamacpp.CommonAdapterLoraInfo() for _ in self.adapters]
        for info, path in zip(adapters, self.adapters, strict=True):
            info.path, info.scale = str(path), 0.0
        params.lora_adapters = adapters
        params.n_parallel = self.slots
        params.n_ctx = self.slots * self.context
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = job_threads()
        params.verbosity = SILENT
        params.warmup = False
        params.ui = False
        # The answer to a prompt must not depend on earlier prompts.
        params.cache_prompt = False
        params.cache_ram_mib = 0
        return params

    def complete(self, prompt: str | dict[str, Any], max_tokens: int, **sampling: Any) -> Completion:
        """The model's continuation of a rendered prompt.

        Args:
            prompt: text, in which special tokens are recognised and to which none are added; or, for a
                vision-language model, llama.cpp's ``{"prompt_string", "multimodal_data"}``.
            max_tokens: the largest number of tokens to generate.
            sampling: llama.cpp's settings by its names; the default is greedy.

        Raises:
            UserError: the prompt does not fit into the context.
        """
        return self.complete_many([prompt], max_tokens, **sampling)[0]

    def complete_many(
        self, prompts: Sequence[str | dict[str, Any]], max_tokens: int, *, reuse: bool = False, **sampling: Any
    ) -> list[Completion]:
        """Continuations of many prompts, ``slots`` at a time, in the order given.

        All prompts are sent in one request, so that the batches, and with them the last bits of every logit, depend on
        the prompts alone and not on the speed of client threads. The same call gives the same answers. With ``reuse``
        a prompt shares the prefix that a slot still has from an earlier call: this is faster, and the last bits of a
        logit then also depend on the earlier calls.
        """
        if not prompts:
            return []
        encoded = [self.tokenize(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
        settings = {"n_predict": max_tokens, "cache_prompt": reuse, "stream": True}
        body = {**GREEDY, **sampling, **settings, "prompt": encoded}
        texts, last = [""] * len(prompts), [{}] * len(prompts)
        for row in self._stream("/completion", body):
            texts[row["index"]] += row["content"]
            last[row["index"]] = row
        return [_completion(text, row) for text, row in zip(texts, last, strict=True)]

    def complete_ids(self, prompt: str | dict[str, Any], max_tokens: int) -> tuple[Completion, list[int]]:
        """The greedy continuation of one prompt, and the ids generated, the end-of-turn token included."""
        settings = {"n_predict": max_tokens, "cache_prompt": False, "return_tokens": True}
        given = self.tokenize(prompt) if isinstance(prompt, str) else prompt
        row = self._json("/completion", {**GREEDY, **settings, "prompt": given})
        return _completion(row["content"], row), row["tokens"]

    def next_token(self, prompt: Sequence[int] | dict[str, Any], **settings: Any) -> np.ndarray:
        """ln p of every token after a prompt: float64 [vocab], -inf where llama.cpp gives none. Takes a second."""
        # llama.cpp gives no probabilities for an answer that ends here, or in half a character. So the bias forces
        # another token; the probabilities are those before sampling, which the bias does not change.
        letter = self.tokenize("a")[0]
        body = {**GREEDY, **settings, "n_predict": 1, "cache_prompt": True}
        body["prompt"] = prompt if isinstance(prompt, dict) else list(prompt)
        body["logit_bias"] = [[letter, 1e6]]
        vocabulary = self.meta()["n_vocab"]
        rows = self._json("/completion", {**body, "n_probs": vocabulary})["completion_probabilities"][0]["top_logprobs"]
        values = np.full(vocabulary, -np.inf)
        values[[row["id"] for row in rows]] = [row["logprob"] for row in rows]
        return values

    def tokenize(self, text: str) -> list[int]:
        """Token ids: special tokens in the text are recognised, none are added."""
        return self._json("/tokenize", {"content": text, "parse_special": True, "add_special": False})["tokens"]

    def detokenize(self, ids: Sequence[int]) -> str:
        """The text of token ids, special tokens included."""
        return self._json("/detokenize", {"tokens": list(ids)})["content"]

    def apply_template(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None) -> str:
        """Messages rendered by the GGUF's chat template, with the header of the next answer.

        Raises:
            UserError: llama.cpp cannot render the template.
        """
        body = {"messages": messages} | ({"tools": tools} if tools else {})
        return self._json("/apply-template", body)["prompt"]

    def props(self) -> dict[str, Any]:
        """The server's properties: chat_template, bos_token, eos_token, default_generation_settings and more."""
        return self._json("/props")

    @cached_property
    def marker(self) -> str:
        """The placeholder of an image in a prompt; it differs from server to server."""
        return self.props()["media_marker"]

    def only(self, index: int | None) -> list[dict[str, float]]:
        """The ``lora`` of a request for one adapter, or for none where ``index`` is None.

        It lists every adapter's scale, because an adapter that is not listed keeps the scale it was loaded with.
        """
        return [{"id": number, "scale": float(number == index)} for number in range(len(self.adapters))]

    def meta(self) -> dict[str, Any]:
        """The model's facts: n_vocab, n_ctx_train, n_embd, n_params, size."""
        return self._json("/v1/models")["data"][0]["meta"]

    def _json(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return json.loads(self._request(path, body).read())

    def _stream(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The JSON values of a stream of server-sent events."""
        for line in self._request(path, body):
            name, _, payload = line.decode("utf-8").partition(": ")
            if name == "error":
                raise self._refused(path, payload)
            if name == "data" and payload.strip() != "[DONE]":
                row = json.loads(payload)
                if row is None:  # sent when a prompt enters a slot
                    continue
                if "error" in row:
                    raise self._refused(path, payload)
                yield row

    def _request(self, path: str, body: dict[str, Any] | None) -> http.client.HTTPResponse:
        if self._server is None:
            raise RuntimeError("use Server as a context manager")
        connection = http.client.HTTPConnection(self._host, self._port, timeout=READ_TIMEOUT)
        method, payload = ("GET", None) if body is None else ("POST", json.dumps(body).encode())
        connection.request(method, path, payload, {"Content-Type": "application/json", "Connection": "close"})
        response = connection.getresponse()
        if response.status != 200:
            raise self._refused(path, response.read().decode("utf-8", "replace"))
        return response

    def _refused(self, path: str, payload: str) -> UserError:
        try:
            value = json.loads(payload)
            reason = str(value.get("error", value).get("message", payload))
        except (ValueError, AttributeError):
            reason = payload
        reason = " ".join(reason.split())[:300]
        return UserError(
            f"{self.gguf}: llama.cpp refused {path} ({reason}); shorten the prompt or raise the context of "
            f"{self.context} tokens if it does not fit, else build the file again."
        )


def _completion(text: str, last: dict[str, Any]) -> Completion:
    """An answer from its text and the last event of its stream."""
    finish = "length" if last["stop_type"] == "limit" else "stop"
    return Completion(text, last["tokens_predicted"], finish, last["tokens_evaluated"])
