# Paths, parameters and code fingerprints for the rules. No rules here.

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, workflow.basedir)

from scripts.lib.cli import UserError
from scripts.lib.config import load
from scripts.lib.identity import code_parts, source_digest
from snakemake.exceptions import WorkflowError


def checked(function, *arguments):
    """Bad input is one sentence for the person at the keyboard, also from inside the Snakefile."""
    try:
        return function(*arguments)
    except UserError as error:
        raise WorkflowError(str(error)) from None


CONFIG = checked(load, dict(config), "config")
# Tests put a stand-in here that writes what a stage would, in no time.
PYTHON = os.environ.get("QUESTLINE_PYTHON", sys.executable)
CONVERTER = Path(sys.prefix) / "converter"

SYSTEM_RUN = {"system": "|".join(CONFIG.systems()) or "none", "run": r"[A-Za-z0-9]+"}


wildcard_constraints:
    **SYSTEM_RUN,
    quant=r"[A-Z0-9_]+",
    base=r"[A-Za-z0-9_.-]+",


def code(module):
    """The fingerprints of a stage's import closure: they change when what the code does changes."""
    return json.dumps(checked(code_parts, module))


def run_of(wildcards):
    """The run that a rule's wildcards name, with every section resolved."""
    return CONFIG.run(wildcards.system, wildcards.run)


def as_json(options):
    """A slice of the configuration as the JSON that a stage takes."""
    return json.dumps(options.model_dump(mode="json"), sort_keys=True)


def section(name):
    """A parameter function: the named section of the run's configuration, as JSON."""
    return lambda wildcards: as_json(getattr(run_of(wildcards), name))


def base_of(wildcards):
    """The 16-bit base that adapters of this run are merged onto."""
    name = run_of(wildcards).base
    return CONFIG.bases[name].merge_onto or name


def base_card(wildcards):
    return f"models/base/{run_of(wildcards).base}/base.json"


def merge_base_card(wildcards):
    return f"models/base/{base_of(wildcards)}/base.json"


def quants_of(wildcards):
    return run_of(wildcards).export.quants


def quant_files(wildcards):
    folder = f"models/{wildcards.system}/{wildcards.run}/gguf"
    return [f"{folder}/model-{quant}.gguf" for quant in quants_of(wildcards)]


def variants_of(wildcards):
    return ["base", "tuned", "f16", *quants_of(wildcards)]


def prediction_files(wildcards):
    folder = f"reports/{wildcards.system}/{wildcards.run}/predictions"
    return [f"{folder}/{variant}.jsonl" for variant in variants_of(wildcards)]


def passing(path):
    """An intermediate: removed once everything that needs it was built, unless the configuration keeps it."""
    return path if CONFIG.keep_intermediates else temp(path)


def shard_names(count):
    """File names of merged weights, as transformers names them."""
    if count == 1:
        return ["model.safetensors"]
    return [f"model-{n:05d}-of-{count:05d}.safetensors" for n in range(1, count + 1)] + [
        "model.safetensors.index.json"
    ]


def packages(system=None):
    return [
        f"dist/{run.system}/{run.name}/SHA256SUMS" for run in CONFIG.runs() if system in (None, run.system)
    ]


def named_targets():
    """Target name to files: a system's name, and five stages of each run."""
    targets = {system: packages(system) for system in CONFIG.systems()}
    for run in CONFIG.runs():
        here = f"{run.system}/{run.name}"
        stages = {
            "train": [f"models/{here}/adapter/adapter_model.safetensors"],
            "validate": [f"reports/{here}/metrics.json", f"reports/{here}/gate.json"],
            "convert": [f"models/{here}/gguf/certificate.json"],
            "deploy": [f"dist/{here}/SHA256SUMS"],
            "test": [f"reports/{here}/verify.json"],
        }
        targets |= {f"{run.system}_{run.name}_{stage}": files for stage, files in stages.items()}
    return targets
