"""Merging out of core: equal to PEFT's merge for every kind of adapter, every tensor accounted for."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tiny_models import save_tiny
from transformers import AutoModelForCausalLM

from scripts.lib.cli import UserError
from scripts.lib.files import read_json, write_json
from scripts.model import merge as stage
from scripts.model import tensors
from scripts.model.merge import merge

pytestmark = pytest.mark.filterwarnings("ignore")
LINEARS = ["q_proj", "v_proj", "o_proj", "down_proj"]
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "linear": ("llama", {"target_modules": LINEARS}),
    "all-linear": ("qwen2", {"target_modules": "all-linear"}),
    "tied": ("llama-tied", {"target_modules": LINEARS}),
    "conv1d": ("gpt2", {"target_modules": ["c_attn", "c_proj", "c_fc"], "fan_in_fan_out": True}),
    "conv1d, flag left out": ("gpt2", {"target_modules": ["c_proj"]}),
    "rank pattern": ("llama", {"target_modules": LINEARS, "rank_pattern": {"q_proj": 2, "layers.1.mlp.down_proj": 8}}),
    "alpha pattern": ("llama", {"target_modules": LINEARS, "alpha_pattern": {r"layers\.0.*v_proj": 3}}),
    "rslora": ("llama", {"target_modules": LINEARS, "use_rslora": True}),
    "odd scaling": ("llama", {"target_modules": LINEARS, "r": 3, "lora_alpha": 5}),
    "modules_to_save": (
        "llama",
        {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head", "norm"]},
    ),
    "head": ("llama", {"target_modules": ["q_proj", "lm_head"]}),
    "biases": ("qwen2", {"target_modules": ["q_proj"], "bias": "all"}),
    "tied on purpose": (
        "llama-tied",
        {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
    ),
}
ROUNDED_OTHERWISE = {
    "dora": ("llama", {"target_modules": LINEARS, "use_dora": True}),
    "dora, conv1d": ("gpt2", {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True, "use_dora": True}),
    "embeddings": ("llama", {"target_modules": ["q_proj", "embed_tokens"]}),
    "dora, embeddings": ("llama", {"target_modules": ["embed_tokens", "lm_head"], "use_dora": True}),
}
UNTIED = {
    "trained head": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
    "trained embedding": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
    "pair on the embedding": {"target_modules": ["q_proj", "embed_tokens"]},
    "pair on the head": {"target_modules": ["q_proj", "lm_head"]},
}


def make_adapter(base: Path, folder: Path, **lora: Any) -> Path:
    """An adapter whose every trained number was moved at random, saved by PEFT."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
    lora = {"r": 4, "lora_alpha": 8, **lora}
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **lora))
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator) * 0.05
                parameter.copy_(parameter * (1 + noise) if "magnitude" in name else parameter + noise)
    adapted.save_pretrained(folder)
    return folder


def peft_merged(base: Path, adapter: Path, dtype: str = "auto") -> dict[str, torch.Tensor]:
    """What PEFT's own merge gives, by name."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    return PeftModel.from_pretrained(model, adapter).merge_and_unload().state_dict()


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(3, 40)[None]).logits


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Tiny base models by architecture and precision, each made once."""
    root = tmp_path_factory.mktemp("bases")

    def get(arch: str, dtype: str = "bfloat16") -> Path:
        folder = root / f"{arch}-{dtype}"
        return folder if folder.exists() else save_tiny(arch, folder, dtype=dtype)

    return get


@pytest.mark.parametrize("kind", KINDS)
def test_equals_peft_to_the_bit(kind: str, bases: Any, tmp_path: Path) -> None:
    arch, lora = KINDS[kind]
    base = bases(arch)
    adapter = make_adapter(base, tmp_path / "adapter", **lora)
    account = merge(base, adapter, tmp_path / "out")
    ours, before = load_file(tmp_path / "out" / "model.safetensors"), load_file(base / "model.safetensors")
    theirs = peft_merged(base, adapter)
    assert ours.keys() == before.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
    changed = [name for name in ours if not torch.equal(ours[name], before[name])]
    assert changed
    assert (account["tensors"], account["changed"]) == (len(before), len(changed))
    assert account["unchanged"] == len(before) - len(changed)
    assert account["adapter_tensors"]["unused"] == 0
    assert not account["untied_embeddings"]


