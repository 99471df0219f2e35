"""Full logits of a GGUF, through llama.cpp itself (cyllama); and checks that every use of llama.cpp shares."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import takewhile
from pathlib import Path

import numpy as np

from scripts.lib.cli import UserError
from scripts.lib.process import job_threads

GGML_TYPE_F32 = 0
CHUNK = 64  # tokens whose logits are in memory at a time: 40 MB for a vocabulary of 152k


class LogitReader(AbstractContextManager):
    """Full logits of a GGUF, computed by llama.cpp on the CPU with a key-value cache in float32.

    Args:
        gguf: the model.
        context: the largest number of tokens of one text.

    Raises:
        UserError: the file is missing or llama.cpp cannot load it.
    """

    def __init__(self, gguf: Path, *, context: int = 512) -> None:
        let_idle_threads_sleep()
        from cyllama.llama import llama_cpp

        llama_cpp.disable_logging()
        must_be_gguf(gguf)
        self.gguf, self.context = gguf, context
        try:
            # cyllama reads the width of a logit row from `model.n_vocab`, which its own class lacks.
            model_class = type("Model", (llama_cpp.LlamaModel,), {"n_vocab": property(lambda m: m.get_vocab().n_vocab)})
            model_params = llama_cpp.LlamaModelParams()
            model_params.n_gpu_layers = 0
            self._model = model_class(path_model=str(gguf), params=model_params)
            params = llama_cpp.LlamaContextParams()
            params.n_ctx = context
            params.n_batch = params.n_ubatch = CHUNK
            params.n_threads = params.n_threads_batch = job_threads()
            params.flash_attn_type = 0
            params.type_k = params.type_v = GGML_TYPE_F32
            self._context = llama_cpp.LlamaContext(self._model, params)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise cannot_load(gguf, error) from error
        self._batch = llama_cpp.LlamaBatch(n_tokens=CHUNK, embd=0, n_seq_max=1)
        self._cached: list[int] = []  # tokens whose keys and values are in the cache
        self.n_vocab: int = self._model.n_vocab

    def rows(
        self, ids: Sequence[int], positions: Sequence[int] | None = None, *, first: int = 0
    ) -> Iterator[np.ndarray]:
        """Logits at ``positions`` in ascending order (default: all from ``first`` on), a float32 row [vocab] each.

        Memory: the logits of `CHUNK` positions. A prefix shared with the previous text is not computed again, in whole
        chunks, so that the values are the same bytes either way.

        Raises:
            UserError: there are no tokens, more than the context holds, or one outside the vocabulary.
        """
        if not 0 < len(ids) <= self.context:
            raise UserError(f"{self.gguf}: {len(ids)} tokens for a context of {self.context}; give 1 to that many.")
        if not 0 <= min(ids) <= max(ids) < self.n_vocab:
            raise UserError(f"{self.gguf}: token {max(ids)} in a vocabulary of {self.n_vocab}; convert it again.")
        wanted = set(range(first, len(ids)) if positions is None else positions)
        end = max(wanted, default=-1) + 1
        for start in range(self._reuse(ids, min(wanted, default=0)), end, CHUNK):
            chunk = range(start, min(start + CHUNK, end))
            self._batch.clear()
            for position in chunk:
                self._batch.add(ids[position], position, [0], position in wanted)
            self._context.decode(self._batch)
            self._cached += ids[start : chunk.stop]
            for position in chunk:
                if position in wanted:
                    yield np.asarray(self._context.get_logits_ith(position - start), dtype=np.float32)

    def _reuse(self, ids: Sequence[int], first: int) -> int:
        """Removes all but a prefix of ``ids`` from the cache; returns the length of the prefix, at most ``first``."""
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(self._cached, ids, strict=False)))
        kept = min(same, first) // CHUNK * CHUNK
        if not (kept and self._context.memory_seq_rm(0, kept, -1)):
            kept = 0
            self._context.kv_cache_clear()
        del self._cached[kept:]
        return kept

    def ends_generation(self, token: int) -> bool:
        """Whether llama.cpp stops at this token."""
        return bool(self._model.get_vocab().is_eog(token))

    def __exit__(self, *_: object) -> None:
        self._batch.close()
        self._context.close()
        self._model.close()


def let_idle_threads_sleep() -> None:
    """Makes OpenMP's threads sleep instead of spin while they wait for each other.

    Spinning is six times slower as soon as another program uses one of the cores. OpenMP reads the variable once, when
    it is loaded; a value set by the user stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def must_be_gguf(path: Path) -> None:
    """Raises a `UserError` unless the file starts as a GGUF does."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; convert and quantise the model first, or check the path.")
    with path.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise UserError(f"{path}: not a GGUF file; delete it and build it again.")


def cannot_load(path: Path, error: Exception) -> UserError:
    """The error for a file that llama.cpp refuses."""
    reason = " ".join(str(error).split())[:200]
    return UserError(f"{path}: llama.cpp cannot load it ({reason}); delete it and build it again.")
