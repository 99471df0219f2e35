"""Staleness: nothing is rebuilt without reason and nothing is missed. The stages are played by tests/standin.py."""

import importlib
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from itertools import groupby

import pytest
import yaml
from checkouts import CONE_OF_TRAINING, CURATE, ROOT, SOURCES, Checkout

from scripts.aerial.options import AerialSessionOptions
from scripts.aerial.session_names import sessions_of
from scripts.lib.identity import facts_of, import_closure
from scripts.terrain.places import block, shard_of


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Built once; the tests copy it."""
    folder = tmp_path_factory.mktemp("workflow") / "original"
    folder.mkdir()
    checkout = Checkout(folder).populate()
    checkout.first_build = checkout.build()
    return checkout


@pytest.fixture
def checkout(original, tmp_path):
    """A built checkout of its own, records and time stamps as they were."""
    shutil.copytree(original.folder, tmp_path / "checkout")
    return Checkout(tmp_path / "checkout")


def test_first_build_runs_every_stage_once_a_target(original):
    built = original.first_build
    assert len(built) == len(set(built))
    assert {line.split()[0] for line in built} == {"scripts.model.base"} | CURATE | CONE_OF_TRAINING
    assert sum("scripts.model.predict" in line for line in built) == 5
    assert sum("scripts.model.quantize" in line for line in built) == 2


def test_intermediates_are_gone_and_the_package_is_there(original):
    model = original.folder / "models/dnd/dm"
    assert not (model / "merged/model.safetensors").exists()
    assert not (model / "gguf/model-f16.gguf").exists()
    assert (model / "gguf/model-Q4_K_M.gguf").is_file()
    assert (original.folder / "dist/dnd/dm/SHA256SUMS").is_file()
    assert (original.folder / "reports/index.html").is_file()


def test_second_run_has_nothing_to_do(checkout):
    assert checkout.build() == []
    assert checkout.why() == {}


@pytest.mark.parametrize("stage", ["scripts.dnd.score", "scripts.model.predict"])
def test_next_plan_parses_no_module_again(original, stage):
    known = json.loads((original.folder / ".snakemake/questline-modules.json").read_text())
    parsed = {facts["fingerprint"] for facts in known.values()}
    modules = {name: path for name, path in import_closure(stage).items() if ":" not in name}
    assert {name for name, path in modules.items() if facts_of(path, name)["fingerprint"] not in parsed} == set()


def test_touch_of_everything_changes_nothing(checkout):
    for path in checkout.files():
        if path.is_file():
            path.touch()
    assert checkout.build() == []


def test_old_and_shuffled_times_change_nothing(checkout):
    files = [path for path in checkout.files() if path.is_file()]
    for seed in range(3):
        random.Random(seed).shuffle(files)
        for age, path in enumerate(files):
            os.utime(path, (time.time() - 10 * age, time.time() - 10 * age))
        assert checkout.build() == []


def test_checkout_of_another_branch_and_back_changes_nothing(checkout):
    def git(*arguments):
        subprocess.run(["git", *arguments], cwd=checkout.folder, check=True, capture_output=True)

    (checkout.folder / ".gitignore").write_text(
        "models/\nreports/\ndist/\ndata/curated/\n.snakemake/\nlogs/\nbenchmarks/\n"
    )
    git("init", "-q", "-b", "main")
    git("config", "user.email", "t@example.org")
    git("config", "user.name", "t")
    git("add", "-A")
    git("commit", "-qm", "one")
    git("checkout", "-qb", "other")
    checkout.scenario().write_text("# USER\n\nelse\n\n# DM\n\nWhat?\n")
    checkout.edit("scripts/model/train.py", "def publish(", "def publish_it(")
    git("commit", "-qam", "two")
    git("checkout", "-q", "main")
    assert checkout.build() == []


def test_edited_scenario_rebuilds_its_cone(checkout):
    checkout.scenario().write_text(checkout.scenario().read_text() + "\nMore.\n")
    why = checkout.why()
    name = checkout.scenario().relative_to(checkout.folder).as_posix()
    assert f"content changed: {name}" in why["dnd_curate (run=dm)"]
    assert checkout.modules() == CURATE | CONE_OF_TRAINING


def test_new_scenario_is_noticed_and_named(checkout):
    new = checkout.scenario().with_name("zz-new.md")
    new.write_text("# USER\n\nHello\n\n# DM\n\nYes?\n")
    assert f"new input: {new.relative_to(checkout.folder).as_posix()}" in checkout.why()["dnd_curate (run=dm)"]
    assert checkout.modules() >= CURATE


def test_what_is_no_scenario_changes_nothing(checkout):
    folder = checkout.folder / "data/raw/dnd"
    (folder / "README.md").write_text("# about these files\n")
    (folder / ".draft.md").write_text("# DM\nNot yet.\n")
    assert checkout.build() == []
    shutil.copy(checkout.scenario(), folder / "combat" / "LOUD.MD")
    assert "scripts.dnd.curate" in checkout.modules("-n") | checkout.modules()


def test_missing_folder_of_scenarios_is_one_sentence(original, tmp_path):
    (tmp_path / "o.yaml").write_text("dnd: {scenarios: [nowhere/at-all]}\n")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--configfile", "config/demo.yaml", tmp_path / "o.yaml"],
        cwd=original.folder,
        env=original.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "nowhere/at-all: no such file or folder; check the path." in done.stdout + done.stderr
    assert "Errno" not in done.stdout + done.stderr


def test_a_path_with_a_blank_reaches_its_stage_whole(checkout):
    (checkout.folder / "my tools.json").write_text("{}")
    (checkout.folder / "o.yaml").write_text("dnd: {extra_tools: my tools.json}\n")
    done = checkout.snakemake("-n", "-p", "--configfile", "config/demo.yaml", "o.yaml", "--", "dnd")
    assert "--extra 'my tools.json'" in done.stdout + done.stderr


def test_content_under_an_old_time_stamp_is_noticed(checkout):
    path = checkout.scenario()
    path.write_text(path.read_text().replace("a", "o", 1))
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert f"content changed: {path.relative_to(checkout.folder).as_posix()}" in checkout.why()["dnd_curate (run=dm)"]
    assert checkout.modules() == CURATE | CONE_OF_TRAINING


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("data/curated/dnd/dm/train.jsonl", "scripts.model.train"),
        ("models/dnd/dm/gguf/model-Q4_K_M.gguf", "scripts.model.certify"),
        ("reports/dnd/dm/predictions/tuned.jsonl", "scripts.dnd.score"),
    ],
)
def test_a_made_file_replaced_under_an_old_time_stamp_is_noticed(checkout, name, stage):
    path = checkout.folder / name
    path.write_text("another content\n")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert stage in checkout.modules()
    assert checkout.build() == []


def test_edit_made_while_its_job_runs_is_noticed(checkout):
    path = checkout.scenario()
    text = path.read_text()
    path.write_text(text + "\nFirst edit.\n")
    hook = f"scripts.dnd.curate::{path}::{text}\nSecond edit.\n"
    assert checkout.modules(HOOK=hook) >= CURATE
    assert path.read_text().endswith("Second edit.\n")
    assert checkout.modules() >= CURATE
    assert checkout.build() == []


def test_code_in_the_closure_rebuilds_its_cone(checkout):
    checkout.edit("scripts/model/dataset.py", "IGNORED = -100", "IGNORED = -101")
    assert checkout.why()["train (system=dnd, run=dm)"] == ["code changed: scripts.model.dataset"]
    assert checkout.modules() == CONE_OF_TRAINING


def test_code_of_the_last_stage_reruns_it_alone(checkout):
    path = checkout.folder / "scripts/packaging/gate.py"
    path.write_text(path.read_text() + "\nEXTRA = 1\n")
    assert checkout.modules("reports/dnd/dm/gate.json") == {"scripts.packaging.gate"}


def test_comment_and_docstring_change_nothing(checkout):
    checkout.edit("scripts/model/train.py", '"""Trains, or resumes, and publishes;', '"""Trains, they say;')
    path = checkout.folder / "scripts/lib/records.py"
    path.write_text("# A comment\n" + path.read_text())
    assert checkout.build() == []


def test_module_of_another_system_changes_nothing(checkout):
    for name in ("tools/pool.py", "tools/score.py", "doctor.py"):
        path = checkout.folder / "scripts" / name
        path.write_text(path.read_text() + "\nEXTRA = 1\n")
    assert checkout.build() == []


def test_training_parameter_reruns_training_and_after(checkout):
    checkout.edit("config/demo.yaml", "learning_rate: 1.0e-3", "learning_rate: 2.0e-3")
    assert checkout.why()["train (system=dnd, run=dm)"] == ["parameter learning_rate: 0.001 -> 0.002"]
    assert checkout.modules() == CONE_OF_TRAINING


def test_where_and_how_a_run_is_watched_changes_nothing(checkout):
    (checkout.folder / "over.yaml").write_text("train: {device: cpu, report_to: [], keep_checkpoints: 5}\n")
    assert checkout.build("--configfile", "config/demo.yaml", "over.yaml") == []


def test_deploy_parameter_reruns_the_package_alone(checkout):
    (checkout.folder / "over.yaml").write_text("deploy: {smoke_prompts: 4}\n")
    arguments = ["--configfile", "config/demo.yaml", "over.yaml"]
    assert checkout.modules(*arguments) == {"scripts.dnd.deploy"}


def test_deleted_package_reruns_that_rule_alone(checkout):
    shutil.rmtree(checkout.folder / "dist/dnd/dm")
    assert checkout.why() == {"deploy (system=dnd, run=dm)": ["output is missing: dist/dnd/dm/SHA256SUMS"]}
    assert checkout.modules() == {"scripts.dnd.deploy"}


def test_deleted_quant_brings_back_only_what_it_needs(checkout):
    (checkout.folder / "models/dnd/dm/gguf/model-Q8_0.gguf").unlink()
    ran = checkout.modules("models/dnd/dm/gguf/model-Q8_0.gguf")
    assert ran == {"scripts.model.merge", "scripts.model.convert", "scripts.model.quantize"}
    assert checkout.build() == []


def test_edited_rule_command_is_noticed(checkout):
    checkout.edit(
        "workflow/rules/score.smk", '"python -m scripts.packaging.gate"', '"python  -m scripts.packaging.gate"'
    )
    why = checkout.why("reports/dnd/dm/gate.json")
    assert why == {"gate (system=dnd, run=dm)": ["the command of rule gate was edited"]}


def test_clone_with_the_records_has_nothing_to_do_and_an_edit_replans_its_cone(original, tmp_path):
    clone = tmp_path / "clone"
    for name in (*SOURCES, "data", "models", "reports", "dist"):
        source = original.folder / name
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, clone / name) if source.is_dir() else (clone.mkdir(exist_ok=True), copy(source, clone / name))
    shutil.copytree(original.folder / ".snakemake/metadata", clone / ".snakemake/metadata")
    checkout = Checkout(clone)
    files = [path for path in checkout.files() if path.is_file()]
    random.Random(5).shuffle(files)
    for age, path in enumerate(files):
        os.utime(path, (time.time() - 60 * age, time.time() - 60 * age))
    assert checkout.build() == []
    checkout.scenario().write_text(checkout.scenario().read_text() + "\nMore.\n")
    assert checkout.modules() == CURATE | CONE_OF_TRAINING


@pytest.mark.parametrize("stage", ["train", "validate", "convert", "deploy", "test"])
def test_every_stage_of_a_run_is_a_target(original, stage):
    done = original.snakemake("-n", f"dnd_dm_{stage}")
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("preset", "dnd", "tools", "terrain", "gameplay", "cities", "bases"),
    [("demo", 1, 3, 1, 1, 1, 3), ("learn", 1, 3, 1, 1, 1, 3), ("full", 2, 3, 2, 1, 3, 6)],
)
def test_dry_run_counts_of_every_preset(original, tmp_path, preset, dnd, tools, terrain, gameplay, cities, bases):
    """A fresh checkout plans each rule as often as the preset's runs ask for it."""
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    checkout = Checkout(fresh).populate(whole=True)
    done = checkout.snakemake("-n", "--configfile", f"config/{preset}.yaml")
    assert "Exception" not in done.stderr
    table = done.stdout[done.stdout.rindex("job ") :].splitlines()[2:]
    counts = {row.split()[0]: int(row.split()[1]) for row in table if len(row.split()) == 2}
    sighted = terrain + gameplay
    runs = dnd + tools + sighted
    for rule in ("train", "merge", "convert", "certify"):
        assert counts[rule] == runs, (rule, counts)
    for rule in ("score", "gate", "deploy"):
        assert counts[rule] == runs + 1, (rule, counts)
    for system, number in (("dnd", dnd), ("tools", tools), ("terrain", terrain), ("gameplay", gameplay)):
        assert counts[f"{system}_curate"] == number
    assert counts["terrain_sheet"] == terrain
    assert counts["gameplay_loop"] == gameplay
    quants = 2 * (dnd + sighted) + (1 if preset == "demo" else 2) * tools
    assert counts["quantize"] == quants
    # Those that see are also shown others' pictures; an agent is also told others' goals.
    assert counts["predict"] == 3 * runs + quants + sighted + gameplay
    assert counts["project"] == sighted
    values = yaml.safe_load((ROOT / "config" / f"{preset}.yaml").read_text())
    recordings = values["gameplay"]["generate"].get("recordings", 12)
    assert counts["gameplay_ingest"] == counts["gameplay_label"] == recordings
    maps = values["terrain"]["generate"]
    assert counts["terrain_generate"] == len(maps)
    shards = {(one["map"], shard_of(*place)) for one in maps for place in block(one["tiles"])}
    assert counts["terrain_ingest"] == len(shards)
    for rule in ("generate", "check", "sessions"):
        assert counts[f"aerial_{rule}"] == cities
    for rule in ("curate", "train", "export", "sheet"):
        assert counts[f"aerial_{rule}"] == 1
    assert counts["base"] == bases
    assert counts["dnd_tools"] == 1
    assert counts.get("tools_generate", 0) == (tools > 0)


