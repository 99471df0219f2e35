"""Looks over this machine and this checkout: what is there, what is missing, what to do, what to type next.

    python -m scripts.doctor [--verbose] [--json] [--configfile config/learn.yaml]

The exit code is 1 where a row failed that the configured runs cannot do without.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from scripts.config import SharedConfig, load_files
from scripts.contract import MemoryEstimate
from scripts.lib.cli import UserError, run
from scripts.lib.options.run import LanguageRun, Run
from scripts.setup import ENVS, OLDEST
from scripts.summary import verify_command
from scripts.systems import SYSTEMS

GB = 1e9
DEFAULT = Path("config/demo.yaml")
# Bytes a parameter while training an adapter: weights, plus activations and the adapter's optimizer, as measured on
# SmolLM2-135M (batch 4 x 500 tokens, bf16: 2.2 GB resident, of which 0.9 GB is the libraries).
WEIGHT_BYTES = {"16bit": 2.0, "8bit": 1.0, "4bit": 0.6}
LIBRARIES_GB = 0.9
ACTIVATIONS_GB_PER_BILLION = 6.0
# On disk: base, merged and f16 GGUF at two bytes a parameter, quants at about 0.6 and 1.1, checkpoints small.
DISK_BYTES = 2.0 * 3 + 1.7


@dataclass
class Row:
    """One finding. ``needed`` says whether the runs can go on without it."""

    name: str
    ok: bool
    found: str
    advice: str = ""
    needed: bool = True


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    command = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    command.add_argument("--configfile", nargs="+", type=Path, default=[DEFAULT])
    command.add_argument("--verbose", action="store_true", help="every package with its version")
    command.add_argument("--json", action="store_true", help="rows as JSON lines")
    return command


def main(args: argparse.Namespace) -> int:
    """Prints the rows, the score and the next command."""
    config = load_files(*args.configfile)
    rows = list(examine(config, verbose=args.verbose))
    if args.json:
        for row in rows:
            print(json.dumps(asdict(row)))
    else:
        show(rows)
        print(f"next: {next_command(config, rows, args.configfile)}")
    return int(any(not row.ok and row.needed for row in rows))


def examine(config: SharedConfig, *, verbose: bool) -> Iterator[Row]:
    """All findings, in the order a person would mend them."""
    yield check_python()
    yield from check_packages(verbose=verbose)
    yield check_converter()
    gpu, device_gb = check_gpu()
    yield gpu
    yield check_disk(config)
    memory = available_memory_gb()
    yield Row("memory", memory > 4, f"{memory:.1f} GB available", "close other programs: 4 GB is the least")
    for one in config.runs():
        if isinstance(one, LanguageRun):
            yield check_run(config, one, device_gb or memory, "GPU memory" if device_gb else "memory")
        elif estimate := SYSTEMS[one.system].training_memory:
            yield check_estimate(one, estimate)
        yield check_rows(one.system, one.name)


def check_python() -> Row:
    """The interpreter's version."""
    wanted = ".".join(map(str, OLDEST))
    return Row("python", sys.version_info >= OLDEST, platform.python_version(), f"install Python {wanted} or newer")


def check_packages(*, verbose: bool) -> Iterator[Row]:
    """Every pinned package of envs/demo.txt and models.txt; one row, or one each."""
    wrong = []
    pins = [*pinned("demo.txt"), *pinned("models.txt")]
    for name, wanted in pins:
        try:
            there = version(name).split("+")[0]
        except PackageNotFoundError:
            there = "missing"
        if there != wanted:
            wrong.append(f"{name} {there} instead of {wanted}")
        if verbose:
            yield Row(f"  {name}", there == wanted, there, f"make setup (wants {wanted})")
    found = "; ".join(wrong) or f"{len(pins)} as pinned"
    yield Row("packages", not wrong, found, "make setup")


def pinned(name: str) -> list[tuple[str, str]]:
    """(package, version) of a pinned file."""
    return re.findall(r"^([\w.-]+)==([\w.]+)", (ENVS / name).read_text(), re.MULTILINE)


def check_converter() -> Row:
    """llama.cpp's converter, in its folder of its own."""
    folder = Path(sys.prefix) / "converter"
    there = (folder / "convert_hf_to_gguf.py").is_file()
    return Row("GGUF converter", there, str(folder) if there else "missing", "make setup")


