"""Models that see, from base to certificate by the same stages as models that read; nothing dropped, nothing blind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from exported import TRAINING, stage
from tiny_models import save_tiny
from tiny_vlm import FAMILIES, save_tiny_vlm, seeing, write_seeing
from transformers import AutoTokenizer

from scripts.lib.chat import PLACEHOLDER, expand, render
from scripts.lib.cli import UserError
from scripts.lib.files import read_json, read_jsonl
from scripts.lib.records import read_records, write_records
from scripts.model import certify, convert, merge, predict, quantize, train
from scripts.model.cases import Case, asked, question_of, with_others_pictures
from scripts.model.dataset import PadRight, load_examples
from scripts.model.gguf_file import GgufFile
from scripts.model.proof.vision import check_projector
from scripts.model.tensors import read_model
from scripts.model.vision import Eyes, eyes_of, for_llama, sees


@dataclass(frozen=True)
class Sight:
    """The files of a run that sees."""

    folder: Path

    @property
    def gguf(self) -> Path:
        return self.folder / "model-f16.gguf"

    @property
    def mmproj(self) -> Path:
        return self.folder / "mmproj.gguf"


@pytest.fixture(scope="session")
def sights(converter, tmp_path_factory):
    """Every family, trained on two pictures' worth of nothing and exported."""
    torch.set_num_threads(1)
    return {family: make_sight(family, tmp_path_factory.mktemp(family), converter) for family in FAMILIES}


def make_sight(family: str, folder: Path, converter: Path) -> Sight:
    base = save_tiny_vlm(family, folder / "base")
    files = {name: write_seeing(folder, name, count) for name, count in (("train", 4), ("val", 2))}
    data = ("--base", base, "--train", files["train"], "--val", files["val"])
    stage(train, *data, "--out", folder, "--work", folder / "work", "--params", json.dumps(TRAINING))
    stage(merge, "--base", base, "--adapter", folder / "adapter", "--out", folder / "merged")
    out = ("--out", folder / "model-f16.gguf", "--mmproj", folder / "mmproj.gguf")
    stage(convert, "--model", folder / "merged", *out, "--converter", converter)
    stage(quantize, "--model", folder / "model-f16.gguf", "--type", "Q8_0", "--out", folder / "model-Q8_0.gguf")
    return Sight(folder)


@pytest.fixture(params=FAMILIES)
def sight(request, sights):
    return sights[request.param]


def test_training_tells_how_large_its_pictures_were(sight):
    told = read_json(sight.folder / "training/training_metadata.json")["audit"]
    assert (told["train"]["pictures"], told["val"]["pictures"]) == ({"112x112": 4}, {"112x112": 2})


def run_certify(sight: Sight, out: Path, **changes) -> dict:
    folder = sight.folder
    files = {
        "base": folder / "base", "adapter": folder / "adapter", "merged": folder / "merged", "f16": sight.gguf,
        "mmproj": sight.mmproj, "heldout": folder / "val.jsonl", "texts": folder / "train.jsonl",
    } | changes  # fmt: skip
    given = [part for name, path in files.items() for part in (f"--{name}", path)]
    stage(certify, *given, "--quant", f"Q8_0={folder / 'model-Q8_0.gguf'}", "--out", out)
    return {check["name"]: check for check in read_json(out)["checks"]}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_certificate_of_a_model_that_sees(sights, family, tmp_path):
    sight = sights[family]
    checks = run_certify(sight, tmp_path / "certificate.json")
    assert not [name for name, check in checks.items() if check["passed"] is False]
    assert checks["logits:pictures"]["value"] < 1e-4
    assert {"inventory:mmproj", "values:mmproj", "values:f16", "tokenizer", "prompt", "logits:merged"} <= checks.keys()
    assert "kl_divergence:Q8_0" in checks and "logits:f16" not in checks


def test_another_models_projector_is_found_out(sights, tmp_path):
    sight = sights["qwen3_vl"]
    other = save_tiny_vlm("qwen3_vl", tmp_path / "other", seed=5)
    stage(convert, "--model", other, "--mmproj", tmp_path / "mmproj.gguf")
    with pytest.raises(UserError, match=r"values:mmproj failed: .* has other values in the projector"):
        run_certify(sight, tmp_path / "certificate.json", mmproj=tmp_path / "mmproj.gguf")
    checks = {check["name"]: check for check in read_json(tmp_path / "certificate.failed.json")["checks"]}
    assert checks["inventory:mmproj"]["passed"] and not checks["logits:pictures"]["passed"]


