# Paths, parameters and code fingerprints for the rules. No rules here.

import json
import sys
from functools import cache
from pathlib import Path

sys.path.insert(0, workflow.basedir)
# Snakemake imports pandas, a second of every plan, to see whether a parameter is a table: none of ours is.
sys.modules.setdefault("pandas", None)

from scripts.lib.cli import UserError, say
from scripts.config import SEEING, WORLDS, load
from scripts.lib.environment import prepare_jobs
from scripts.aerial.world.options import WORLD_WATCHED
from scripts.lib.options.train import NOT_IDENTITY
from scripts.lib.replaced import notice_replaced
from scripts.gameplay.options import GameOptions
from scripts.aerial.mesh_files import find_meshes, street_files
from scripts.aerial.session_names import sessions_of
from scripts.dnd.scenario import find_scenarios
from scripts.gameplay.content import recording_digest
from scripts.gameplay.names import names_of
from scripts.gameplay.readers.sources import by_name as recordings_by_name
from scripts.gameplay.readers.sources import find_recordings
from scripts.lib.files import digest, sha256_file
from scripts.lib.identity import code_parts, remember, source_digest
from scripts.sharing.guard import watch_plans
from scripts.sharing.runs import nobody_else, run_begins, run_ends
from scripts.model.recipes import recipe_of
from scripts.terrain.export import (
    TileFile,
    by_name,
    find_exports,
    pictures_of,
    tiles_in,
)
from scripts.terrain.places import block, shard_of
from scripts.tools.examples import find_files


def checked(function, *arguments):
    """Bad input is one sentence for the person at the keyboard, also from inside the Snakefile."""
    try:
        return function(*arguments)
    except UserError as error:
        say(f"error: {error}")
        sys.exit(1)


CONFIG = checked(load, dict(config), "config", [Path(p) for p in workflow.configfiles])
prepare_jobs()
if workflow.is_main_process:
    checked(nobody_else)
    notice_replaced()
    watch_plans(workflow)


onstart:
    run_begins(workflow.dag)


onsuccess:
    run_ends()


onerror:
    run_ends()


