"""Converts merged weights into a GGUF file of 16-bit floats, with llama.cpp's own converter.

The converter lives in a folder of its own (`make setup` fills it), because it brings a `gguf` package that would
overwrite this project's. The same model gives the same bytes, wherever it lies.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

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
# Lines of the converter that say what went wrong start like one of these, or end a traceback.
TELLING = ("ERROR", "CRITICAL")


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__, params=False)
    stage.add_argument("--model", type=Path, required=True, help="folder of merged weights, config and tokenizer")
    stage.add_argument("--out", type=Path, help="the GGUF file to write")
    stage.add_argument("--name", help="the model's name inside the file; none given: its architecture")
    stage.add_argument("--mmproj", type=Path, help="the projector of a model that sees, to write instead or as well")
    stage.add_argument("--converter", type=Path, default=converter_dir(), help="folder of the converter")
    return stage


def converter_dir() -> Path:
    """Where the converter lies: the environment's QUESTLINE_CONVERTER, else the folder that `make setup` fills."""
    return Path(os.environ.get(CONVERTER_VARIABLE) or CONVERTER_FOLDER)


def main(args: argparse.Namespace) -> None:
    """Runs the stage."""
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
    """Writes ``out`` atomically; everything the converter says goes to ``log``.

    Raises:
        UserError: there is no converter, the model is damaged, or the converter fails (with its reason and the log).
    """
    converter_environment(converter)
    size = sum(tensor.size for tensor in read_model(model).values())
    log.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(out) as part, log.open("ab" if mmproj else "wb") as stream:
        code = _run(_command(model, part, name, mmproj), converter, part, size, stream)
        stream.flush()
        if code == 0 and _produced(part):
            return
        raise UserError(
            f"{model}: the GGUF converter failed ({reason(log)}); its full output is in {log}; check that "
            "llama.cpp supports this architecture and that the model's folder is whole."
        )


def _command(model: Path, part: Path, name: str | None, mmproj: bool) -> list[str]:
    # Without a name the converter writes the folder's, and the bytes would depend on where the model lies.
    name = name or str(read_json(model / "config.json").get("model_type", "model"))
    # -P keeps the working folder off the module path: only what the environment names is imported.
    command = [sys.executable, "-P", "-m", converter_shim.__name__, str(model.resolve())]
    command += ["--outfile", str(part.resolve()), "--outtype", "f16", "--model-name", name]
    return [*command, "--mmproj"] if mmproj else command


def _run(command: list[str], converter: Path, part: Path, size: int, log: object) -> int:
    """Runs the converter and shows how far the file has grown; returns its exit code."""
    environment = converter_environment(converter)
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)  # type: ignore[call-overload]
    try:
        with tqdm(total=size, desc="convert", unit="B", unit_scale=True) as bar:
            while process.poll() is None:
                grown = min(size, part.stat().st_size) - bar.n
                if grown > 0:
                    bar.update(grown)
                time.sleep(POLL_SECONDS)
            if process.returncode == 0:
                bar.update(size - bar.n)
    finally:
        process.kill()  # of no effect on one that has ended
        process.wait()
    return process.returncode


def converter_environment(converter: Path) -> dict[str, str]:
    """The variables of a process that imports the converter.

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


def _produced(part: Path) -> bool:
    with part.open("rb") as stream:
        return stream.read(4) == b"GGUF"


def reason(log: Path) -> str:
    """What went wrong, in one line, from a program's output: its last error line, else its last line."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(TELLING)]
    last = (telling or lines or ["it said nothing"])[-1]
    if lines and _is_exception(lines[-1]):
        last = lines[-1]
    return last[:300].rstrip(".")


def _is_exception(line: str) -> bool:
    name = line.split(":", 1)[0]
    return name.isidentifier() and name.endswith(("Error", "Exception", "Interrupt"))


if __name__ == "__main__":
    run(parser, main)
