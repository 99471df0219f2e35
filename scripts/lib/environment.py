"""The environment variables of the workflow's jobs."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def prepare_jobs() -> None:
    """Sets the variables that jobs inherit: PATH, with this environment's programs first, and the converter's folder.

    QUESTLINE_BIN names another folder for PATH, in which tests put a fake ``python``.
    """
    programs = os.environ.get("QUESTLINE_BIN", str(Path(sys.executable).parent))
    os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])
    os.environ.setdefault("QUESTLINE_CONVERTER", str(Path(sys.prefix) / "converter"))
