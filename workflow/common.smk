# Paths, parameters and code fingerprints for the rules. No rules here.

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, workflow.basedir)

from scripts.lib.cli import UserError
from scripts.lib.config import load
from scripts.lib.options.train import NOT_IDENTITY
from scripts.lib.identity import code_parts, source_digest
from snakemake.exceptions import WorkflowError


def checked(function, *arguments):
    """Bad input is one sentence for the person at the keyboard, also from inside the Snakefile."""
    try:
        return function(*arguments)
    except UserError as error:
        raise WorkflowError(str(error)) from None


CONFIG = checked(load, dict(config), "config")
# glibc gives every large tensor back to the system and takes it anew, page by page: on a virtual machine a third of the
# time of answering (43 s instead of 61 for 14 answers of SmolLM2). Other C libraries ignore these.
os.environ.setdefault("MALLOC_MMAP_MAX_", "0")
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(8 << 30))

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


def as_json(options, **which):
    """A slice of the configuration as the JSON that a stage takes."""
    return json.dumps(options.model_dump(mode="json", **which), sort_keys=True)


def section(name):
    """A parameter function: the named section of the run's configuration, as JSON."""
    return lambda wildcards: as_json(getattr(run_of(wildcards), name))


def base_card(system, run):
    """The card of the base that a run is trained on."""
    return f"models/base/{CONFIG.run(system, run).base}/base.json"


def merge_base_card(system, run):
    """The card of the 16-bit base that its adapter is merged onto."""
    base = CONFIG.run(system, run).base
    return f"models/base/{CONFIG.bases[base].merge_onto or base}/base.json"


def quants_of(system, run):
    return CONFIG.run(system, run).export.quants


def quant_files(system, run):
    return [
        f"models/{system}/{run}/gguf/model-{quant}.gguf"
        for quant in quants_of(system, run)
    ]


def quant_flags(wildcards, input):
    """NAME=FILE of each quant, as the stages take them."""
    return [
        f"{quant}={file}"
        for quant, file in zip(quants_of(wildcards.system, wildcards.run), input.quants)
    ]


def prediction_files(system, run, ending=".jsonl"):
    variants = ["base", "tuned", "f16", *quants_of(system, run)]
    return [
        f"reports/{system}/{run}/predictions/{variant}{ending}" for variant in variants
    ]


def merged_if_shipped(system, run):
    """Merged weights, only where the package holds them: they are removed otherwise."""
    shipped = "hf" in CONFIG.run(system, run).deploy.formats
    return (
        [
            f"models/{system}/{run}/merged/{name}"
            for name in shard_names(CONFIG.merge_shards)
        ]
        if shipped
        else []
    )


def of_run(function):
    """An input function from one that takes a system and a run."""
    return lambda wildcards: function(wildcards.system, wildcards.run)


def passing(path):
    """An intermediate: removed once everything that needs it was built, unless the configuration keeps it."""
    return path if CONFIG.keep_intermediates else temp(path)


def shard_names(count):
    """File names of merged weights, as transformers names them."""
    if count == 1:
        return ["model.safetensors"]
    return [
        f"model-{n:05d}-of-{count:05d}.safetensors" for n in range(1, count + 1)
    ] + ["model.safetensors.index.json"]


def packages(system=None):
    return [
        f"dist/{run.system}/{run.name}/SHA256SUMS"
        for run in CONFIG.runs()
        if system in (None, run.system)
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
        targets |= {
            f"{run.system}_{run.name}_{stage}": files for stage, files in stages.items()
        }
    return targets
