"""The environment that the workflow's jobs run in."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def prepare_jobs(root: Path) -> None:
    """Sets what jobs inherit: programs of this environment first on PATH, the converter's folder, where scripts/ is.

    A workflow that uses this one as a module runs its jobs in a folder of its own, which holds no scripts/.

    QUESTLINE_BIN names another folder for PATH: tests put a stand-in for ``python`` there.
    """
    programs = os.environ.get("QUESTLINE_BIN", str(Path(sys.executable).parent))
    os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])
    if root != Path.cwd():
        paths = [str(root), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    os.environ.setdefault("QUESTLINE_CONVERTER", str(Path(sys.prefix) / "converter"))
