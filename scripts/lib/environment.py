"""The environment that the workflow's jobs run in."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def prepare_jobs() -> None:
    """Sets what jobs inherit: this environment's programs first on PATH, the converter's folder.

    QUESTLINE_BIN names another folder for PATH: tests put a stand-in for ``python`` there.
    """
    programs = os.environ.get("QUESTLINE_BIN", str(Path(sys.executable).parent))
    os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])
    os.environ.setdefault("QUESTLINE_CONVERTER", str(Path(sys.prefix) / "converter"))
