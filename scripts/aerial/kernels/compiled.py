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

    numba compiles anew when a function's own file changes, but not when a function that it calls does, in another
    file. So the folder is named by what all files of this package hold. NUMBA_CACHE_DIR takes precedence.
    """
    content = hashlib.sha256(numba.__version__.encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        content.update(file.read_bytes())
    root = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(sys.prefix) / "numba")
    folder = root / content.hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def compiled(function: Function) -> Function:
    """The function as machine code, made at its first call; in a read-only environment by every process anew.

    Division by zero gives infinity or NaN, as in numpy.
    """
    folder = machine_code()
    if folder is None:
        return numba.njit(error_model="numpy")(function)
    numba.config.CACHE_DIR = str(folder)
    return numba.njit(error_model="numpy", cache=True)(function)