@pytest.mark.parametrize("prompt", ["", 'Say "keys", it\'s -- all & more.'])
def test_every_stage_can_read_the_command_that_it_is_given(tmp_path, prompt):
    """Also where a run has no system prompt, or one with quotes."""
    (tmp_path / "fresh").mkdir()
    checkout = Checkout(tmp_path / "fresh").populate(whole=True)
    values = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    for system in ("dnd", "tools", "terrain", "gameplay"):
        for run in values[system]["runs"].values():
            run["system_prompt"] = prompt
    (checkout.folder / "config" / "demo.yaml").write_text(yaml.safe_dump(values))
    done = checkout.snakemake("-n", "-p", "--configfile", "config/demo.yaml")
    said = done.stdout + done.stderr
    commands = [shlex.split(line) for line in re.findall(r"python -m scripts\..*", said)]
    commands = [list(part) for words in commands for same, part in groupby(words, "&&".__ne__) if same]
    read = Counter()
    for _, _, module, *arguments in commands:
        given = importlib.import_module(module).parser().parse_args(arguments)
        read[module] += 1
        assert getattr(given, "system_prompt", prompt) == prompt, (module, arguments)
        read["prompts"] += hasattr(given, "system_prompt")
        if module == "scripts.model.predict":
            assert given.swap_questions == (given.variant == "misled")
            assert given.shuffle_pictures == (given.variant == "shuffled")
            read[given.variant] += 1
    assert {"scripts.model.train", "scripts.gameplay.curate", "scripts.tools.curate"} <= set(read)
    assert read["prompts"] >= 16
    assert (read["misled"], read["shuffled"]) == (1, 2)


