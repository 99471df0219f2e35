"""The presets load, defaults live in the models alone, and errors name the key."""

import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from scripts import option_table
from scripts.aerial.world.options import AerialWorldOptions
from scripts.config import SCHEMA, Config, load, load_files, schema_text
from scripts.lib.cli import UserError
from scripts.lib.options.export import Quant
from scripts.lib.options.split import SplitOptions
from scripts.lib.options.strict import deep_merge
from scripts.model.quantize import FLOATS, file_types
from scripts.systems import SYSTEMS

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


def test_a_section_is_the_runs_over_the_systems_over_the_top_over_declared_defaults():
    values = preset("demo") | {"train": {"seed": 3}, "gate": {"tolerance": 0.5}}
    values["dnd"] |= {"train": {"seed": 5}}
    values["dnd"]["runs"]["dm"] |= {"train": {"seed": 9}}
    config = load(values)
    assert config.run("dnd", "dm").train.seed == 9
    assert config.run("tools", "nayru").train.seed == 3
    assert config.run("terrain", "tile").gate.tolerance == 0.5  # terrain declares 1.0
    assert config.run("terrain", "tile").gate.metric == "height_rmse"
    del values["dnd"]["runs"]["dm"]["train"]
    assert load(values).run("dnd", "dm").train.seed == 5
    plain = preset("demo") | {"seed": 11}
    assert load(plain).run("dnd", "dm").train.seed == 11


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("dnd: {gate: {beat: [majorty]}}", r"line 1: dnd\.gate\.beat: nothing called 'majorty'.*known: none, majority"),
        ("gate:\n  beat: [tuned]", r"line 2: gate\.beat: nothing called 'tuned'"),
        ("dnd: {gate: {metric: f1}}", r"line 1: dnd\.gate\.metric: no metric 'f1'; known: call_precision"),
        ("dnd: {runs: {dm: {gate: {minimum: {f1: 1}}}}}", r"line 1: dnd\.runs\.dm\.gate\.minimum: no metric 'f1'"),
        ("terrain: {gate: {beat: [flat]}}", r"line 1: terrain\.gate\.beat: 'flat' is an oracle.*Choose among: mean"),
        ("bases: {my base: {source: recipe:tiny-llama}}", "my base"),
        ("seed: -1", "seed"),
        ("export: {quants: [Q8_0, Q8_0]}", "Q8_0 stands twice"),
        ("- one", "expected `key: value` lines|has `key: value` lines"),
    ],
)
def test_what_no_run_could_use_is_refused_by_file_line_and_key(tmp_path, text, what):
    mine = tmp_path / "mine.yaml"
    mine.write_text(text + "\n")
    with pytest.raises(UserError, match=f"{mine}.*({what})"):
        load_files(Path("config/demo.yaml"), mine)


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


def with_one_float(annotation: Any, number: float, default: Any = None) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Values of an annotation in which one float is the number, each with the path of that float; all floats in turn.

    >>> list(with_one_float(tuple[int, list[float]], 0.5))
    [(('1', '0'), [1, [0.5]])]
    """
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if annotation is float:
        yield (), number
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            for path, value in with_one_float(field.annotation, number, field.default):
                yield (name, *path), {name: value}
    elif origin is Annotated:
        yield from with_one_float(arguments[0], number, default)
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from with_one_float(argument, number, default)
    elif origin is dict:
        yield from ((("x", *path), {"x": value}) for path, value in with_one_float(arguments[1], number))
    elif origin in (list, tuple):
        length = len(arguments) if origin is tuple else len(default) if isinstance(default, list) and default else 1
        for place, argument in enumerate(arguments):
            for path, value in with_one_float(argument, number):
                yield (str(place), *path), [*[1] * place, value, *[1] * (length - place - 1)]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(("model", "floats"), [(Config, 340), (AerialWorldOptions, 30)])
def test_no_float_may_be_nan_or_infinite(model, floats, number):
    whole = preset("demo") if model is Config else {"preset": "x"}
    paths = set()
    for path, values in with_one_float(model, number):
        key = ".".join(path)
        with pytest.raises(UserError) as refused:
            model.parse(deep_merge(whole, values), "here")
        assert f"here: {key}: input should be a finite number (given: {number!r})" in str(refused.value)
        paths.add(key)
    assert len(paths) >= floats
    if model is Config:
        assert {"certify.max_nmse", "gate.minimum.x", "bases.x.billions", "aerial.voxels.grid.voxel.2"} <= paths
        assert {"dnd.curate.val_share", "terrain.ingest.worth.relief", "aerial.score.threshold"} <= paths


@pytest.mark.parametrize("system", ["dnd", "tools", "terrain", "gameplay", "aerial"])
def test_every_system_needs_a_share_for_train(system):
    section = ("data", "split") if system == "aerial" else ("curate",)
    for shares in ({"val_share": 0.6, "test_share": 0.6}, {"val_share": 0.5, "test_share": 0.5}):
        values: Any = shares
        for name in reversed((system, *section)):
            values = {name: values}
        key = ".".join((system, *section))
        with pytest.raises(UserError, match=rf"config: {key}: val_share \+ test_share must be below 1"):
            load(deep_merge(preset("demo"), values))
    assert load(preset("demo"))


def test_every_system_splits_by_the_same_options():
    splits = set(SplitOptions.__subclasses__())
    names = {f"{name}CurateOptions" for name in ("Dnd", "Tools", "Terrain", "Gameplay")} | {"WorldSplitOptions"}
    assert {split.__name__ for split in splits} == names
    plain = SplitOptions().model_dump()
    assert all(plain.items() <= split().model_dump().items() for split in splits)


def test_the_table_of_options_is_the_models_own_and_every_difference_has_a_reason():
    assert option_table.PAGE.read_text() == option_table.page(), "run: python -m scripts.option_table"
    rows = option_table.common_rows()
    keys = [keys for path, row in rows.items() if (keys := option_table.reason_keys(path, row))]
    assert [choices for choices in keys if not option_table.REASONS.keys() & choices] == []
    assert option_table.REASONS.keys() <= {key for choices in keys for key in choices}
    assert rows["curate.seed"] == dict.fromkeys(SYSTEMS, 7)
    assert rows["curate.val_share"] == dict.fromkeys(SYSTEMS, 0.1)


@pytest.mark.parametrize("section", [{"train": {"gpus": [0]}}, {"runs": {"world": {"train": {"gpus": [0]}}}}])
def test_a_removed_key_is_refused_with_what_to_use_today(section):
    """In the shared section of a system and in what one run overrides, where validators do not run."""
    values = preset("demo")
    values["aerial"] = deep_merge(values["aerial"], section)
    with pytest.raises(UserError, match=r"aerial\..*train\.gpus: this key was removed; use train\.processes"):
        load(values)
