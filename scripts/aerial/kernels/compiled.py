"""Compiling by numba, and where the machine code is kept for the next process."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numba

Function = TypeVar("Function", bound=Callable)


@functools.cache
def machine_code() -> Path | None:
    """The folder that keeps machine code: inside the environment, beside its bytecode; None where it is read-only.

    numba compiles again when a function's own file changes, but not when a function that it calls in another file
    does. So the folder's name is a hash of all files of this package. NUMBA_CACHE_DIR replaces the folder above it.
    """
    files = sorted(Path(__file__).parent.glob("*.py"))
    content = hashlib.sha256(b"".join([numba.__version__.encode(), *(file.read_bytes() for file in files)]))
    root = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(sys.prefix) / "numba")
    folder = root / content.hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def compiled(function: Function) -> Function:
    """The function as machine code, compiled at its first call; in a read-only environment by every process again.

    Division by zero gives infinity or NaN, as in numpy.
    """
    folder = machine_code()
    if folder is None:
        return numba.njit(error_model="numpy")(function)
    numba.config.CACHE_DIR = str(folder)
    return numba.njit(error_model="numpy", cache=True)(function)
