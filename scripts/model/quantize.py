"""Quantises a GGUF file of 16-bit floats to a smaller type.

A `llama-quantize` named in the parameters or found on PATH does it, else llama.cpp's own function inside cyllama.
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
_LOGGING = threading.Lock()  # llama.cpp logs to one callback a process; one thread must not free another's
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
    """Runs the stage."""
    options = QuantizeOptions.parse(load_params(args.params))
    name = type_name(args.type)
    quantize(args.model, args.out, name, options)
    result = GgufFile(args.out)
    kinds = Counter(tensor.type for tensor in result.tensors.values())
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    say(f"{args.out}: {name}, {args.out.stat().st_size / 1e6:,.1f} MB, {len(result.tensors)} tensors ({told})")


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
    """Writes ``out`` atomically, after checking that it is whole and of the type asked for.

    Raises:
        UserError: the source is not a whole f16 GGUF, the program is missing or fails, or its result is not whole.
    """
    source = GgufFile(model)
    if source.file_type not in {file_types()[kind] for kind in FLOATS}:
        raise UserError(f"{model}: is quantised already; quantise from the f16 file, or quality is lost twice.")
    program = find_program(options.llama_quantize)
    threads = options.threads or job_threads()
    with atomic_path(out) as part:
        if program is not None:
            _with_program(program, model, part, name, threads)
        else:
            _with_cyllama(model, part, name, threads)
        _check(GgufFile(part), source, out, name)


def find_program(named: str | None) -> Path | None:
    """The llama-quantize to use, None for cyllama.

    Raises:
        UserError: one is named, and it is not there or is not a program.
    """
    found = shutil.which(named or PROGRAM)
    if named and not found:
        raise UserError(f"export.llama_quantize: {named} is not a program; correct the path, or leave the key out.")
    return Path(found) if found else None


def _with_program(program: Path, model: Path, part: Path, name: str, threads: int) -> None:
    command = [str(program), str(model), str(part), name, str(threads)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if result.returncode != 0:
        raise _failed(model, name, str(program), result.stdout.decode("utf-8", "replace").splitlines())


def _with_cyllama(model: Path, part: Path, name: str, threads: int) -> None:
    from cyllama.llama import llama_cpp

    said: list[str] = []
    params = llama_cpp.LlamaModelQuantizeParams()
    params.ftype = file_types()[name]
    params.nthread = threads
    with _LOGGING:
        llama_cpp.set_log_callback(lambda level, text: said.append(text))
        try:
            llama_cpp.model_quantize(str(model), str(part), params)
        except RuntimeError as error:
            raise _failed(model, name, "cyllama", [*said, str(error)]) from error
        finally:
            llama_cpp.disable_logging()


def _failed(model: Path, name: str, program: str, lines: list[str]) -> UserError:
    telling = [" ".join(line.split()) for line in lines if "fail" in line.lower() or "error" in line.lower()]
    why = (telling or [line.strip() for line in lines if line.strip()] or ["it said nothing"])[0][:300].rstrip(".")
    hint = "choose another type, such as Q4_K_M"
    if any("importance matrix" in line.lower() for line in lines):
        hint = "this type needs an importance matrix; choose a K-quant, such as Q3_K_M, instead"
    return UserError(f"{model}: {program} could not quantise it to {name} ({why}); {hint}.")


def _check(result: GgufFile, source: GgufFile, out: Path, name: str) -> None:
    """Raises a `UserError` unless the result is of the type asked for and holds the source's tensors."""
    if result.file_type != file_types()[name] or result.tensors.keys() != source.tensors.keys():
        raise UserError(
            f"{out}: the quantised file is not a {name} of the same {len(source.tensors)} tensors; "
            "the program that wrote it does not fit, leave export.llama_quantize out to use cyllama."
        )


if __name__ == "__main__":
    run(parser, main)
