"""Writes dvc.yaml from the workflow: a stage a system, which calls Snakemake on that system's target.

    python -m scripts.sharing.dvcfile [--configfile config/learn.yaml] [--check]

Snakemake has the only graph of jobs; dvc.yaml names what a system reads and which folders it writes. `scripts.share`
also writes it, for the configuration that it shares.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

import yaml

from scripts.lib.cli import UserError, run, say
from scripts.lib.files import write_text
from scripts.sharing.planning import PRESET, configfiles_of, planned
from scripts.sharing.rooms import BASES, PAGE, RAW, Stage, inside_checkout, lies_in, room_of, stages_of

DVCFILE = Path("dvc.yaml")
HEAD = (
    "# Made from the workflow by `python -m scripts.sharing.dvcfile` and by `make share`; do not edit.\n"
    "# Snakemake decides what is stale and runs it; a stage here is a system, and only says what DVC stores of it.\n"
)
WORKFLOW = ["Snakefile", "profiles", "workflow"]


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    command = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    command.add_argument("--configfile", nargs="+", type=Path, default=[PRESET], help="as for snakemake")
    command.add_argument("--check", action="store_true", help="write nothing; fail if dvc.yaml differs")
    return command


def main(args: argparse.Namespace) -> int:
    """Writes or compares; returns an exit code."""
    configfiles = configfiles_of(args.configfile)
    text = dvcfile_text(stages_of(planned(configfiles)), configfiles)
    if args.check:
        if DVCFILE.is_file() and DVCFILE.read_text(encoding="utf-8") == text:
            return 0
        raise UserError(f"{DVCFILE} is not what the workflow makes; run `python -m scripts.sharing.dvcfile`.")
    write_text(DVCFILE, text)
    say(f"{DVCFILE}: written")
    return 0


def dvcfile_text(stages: dict[str, Stage], configfiles: list[str]) -> str:
    """dvc.yaml of these stages, with its head."""
    values = {
        "stages": {stage.name: stage_entry(stage, stages, configfiles) for stage in stages.values()},
        "metrics": [file for stage in stages.values() for file in metrics_of(stage)],  # for `dvc metrics diff`
        "plots": [{file: curve} for stage in stages.values() for file, curve in plots_of(stage).items()],
    }
    return HEAD + yaml.safe_dump(values, sort_keys=False, width=120)


def stage_entry(stage: Stage, stages: dict[str, Stage], configfiles: list[str]) -> dict[str, Any]:
    """Command, dependencies and outputs of one stage."""
    targets = [stage.name] if stage.name not in (BASES, PAGE) else sorted(stage.outputs)
    python, named = [".venv/bin/python", "-m"], ["--configfile", *configfiles]
    commands = [
        [*python, "snakemake", "--quiet", "rules", "host", *named, "--", *targets],
        [*python, "scripts.share", stage.name, "--records-only", *named],
    ]
    return {
        "cmd": [shlex.join(command) for command in commands],
        "deps": dependencies(stage, stages, configfiles),
        "outs": [{room: {"persist": True}} for room in [*stage.rooms, stage.records]],
    }


def dependencies(stage: Stage, stages: dict[str, Stage], configfiles: list[str]) -> list[str]:
    """Raw data, configuration, code, and the rooms of other stages that the stage's rules read."""
    raw = {room_of(file) for file in stage.sources if inside_checkout(file) and file.startswith(RAW)}
    code = {"/".join(name.split(".")[:2]) for name in stage.modules if name.count(".")}
    code = {folder if Path(folder).is_dir() else f"{folder}.py" for folder in code}
    before = {
        room for other in stages.values() for room in other.rooms if any(lies_in(file, room) for file in stage.reads)
    }
    return sorted(raw | set(filter(inside_checkout, configfiles)) | set(WORKFLOW) | code | before)


def metrics_of(stage: Stage) -> list[str]:
    """Scores of a system's runs, for `dvc metrics diff`."""
    return sorted(file for file in stage.outputs if file.startswith("reports/") and file.endswith("/metrics.json"))


def plots_of(stage: Stage) -> dict[str, dict[str, str]]:
    """Loss curves of a system's runs, for `dvc plots diff`: CSV beside the records, since DVC reads no JSON lines."""
    return {
        curve_of(file): {"x": "step", "y": "loss", "title": "/".join(Path(file).parts[1:3]), "template": "simple"}
        for file in losses_of(stage)
    }


def losses_of(stage: Stage) -> list[str]:
    """The training losses of a system's runs."""
    return sorted(file for file in stage.outputs if file.endswith("/training/loss.jsonl"))


def curve_of(loss: str) -> str:
    """The path of a run's curve: ``models/dnd/dm/training/loss.jsonl`` -> ``data/records/dnd/dm.loss.csv``."""
    _, system, name = Path(loss).parts[:3]
    return f"{Stage(system).records}/{name}.loss.csv"


if __name__ == "__main__":
    run(parser, main)