TOOLS = ("--configfile", "config/demo.yaml", "--")


@pytest.fixture(scope="module")
def built_tools(tmp_path_factory):
    """The tools system, built once; the tests copy it."""
    folder = tmp_path_factory.mktemp("tools") / "original"
    folder.mkdir()
    checkout = Checkout(folder).populate(whole=True)
    checkout.build(*TOOLS, "tools")
    return checkout


@pytest.fixture
def tools(built_tools, tmp_path):
    shutil.copytree(built_tools.folder, tmp_path / "checkout")
    return Checkout(tmp_path / "checkout")


def runs_of(lines, module):
    """The runs for which a stage ran."""
    names = {"veran", "farore", "nayru"}
    return {part for line in lines if line.split()[0] == module for part in line.split()[1].split("/") if part in names}


def test_tools_second_run_has_nothing_to_do(tools):
    assert tools.build(*TOOLS, "tools") == []
    (tools.folder / "scripts/dnd/score.py").open("a").write("\nEXTRA = 1\n")
    tools.edit("config/demo.yaml", "eval_records: 1", "eval_records: 2")  # reaches every run's training
    assert runs_of(tools.build(*TOOLS, "tools"), "scripts.model.train") == {"veran", "farore", "nayru"}


def test_one_specialist_s_prompt_rebuilds_that_specialist(tools):
    tools.edit(
        "config/demo.yaml",
        "      system_prompt: *prompt\n      focus:\n        - mesen2.load_rom",
        "      system_prompt: You run games.\n      focus:\n        - mesen2.load_rom",
    )
    lines = tools.build(*TOOLS, "tools")
    for module in ("scripts.tools.curate", "scripts.model.train", "scripts.tools.deploy"):
        assert runs_of(lines, module) == {"farore"}


