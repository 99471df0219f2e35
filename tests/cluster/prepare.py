"""Installs what the cluster test needs: Slurm and munge from Debian's packages, and the executor plugin.

python tests/cluster/prepare.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from onenode import PROGRAMS, search_path

ENVS = Path(__file__).resolve().parents[2] / "envs"


def main() -> int:
    """Installs; returns an exit code."""
    if any(shutil.which(name, path=search_path()) is None for name in PROGRAMS):
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            print("error: install Slurm and munge first (Debian, as root: apt-get install slurm-wlm munge).")
            return 2
        for command in (["update"], ["install", "-y", "slurm-wlm", "munge"]):
            quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            if subprocess.run(["apt-get", "-q", *command], env=quiet).returncode:
                print("error: apt-get failed, see above; then run this again.")
                return 2
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return subprocess.run([*pip, "-r", str(ENVS / "cluster.txt"), "-c", str(ENVS / "constraints.txt")]).returncode


if __name__ == "__main__":
    sys.exit(main())
