"""Prints what was built: for each run its table of scores, the gate's verdict, and the file that answers.

python -m scripts.summary [--configfile config/learn.yaml]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.config import load_files
from scripts.lib.cli import UserError, run
from scripts.lib.files import read_json
from scripts.lib.metrics import shown_estimate
from scripts.lib.tables import aligned
from scripts.packaging.evidence import metric_names
from scripts.systems import SYSTEMS


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    command = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    command.add_argument("--configfile", nargs="+", type=Path, default=[Path("config/demo.yaml")])
    return command


def main(args: argparse.Namespace) -> None:
    """Prints one block a run."""
    config = load_files(*args.configfile)
    if not config.run_names():
        raise UserError("the configuration has no run; add one under a system's `runs:`.")
    for system, name in config.run_names():
        print("\n".join(block(system, name)))
    if config.scope == "road":
        print("\nThis preset proves the road, not the model: quote no score made with it (`make learn` does better).")
    print("Everything on one page: reports/index.html")


def block(system: str, name: str) -> list[str]:
    """A run's lines: table, verdict, file and the commands that use it."""
    reports, dist = Path("reports") / system / name, Path("dist") / system / name
    metrics, gate = read_json(reports / "metrics.json"), read_json(reports / "gate.json")
    family = SYSTEMS[system].family
    model = dist / f"model-{gate['variant']}{family.suffix}"
    if family.is_language and any(dist.glob("*.safetensors")) and not any(dist.glob("*.gguf")):
        model = dist
    elif not model.is_file():
        raise UserError(f"{model}: missing from its package; delete {dist}/SHA256SUMS and run snakemake again.")
    verdict = "passed" if gate["passed"] else "MISSED its quality limits (marked in the package)"
    return [
        f"\n{system}/{name}: {metrics['cases']} scored answers",
        *table(metrics),
        f"gate: {verdict}. {gate['why']}",
        f"model: {model}",
        f"try:   {verify_command(system, dist)}",
    ]


def verify_command(system: str, package: Path) -> str:
    """What checks a package and lets it answer again."""
    return f"python -m {SYSTEMS[system].verify} {package.as_posix()}"


def table(metrics: dict) -> list[str]:
    """Variants and baselines by metric, with their intervals."""
    rows = {**metrics["variants"], **{f"({name})": row for name, row in metrics["baselines"].items()}}
    names = metric_names(metrics)
    lines = [["", *names]]
    for name, row in rows.items():
        lines.append([name, *(shown_estimate(row[metric], 2) if metric in row else "n/a" for metric in names)])
    return aligned(lines, underlined=False).split("\n")


if __name__ == "__main__":
    run(parser, main)
