"""llama.cpp, held in one place: a server that generates (xllamacpp) and a reader of full logits (cyllama).

Both run inside this process, quietly, and listen on loopback only, if at all.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from scripts.lib.cli import UserError

GREEDY = {"temperature": 0.0, "seed": 7}
GGML_TYPE_F32 = 0
CHUNK = 64  # tokens whose logits are held at a time: 40 MB for a vocabulary of 152k
SILENT = -1  # llama.cpp's verbosity below every message
READ_TIMEOUT = 3600  # seconds without a byte; a long prompt on a slow machine is silent for minutes


@dataclass(frozen=True)
class Completion:
    """What a model said.

    Attributes:
        text: the answer, without special tokens and without a character that its last token left unfinished.
        tokens: how many tokens were generated, the end-of-turn token included.
        finish: "stop" where the model ended its turn, "length" where ``max_tokens`` or the context did.
        prompt_tokens: tokens of the prompt.
    """

    text: str
    tokens: int
    finish: str
    prompt_tokens: int


class Server:
    """llama.cpp's server for one GGUF, as a context manager.

    Args:
        gguf: the model.
        slots: how many prompts are worked on at a time.
        context: tokens of prompt and answer that each slot has room for.
        mmproj: the projector of a model that sees.

    Raises:
        UserError: the file is missing or llama.cpp cannot load it.
    """

    def __init__(self, gguf: Path, *, slots: int, context: int, mmproj: Path | None = None) -> None:
        self.gguf, self.slots, self.context, self.mmproj = gguf, slots, context, mmproj
        self._server: Any = None
        self._host, self._port = "127.0.0.1", 0

    def __enter__(self) -> Server:
        _let_idle_threads_sleep()
        import xllamacpp

        for path in filter(None, (self.gguf, self.mmproj)):
            _must_be_gguf(path)
        params = self._params(xllamacpp.CommonParams())
        try:
            self._server = xllamacpp.Server(params)
        except RuntimeError as error:
            raise _cannot_load(self.gguf, error) from error
        address = urlsplit(self._server.listening_address)
        self._host, self._port = address.hostname or self._host, address.port or 0
        return self

    def __exit__(self, *_: object) -> None:
        self._server = None  # its destructor ends the server's threads

    def _params(self, params: Any) -> Any:
        params.model.path = str(self.gguf)
        if self.mmproj is not None:
            params.mmproj.path = str(self.mmproj)
        params.n_parallel = self.slots
        params.n_ctx = self.slots * self.context
        params.verbosity = SILENT
        params.warmup = False
        params.ui = False
        # A prompt's answer must not depend on which prompts came before it.
        params.cache_prompt = False
        params.cache_ram_mib = 0
        return params

    def complete(self, prompt: str | dict[str, Any], max_tokens: int, **sampling: Any) -> Completion:
        """The model's continuation of a raw, already rendered prompt.

        Args:
            prompt: text, in which special tokens are recognised and to which none are added; or, for a model that
                sees, llama.cpp's ``{"prompt_string", "multimodal_data"}``.
            max_tokens: the most tokens to generate.
            sampling: llama.cpp's settings by its names; greedy where none are given.

        Raises:
            UserError: the prompt does not fit into the context.
        """
        return self.complete_many([prompt], max_tokens, progress=False, **sampling)[0]

    def complete_many(
        self, prompts: Sequence[str | dict[str, Any]], max_tokens: int, *, progress: bool = True, **sampling: Any
    ) -> list[Completion]:
        """Continuations of many prompts, ``slots`` at a time, in the order given.

        All prompts are handed over in one request: which of them share a batch, and with it the last bits of every
        logit, then follows from the prompts alone and not from how fast client threads were. The same call gives the
        same answers.
        """
        from tqdm import tqdm

        if not prompts:
            return []
        encoded = [self.tokenize(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
        body = {
            **GREEDY,
            **sampling,
            "prompt": encoded,
            "n_predict": max_tokens,
            "cache_prompt": False,
            "stream": True,
        }
        gathered = [_Gathered() for _ in prompts]
        with tqdm(total=len(prompts), desc=self.gguf.name, unit="answer", disable=not progress) as bar:
            for row in self._stream("/completion", body):
                if gathered[row["index"]].add(row):
                    bar.update()
        return [answer.completion() for answer in gathered]

    def complete_ids(self, prompt: str, max_tokens: int) -> tuple[Completion, list[int]]:
        """The greedy continuation of one prompt, and the ids generated, the end-of-turn token included."""
        settings = {"n_predict": max_tokens, "cache_prompt": False, "return_tokens": True}
        row = self._post("/completion", {**GREEDY, **settings, "prompt": self.tokenize(prompt)})
        answer = _Gathered()
        answer.add({**row, "stop": True})
        return answer.completion(), row["tokens"]

    def tokenize(self, text: str) -> list[int]:
        """Token ids: special tokens in the text are recognised, none are added."""
        return self._post("/tokenize", {"content": text, "parse_special": True, "add_special": False})["tokens"]

    def detokenize(self, ids: Sequence[int]) -> str:
        """The text of token ids, special tokens included."""
        return self._post("/detokenize", {"tokens": list(ids)})["content"]

    def apply_template(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None) -> str:
        """Messages rendered by the chat template inside the GGUF, with the header of the next answer.

        Raises:
            UserError: llama.cpp cannot render the template.
        """
        body: dict[str, Any] = {"messages": messages}
        if tools:
            body["tools"] = tools
        return self._post("/apply-template", body)["prompt"]

    def props(self) -> dict[str, Any]:
        """The server's properties: chat_template, bos_token, eos_token, default_generation_settings and more."""
        return json.loads(self._request("GET", "/props", None).read())

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return json.loads(self._request("POST", path, body).read())

    def _stream(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The JSON values of a stream of server-sent events."""
        for line in self._request("POST", path, body):
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

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> http.client.HTTPResponse:
        if self._server is None:
            raise RuntimeError("use Server as a context manager")
        connection = http.client.HTTPConnection(self._host, self._port, timeout=READ_TIMEOUT)
        payload = None if body is None else json.dumps(body).encode()
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


class _Gathered:
    """The pieces of one streamed answer."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.last: dict[str, Any] = {}

    def add(self, row: dict[str, Any]) -> bool:
        """Takes one event; returns whether it was the answer's last."""
        self.pieces.append(row["content"])
        if row["stop"]:
            self.last = row
        return bool(row["stop"])

    def completion(self) -> Completion:
        return Completion(
            text="".join(self.pieces),
            tokens=self.last["tokens_predicted"],
            finish="length" if self.last["stop_type"] == "limit" else "stop",
            prompt_tokens=self.last["tokens_evaluated"],
        )


class LogitReader:
    """Full logits of a GGUF, computed by llama.cpp on the CPU with a key-value cache in float32.

    Args:
        gguf: the model.
        context: the most tokens one call of `logits` takes.
        threads: CPU threads; none given: one for each core.

    Raises:
        UserError: the file is missing or llama.cpp cannot load it.
    """

    def __init__(self, gguf: Path, *, context: int = 512, threads: int | None = None) -> None:
        _let_idle_threads_sleep()
        from cyllama.llama import llama_cpp

        llama_cpp.disable_logging()
        _must_be_gguf(gguf)
        self.gguf, self.context = gguf, context
        try:
            # cyllama reads the width of a logit row from `model.n_vocab`, which its own class lacks.
            model_class = type("Model", (llama_cpp.LlamaModel,), {"n_vocab": property(lambda m: m.get_vocab().n_vocab)})
            self._model = model_class(path_model=str(gguf), params=_model_params(llama_cpp))
            self._context = llama_cpp.LlamaContext(
                self._model, _context_params(llama_cpp, context, threads or os.cpu_count() or 1)
            )
        except (RuntimeError, ValueError, MemoryError) as error:
            raise _cannot_load(gguf, error) from error
        self._batch = llama_cpp.LlamaBatch(n_tokens=CHUNK, embd=0, n_seq_max=1)
        self.n_vocab: int = self._model.n_vocab

    def rows(self, ids: Sequence[int], positions: Sequence[int] | None = None) -> Iterator[np.ndarray]:
        """Logits at ``positions`` (ascending; none given: all), one row [vocab] of float32 at a time.

        Memory: the logits of `CHUNK` positions.

        Raises:
            UserError: there are no tokens, more than the context holds, or one that the vocabulary does not have.
        """
        if not 0 < len(ids) <= self.context:
            raise UserError(f"{self.gguf}: {len(ids)} tokens for a context of {self.context}; give 1 to that many.")
        if not 0 <= min(ids) <= max(ids) < self.n_vocab:
            raise UserError(
                f"{self.gguf}: token {max(ids)} in a vocabulary of {self.n_vocab}; convert the model again."
            )
        wanted = set(range(len(ids)) if positions is None else positions)
        self._context.kv_cache_clear()
        for start in range(0, len(ids), CHUNK):
            chunk = range(start, min(start + CHUNK, len(ids)))
            self._batch.clear()
            for position in chunk:
                self._batch.add(ids[position], position, [0], position in wanted)
            self._context.decode(self._batch)
            for position in chunk:
                if position in wanted:
                    yield np.asarray(self._context.get_logits_ith(position - start), dtype=np.float32)

    def logits(self, ids: Sequence[int]) -> np.ndarray:
        """Logits of every position, float32 [n, vocab]."""
        return np.stack(list(self.rows(ids)))

    def ends_generation(self, token: int) -> bool:
        """Whether llama.cpp stops when the model says this token."""
        return bool(self._model.get_vocab().is_eog(token))

    def tokenize(self, text: str) -> list[int]:
        """Token ids: special tokens in the text are recognised, none are added."""
        return list(self._model.get_vocab().tokenize(text, False, True))

    def close(self) -> None:
        """Gives the memory back."""
        self._batch.close()
        self._context.close()
        self._model.close()

    def __enter__(self) -> LogitReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _let_idle_threads_sleep() -> None:
    """Has OpenMP's threads sleep, not spin, while they wait for each other.

    Spinning costs a factor of six as soon as another program wants one of the cores. OpenMP reads this once, when it
    is loaded; what the user has set stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _model_params(llama_cpp: Any) -> Any:
    params = llama_cpp.LlamaModelParams()
    params.n_gpu_layers = 0
    return params


def _context_params(llama_cpp: Any, context: int, threads: int) -> Any:
    params = llama_cpp.LlamaContextParams()
    params.n_ctx = context
    params.n_batch = params.n_ubatch = CHUNK
    params.n_threads = params.n_threads_batch = threads
    params.flash_attn_type = 0
    params.type_k = params.type_v = GGML_TYPE_F32
    return params


def _must_be_gguf(path: Path) -> None:
    """Raises a `UserError` unless the file starts as a GGUF does."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; convert and quantise the model first, or check the path.")
    with path.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise UserError(f"{path}: not a GGUF file; delete it and build it again.")


def _cannot_load(path: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:200]
    return UserError(f"{path}: llama.cpp cannot load it ({reason}); delete it and build it again.")
