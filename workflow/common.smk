# Paths, parameters and code fingerprints for the rules; it asks the registry (scripts/systems.py) and knows no system.

import functools
import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import yaml


def project_root():
    """The folder that holds scripts/: this checkout or, for a module that is named by git, its revision unpacked."""
    source = workflow.current_basedir
    if not hasattr(source, "ref"):
        return Path(source.get_path_or_uri(secret_free=True)).resolve().parent
    clone = getattr(source, "repo_path", None) or source.hosted_repo.repo_clone
    git = ["git", "-C", str(clone)]
    revision = subprocess.check_output(
        [*git, "rev-parse", source.ref], text=True
    ).strip()
    folder = Path(".snakemake", "questline-source", revision).resolve()
    if not folder.is_dir():
        partial = folder.with_suffix(f".{os.getpid()}")  # moved when it is whole
        partial.mkdir(parents=True)
        archive = subprocess.check_output([*git, "archive", revision])
        subprocess.run(["tar", "-x", "-C", str(partial)], input=archive, check=True)
        partial.rename(folder)
    return folder


def begin():
    """The only side effects of reading the workflow: how this process imports and plans, and what its jobs inherit."""
    gc.set_threshold(50_000)  # a plan makes many objects and drops few
    root = project_root()
    sys.path.insert(0, str(root))
    # Snakemake imports pandas, a second of every plan, to see whether a parameter is a table: none of ours is.
    sys.modules.setdefault("pandas", None)
    from scripts.sharing.guard import plan_begins

    plan_begins(workflow, root)
    return root


ROOT = begin()

from scripts import artifacts
from scripts.config import load
from scripts.lib.cli import checked
from scripts.lib.identity import code_parts
from scripts.sharing.runs import run_begins, run_ends
from scripts.systems import SYSTEMS

CONFIG = checked(load, dict(config), "config", [Path(p) for p in workflow.configfiles])
RESOURCES = yaml.load(
    (ROOT / "profiles/resources.yaml").read_text("utf-8"), yaml.CSafeLoader
)
CORES = max(1, (workflow.cores or 8) // CONFIG.jobs_at_once)
REAL = CONFIG.scope == "real"  # models large enough for a GPU


onstart:
    run_begins(workflow.dag)


onsuccess:
    run_ends()


onerror:
    run_ends()


LANGUAGE_SYSTEMS = [
    name for name in CONFIG.systems() if SYSTEMS[name].family.is_language
]


wildcard_constraints:
    system="|".join(CONFIG.systems()) or "none",
    run=r"[A-Za-z0-9]+",
    city=r"[A-Za-z0-9-]+",
    quant=r"[A-Z0-9_]+",
    base=r"[A-Za-z0-9_.-]+",


def code(*modules):
    """The fingerprints of stages' import closures: they change when what the code does changes."""
    parts = [json.dumps(checked(code_parts, module)) for module in modules]
    return parts[0] if len(parts) == 1 else parts


def resources(rule):
    """The resources of a rule from profiles/resources.yaml; memory and time grow with each attempt."""
    numbers = RESOURCES.get(rule, RESOURCES["default"])
    return {
        "mem_mb": lambda wildcards, attempt: numbers["mem_mb"] * attempt,
        "runtime": lambda wildcards, attempt: numbers["runtime"] * attempt,
        "disk_mb": numbers["disk_mb"],
    }


@functools.cache
def run_named(system, name):
    """A run with every section resolved."""
    return checked(CONFIG.run, system, name)


def run_of(wildcards, system=None):
    """The run that a rule's wildcards name; of the system where its own rule has no such wildcard."""
    return run_named(system or wildcards.system, wildcards.run)


def as_json(options, **which):
    """A slice of the configuration as the JSON that a stage takes."""
    return json.dumps(options.model_dump(mode="json", **which), sort_keys=True)


def section(name, system=None, **which):
    """A parameter function: the named section of the run's configuration, as JSON."""
    return lambda wildcards: as_json(getattr(run_of(wildcards, system), name), **which)


def of_run(function, system=None):
    """An input or parameter function from one that takes a run."""
    return lambda wildcards: function(run_of(wildcards, system))


def of_system(function, system=None):
    """The same from one that takes the declaration of a system, and a run of it."""
    return of_run(lambda run: function(SYSTEMS[run.system], run), system)


def of_config(function):
    """The same from one that takes the configuration in between."""
    return of_system(lambda system, run: function(system, CONFIG, run))


def passing(path):
    """An intermediate: removed once everything that needs it was built, unless the configuration keeps it."""
    return path if CONFIG.keep_intermediates else temp(path)