@pytest.mark.parametrize("kind", ROUNDED_OTHERWISE)
def test_equals_peft_within_rounding(kind: str, bases: Any, tmp_path: Path) -> None:
    """PEFT rounds twice here in 16 bits; in float32 it does not, and rounded once then it must agree."""
    arch, lora = ROUNDED_OTHERWISE[kind]
    base = bases(arch)
    adapter = make_adapter(base, tmp_path / "adapter", **lora)
    merge(base, adapter, tmp_path / "out")
    theirs = peft_merged(base, adapter, "float32")
    for name, tensor in load_file(tmp_path / "out" / "model.safetensors").items():
        one, other = tensor.float(), theirs[name].to(torch.bfloat16).float()
        step = torch.maximum(one.abs(), other.abs()) * 2**-7  # at most one unit in bfloat16's last place
        assert bool(((one - other).abs() <= step).all()), name
        assert (one != other).float().mean() < 0.01, name


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_other_precisions(dtype: str, bases: Any, tmp_path: Path) -> None:
    base = bases("llama", dtype)
    adapter = make_adapter(base, tmp_path / "adapter", target_modules=LINEARS)
    merge(base, adapter, tmp_path / "out")
    theirs = peft_merged(base, adapter)
    for name, tensor in load_file(tmp_path / "out" / "model.safetensors").items():
        assert str(tensor.dtype) == f"torch.{dtype}"
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-6 if dtype == "float32" else 0, atol=1e-8)


@pytest.mark.parametrize("kind", UNTIED)
def test_tied_embeddings_that_training_parted(kind: str, bases: Any, tmp_path: Path) -> None:
    """PEFT's merge keeps them tied and so changes the model; ours answers as the adapted model did."""
    base = bases("llama-tied", "float32")
    adapter = make_adapter(base, tmp_path / "adapter", **UNTIED[kind])
    account = merge(base, adapter, tmp_path / "out")
    assert account["added"] == ["lm_head.weight"]
    assert read_json(tmp_path / "out" / "config.json")["tie_word_embeddings"] is False
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype="auto"), adapter)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto")
    torch.testing.assert_close(logits(merged), logits(adapted), rtol=1e-4, atol=1e-5)


def test_tied_pair_on_purpose_stays_tied(bases: Any, tmp_path: Path) -> None:
    base = bases("llama-tied", "float32")
    adapter = make_adapter(base, tmp_path / "adapter", target_modules=["embed_tokens"], ensure_weight_tying=True)
    account = merge(base, adapter, tmp_path / "out")
    assert account["added"] == [] and not account["untied_embeddings"] and account["pairs"] == 2
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype="auto"), adapter)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto")
    torch.testing.assert_close(logits(merged), logits(adapted), rtol=1e-4, atol=1e-5)


