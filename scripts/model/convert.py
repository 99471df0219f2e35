"""Converts merged weights into a GGUF file of 16-bit floats, with llama.cpp's own converter.

The converter has a folder of its own (`make setup` fills it), because it brings a `gguf` package that would overwrite
this project's. The same model gives the same bytes, whatever its folder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from scripts.lib.cli import StageParser, UserError, run, say
from scripts.lib.files import atomic_path, read_json
from scripts.model import converter_shim
from scripts.model.tensors import read_model

CONVERTER_VARIABLE = "QUESTLINE_CONVERTER"
CONVERTER_FOLDER = Path(".venv/converter")
CONVERTER_MODULE = "convert_hf_to_gguf.py"
PROJECT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.2
ERROR_PREFIXES = ("ERROR", "CRITICAL")  # of the converter's log lines
EXCEPTION_SUFFIXES = ("Error", "Exception", "Interrupt")


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__, params=False)
    stage.add_argument("--model", type=Path, required=True, help="folder of merged weights, config and tokenizer")
    stage.add_argument("--out", type=Path, help="the GGUF file to write")
    stage.add_argument("--name", help="the model's name inside the file; default: its architecture")
    stage.add_argument("--mmproj", type=Path, help="the projector of a vision-language model, instead or as well")
    stage.add_argument("--converter", type=Path, default=converter_dir(), help="folder of the converter")
    return stage


def converter_dir() -> Path:
    """The converter's folder: the environment's QUESTLINE_CONVERTER, else the folder that `make setup` fills."""
    return Path(os.environ.get(CONVERTER_VARIABLE) or CONVERTER_FOLDER)


def main(args: argparse.Namespace) -> None:
    """Converts the model, the projector, or both.

    Raises:
        UserError: neither is asked for, or as `convert`.
    """
    wanted = [(out, mmproj) for out, mmproj in ((args.out, False), (args.mmproj, True)) if out]
    if not wanted:
        raise UserError("nothing to write; name --out, --mmproj or both.")
    for out, mmproj in wanted:
        log = args.log.with_suffix(".converter.log") if args.log else out.with_name(out.name + ".log")
        convert(args.model, out, args.converter, log, mmproj=mmproj, name=args.name)
        if not args.log:
            log.unlink()
        say(f"{out}: {out.stat().st_size / 1e6:,.1f} MB")


def convert(
    model: Path, out: Path, converter: Path, log: Path, *, mmproj: bool = False, name: str | None = None
) -> None:
    """Writes ``out`` atomically; the converter's output goes to ``log``.

    Raises:
        UserError: there is no converter, the model is damaged, or the converter fails (with its reason and the log).
    """
    environment = converter_environment(converter)
    size = sum(tensor.size for tensor in read_model(model).values())
    # Without a name the converter writes the folder's name, and the bytes would depend on the folder.
    name = name or str(read_json(model / "config.json").get("model_type", "model"))
    # -P keeps the working folder off the module path: only the folders on PYTHONPATH are imported from.
    command = [sys.executable, "-P", "-m", converter_shim.__name__, str(model.resolve())]
    command += ["--outtype", "f16", "--model-name", name, *(["--mmproj"] if mmproj else [])]
    log.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(out) as part:
        with log.open("ab" if mmproj else "wb") as stream:
            code = run_converter([*command, "--outfile", str(part.resolve())], environment, part, size, stream)
        with part.open("rb") as stream:
            is_gguf = stream.read(4) == b"GGUF"
        if code or not is_gguf:
            raise UserError(
                f"{model}: the GGUF converter failed ({reason(log)}); its full output is in {log}; check that "
                "llama.cpp supports this architecture and that the model's folder is whole."
            )


def run_converter(command: list[str], environment: dict[str, str], part: Path, size: int, log: BinaryIO) -> int:
    """Runs the converter with a progress bar of the size of ``part`` in bytes; returns the exit code."""
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:
        with tqdm(total=size, desc="convert", unit="B", unit_scale=True) as bar:
            while process.poll() is None:
                bar.update(max(0, min(size, part.stat().st_size) - bar.n))
                time.sleep(POLL_SECONDS)
            if process.returncode == 0:
                bar.update(size - bar.n)
    finally:
        process.kill()  # has no effect on a process that has ended
        process.wait()
    return process.returncode


def converter_environment(converter: Path) -> dict[str, str]:
    """The environment variables of a process that imports the converter.

    Raises:
        UserError: there is no converter.
    """
    if not (converter / CONVERTER_MODULE).is_file():
        raise UserError(f"{converter}: the GGUF converter is not there; run `make setup`, or name its folder.")
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([str(converter.resolve()), str(PROJECT)]),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def reason(log: Path) -> str:
    """Why a program failed, in one line of its output: a traceback's last line, else the last error, else the last."""
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"]
    exception = lines[-1].split(":", 1)[0]
    if exception.isidentifier() and exception.endswith(EXCEPTION_SUFFIXES):
        last = lines[-1]
    else:
        last = ([line for line in lines if line.startswith(ERROR_PREFIXES)] or lines)[-1]
    return last[:300].rstrip(".")


if __name__ == "__main__":
    run(parser, main)