def check_gpu() -> tuple[Row, float | None]:
    """The first CUDA device, with memory and compute capability; its free memory in GB, or None."""
    if importlib.util.find_spec("torch") is None:
        return Row("GPU", False, "torch is not installed", "make setup", needed=False), None
    import torch

    if not torch.cuda.is_available():
        apple = "Apple GPU through MPS" if torch.backends.mps.is_available() else "none"
        advice = "demo and learn need none; for config/full.yaml use a CUDA machine"
        return Row("GPU", False, f"{apple}; {os.cpu_count()} CPU cores", advice, needed=False), None
    free, total = torch.cuda.mem_get_info()
    major, minor = torch.cuda.get_device_capability()
    found = (
        f"{torch.cuda.get_device_name()}, {total / GB:.0f} GB, CUDA {torch.version.cuda}, capability {major}.{minor}"
    )
    return Row("GPU", True, found, needed=False), free / GB


def check_disk(config: SharedConfig) -> Row:
    """Free space against what the configured runs will write, bases counted once."""
    bases = [one.base for one in config.runs() if isinstance(one, LanguageRun)]
    need = sum(2.0 * (config.bases[name].billions or 1.0) for name in set(bases))
    need += sum(DISK_BYTES * (config.bases[name].billions or 1.0) for name in bases)
    free = shutil.disk_usage(Path.cwd()).free / GB
    advice = "free some space (make clean), or run fewer systems at a time"
    return Row("disk", free > need, f"{free:.0f} GB free, the configured runs write about {need:.1f} GB", advice)


def available_memory_gb() -> float:
    """Memory that can be had without swapping, in GB."""
    if importlib.util.find_spec("psutil") is None:
        return 0.0
    import psutil

    return psutil.virtual_memory().available / GB


def check_run(config: SharedConfig, one: LanguageRun, there_gb: float, what: str) -> Row:
    """Memory that training a run needs against what is there; an estimate from the size of its base."""
    billions = config.bases[one.base].billions
    name = f"{one.system}/{one.name}"
    if billions is None:
        return Row(name, True, f"size of {one.base} unknown: set bases.{one.base}.billions", needed=False)
    batch = one.train.batch_size / 4
    need = LIBRARIES_GB + billions * (WEIGHT_BYTES[one.train.load_in] + ACTIVATIONS_GB_PER_BILLION * batch)
    advice = "lower train.batch_size, set train.gradient_checkpointing: true, or train.load_in: 4bit on a GPU"
    return Row(name, need < there_gb, f"training needs about {need:.1f} GB of {what}, {there_gb:.1f} there", advice)


def check_estimate(one: Run, estimate: Callable[[Run], MemoryEstimate]) -> Row:
    """Memory that training a run needs, by its system's own estimate."""
    name = f"{one.system}/{one.name}"
    if importlib.util.find_spec("torch") is None:
        return Row(name, False, "torch is not installed", "make setup")
    needed = estimate(one)
    need, there = needed.bytes / GB + LIBRARIES_GB, needed.free / GB
    found = f"training needs about {need:.1f} GB {needed.condition}, {there:.1f} there"
    return Row(name, need < there, found, needed.advice)


def check_rows(system: str, name: str) -> Row:
    """Rows a split, once curated."""
    folder = Path("data/curated") / system / name
    counts = {
        split: sum(1 for _ in (folder / f"{split}.jsonl").open("rb"))
        for split in ("train", "val", "test")
        if (folder / f"{split}.jsonl").is_file()
    }
    found = ", ".join(f"{split} {count}" for split, count in counts.items()) or "not curated yet"
    ok = not counts or min(counts.values()) > 0
    return Row(f"{system}/{name} rows", ok, found, "add raw data: a split is empty", needed=bool(counts))


def show(rows: list[Row]) -> None:
    """The rows as a table, with what to do under each that failed."""
    width = max(len(row.name) for row in rows)
    for row in rows:
        mark = "pass" if row.ok else ("FAIL" if row.needed else "note")
        print(f"{mark}  {row.name:<{width}}  {row.found}")
        if not row.ok:
            print(f"      {'':<{width}}  -> {row.advice}")
    passed = sum(row.ok for row in rows)
    print(f"score: {passed} of {len(rows)} ({100 * passed // len(rows)} %)")


def next_command(config: SharedConfig, rows: list[Row], files: list[Path]) -> str:
    """What to type now."""
    if any(not row.ok and row.needed for row in rows):
        return "what the FAIL rows say, then `make doctor` again"
    names = config.run_names()
    built = all(Path(f"dist/{system}/{name}/SHA256SUMS").is_file() for system, name in names)
    if not built:
        return "make demo" if files == [DEFAULT] else f"snakemake --configfile {' '.join(map(str, files))}"
    if not names:
        raise UserError("the configuration has no run; add one under a system's `runs:`.")
    system, name = names[0]
    return verify_command(system, Path("dist") / system / name)


if __name__ == "__main__":
    run(parser, main)