def test_shared_base_is_made_once_and_an_adapter_for_each_specialist(tools):
    (tools.folder / "shared.yaml").write_text("tools: {adapters: true}\n")
    mine = (*TOOLS[:2], "shared.yaml", "--", "tools")
    lines = tools.build(*mine)
    assert {"scripts.model.convert models/base/smollm2/gguf/model-f16.gguf"} <= set(lines)
    assert not runs_of(lines, "scripts.model.train") | runs_of(lines, "scripts.model.convert")
    assert runs_of(lines, "scripts.model.adapter_gguf") == {"veran", "farore", "nayru"}
    assert (tools.folder / "dist/tools/shared/SHA256SUMS").is_file()
    assert not (tools.folder / "models/base/smollm2/gguf/model-f16.gguf").exists()
    assert tools.build(*mine) == []


def test_schema_under_an_old_time_stamp_rebuilds_the_examples_and_all_specialists(tools):
    path = tools.folder / "data/raw/tools/schema.json"
    tools.edit("data/raw/tools/schema.json", '"maximum": 36000', '"maximum": 30000')
    os.utime(path, (1_000_000_000, 1_000_000_000))
    lines = tools.build(*TOOLS, "tools")
    assert {line.split()[0] for line in lines} >= {"scripts.tools.generate", "scripts.tools.curate"}
    assert runs_of(lines, "scripts.model.train") == {"veran", "farore", "nayru"}