def test_blocks_smaller_than_a_tensor(bases: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arch, lora in (KINDS["linear"], ROUNDED_OTHERWISE["dora"], ROUNDED_OTHERWISE["dora, conv1d"]):
        base = bases(arch)
        adapter = make_adapter(base, tmp_path / "adapter", **lora)
        merge(base, adapter, tmp_path / "whole")
        monkeypatch.setattr("scripts.model.blocks.BLOCK", 500)
        merge(base, adapter, tmp_path / "blocks")
        monkeypatch.undo()
        assert (tmp_path / "whole/model.safetensors").read_bytes() == (
            tmp_path / "blocks/model.safetensors"
        ).read_bytes()


def test_shards_and_the_files_around(bases: Any, tmp_path: Path) -> None:
    base = save_tiny("llama", tmp_path / "base", shard_size="60KB")
    assert len(list(base.glob("*.safetensors"))) > 2
    adapter = make_adapter(base, tmp_path / "adapter", target_modules=LINEARS)
    out = tmp_path / "out"
    merge(base, adapter, out)
    one = load_file(out / "model.safetensors")
    account = merge(base, adapter, out, shards=3)
    names = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    assert sorted(path.name for path in out.glob("*.safetensors")) == names
    assert account["shards"] == [
        {"name": name, "bytes": (out / name).stat().st_size, "crc32": tensors.crc32_file(out / name)} for name in names
    ]
    parts = {key: value for name in names for key, value in load_file(out / name).items()}
    assert parts.keys() == one.keys() and all(torch.equal(parts[key], one[key]) for key in one)
    assert read_json(out / "model.safetensors.index.json")["weight_map"].keys() == one.keys()
    for name in (
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    ):
        assert (out / name).read_bytes() == (base / name).read_bytes()
    AutoModelForCausalLM.from_pretrained(out)


def test_same_bytes_twice(bases: Any, tmp_path: Path) -> None:
    adapter = make_adapter(bases("qwen2"), tmp_path / "adapter", target_modules="all-linear")
    for name in ("one", "two"):
        merge(bases("qwen2"), adapter, tmp_path / name)
    assert (tmp_path / "one" / "model.safetensors").is_file()
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_base_names_without_the_outer_prefix(bases: Any, tmp_path: Path) -> None:
    """GPT-2 as OpenAI published it names its tensors h.0..., without `transformer.`."""
    adapter = make_adapter(bases("gpt2"), tmp_path / "adapter", target_modules=["c_attn"], fan_in_fan_out=True)
    merge(bases("gpt2"), adapter, tmp_path / "out")
    bare = tmp_path / "bare"
    shutil.copytree(bases("gpt2"), bare)
    weights = load_file(bare / "model.safetensors")
    save_file({name.removeprefix("transformer."): value for name, value in weights.items()}, bare / "model.safetensors")
    (bare / "base.json").unlink()
    merge(bare, adapter, tmp_path / "bare-out")
    ours, expected = load_file(tmp_path / "bare-out/model.safetensors"), load_file(tmp_path / "out/model.safetensors")
    assert all(torch.equal(value, ours[name.removeprefix("transformer.")]) for name, value in expected.items())


def full_disk(_: Any, __: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_full_disk_leaves_nothing(bases: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = make_adapter(bases("llama"), tmp_path / "adapter", target_modules=LINEARS)
    merge(bases("llama"), adapter, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    real, calls = stage.write_all, []

    def fails_later(stream: Any, data: Any) -> None:
        calls.append(len(data))
        (real if len(calls) < 5 else full_disk)(stream, data)

    monkeypatch.setattr(stage, "write_all", fails_later)
    for folder in ("out", "new"):
        calls.clear()
        with pytest.raises(OSError) as caught:
            merge(bases("llama"), adapter, tmp_path / folder)
        assert caught.value.errno == errno.ENOSPC and "model.safetensors" in caught.value.filename
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "out"]


def test_a_disk_too_small_is_seen_first(bases: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = make_adapter(bases("llama"), tmp_path / "adapter", target_modules=LINEARS)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(stage.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"takes 0\.00 GB and the disk has"):
        merge(bases("llama"), adapter, tmp_path / "out")


class TestRefusals:
    """Each is one sentence that names the file."""

    @pytest.fixture
    def base(self, bases: Any, tmp_path: Path) -> Path:
        return Path(shutil.copytree(bases("llama"), tmp_path / "base"))

    @pytest.fixture
    def adapter(self, base: Path, tmp_path: Path) -> Path:
        return make_adapter(base, tmp_path / "adapter", target_modules=LINEARS)

    def refused(self, base: Path, adapter: Path, says: str, **options: Any) -> None:
        with pytest.raises(UserError, match=says):
            merge(base, adapter, base.parent / "out", **options)
        assert not (base.parent / "out").exists()
        assert not list(base.parent.glob(".*"))

    def edit(self, path: Path, **values: Any) -> None:
        write_json(path, {**read_json(path), **values})

    def test_truncated_base(self, base: Path, adapter: Path) -> None:
        weights = base / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-10])
        self.refused(base, adapter, "model.safetensors: truncated, .* bytes where base.json says")
        (base / "base.json").unlink()
        self.refused(base, adapter, "model.safetensors: truncated or damaged, its header promises")

    def test_missing_weights(self, base: Path, adapter: Path) -> None:
        (base / "model.safetensors").unlink()
        self.refused(base, adapter, "model.safetensors: missing, though base.json names it")

    def test_truncated_adapter(self, base: Path, adapter: Path) -> None:
        weights = adapter / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-4])
        self.refused(base, adapter, "adapter_model.safetensors: truncated")

    def test_no_adapter(self, base: Path, adapter: Path) -> None:
        self.refused(base, base.parent / "nowhere", "adapter_config.json: no such file")

    def test_quantised_base_names_its_parent(self, base: Path, adapter: Path) -> None:
        (base / "base.json").unlink()
        self.edit(base / "config.json", quantization_config={"load_in_4bit": True, "quant_method": "bitsandbytes"})
        self.refused(base, adapter, "its weights are 4-bit.*the 16-bit model it was made from")
        write_json(base / "base.json", {"files": [], "merge_onto": "parent16"})
        self.refused(base, adapter, "4-bit.* merge onto its 16-bit parent 'parent16'")

    def test_base_stored_in_bytes(self, base: Path, adapter: Path) -> None:
        (base / "base.json").unlink()
        weights = load_file(base / "model.safetensors")
        weights = {name: (value.to(torch.int8) if "q_proj" in name else value) for name, value in weights.items()}
        save_file(weights, base / "model.safetensors")
        self.refused(base, adapter, "q_proj.weight is stored as I8, and adapters are merged onto 16 bits")

    def test_another_model(self, base: Path, bases: Any, tmp_path: Path) -> None:
        other = make_adapter(bases("gpt2"), tmp_path / "other", target_modules=["c_attn"])
        self.refused(base, other, "changes transformer.h.0.attn.c_attn.weight, which the base model does not have")

    def test_a_tensor_of_no_use(self, base: Path, adapter: Path) -> None:
        weights = load_file(adapter / "adapter_model.safetensors")
        del weights["base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"]
        save_file(weights, adapter / "adapter_model.safetensors")
        self.refused(base, adapter, "layers.0.self_attn.q_proj lacks its other half")

    def test_rank_that_the_config_does_not_give(self, base: Path, adapter: Path) -> None:
        self.edit(adapter / "adapter_config.json", r=8)
        self.refused(base, adapter, "has rank 4, its config says 8")

    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ({"target_parameters": ["experts.down_proj"]}, "target_parameters is set"),
            ({"peft_type": "LOHA"}, "only LORA"),
            ({"init_lora_weights": "pissa_niter_4"}, "changed the base weights before training"),
        ],
    )
    def test_options_it_cannot_merge(self, base: Path, adapter: Path, values: dict[str, Any], says: str) -> None:
        self.edit(adapter / "adapter_config.json", **values)
        self.refused(base, adapter, says)

    def test_numbers_that_are_not_finite(self, base: Path, adapter: Path) -> None:
        weights = load_file(adapter / "adapter_model.safetensors")
        name = next(name for name in weights if "lora_A" in name)
        save_file({**weights, name: weights[name] * float("nan")}, adapter / "adapter_model.safetensors")
        self.refused(base, adapter, "holds numbers that are not finite")
        huge = {key: torch.full_like(value, 1e30) for key, value in weights.items()}
        save_file(huge, adapter / "adapter_model.safetensors")
        self.refused(base, adapter, "merging gives numbers that are not finite")

    def test_more_shards_than_tensors(self, base: Path, adapter: Path) -> None:
        self.refused(base, adapter, "use at most", shards=1000)