CORES = max(1, (workflow.cores or 8) // CONFIG.jobs_at_once)

# Systems of language models: worlds have rules of their own, which theirs must not answer to.
LANGUAGE = [name for name in CONFIG.systems() if name not in WORLDS]
SYSTEM_RUN = {"system": "|".join(LANGUAGE) or "none", "run": r"[A-Za-z0-9]+"}


wildcard_constraints:
    **SYSTEM_RUN,
    quant=r"[A-Z0-9_]+",
    base=r"[A-Za-z0-9_.-]+",
    city=r"[A-Za-z0-9-]+",


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


def base_f16(system, run):
    """The f16 GGUF of the base that an adapter GGUF is added to."""
    return f"{Path(merge_base_card(system, run)).parent.as_posix()}/gguf/model-f16.gguf"


def base_quants(system, run):
    """The quantised GGUFs of that base."""
    folder = Path(base_f16(system, run)).parent.as_posix()
    return [f"{folder}/model-{quant}.gguf" for quant in quants_of(system, run)]


def of_specialists(pattern):
    """One file for each specialist, where they share a base."""
    return [pattern.format(run) for run in CONFIG.tools.runs] if shares_base() else []


def shares_base():
    return CONFIG.tools is not None and CONFIG.tools.adapters


def shared_type():
    """The type in which the shared base is shipped: the first one that is built for every specialist."""
    return checked(CONFIG.shared_quant) if shares_base() else ""


def shared_quant():
    """The quantised base that all specialists share."""
    if not shares_base():
        return []
    folder = Path(base_f16("tools", next(iter(CONFIG.tools.runs)))).parent.as_posix()
    return f"{folder}/model-{shared_type()}.gguf"


def shared_card():
    """The card of that base."""
    return (
        merge_base_card("tools", next(iter(CONFIG.tools.runs))) if shares_base() else []
    )


def quant_flags(wildcards, input):
    """NAME=FILE of each quant, as the stages take them."""
    return [
        f"{quant}={file}"
        for quant, file in zip(quants_of(wildcards.system, wildcards.run), input.quants)
    ]


def prediction_files(system, run, ending=".jsonl"):
    variants = ["base", "tuned", "f16", *quants_of(system, run)]
    variants += ["shuffled"] if system in SEEING else []
    variants += ["misled"] if system == "gameplay" else []
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
    found = [
        f"dist/{its}/{run}/SHA256SUMS"
        for its, run in CONFIG.run_names()
        if system in (None, its)
    ]
    shared = shares_base() and system in (None, "tools")
    return [*found, "dist/tools/shared/SHA256SUMS"] if shared else found


def named_targets():
    """Target name to files: a system's name, and five stages of each run."""
    targets = {system: packages(system) for system in CONFIG.systems()}
    targets |= (
        {"terrain": packages("terrain") + terrain_sheets()} if CONFIG.terrain else {}
    )
    targets |= {"aerial": packages("aerial") + world_sheets()} if CONFIG.aerial else {}
    for system, run in CONFIG.run_names():
        here = f"{system}/{run}"
        trained, converted = made_in(system)
        stages = {
            "train": [f"models/{here}/{trained}"],
            "validate": [f"reports/{here}/metrics.json", f"reports/{here}/gate.json"],
            "convert": [f"models/{here}/{converted}/certificate.json"],
            "deploy": [f"dist/{here}/SHA256SUMS"],
            "test": [f"reports/{here}/verify.json"],
        }
        targets |= {f"{system}_{run}_{stage}": files for stage, files in stages.items()}
    return targets


def made_in(system):
    """What training makes, and the folder of what a device runs, in a run's folder under models/."""
    if system in WORLDS:
        return "model/model.safetensors", "onnx"
    return "adapter/adapter_model.safetensors", "gguf"


def scenarios():
    """The scenario files as the stages find them: by the one function that says what a scenario is."""
    if CONFIG.dnd is None:
        return []
    return checked(find_scenarios, [Path(path) for path in CONFIG.dnd.scenarios])


def scenario_digest():
    """The scenarios by name and content, so that an edit is noticed whatever its time stamp says."""
    return digest([[one.name, sha256_file(one.path)] for one in scenarios()])[:16]


def scenario_files():
    """Every scenario as a declared input."""
    return [one.path.as_posix() for one in scenarios()]


# Variants that are the base with its adapter, and how they are asked.
TUNED = {
    "tuned": "",
    "shuffled": " --shuffle-pictures",
    "misled": " --swap-questions",
}


def variant_files(wildcards):
    """What a variant is made of; the tokenizer always comes from the base."""
    here = f"models/{wildcards.system}/{wildcards.run}"
    adapter = [
        f"{here}/adapter/adapter_model.safetensors",
        f"{here}/adapter/adapter_config.json",
    ]
    extra = {"base": [], **dict.fromkeys(TUNED, adapter)}
    quant = [f"{here}/gguf/model-{wildcards.variant}.gguf"]
    return extra.get(wildcards.variant, quant + mmproj_file(wildcards))


def mmproj_file(wildcards):
    """The projector of a run that sees."""
    here = f"models/{wildcards.system}/{wildcards.run}/gguf"
    return [f"{here}/mmproj.gguf"] if wildcards.system in SEEING else []


def mmproj_flags(wildcards):
    """How the projector is named to a stage."""
    return [part for file in mmproj_file(wildcards) for part in ("--mmproj", file)]


def variant_flags(wildcards, input):
    """How a variant is named to the stage."""
    base = Path(input.base).parent
    if wildcards.variant == "base":
        return f"--model {base}"
    if wildcards.variant in TUNED:
        return f"--model {base} --adapter {Path(input.files[0]).parent}{TUNED[wildcards.variant]}"
    mmproj = f" --mmproj {input.files[1]}" if len(input.files) > 1 else ""
    return f"--model {input.files[0]}{mmproj}"


def told_of_runs():
    """What the page tells of; a file that changes redraws it."""
    names = (
        "reports/{0}/metrics.json",
        "reports/{0}/gate.json",
        "models/{0}/{1}/certificate.json",
    )
    names += (
        "data/curated/{0}/stats.json",
        "models/{0}/training/training_metadata.json",
        "models/{0}/training/loss.jsonl",
    )
    runs = [
        (f"{system}/{run}", made_in(system)[1]) for system, run in CONFIG.run_names()
    ]
    told = [name.format(*run) for run in runs for name in names]
    loops = CONFIG.gameplay.runs if counts_in_game() else []
    told += [f"reports/gameplay/{run}/loop.json" for run in loops]
    return told + terrain_sheets() + episode_sheets() + world_sheets()


def terrain_sheets():
    """The contact sheet of every terrain run."""
    runs = CONFIG.terrain.runs if CONFIG.terrain else []
    return [f"reports/terrain/{run}/sheet.jpg" for run in runs]


def world_sheets():
    """The pictures of every world model."""
    runs = CONFIG.aerial.runs if CONFIG.aerial else []
    return [f"reports/aerial/{run}/sheet.jpg" for run in runs]


def schema_digest():
    """The tool schema by content."""
    return (
        checked(source_digest, [Path(CONFIG.tools.tool_schema)]) if CONFIG.tools else ""
    )


def example_sources():
    """Where tool-call examples are read from: what the configuration names, or what the generator wrote."""
    return (CONFIG.tools.examples or ["data/generated/tools"]) if CONFIG.tools else []


def example_files():
    """Every file of examples as a declared input; of generated ones the manifest, which hashes them."""
    if CONFIG.tools is None or not CONFIG.tools.examples:
        return "data/generated/tools/manifest.json"
    paths = [Path(path) for path in CONFIG.tools.examples]
    return [path.as_posix() for path in checked(find_files, paths)]


def example_digest():
    """The user's own examples by name and content, so that an edit is noticed whatever its time stamp says."""
    own = CONFIG.tools.examples if CONFIG.tools else []
    return (
        checked(source_digest, [Path(path) for path in own], "*.json*") if own else ""
    )


def terrain_exports():
    """Where maps lie: what the configuration names, what the user's exporter writes, or what the generator does."""
    if CONFIG.terrain is None:
        return []
    if CONFIG.terrain.exports:
        return checked(find_exports, [Path(path) for path in CONFIG.terrain.exports])
    if CONFIG.terrain.export_command:
        maps = CONFIG.terrain.export_maps
        return [Path(f"data/exported/terrain/{name}") for name in maps]
    return [
        Path(f"data/generated/terrain/{one.map}") for one in CONFIG.terrain.generate
    ]


TERRAIN_EXPORTS = checked(by_name, terrain_exports())


def is_generated():
    """Whether maps are made by the generator, so that their tiles are known before they are written."""
    return not (CONFIG.terrain.exports or CONFIG.terrain.export_command)


@cache
def terrain_shards(name):
    """The tiles of a map by shard; of an exporter's map once it was exported."""
    export = TERRAIN_EXPORTS[name]
    if CONFIG.terrain.export_command:
        checkpoints.terrain_export.get(map=name)
    if is_generated():
        made = {one.map: one for one in CONFIG.terrain.generate}
        places = block(made[name].tiles)
        tiles = [TileFile(export, export, name, x, y) for x, y in places]
    else:
        tiles = checked(tiles_in, export)
    shards = {}
    for tile in tiles:
        shards.setdefault(shard_of(tile.x, tile.y), []).append(tile)
    return shards


def shard_inputs(wildcards):
    """The files of a shard's tiles, or the list with the hashes of all files of a generated map."""
    if is_generated():
        return [f"data/generated/terrain/{wildcards.map}/files.json"]
    tiles = terrain_shards(wildcards.map)[wildcards.shard]
    pictures = terrain_pictures(wildcards.map)
    files = [[tile.path, *pictures.get(tile.name, [])] for tile in tiles]
    return [path.as_posix() for paths in files for path in paths]


@cache
def terrain_pictures(name):
    """A map's pictures by tile."""
    return pictures_of(TERRAIN_EXPORTS[name])


def shard_manifests(wildcards):
    """The manifest of every shard of every map."""
    return [
        f"data/ingested/terrain/{name}/{shard}/manifest.json"
        for name in TERRAIN_EXPORTS
        for shard in terrain_shards(name)
    ]


def find_own_recordings():
    """The recordings that the configuration names, by name; else those that the scripted player makes."""
    if CONFIG.gameplay is None:
        return {}
    if not CONFIG.gameplay.recordings:
        made = Path("data/generated/gameplay")
        return {
            name: made / name for name in names_of(CONFIG.gameplay.generate.recordings)
        }
    paths = [Path(path) for path in CONFIG.gameplay.recordings]
    return checked(recordings_by_name, checked(find_recordings, paths))


RECORDINGS = find_own_recordings()


def recording_inputs(wildcards):
    """A recording's files where they are few; of generated ones the list with the hashes of all of them."""
    if not CONFIG.gameplay.recordings:
        return ["data/generated/gameplay/files.json"]
    path = RECORDINGS[wildcards.recording]
    return (
        []
        if path.is_dir()
        else [one.as_posix() for one in sorted(path.parent.glob(f"{path.stem}.*"))]
    )


def recording_content(name):
    """The content of a folder of frames, which are too many to be declared one by one."""
    path = RECORDINGS[name]
    own = bool(CONFIG.gameplay.recordings)
    return recording_digest(path) if own and path.is_dir() else ""


def label_inputs():
    """What a labeller reads besides the segments."""
    label = CONFIG.gameplay.label if CONFIG.gameplay else None
    if label is None or label.by in ("state", "openai"):
        return []
    if label.by == "file":
        return [label.file]
    return [label.model, Path(label.model).with_name("mmproj.gguf").as_posix()]


def counts_in_game():
    """Whether the agent is counted in the game: only one that learnt from it could do anything there."""
    options = CONFIG.gameplay
    return options is not None and options.loop is not None and not options.recordings


def loop_counts(wildcards):
    """How often the agent reached its goal, where that is counted."""
    return [f"reports/gameplay/{wildcards.run}/loop.json"] if counts_in_game() else []


EPISODE_SHEETS = (1, 2)


def episode_sheets():
    """Pictures of episodes of every agent."""
    runs = CONFIG.gameplay.runs if counts_in_game() else []
    return [
        f"reports/gameplay/{run}/episode{number}.jpg"
        for run in runs
        for number in EPISODE_SHEETS
    ]


def game_options():
    """The game's own part of the options that recordings are made with."""
    if CONFIG.gameplay is None:
        return "{}"
    return as_json(CONFIG.gameplay.generate, include=set(GameOptions.model_fields))


def generated_map(wildcards):
    """The options of a generated map."""
    found = [one for one in CONFIG.terrain.generate if one.map == wildcards.map]
    return as_json(found[0]) if found else "{}"


def base_code(wildcards):
    """The fingerprint of what makes a base; a recipe's own code only where it is one."""
    source = CONFIG.bases[wildcards.base].source
    kind, _, where = source.partition(":")
    recipe = checked(recipe_of, where)[0].module if kind == "recipe" else None
    return [code("scripts.model.base"), *([code(recipe)] if recipe else [])]


def specialist_flags(name):
    """What a specialist's curation needs to know of it, and which tools have an owner."""
    run = CONFIG.tools.runs[name]
    flags = ["--run", name, "--focus", *run.focus, "--owned", *CONFIG.tools.owned]
    return [*flags, f"--system-prompt={CONFIG.run('tools', name).system_prompt}"]


def city_meshes(name):
    """Where a city's meshes are read from: the user's own place, or what the workflow fetched or made."""
    source = CONFIG.aerial.cities.get(name)
    if source is None:
        return Path(f"data/generated/aerial/{name}")
    return (
        Path(f"data/fetched/aerial/{name}") if is_fetched(source) else Path(source.path)
    )


def is_fetched(source):
    """Whether meshes are downloaded or come out of an archive."""
    return source.url is not None or Path(source.path).suffix.lower() == ".zip"


def city_inputs(wildcards):
    """A city's files; of a fetched or generated one the list with the hashes of all of them."""
    source = CONFIG.aerial.cities.get(wildcards.city)
    folder = city_meshes(wildcards.city)
    if source is None:
        return [f"{folder.as_posix()}/files.json"]
    if is_fetched(source):
        return [f"{folder.as_posix()}/source.json"]
    files = [*checked(find_meshes, [folder]), *street_files([folder])]
    return [file.as_posix() for file in files]


def archive_input(wildcards):
    """The user's own archive."""
    path = CONFIG.aerial.cities[wildcards.city].path
    return [path] if path else []


def source_flags(wildcards):
    """How a city's source is named to the stage that fetches it."""
    source = CONFIG.aerial.cities[wildcards.city]
    own = ["--sha256", source.sha256] if source.sha256 else []
    return [source.url or source.path, *own]


def generated_city(wildcards):
    """The options of a generated city."""
    found = [one for one in CONFIG.aerial.generate if one.name == wildcards.city]
    return as_json(found[0]) if found else "{}"


def session_manifests(pattern):
    """The manifest of every session; what the pattern has in double braces is its name."""
    found = sessions_of(CONFIG.aerial.sessions) if CONFIG.aerial else []
    return [pattern.replace("{session}", session.name) for session in found]


def windows_inputs():
    """The manifests of all sessions of all cities."""
    cities = CONFIG.aerial.city_names if CONFIG.aerial else []
    return [
        name
        for city in cities
        for name in session_manifests(f"data/ingested/aerial/{city}/{{session}}.json")
    ]


def sessions_root():
    """The folder that the curated windows' frames lie in."""
    return (CONFIG.aerial and CONFIG.aerial.recorded) or "data/ingested/aerial"


def recorded_content():
    """Sessions that the user brings, by content: too many files to be declared one by one."""
    if CONFIG.aerial is None or not CONFIG.aerial.recorded:
        return ""
    root = Path(CONFIG.aerial.recorded)
    if not root.is_dir():
        checked(missing_folder, root)
    folders = sorted({file.parent for file in root.rglob("*") if file.is_file()})
    unread = {"lidar", "images"}  # of sessions in the project's own layout
    kept = [folder for folder in folders if folder.name not in unread]
    return digest(
        [[one.relative_to(root).as_posix(), recording_digest(one)] for one in kept]
    )


def missing_folder(path):
    """Raises what a person should read."""
    raise UserError(f"{path}: no such folder; check aerial.recorded.")


def world_section(name, **which):
    """A parameter function: the named section of a world model's options, as JSON."""
    return lambda wildcards: as_json(
        getattr(CONFIG.world_run(wildcards.run), name), **which
    )


def pretrained_file(wildcards):
    """The weights that a world model starts from."""
    path = CONFIG.world_run(wildcards.run).train.pretrained
    return [path] if path else []


def onnx_flags(wildcards, input):
    """NAME=FILE of each file that a device runs, as the stages take them."""
    return [f"{Path(file).stem.removeprefix('model-')}={file}" for file in input.onnx]
