"""Prints for each planned job which content changed: files, parameters, code, or a job before it.

    python -m scripts.why                  all targets
    python -m scripts.why dnd_dm_train --configfile config/learn.yaml

It reads Snakemake's plan and Snakemake's own records; nothing is built.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

from scripts.lib.cli import run
from scripts.lib.files import sha256_file
from scripts.sharing.guard import stale_jobs, to_be_pulled
from scripts.sharing.planning import configfiles_of, plan

CONTENT_DIGEST = re.compile(r"[0-9a-f]{16}")


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    command = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    command.add_argument("targets", nargs="*", help="targets, as for snakemake")
    command.add_argument("--configfile", nargs="*", type=Path, default=[], help="as for snakemake")
    command.add_argument("--json", action="store_true", help="one JSON line a job")
    return command


def main(args: argparse.Namespace) -> int:
    """Prints a block a planned job; returns 0, or 1 where the workflow does not load.

    Raises:
        UserError: a configuration file is missing.
    """
    configfiles_of(args.configfile)
    dag = plan(args.targets, args.configfile)
    if dag is None:
        return 1
    shared = to_be_pulled(dag)
    rows = [
        {"job": title(job), "outputs": [str(file) for file in job.output], "why": causes(dag, job, shared)}
        for job in stale_jobs(dag)
    ]
    for row in sorted(rows, key=lambda row: (all("before it" in cause for cause in row["why"]), row["job"])):
        print(json.dumps(row) if args.json else row["job"] + "".join(f"\n    {cause}" for cause in row["why"]))
    if not rows:
        print("nothing to do", file=sys.stderr)
    return 0


def title(job: Any) -> str:
    """``train (system=dnd, run=dm)``"""
    wildcards = ", ".join(f"{name}={value}" for name, value in job.wildcards_dict.items())
    return f"{job.rule.name} ({wildcards})" if wildcards else job.rule.name


def causes(dag: Any, job: Any, shared: dict[str, str]) -> list[str]:
    """Each reason of a job as a clause that names what changed.

    Snakemake looks no further once a job before it runs; here every planned job is compared with its own records.
    ``shared`` are missing files that need not be built: `make pull` brings them.
    """
    reason = dag.reason(job)
    found = [
        f"output is missing: {file}{', but shared: `make pull` brings it' if file in shared else ''}"
        for file in sorted(map(str, reason.missing_output))
    ]
    found += [f"output is incomplete: {file}" for file in sorted(map(str, reason.incomplete_output))]
    found += [f"content changed: {file}" for file in sorted(map(str, reason.updated_input))]
    found += input_set_changes(dag, job) + content_changes(dag, job) + parameter_changes(dag, job)
    if any(dag.workflow.persistence.code_changed(job)):
        found.append(f"the command of rule {job.rule.name} was edited")
    if reason.forced:
        found.append("forced")
    after = sorted({title(before) for before in dag.dependencies[job] if dag.needrun(before)})
    found += [f"a job before it runs: {name}" for name in after]
    return list(dict.fromkeys(found)) or ["its output is not recorded"]


def input_set_changes(dag: Any, job: Any) -> list[str]:
    """Input files that came or went since the outputs were made."""
    now = set(map(str, job.input))
    before = {name for file in job.output for name in dag.workflow.persistence.input(file) or now}
    return [f"new input: {name}" for name in sorted(now - before)] + [
        f"input is gone: {name}" for name in sorted(before - now)
    ]


def parameter_changes(dag: Any, job: Any) -> list[str]:
    """Changed keys of JSON parameters, changed modules of the code, changed source files."""
    change = dag.workflow.persistence.params_changed(job)
    old, new = ([literal(text) for text in side] for side in (sorted(change.only_old), sorted(change.only_new)))
    found: list[str] = []
    for value in new:
        before = next((other for other in old if akin(value, other)), None)
        if isinstance(value, dict) and isinstance(before, dict):
            found += mapping_changes(before, value)
        elif not (isinstance(value, str) and CONTENT_DIGEST.fullmatch(value)):  # files, which are named already
            found.append(f"parameter changed: {shorten(before)} -> {shorten(value)}")
    return found


def literal(text: str) -> Any:
    """A recorded parameter as the value it was; JSON objects inside strings are opened."""
    value = ast.literal_eval(text)
    try:
        return json.loads(value) if isinstance(value, str) and value.startswith("{") else value
    except json.JSONDecodeError:
        return value


def akin(one: Any, other: Any) -> bool:
    """Whether two parameter values are the same parameter before and after: objects that share keys, or equal types."""
    if isinstance(one, dict) and isinstance(other, dict):
        return bool(one.keys() & other.keys())
    return type(one) is type(other) and not isinstance(one, dict)


def mapping_changes(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """Which keys differ; code fingerprints are named as modules."""
    found = []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if old == new:
            continue
        if key.startswith("scripts"):
            found.append(f"code changed: {key}")
        elif isinstance(old, dict) and isinstance(new, dict):
            found += mapping_changes(old, new, f"{prefix}{key}.")
        else:
            found.append(f"parameter {prefix}{key}: {shorten(old)} -> {shorten(new)}")
    return found


def content_changes(dag: Any, job: Any) -> list[str]:
    """Source files (no job makes them) whose bytes are not the recorded ones, whatever their time stamps say."""
    persistence = dag.workflow.persistence
    made = {str(file) for files in dag.dependencies[job].values() for file in files}
    found = []
    for file in sorted(set(map(str, job.input)) - made):
        recorded = persistence.input_checksums(job, file) - {None}
        if recorded and Path(file).is_file() and f"sha256:{sha256_file(Path(file))}" not in recorded:
            found.append(f"content changed: {file}")
    return found


def shorten(value: Any, width: int = 60) -> str:
    """A value on one short line."""
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    return text if len(text) <= width else text[: width - 3] + "..."


if __name__ == "__main__":
    run(parser, main)