def test_partition_fills_every_shard(bases: Any) -> None:
    rows = list(tensors.read_model(bases("llama")).values())
    for shards in range(1, len(rows) + 1):
        groups = stage.partition(rows, shards)
        assert [row for group in groups for row in group] == rows
        assert all(groups) and len(groups) == shards


def test_rounding_is_torchs() -> None:
    generator = np.random.default_rng(0)
    values = generator.integers(0, 1 << 32, 1 << 18, dtype=np.uint32).view(np.float32)
    ties = (generator.integers(0, 1 << 16, 1 << 16).astype(np.uint32) << 16 | 0x8000).view(np.float32)
    values = np.concatenate([values, ties, np.array([0.0, -0.0, np.inf, 3.4e38, 1e-45], np.float32)])
    values = values[~np.isnan(values)]
    for dtype, ours in (("BF16", torch.bfloat16), ("F16", torch.float16)):
        expected = torch.from_numpy(values.copy()).to(ours)
        with np.errstate(over="ignore"):
            rounded = tensors.round_from_float32(values.copy(), dtype)
        assert np.array_equal(rounded.view(np.uint16), expected.view(torch.uint16).numpy())
        back = tensors.to_float32(rounded, dtype)
        assert np.array_equal(back, expected.float().numpy())


def test_reads_files_that_others_wrote(tmp_path: Path) -> None:
    written = {
        "matrix": torch.arange(12.0).reshape(3, 4).to(torch.bfloat16),
        "scalar": torch.tensor(2.5),
        "flags": torch.tensor([True, False]),
        "empty": torch.zeros(0, 4),
    }
    save_file(written, tmp_path / "model.safetensors", metadata={"format": "pt"})
    found = tensors.read_model(tmp_path)
    assert {name: tensor.shape for name, tensor in found.items()} == {k: tuple(v.shape) for k, v in written.items()}
    assert tensors.read_float(found["matrix"]).tolist() == np.arange(12.0).reshape(3, 4).tolist()
    assert tensors.read_float(found["scalar"]) == 2.5
    assert bytes(tensors.read_raw(found["flags"])) == b"\x01\x00"


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"",
        lambda raw: raw[:5],
        lambda raw: raw[:20],
        lambda raw: b"\xff" * 8 + raw[8:],
        lambda raw: raw[:8] + b"x" + raw[9:],
        lambda raw: raw + b"0",
        lambda raw: raw.replace(b'"shape":[3,4]', b'"shape":[4,4]'),
        lambda raw: raw.replace(b'"BF16"', b'"XX16"'),
    ],
)
def test_damaged_safetensors_are_named(damage: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"matrix": torch.zeros(3, 4, dtype=torch.bfloat16)}, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"model\.safetensors: .*again"):
        tensors.read_model(tmp_path)


def test_shards_that_leave_the_folder_are_refused(bases: Any, tmp_path: Path) -> None:
    index = {"weight_map": {"a": "../secret.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="leaves"):
        tensors.read_model(tmp_path)
