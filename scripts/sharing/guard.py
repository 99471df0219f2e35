"""Stops a plan that would rebuild files that `make pull` can fetch.

In a clone that holds only a part of the shared files, Snakemake finds files missing and plans to train again. So a job
stops the plan if its missing files are shared and its records show that nothing has changed. Jobs whose inputs,
parameters or code have changed are left alone.
"""

from __future__ import annotations

import atexit
import os
from pathlib import Path
from typing import Any

import yaml

from scripts.lib.cli import checked, say
from scripts.lib.environment import prepare_jobs
from scripts.lib.files import json_object, sha256_file
from scripts.lib.identity import remember
from scripts.lib.replaced import notice_replaced
from scripts.sharing.records import INDEX
from scripts.sharing.rooms import lies_in
from scripts.sharing.runs import nobody_else

LOCK = Path("dvc.lock")
UNGUARDED = "QUESTLINE_REBUILD"  # set: a plan may rebuild what is shared but not here


def plan_begins(workflow: Any, root: Path) -> None:
    """What the environment of jobs needs and, in the process that plans, what this plan and the next have to know."""
    prepare_jobs(root)
    if workflow.is_main_process:
        checked(nobody_else)
        notice_replaced()
        watch_plans(workflow)
        atexit.register(remember)


def watch_plans(workflow: Any) -> None:
    """Checks every plan of this workflow before anything runs."""
    if os.environ.get(UNGUARDED) or not LOCK.is_file():
        return
    build = workflow._build_dag

    def build_and_look() -> None:
        build()
        planned_to_run = getattr(workflow, "_executor_plugin", None) is not None  # not --summary, --rulegraph
        if planned_to_run and workflow.is_main_process and not workflow.touch:
            stop_if_shared(workflow.dag)

    workflow._build_dag = build_and_look


def stop_if_shared(dag: Any) -> None:
    """Stops a plan that would rebuild files that can be pulled.

    Raises:
        SystemExit: after a message with a file, the number of files, and the command to type.
    """
    stages = to_be_pulled(dag)
    if not stages:
        return
    names = sorted(set(stages.values()))
    more = f" and {len(stages) - 1} more files" if len(stages) > 1 else ""
    say(
        f"error: {min(stages)}{more}: shared, but not in this checkout, and nothing that they are made from has "
        f"changed. Pull them first (`make pull`, or `.venv/bin/python -m scripts.pull {' '.join(names)}`); "
        f"to build them here all the same, set {UNGUARDED}=1."
    )
    raise SystemExit(1)


def to_be_pulled(dag: Any) -> dict[str, str]:
    """Missing files that the plan would rebuild though they are shared and still valid; file to stage."""
    missing = [(job, str(file)) for job in stale_jobs(dag) for file in job.output if not Path(file).exists()]
    if not missing or not LOCK.is_file():
        return {}
    shared = json_object(INDEX)
    if shared is None:
        rooms = locked_rooms().items()
        return {file: stage for _, file in missing for room, stage in rooms if lies_in(file, room)}
    judge = Judge(dag)
    return {file: shared[file] for job, file in missing if file in shared and judge.unchanged(job)}


def stale_jobs(dag: Any) -> list[Any]:
    """Jobs that the plan would run."""
    return [job for job in dag.jobs if dag.needrun(job) and not job.rule.norun]


def locked_rooms() -> dict[str, str]:
    """Rooms in dvc.lock, room to stage; before the first pull, nothing more is known about shared files."""
    try:
        stages = yaml.safe_load(LOCK.read_text(encoding="utf-8"))["stages"]
        return {out["path"]: name for name, stage in stages.items() for out in stage.get("outs", [])}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}


class Judge:
    """Decides whether jobs would make what their records describe: from the same inputs, parameters and code."""

    def __init__(self, dag: Any) -> None:
        self.dag, self.verdicts, self.hashes = dag, {}, {}

    def unchanged(self, job: Any) -> bool:
        """Whether neither the job nor any planned one before it has changed since its outputs were recorded."""
        if job not in self.verdicts:
            self.verdicts[job] = False
            planned = [before for before in self.dag.dependencies[job] if self.dag.needrun(before)]
            self.verdicts[job] = all(map(self.unchanged, planned)) and self.as_recorded(job)
        return self.verdicts[job]

    def as_recorded(self, job: Any) -> bool:
        """Whether parameters, command, names and content of inputs are as recorded; missing inputs are skipped."""
        records = self.dag.workflow.persistence
        if not records.has_metadata(job) or records.params_changed(job):
            return False
        if any(records.code_changed(job)) or any(records.input_changed(job)):
            return False
        return all(self.same_content(job, str(file)) for file in job.input if Path(file).is_file())

    def same_content(self, job: Any, file: str) -> bool:
        """Whether a file is the one that the job read."""
        if file not in self.hashes:
            self.hashes[file] = sha256_file(Path(file))
        recorded = self.dag.workflow.persistence.input_checksums(job, file)
        return recorded == {f"sha256:{self.hashes[file]}"}
