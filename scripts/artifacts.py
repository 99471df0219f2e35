"""Where a run's files lie, and which of them the shared rules read; paths only, nothing is opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from scripts.contract import Files, System
from scripts.lib.options.run import LanguageRun, Run
from scripts.model.recipes import recipe_of


def models(run: Run) -> str:
    """The folder of a run's weights."""
    return f"models/{run.system}/{run.name}"


def reports(run: Run) -> str:
    """The folder of a run's scores."""
    return f"reports/{run.system}/{run.name}"


def curated(run: Run) -> str:
    """The folder of a run's records."""
    return f"data/curated/{run.system}/{run.name}"


def base_card(run: LanguageRun) -> str:
    """base.json of the base that a run is trained on."""
    return f"models/base/{run.base}/base.json"


def merge_base_card(config: Any, run: LanguageRun) -> str:
    """base.json of the 16-bit base that its adapter is merged onto."""
    return f"models/base/{config.bases[run.base].merge_onto or run.base}/base.json"


def base_modules(config: Any, base: str) -> list[str]:
    """The modules that make a base: of a recipe its own as well."""
    kind, _, source = config.bases[base].source.partition(":")
    return ["scripts.model.base", *([recipe_of(source)[0].module] if kind == "recipe" else [])]


def base_ggufs(config: Any, run: LanguageRun, types: list[str]) -> list[str]:
    """GGUF files of that base."""
    folder = PurePosixPath(merge_base_card(config, run)).parent
    return [f"{folder}/gguf/model-{kind}.gguf" for kind in types]


def base_flags(config: Any, run: LanguageRun) -> list[str]:
    """NAME=FILE of each quantised file of that base, as the stages take them."""
    return [f"{kind}={file}" for kind, file in zip(run.variants, base_ggufs(config, run, run.variants), strict=True)]


def exported(system: System, run: Run) -> dict[str, str]:
    """The files that a device runs, by variant."""
    folder = f"{models(run)}/{system.family.exported}"
    return {variant: f"{folder}/model-{variant}{system.family.suffix}" for variant in run.variants}


def exported_files(system: System, run: Run) -> list[str]:
    """The same without their variants."""
    return list(exported(system, run).values())


def exported_flags(system: System, run: Run) -> list[str]:
    """NAME=FILE of each, as the stages take them."""
    return [f"{variant}={file}" for variant, file in exported(system, run).items()]


def certificate(system: System, run: Run) -> str:
    """The certificate of these files."""
    return f"{models(run)}/{system.family.exported}/certificate.json"


def projector(system: System, run: Run) -> list[str]:
    """The projector of a vision-language model."""
    return [f"{models(run)}/gguf/mmproj.gguf"] if system.family.takes_images else []


