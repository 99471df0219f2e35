"""Snakemake's job graph of a configuration."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from scripts.lib.cli import UserError
from scripts.sharing.guard import UNGUARDED

PRESET = Path("config/demo.yaml")
PROFILE = Path("profiles/default/config.yaml")


def configfiles_of(paths: list[Path]) -> list[str]:
    """Configuration files as commands name them.

    Raises:
        UserError: one of them is missing.
    """
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: no such configuration file; check the path.")
    return [path.as_posix() for path in paths]


def plan(targets: list[str], configfiles: list[Path]) -> Any:
    """Snakemake's job graph with its reasons; None where the workflow does not load (Snakemake prints why)."""
    from snakemake.api import SnakemakeApi
    from snakemake.settings.enums import Quietness
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

    os.environ[UNGUARDED] = "1"  # a plan builds nothing
    profile = yaml.safe_load(PROFILE.read_text(encoding="utf-8")) if PROFILE.is_file() else {}
    limit = profile.get("max-checksum-file-size", 1_000_000)
    logging.getLogger("snakemake").setLevel(logging.ERROR)
    with quiet() as failures, SnakemakeApi(OutputSettings(quiet={Quietness.ALL}, dryrun=True)) as api:
        try:
            workflow = api.workflow(
                resource_settings=ResourceSettings(cores=1), config_settings=ConfigSettings(configfiles=configfiles)
            )
            graph = workflow.dag(DAGSettings(targets=set(targets), max_checksum_file_size=limit, force_incomplete=True))
            graph.execute_workflow(executor="dryrun")
        except (Exception, SystemExit) as error:
            if not isinstance(error, SystemExit):  # SystemExit: the Snakefile has printed its own message
                api.print_exception(error)
            failures.append(error)
            return None
        return workflow._workflow.dag


@contextlib.contextmanager
def quiet() -> Iterator[list[BaseException]]:
    """Holds back what Snakemake writes to stderr; prints it if an error is raised or put into the list yielded."""
    failures: list[BaseException] = []
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile("w+b") as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield failures
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
            kept.seek(0)
            if failures:
                sys.stderr.write(kept.read().decode("utf-8", "replace"))


def planned(configfiles: list[str], targets: list[str] | None = None) -> Any:
    """The job graph with its reasons.

    Raises:
        UserError: the workflow does not load; Snakemake has printed why.
    """
    dag = plan(targets or [], [Path(name) for name in configfiles])
    if dag is None:
        raise UserError("the workflow does not plan, see above; `snakemake -n` says the same.")
    return dag
