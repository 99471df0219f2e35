"""Snakemake's job graph of a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError
from scripts.why import plan

PRESET = Path("config/demo.yaml")


def configfiles_of(paths: list[Path]) -> list[str]:
    """Configuration files as they are named in commands.

    Raises:
        UserError: one of them is missing.
    """
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: no such configuration file; check the path.")
    return [path.as_posix() for path in paths]


def planned(configfiles: list[str], targets: list[str] | None = None) -> Any:
    """The job graph with its reasons.

    Raises:
        UserError: the workflow does not load; what Snakemake said of it stands above.
    """
    dag = plan(targets or [], [Path(name) for name in configfiles])
    if dag is None:
        raise UserError("the workflow does not plan, see above; `snakemake -n` says the same.")
    return dag


def stale_jobs(dag: Any) -> list[Any]:
    """Jobs that the plan would run."""
    return [job for job in dag.jobs if dag.needrun(job) and not job.rule.norun]