def test_own_examples_are_inputs(tools):
    own = tools.folder / "own"
    own.mkdir()
    (own / "a.json").write_text('{"id": "a"}')
    (tools.folder / "own.yaml").write_text("tools: {examples: [own]}\n")
    mine = (*TOOLS[:2], "own.yaml", "--", "tools")
    assert "scripts.tools.generate" not in {line.split()[0] for line in tools.build(*mine)}
    assert tools.build(*mine) == []
    (own / "a.json").write_text('{"id": "b"}')
    os.utime(own / "a.json", (1_000_000_000, 1_000_000_000))
    assert runs_of(tools.build(*mine), "scripts.tools.curate") == {"veran", "farore", "nayru"}


CITIES = """
aerial:
  cities: {north: {path: north}, south: {path: south}}
  sessions: {sessions: 2, frames: 10, kinds: [walk]}
"""
AERIAL = ("--configfile", "config/demo.yaml", "cities.yaml", "--", "aerial")
WORLD = {f"scripts.aerial.world.{stage}" for stage in ("train", "export", "score", "sheet", "deploy")}
JUDGED = {"scripts.aerial.world.curate", "scripts.packaging.gate"} | WORLD


@pytest.fixture(scope="module")
def built_aerial(tmp_path_factory):
    """Two cities of two files each, built once; the tests copy it."""
    folder = tmp_path_factory.mktemp("aerial") / "original"
    folder.mkdir()
    checkout = with_sessions(Checkout(folder).populate(whole=True))
    for city in ("north", "south"):
        (folder / city).mkdir()
        for name in ("ground", "building"):
            (folder / city / f"{name}.obj").write_text(f"# {city} {name}\nv 0 0 0\n")
    (folder / "cities.yaml").write_text(CITIES)
    checkout.first_build = checkout.build(*AERIAL)
    return checkout


