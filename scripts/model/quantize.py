"""Quantises a GGUF file of 16-bit floats to a smaller type.

The program is a `llama-quantize` named in the parameters or found on PATH, else llama.cpp's own function in cyllama.
"""

from __future__ import annotations

import argparse
import difflib
import shutil
import subprocess
import threading
from collections import Counter
from pathlib import Path

from pydantic import Field

from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import atomic_path
from scripts.lib.options.strict import Options
from scripts.lib.process import job_threads
from scripts.model.gguf_file import GgufFile

PROGRAM = "llama-quantize"
FLOATS = ("F32", "F16", "BF16")
_LOGGING = threading.Lock()  # llama.cpp has one log callback a process; a thread must not free another's
ALIASES = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}  # llama-quantize's own


class QuantizeOptions(Options):
    """How a file is quantised."""

    llama_quantize: str | None = None
    """a llama-quantize program; else the one on PATH, else cyllama's"""
    threads: int = Field(default=0, ge=0)
    """0: one for each core; the bytes do not depend on it"""


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--model", type=Path, required=True, help="the f16 GGUF file")
    stage.add_argument("--type", required=True, help="a llama.cpp type, such as Q4_K_M")
    stage.add_argument("--out", type=Path, required=True, help="the GGUF file to write")
    return stage


def main(args: argparse.Namespace) -> None:
    """Quantises one file and says how many tensors of each type it holds."""
    options = QuantizeOptions.parse(load_params(args.params))
    name = type_name(args.type)
    quantize(args.model, args.out, name, options)
    tensors = GgufFile(args.out).tensors
    counts = Counter(tensor.type for tensor in tensors.values())
    types = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    say(f"{args.out}: {name}, {args.out.stat().st_size / 1e6:,.1f} MB, {len(tensors)} tensors ({types})")


def file_types() -> dict[str, int]:
    """llama.cpp's file types by name: ``{"Q4_K_M": 15, "Q8_0": 7, ...}``."""
    from gguf import LlamaFileType

    return {kind.name.split("_", 1)[1]: int(kind) for kind in LlamaFileType if kind.name != "GUESSED"}


def type_name(given: str) -> str:
    """The canonical name of a type.

    Raises:
        UserError: llama.cpp has no such type (the nearest is named), or it is not a quantised one.
    """
    name = given.upper().replace("-", "_")
    name = ALIASES.get(name, name)
    known = [kind for kind in file_types() if kind not in FLOATS]
    if name in FLOATS:
        raise UserError(f"{given}: not a quantised type, the f16 file is there already; choose Q8_0 or one smaller.")
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known types: {', '.join(known)}."
        raise UserError(f"{given}: llama.cpp has no such type; {hint}")
    return name


def quantize(model: Path, out: Path, name: str, options: QuantizeOptions) -> None:
    """Writes ``out`` atomically, after checking that it is complete and of the type asked for.

    Raises:
        UserError: the source is not a complete f16 GGUF, the program is missing or fails, or its result is incomplete.
    """
    source, types = GgufFile(model), file_types()
    if source.file_type not in {types[kind] for kind in FLOATS}:
        raise UserError(f"{model}: is quantised already; quantise from the f16 file, or quality is lost twice.")
    program = shutil.which(options.llama_quantize or PROGRAM)
    if options.llama_quantize and not program:
        raise UserError(f"export.llama_quantize: {options.llama_quantize} is not a program; correct or remove the key.")
    threads = options.threads or job_threads()
    with atomic_path(out) as part:
        if program:
            command = [program, str(model), str(part), name, str(threads)]
            process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            if process.returncode != 0:
                raise _failure(model, name, program, process.stdout.decode("utf-8", "replace").splitlines())
        else:
            _quantize_with_cyllama(model, part, name, types[name], threads)
        result = GgufFile(part)
        if result.file_type != types[name] or result.tensors.keys() != source.tensors.keys():
            raise UserError(
                f"{out}: the quantised file is not a {name} of the same {len(source.tensors)} tensors; "
                "the program that wrote it does not fit, leave export.llama_quantize out to use cyllama."
            )


def _quantize_with_cyllama(model: Path, part: Path, name: str, file_type: int, threads: int) -> None:
    from cyllama.llama import llama_cpp

    lines: list[str] = []
    params = llama_cpp.LlamaModelQuantizeParams()
    params.ftype = file_type
    params.nthread = threads
    with _LOGGING:
        llama_cpp.set_log_callback(lambda level, text: lines.append(text))
        try:
            llama_cpp.model_quantize(str(model), str(part), params)
        except RuntimeError as error:
            raise _failure(model, name, "cyllama", [*lines, str(error)]) from error
        finally:
            llama_cpp.disable_logging()


def _failure(model: Path, name: str, program: str, output: list[str]) -> UserError:
    lines = [" ".join(line.split()) for line in output if line.strip()] or ["it said nothing"]
    reason = next((line for line in lines if "fail" in line.lower() or "error" in line.lower()), lines[0])
    hint = "choose another type, such as Q4_K_M"
    if any("importance matrix" in line.lower() for line in lines):
        hint = "this type needs an importance matrix; choose a K-quant, such as Q3_K_M, instead"
    return UserError(f"{model}: {program} could not quantise it to {name} ({reason[:300].rstrip('.')}); {hint}.")


if __name__ == "__main__":
    run(parser, main)