def test_the_projector_holds_the_whole_tower(sight):
    inventory, values = check_projector(sight.folder / "merged", sight.mmproj)
    assert inventory.passed and values.passed
    tower = [name for name in read_model(sight.folder / "merged") if "visual." in name]
    assert len(tower) > 20 and f"all {len(tower)} tensors" in inventory.detail


def test_merging_keeps_the_tower_and_the_picture_settings(sight):
    base, merged = read_model(sight.folder / "base"), read_model(sight.folder / "merged")
    assert base.keys() == merged.keys()
    assert (sight.folder / "merged" / "preprocessor_config.json").is_file()
    # all-linear adapts the tower as well, so that its layers have learnt
    changed = [name for name in base if "visual.blocks" in name and name.endswith("qkv.weight")]
    assert all(content(base[name]) != content(merged[name]) for name in changed) and changed


def content(tensor) -> bytes:
    from scripts.model.tensors import read_raw

    return bytes(read_raw(tensor, 0, tensor.rows))


def run_predict(sight: Sight, out: Path, *arguments) -> list[dict]:
    params = {"max_new_tokens": 6, "device": "cpu"}
    given = ("--tokenizer", sight.folder / "base", "--records", sight.folder / "val.jsonl", "--out", out)
    stage(predict, "--variant", out.stem, *given, "--params", json.dumps(params), *arguments)
    return [row for _, row in read_jsonl(out)]


@pytest.mark.parametrize("family", FAMILIES)
def test_merged_and_unmerged_answer_alike(sights, family, tmp_path):
    sight = sights[family]
    folder = sight.folder
    tuned = run_predict(sight, tmp_path / "tuned.jsonl", "--model", folder / "base", "--adapter", folder / "adapter")
    merged = run_predict(sight, tmp_path / "f16.jsonl", "--model", sight.gguf, "--mmproj", sight.mmproj)
    assert [row["prompt_tokens"] for row in tuned] == [row["prompt_tokens"] for row in merged]
    assert [row["id"] for row in merged] == ["val-0", "val-1"]
    assert read_json(tmp_path / "tuned.stats.json")["perplexity"]["value"] > 1
    same = sum(one["completion"] == other["completion"] for one, other in zip(tuned, merged, strict=True))
    assert same >= 1  # a tie of random logits may fall either way


def test_a_gguf_without_its_projector_is_refused(sight, tmp_path):
    with pytest.raises(UserError, match="--mmproj: the prompts show pictures"):
        run_predict(sight, tmp_path / "f16.jsonl", "--model", sight.gguf)


def test_a_prompt_is_asked_what_another_one_is_asked(sights, tmp_path):
    sight = sights["qwen3_vl"]
    one, other = read_records(sight.folder / "val.jsonl")
    other = asked(other, "How wide is it, and of what colour?")
    write_records(sight.folder / "asked.jsonl", [one, other])
    swapped = [asked(one, question_of(other).text), asked(other, question_of(one).text)]
    write_records(sight.folder / "swapped.jsonl", swapped)
    model = ("--model", sight.folder / "base", "--records")
    plain = run_predict(sight, tmp_path / "tuned.jsonl", *model, sight.folder / "asked.jsonl")
    misled = run_predict(sight, tmp_path / "misled.jsonl", *model, sight.folder / "asked.jsonl", "--swap-questions")
    by_hand = run_predict(sight, tmp_path / "by_hand.jsonl", *model, sight.folder / "swapped.jsonl")
    assert misled == by_hand
    assert (
        [row["prompt_tokens"] for row in misled]
        == [row["prompt_tokens"] for row in plain][::-1]
        != [row["prompt_tokens"] for row in plain]
    )


