"""Installs the packages that the recorder needs (envs/record.txt), and on Debian and Ubuntu those of its tests.

python -m scripts.gameplay.record_setup
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from scripts.lib.cli import StageParser, UserError, run, say
from scripts.setup import ENVS, pip_flags

PROGRAMS = {"Xvfb": "xvfb", "xdotool": "xdotool"}  # program: Debian package


def parser() -> StageParser:
    """The command's arguments."""
    return StageParser(__doc__, params=False)


def main(_: object) -> None:
    """Installs the packages, then the programs if this user may.

    Raises:
        UserError: pip or apt-get failed.
    """
    if subprocess.run(pip_command(sys.platform)).returncode:
        raise UserError("pip could not install envs/record.txt; see its message above, then run this again.")
    say("recorder: installed; start it with `.venv/bin/python -m scripts.gameplay.record --out my/play`")
    lacking = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if not (sys.platform.startswith("linux") and lacking):
        return
    names = " and ".join(lacking)
    command = ["apt-get", "install", "-y", "--no-install-recommends", *lacking]
    if shutil.which("apt-get") is None:
        manager = "install them with this system's package manager (only the tests use them)"
        say(f"its tests also need {names}: {manager}")
    elif os.geteuid() != 0:
        say(f"its tests also need {names}: sudo {' '.join(command)}")
    elif subprocess.run(command).returncode:
        raise UserError(f"apt-get could not install {names}; run `apt-get update`, then this again.")


def pip_command(platform: str) -> list[str]:
    """The command that installs envs/record.txt; on Linux without dependencies, since one needs a compiler."""
    alone = ["--no-deps"] if platform.startswith("linux") else []
    files = ["-r", str(ENVS / "record.txt"), "-c", str(ENVS / "constraints.txt")]
    return [sys.executable, "-m", "pip", "install", *pip_flags(), *alone, *files]


if __name__ == "__main__":
    run(parser, main)