def shard_names(count: int) -> list[str]:
    """File names of merged weights, as transformers names them."""
    if count == 1:
        return ["model.safetensors"]
    shards = [f"model-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)]
    return [*shards, "model.safetensors.index.json"]


def predictions(system: System, run: LanguageRun, ending: str = ".jsonl") -> list[str]:
    """Predictions of all variants of a language model."""
    variants = ["base", "tuned", "f16", *run.variants, *system.predictions]
    return [f"{reports(run)}/predictions/{variant}{ending}" for variant in variants]


def variant_files(system: System, run: LanguageRun, variant: str) -> list[str]:
    """What a variant is made of besides the base, which always gives the tokenizer."""
    if variant == "base":
        return []
    if variant == "tuned" or variant in system.predictions:
        return [f"{models(run)}/adapter/{name}" for name in ("adapter_model.safetensors", "adapter_config.json")]
    return [f"{models(run)}/gguf/model-{variant}.gguf", *projector(system, run)]


def variant_flags(system: System, run: LanguageRun, variant: str) -> list[str]:
    """How a variant is named to the stage that predicts it."""
    base, files = str(PurePosixPath(base_card(run)).parent), variant_files(system, run, variant)
    if not files:
        return ["--model", base]
    if files[0].endswith(".gguf"):
        return ["--model", files[0], *flags({"--mmproj": files[1:]})]
    changed = system.predictions.get(variant)
    return ["--model", base, "--adapter", f"{models(run)}/adapter", *([changed.flag] if changed else [])]


def score_files(system: System, config: Any, run: Run) -> Files:
    """What the scorer of a run reads: of a language model its records and predictions, then what its system adds."""
    shared: Files = {}
    if isinstance(run, LanguageRun):
        shared = {
            "--records": f"{curated(run)}/test.jsonl",
            "--train": f"{curated(run)}/train.jsonl",
            "--predictions": predictions(system, run),
            "measured": predictions(system, run, ".stats.json"),
        }
    return shared | system.score.files(config, run)


def score_inputs(system: System, config: Any, run: Run) -> list[str]:
    """All files that the scorer of a run reads."""
    return inputs(score_files(system, config, run))


def score_arguments(system: System, config: Any, run: Run) -> list[str]:
    """How they are named to it, and what else it is told."""
    return [*flags(score_files(system, config, run)), *system.score.arguments(config, run)]


def deploy_files(system: System, config: Any, run: Run) -> Files:
    """What a run's package is made of."""
    files: Files = {
        "--gate": f"{reports(run)}/gate.json",
        "--metrics": f"{reports(run)}/metrics.json",
        "--certificate": certificate(system, run),
        "--training": f"{models(run)}/training/training_metadata.json",
        "--stats": f"{curated(run)}/stats.json",
    }
    if isinstance(run, LanguageRun):
        merged = [f"{models(run)}/merged/{name}" for name in shard_names(config.merge_shards)]
        files |= {
            "--gguf": exported_files(system, run),
            "--records": f"{curated(run)}/test.jsonl",
            "--base-json": base_card(run),
            "--mmproj": projector(system, run),
            # Merged weights are removed after their last use, unless the package holds them.
            "merged": merged if "hf" in run.deploy.formats else [],
        }
    return files | system.deploy.files(config, run)


def deploy_inputs(system: System, config: Any, run: Run) -> list[str]:
    """All files that a run's package is made of."""
    return inputs(deploy_files(system, config, run))


def deploy_arguments(system: System, config: Any, run: Run) -> list[str]:
    """How they are named to its deploy stage, and what else it is told."""
    told = [*flags(deploy_files(system, config, run)), "--preset", config.preset, "--scope", config.scope]
    if isinstance(run, LanguageRun):
        told.append(f"--system-prompt={run.system_prompt}")
        told += ["--merged", f"{models(run)}/merged"] if "hf" in run.deploy.formats else []
    return [*told, *system.deploy.arguments(config, run)]


def inputs(files: Files) -> list[str]:
    """All files, whatever they are called."""
    return [path for paths in files.values() for path in ([paths] if isinstance(paths, str) else paths)]


def flags(files: Files) -> list[str]:
    """Files whose name is an argument, as the command takes them; a name without files is left out."""
    found: list[str] = []
    for name, paths in files.items():
        listed = [paths] if isinstance(paths, str) else paths
        found += [name, *listed] if name.startswith("--") and listed else []
    return found


def package(run: Run) -> str:
    """The file that stands for a run's package."""
    return f"dist/{run.system}/{run.name}/SHA256SUMS"


def targets(system: System, config: Any, run: Run) -> dict[str, list[str]]:
    """The five targets of a run, by stage."""
    return {
        "train": [f"{models(run)}/{system.family.weights}"],
        "validate": [f"{reports(run)}/metrics.json", f"{reports(run)}/gate.json"],
        "convert": [certificate(system, run)],
        "deploy": [package(run)],
        "test": [f"{reports(run)}/verify.json"],
    }


def packages(config: Any, system: System) -> list[str]:
    """Everything that the name of a system builds."""
    names = config.systems()[system.name].run_names
    further = [path for name in names for path in system.extra_targets(config, name)]
    return [*(package(config.run(system.name, name)) for name in names), *dict.fromkeys(further)]


def named_targets(config: Any, systems: Mapping[str, System]) -> dict[str, list[str]]:
    """Target name to files: a system's name, and five stages of each run."""
    named = {name: packages(config, systems[name]) for name in config.systems()}
    for run in config.runs():
        stages = targets(systems[run.system], config, run)
        named |= {f"{run.system}_{run.name}_{stage}": files for stage, files in stages.items()}
    return named


def report_files(system: System, config: Any, run: Run) -> list[str]:
    """What the page shows of a run; a file that changes draws it again."""
    files = [
        f"{reports(run)}/metrics.json",
        f"{reports(run)}/gate.json",
        certificate(system, run),
        f"{curated(run)}/stats.json",
        f"{models(run)}/training/training_metadata.json",
        f"{models(run)}/training/loss.jsonl",
    ]
    return files + (system.report.files(config, run.name) if system.report else [])