def with_sessions(checkout):
    """The stand-in is told the names of sessions."""
    names = [f"{one.name}.json" for one in sessions_of(AerialSessionOptions(sessions=2, frames=10, kinds=["walk"]))]
    checkout.environment |= {"SESSIONS": " ".join(names)}
    return checkout


@pytest.fixture
def aerial(built_aerial, tmp_path):
    shutil.copytree(built_aerial.folder, tmp_path / "checkout")
    return with_sessions(Checkout(tmp_path / "checkout"))


def test_aerial_builds_every_stage_once_and_then_nothing(built_aerial, aerial):
    stages = {line.split()[0] for line in built_aerial.first_build}
    assert stages == {"scripts.aerial.check", "scripts.aerial.sessions"} | JUDGED
    assert len(built_aerial.first_build) == 2 * 2 + len(JUDGED)
    assert aerial.build(*AERIAL) == []


def test_an_edited_mesh_reruns_its_city_and_what_learns_from_it(aerial):
    path = aerial.folder / "north/building.obj"
    path.write_text(path.read_text() + "v 1 0 0\n")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    lines = aerial.build(*AERIAL)
    recorded = [line for line in lines if line.split()[0] in ("scripts.aerial.check", "scripts.aerial.sessions")]
    assert recorded == [
        "scripts.aerial.check data/ingested/aerial/north/meshes.json",
        "scripts.aerial.sessions data/ingested/aerial/north",
    ]
    assert {line.split()[0] for line in lines} - {line.split()[0] for line in recorded} == JUDGED
    assert aerial.build(*AERIAL) == []


def test_aerial_parameters_and_code_rerun_no_more_than_their_cone(aerial):
    over = aerial.folder / "cities.yaml"
    over.write_text(CITIES + "  train: {report_to: [], save_epochs: 2, save_minutes: 1, device: cpu}\n")
    assert aerial.build(*AERIAL) == []
    over.write_text(CITIES + "  train: {learning_rate: 0.01}\n")
    assert aerial.modules(*AERIAL) == WORLD | {"scripts.packaging.gate"}
    aerial.edit("scripts/aerial/world/sheet.py", "WINDOWS, SIZE, GAP", "WINDOWS, SIZE, GAP  ")
    assert aerial.build(*AERIAL) == []
    aerial.edit("scripts/aerial/world/sheet.py", "= 4, 118", "= 3, 118")
    assert aerial.modules(*AERIAL) == {"scripts.aerial.world.sheet"}


@pytest.mark.parametrize("stage", ["train", "validate", "convert", "deploy", "test"])
def test_every_stage_of_a_world_is_a_target(built_aerial, stage):
    assert built_aerial.snakemake("-n", *AERIAL[:-1], f"aerial_world_{stage}").returncode == 0


def test_recorded_sessions_are_noticed_by_content(aerial):
    session = aerial.folder / "flights/drone_1"
    for part in ("occupancy", "poses", "images"):
        (session / part).mkdir(parents=True)
        (session / part / "000000").write_text("a")
    (aerial.folder / "own.yaml").write_text("aerial: {recorded: flights}\n")
    mine = (*AERIAL[:2], "own.yaml", *AERIAL[3:])
    assert aerial.modules(*mine) == JUDGED
    (session / "images/000000").write_text("b")  # no model sees it
    assert aerial.build(*mine) == []
    (session / "poses/000000").write_text("b")
    assert aerial.modules(*mine) == JUDGED


def test_every_rule_states_resources_log_and_benchmark():
    texts = [path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk"))]
    rules = [rule for text in texts for rule in text.split("\nrule ")[1:]]
    assert len(rules) >= 30
    for rule in rules:
        for directive in ("log:", "benchmark:", "threads:", "**resources(", "code="):
            assert directive in rule, f"rule {rule.split(':')[0]} has no {directive}"


def test_unknown_config_key_is_one_sentence(original):
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--config", "trian=1"],
        cwd=original.folder,
        env=original.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "unknown key 'trian'; did you mean 'train'?" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