def test_shuffling_shows_every_prompt_another_picture(sights):
    sight = sights["qwen3_vl"]
    records = read_records(sight.folder / "train.jsonl")
    cases = [Case(record, 2, "", (1, 2), 4, (Path(record.images[0]),)) for record in records]
    shuffled = with_others_pictures(cases)
    assert sorted(case.pictures for case in shuffled) == sorted(case.pictures for case in cases)
    assert all(one.pictures != other.pictures for one, other in zip(cases, shuffled, strict=True))


def test_batches_of_pictures(sights):
    folder = sights["qwen3_vl"].folder
    tokenizer, eyes = AutoTokenizer.from_pretrained(folder / "base"), Eyes(folder / "base")
    rows, audit = load_examples(folder / "train.jsonl", tokenizer, 256, eyes=eyes)
    batch = PadRight(tokenizer.pad_token_id, eyes)([rows[0], rows[1]])
    # 112 pixels are rounded to 128, the nearest multiple of 32: 16 features of 4 patches
    assert (batch["mm_token_type_ids"].sum(dim=1) == 16).all()
    assert batch["pixel_values"].shape == (2 * 64, 3 * 2 * 16 * 16)
    assert batch["image_grid_thw"].tolist() == [[1, 8, 8], [1, 8, 8]]
    assert audit.summary()["used"] == 4


def test_placeholders_must_match_the_pictures(sights):
    folder = sights["qwen3_vl"].folder
    eyes = Eyes(folder / "base")
    with pytest.raises(UserError, match="3 placeholders for 16 features of 1 pictures"):
        eyes.input_of(torch.full((1, 3), eyes.token), [folder / "images" / "val-0.png"])


def test_expanding_placeholders():
    assert expand(f"a{PLACEHOLDER}b{PLACEHOLDER}c", [2, 1]) == f"a{2 * PLACEHOLDER}b{PLACEHOLDER}c"
    assert expand("no picture yet", [2]) == "no picture yet"
    with pytest.raises(UserError, match="shows 2 pictures where there are 1"):
        expand(2 * PLACEHOLDER, [3])


def test_the_answer_alone_carries_loss(sights):
    folder = sights["qwen3_vl"].folder
    tokenizer = AutoTokenizer.from_pretrained(folder / "base")
    rendered = render(tokenizer, seeing("r", "images/val-0.png", "It is dark."), [16])
    learnt = [token for token, on in zip(rendered.ids, rendered.mask, strict=True) if on]
    assert tokenizer.decode(learnt) == "It is dark.<|im_end|>"
    assert rendered.ids.count(Eyes(folder / "base").token) == 16


def test_both_sides_are_given_the_same_pixels(sights):
    import base64
    import io

    from PIL import Image

    folder = sights["qwen3_vl"].folder
    eyes, picture = Eyes(folder / "base"), folder / "images" / "val-0.png"
    with Image.open(io.BytesIO(base64.b64decode(eyes.encoded(picture)))) as sent:
        np.testing.assert_array_equal(np.asarray(sent), np.asarray(eyes.open(picture)))
        assert sent.size == (128, 128)
    given = for_llama("<|vision_start|><|image_pad|><|vision_end|>?", [picture], eyes, "<here>")
    assert given["prompt_string"] == "<here>?" and len(given["multimodal_data"]) == 1


def test_pictures_need_a_base_that_sees(tmp_path):
    base = save_tiny("llama", tmp_path / "base")
    assert not sees(base) and eyes_of(base) is None
    file = write_seeing(tmp_path, "train", 2)
    with pytest.raises(UserError, match="shows a picture, and this base takes none"):
        load_examples(file, AutoTokenizer.from_pretrained(base), 256)


def test_a_picture_that_is_gone_is_named(sights, tmp_path):
    folder = sights["qwen3_vl"].folder
    file = write_seeing(tmp_path, "train", 2)
    (tmp_path / "images" / "train-1.png").unlink()
    with pytest.raises(UserError, match=r"train-1.png: not there, though record train-1 names it"):
        load_examples(file, AutoTokenizer.from_pretrained(folder / "base"), 256, eyes=Eyes(folder / "base"))


def test_the_projector_is_a_projector(sight):
    file = GgufFile(sight.mmproj)
    assert file.architecture == "clip"
    assert any(name.startswith("mm.") for name in file.tensors)
