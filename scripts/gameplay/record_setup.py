"""Installs what the recorder needs (envs/record.txt), and on Debian and Ubuntu what its tests need.

python -m scripts.gameplay.record_setup
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from scripts.lib.cli import StageParser, UserError, run, say
from scripts.setup import ENVS, pip_flags

PROGRAMS = {"Xvfb": "xvfb", "xdotool": "xdotool"}  # with their Debian packages


def parser() -> StageParser:
    """The command's arguments."""
    return StageParser(__doc__, params=False)


def main(_: object) -> None:
    """Installs the packages, then the programs where that is allowed.

    Raises:
        UserError: pip or apt-get failed.
    """
    if subprocess.run(pip_command(sys.platform)).returncode:
        raise UserError("pip could not install envs/record.txt; see its message above, then run this again.")
    say("recorder: installed; start it with `.venv/bin/python -m scripts.gameplay.record --out my/play`")
    lacking = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if not (sys.platform.startswith("linux") and lacking):
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *lacking]
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        say(f"its tests also need {' and '.join(lacking)}: {advice(command)}")
    elif subprocess.run(command).returncode:
        raise UserError(f"apt-get could not install {' and '.join(lacking)}; run `apt-get update`, then this again.")


def pip_command(platform: str) -> list[str]:
    """What installs envs/record.txt; on Linux without the packages that it leaves out on purpose."""
    alone = ["--no-deps"] if platform.startswith("linux") else []
    given = ["-r", str(ENVS / "record.txt"), "-c", str(ENVS / "constraints.txt")]
    return [sys.executable, "-m", "pip", "install", *pip_flags(), *alone, *given]


def advice(command: list[str]) -> str:
    """How a person gets programs that this user may not install."""
    if shutil.which("apt-get") is None:
        return "install them with this system's package manager (only the tests use them)"
    return f"sudo {' '.join(command)}"


if __name__ == "__main__":
    run(parser, main)
