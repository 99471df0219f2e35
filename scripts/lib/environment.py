"""The environment that the workflow's jobs run in."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def prepare_jobs() -> None:
    """Sets what jobs inherit: this environment's programs first on PATH, the converter's folder, the allocator.

    QUESTLINE_BIN names another folder for PATH: tests put a stand-in for ``python`` there.
    """
    programs = os.environ.get("QUESTLINE_BIN", str(Path(sys.executable).parent))
    os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])
    os.environ.setdefault("QUESTLINE_CONVERTER", str(Path(sys.prefix) / "converter"))
    # glibc gives every large tensor back to the system and takes it anew, page by page: on a virtual machine a fifth of
    # the time of answering (23.7 s instead of 29.9 for 7 answers of SmolLM2, one run each). Others ignore these.
    os.environ.setdefault("MALLOC_MMAP_MAX_", "0")
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(8 << 30))
