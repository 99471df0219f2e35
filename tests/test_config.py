"""The presets load, defaults live in the models alone, and errors name the key."""

import json
from pathlib import Path
from typing import get_args

import pytest
import yaml

from scripts.config import SCHEMA, load, load_files, schema_text
from scripts.lib.cli import UserError
from scripts.lib.options.export import Quant
from scripts.model.quantize import FLOATS, file_types

PRESETS = ("demo", "learn", "full")


def preset(name):
    return yaml.safe_load(Path(f"config/{name}.yaml").read_text())


@pytest.mark.parametrize("name", PRESETS)
def test_preset_loads_and_is_named_after_its_file(name):
    config = load_files(Path(f"config/{name}.yaml"))
    assert config.preset == name
    assert config.runs()


@pytest.mark.parametrize("name", PRESETS)
def test_preset_points_editors_to_the_schema(name):
    first = Path(f"config/{name}.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=schema.json"


def test_schema_is_the_models_own():
    assert SCHEMA.read_text() == schema_text(), "run: python -m scripts.config"


def test_demo_is_fast_and_says_that_it_proves_only_the_road():
    config = load_files(Path("config/demo.yaml"))
    assert config.scope == "road"
    assert config.run("dnd", "dm").train.max_steps <= 20


def test_full_names_dialogpt_and_a_chat_model():
    sources = {base.source for base in load_files(Path("config/full.yaml")).bases.values()}
    assert "hf:microsoft/DialoGPT-medium@main" in sources
    assert any("Instruct" in source for source in sources)


@pytest.mark.parametrize(
    ("key", "hint"),
    [("trian", "'train'"), ("dnd.runs.dm.trian", "'train'"), ("train.lora.alfa", "'alpha'")],
)
def test_unknown_key_is_refused_with_the_nearest_known_one(key, hint):
    values = preset("demo")
    *path, last = key.split(".")
    place = values
    for part in path:
        place = place.setdefault(part, {})
    place[last] = 1
    with pytest.raises(UserError, match=f"unknown key '{key}'; did you mean {hint}"):
        load(values)


def test_an_error_names_file_and_line_of_the_key(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("# mine\ndnd:\n  curate:\n    val_shar: 0.1\n  runs:\n    dm: {base: nope}\n")
    demo = Path("config/demo.yaml")
    with pytest.raises(UserError, match=f"{mine} line 4: unknown key 'dnd.curate.val_shar'"):
        load_files(demo, mine)
    mine.write_text(mine.read_text().replace("val_shar:", "val_share:"))
    with pytest.raises(UserError, match=rf"{mine} line 6: dnd\.runs\.dm\.base: no base 'nope'"):
        load_files(demo, mine)


@pytest.mark.parametrize(
    ("section", "value", "what"),
    [
        ("export", {"quants": ["Q4_K_X"]}, "Q4_K_M"),
        ("train", {"device": "cpu", "load_in": "4bit"}, "^config: train: load_in: 4bit does not learn on cpu.*cuda$"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(section, value, what):
    with pytest.raises(UserError, match=what):
        load(preset("demo") | {section: value})


def test_quants_are_those_of_llama_cpp():
    assert set(get_args(Quant)) == set(file_types()) - set(FLOATS)


def test_run_with_an_unknown_base_names_the_known_ones():
    values = preset("demo")
    values["dnd"]["runs"]["dm"]["base"] = "smol"
    with pytest.raises(UserError, match=r"dnd\.runs\.dm\.base: no base 'smol'; known: .*smollm2"):
        load(values)


def test_run_name_that_would_break_a_target_name_is_refused():
    values = preset("demo")
    values["dnd"]["runs"]["dm_two"] = values["dnd"]["runs"]["dm"]
    with pytest.raises(UserError, match="letters and digits"):
        load(values)


def test_merge_onto_must_name_a_base():
    values = preset("demo")
    values["bases"]["small"] = {"source": "hf:a/b", "licence": "mit", "merge_onto": "parent"}
    with pytest.raises(UserError, match="parent"):
        load(values)


def test_run_overrides_reach_nested_keys_and_leave_the_others():
    values = preset("demo")
    values["train"]["lora"] = {"r": 4, "alpha": 32}
    values["dnd"]["runs"]["dm"]["train"] = {"lora": {"r": 8}, "max_steps": 3}
    run = load(values).run("dnd", "dm")
    assert (run.train.lora.r, run.train.lora.alpha) == (8, 32)
    assert (run.train.max_steps, run.train.batch_size) == (3, values["train"]["batch_size"])


def test_later_file_goes_on_top(tmp_path):
    over = tmp_path / "mine.yaml"
    over.write_text("predict: {max_records: 3}\ndnd: {scenarios: [elsewhere]}\n")
    config = load_files(Path("config/demo.yaml"), over)
    assert config.predict.max_records == 3
    assert config.dnd.scenarios == ["elsewhere"]
    assert config.runs()[0].name == "dm"


def test_seed_of_the_config_is_every_runs_seed():
    values = preset("demo") | {"seed": 11}
    assert load(values).run("dnd", "dm").train.seed == 11


def test_schema_forbids_unknown_keys():
    schema = json.loads(schema_text())
    assert schema["additionalProperties"] is False
    assert all(model.get("additionalProperties", False) is False for model in schema["$defs"].values())


def test_an_answer_that_could_outgrow_its_tokens_is_refused():
    terrain = {"runs": {"tile": {"base": "see"}}, "ingest": {"answer": {"cells": 32}}}
    see = {"source": "recipe:sketch-vl@0", "licence": "cc0-1.0"}
    values = {"preset": "x", "scope": "road", "bases": {"see": see}, "terrain": terrain}
    with pytest.raises(UserError, match=r"terrain\.runs\.tile: .* more than train\.max_tokens 1024; raise it"):
        load(values)
    assert load(values | {"train": {"max_tokens": 8192}}).terrain is not None
