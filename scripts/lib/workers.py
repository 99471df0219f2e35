"""Helper processes for stages with much work in Python itself; none for little work, or where a job has one thread."""

from __future__ import annotations

import multiprocessing
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, TypeVar

from scripts.lib.process import job_threads

Part = TypeVar("Part")
Result = TypeVar("Result")
AHEAD = 2  # parts that wait for each process, so that a long input is never held whole


class Workers:
    """As many processes as the job may use threads, as a context manager.

    Args:
        wanted: False where the work is not worth starting processes; this process then does everything.

    Functions must be those of a module; arguments and results must pickle.
    """

    def __init__(self, wanted: bool = True) -> None:
        self.count = job_threads() if wanted else 1
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        if self.count > 1:
            # Forking is fast, and safe on Linux as long as no other thread runs; elsewhere a new process starts.
            method = "fork" if sys.platform == "linux" else "spawn"
            self._pool = ProcessPoolExecutor(self.count, multiprocessing.get_context(method))
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def each(self, function: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        """The function's result for every part, in the parts' order."""
        if self._pool is None:
            yield from map(function, parts)
            return
        waiting: deque[Future] = deque()
        for part in parts:
            waiting.append(self._pool.submit(function, part))
            if len(waiting) > AHEAD * self.count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def start(self, function: Callable[..., Result], *args: Any) -> Callable[[], Result]:
        """Starts the function beside this process; returns a function that waits for its result."""
        return (lambda: function(*args)) if self._pool is None else self._pool.submit(function, *args).result
