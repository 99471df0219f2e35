"""Certification: every architecture passes from train to quants, and every kind of tampering is found."""

from __future__ import annotations

import argparse
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from exported import ARCHITECTURES, QUANTS, Exported, stage
from safetensors.numpy import load_file, save_file

from scripts.lib.cli import UserError
from scripts.lib.files import read_json, write_json
from scripts.lib.options.export import CertifyOptions
from scripts.lib.records import Record, read_records, text_message, write_records
from scripts.lib.sampling import spread
from scripts.model import certify, merge, quantize
from scripts.model.gguf_file import GgufFile
from scripts.model.logits import LogitReader
from scripts.model.proof import logits, text, weights
from scripts.model.proof.adapter import check_effect
from scripts.model.proof.check import attempt, below
from scripts.model.proof.logits import Tally, log_softmax
from scripts.model.tensors import crc32_file

OPTIONS = CertifyOptions(logit_records=1, quant_records=1, tokenizer_texts=3)


@pytest.fixture(autouse=True)
def nothing_shared():
    """Tests of single checks leave nothing that the next test would take for its own files."""
    yield
    logits.forget()


def arguments(run, **instead) -> argparse.Namespace:
    """The stage's arguments for a run, some of them others."""
    names = ("base", "adapter", "merged", "f16")
    words = [word for name in names for word in (f"--{name}", instead.get(name, getattr(run, name)))]
    quants = instead.get("quants") or {name: run.quant(name) for name in QUANTS}
    words += ["--quant", *(f"{name}={path}" for name, path in quants.items())]
    words += ["--heldout", instead.get("heldout", run.val), "--texts", instead.get("texts", run.train)]
    words += ["--out", instead.get("out", run.folder / "certificate.json"), "--params", OPTIONS.model_dump_json()]
    return certify.parser().parse_args([str(word) for word in words])


def by_name(checks) -> dict:
    return {check.name: check for check in checks}


def tampered(path: Path, out: Path, *edits: tuple[int, bytes]) -> Path:
    """A copy with other bytes at some places."""
    data = bytearray(path.read_bytes())
    for start, new in edits:
        data[start : start + len(new)] = new
    out.write_bytes(data)
    return out


def replaced(path: Path, out: Path, old: bytes, new: bytes) -> Path:
    """A copy in which ``old``, which stands there once, is ``new`` of the same length."""
    data = path.read_bytes()
    assert data.count(old) == 1
    assert len(old) == len(new)
    return tampered(path, out, (data.index(old), new))


def length(count: int) -> bytes:
    """A text's length, as it stands before it in a GGUF file."""
    return count.to_bytes(8, "little")


@pytest.fixture(scope="module")
def llama(exports):
    return exports["llama"]


@pytest.fixture(scope="module")
def stranger(llama, tmp_path_factory):
    """GGUF files of another model with the same shapes and the same tokenizer."""
    run = Exported(tmp_path_factory.mktemp("stranger"))
    random = np.random.default_rng(1)
    matrices = [tensor for tensor in GgufFile(llama.f16).tensors.values() if len(tensor.shape) == 2]
    others = [random.normal(0, 0.02, tensor.shape).astype(np.float16).tobytes() for tensor in matrices]
    edits = zip((tensor.start for tensor in matrices), others, strict=True)
    tampered(llama.f16, run.f16, *edits)
    stage(quantize, "--model", run.f16, "--type", "Q4_K_M", "--out", run.quant("Q4_K_M"))
    return run


class TestWhole:
    """The stage on untouched files."""

    @pytest.mark.parametrize("arch", ARCHITECTURES)
    def test_passes(self, exports, arch, tmp_path):
        out = tmp_path / "certificate.json"
        certify.main(arguments(exports[arch], out=out))
        certificate = read_json(out)
        checks = {check["name"]: check for check in certificate["checks"]}
        assert certificate["passed"] is True
        assert {check["passed"] for check in checks.values() if check["kind"] == "integrity"} == {True}
        assert 0 < checks["logits:f16"]["value"] < 1e-6
        assert 0 < checks["logits:merged"]["value"] < 1e-3
        assert checks["kl_divergence:Q8_0"]["value"] < checks["kl_divergence:Q4_K_M"]["value"] < 0.01
        assert 0 <= checks["top1_agreement:Q4_K_M"]["value"] <= 1
        assert checks["perplexity:f16"]["value"] > 1
        assert [row["name"] for row in certificate["files"]] == [
            "model-f16.gguf",
            "model-Q4_K_M.gguf",
            "model-Q8_0.gguf",
        ]
        assert str(exports[arch].folder) not in out.read_text()

    def test_same_bytes_again(self, llama, tmp_path):
        for name in ("one.json", "two.json"):
            certify.main(arguments(llama, out=tmp_path / name))
        assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()

    def test_quants_of_another_model_stop_it(self, llama, stranger, tmp_path):
        out = tmp_path / "certificate.json"
        quants = {"Q4_K_M": stranger.quant("Q4_K_M"), "Q8_0": llama.quant("Q8_0")}
        with pytest.raises(UserError) as error:
            certify.main(arguments(llama, out=out, quants=quants))
        assert "values:Q4_K_M failed" in str(error.value)
        assert "limit 0" in str(error.value)
        assert "delete the file" in str(error.value)
        assert "\n" not in str(error.value)
        checks = {check["name"]: check for check in read_json(out)["checks"]}
        assert read_json(out)["passed"] is False
        assert read_json(tmp_path / "certificate.failed.json") == read_json(out)
        assert checks["values:Q4_K_M"]["passed"] is False
        assert checks["values:Q8_0"]["passed"] is True

    def test_gguf_of_another_model_stops_it(self, llama, stranger, tmp_path):
        with pytest.raises(UserError, match="values:f16 failed"):
            certify.main(arguments(llama, f16=stranger.f16, out=tmp_path / "certificate.json"))
        checks = {check["name"]: check for check in read_json(tmp_path / "certificate.json")["checks"]}
        assert checks["logits:f16"]["passed"] is False
        assert checks["logits:f16"]["value"] > 0.01

    def test_what_cannot_run_has_failed(self, llama, tmp_path):
        cut = tmp_path / "cut.gguf"
        cut.write_bytes(llama.f16.read_bytes()[:-5000])
        with pytest.raises(UserError, match=r"inventory:f16 failed: could not run: .*cut short"):
            certify.main(arguments(llama, f16=cut, out=tmp_path / "certificate.json"))
        checks = {check["name"]: check for check in read_json(tmp_path / "certificate.json")["checks"]}
        for name in ("tokenizer", "logits:f16", "inventory:Q8_0"):
            assert checks[name]["passed"] is False
            assert "not run" in checks[name]["detail"]

    @pytest.mark.parametrize(
        ("quants", "says"), [(["Q8_0"], "NAME=FILE"), (["Q8_0=a", "Q8_0=b"], "given twice"), (["=a"], "NAME=FILE")]
    )
    def test_quants_written_wrongly(self, quants, says):
        with pytest.raises(UserError, match=says):
            certify.named_files("--quant", quants, "Q8_0=a.gguf")


class TestOrigin:
    """Base, adapter and merged model."""

    def test_changed_base(self, llama, tmp_path):
        shutil.copytree(llama.base, tmp_path / "base")
        config = tmp_path / "base" / "config.json"
        config.write_text(config.read_text().replace("256", "512"))
        (check,) = attempt("base", weights.check_base, tmp_path / "base")
        assert not check.passed
        assert "config.json" in check.detail

    def test_adapter_that_learnt_nothing(self, llama, tmp_path):
        shutil.copytree(llama.adapter, tmp_path / "adapter")
        path = tmp_path / "adapter" / "adapter_model.safetensors"
        save_file({name: value * ("lora_B" not in name) for name, value in load_file(path).items()}, path)
        assert not weights.check_adapter(tmp_path / "adapter").passed
        assert weights.check_adapter(llama.adapter).passed

    def test_adapter_with_nan(self, llama, tmp_path):
        shutil.copytree(llama.adapter, tmp_path / "adapter")
        path = tmp_path / "adapter" / "adapter_model.safetensors"
        save_file({name: value * np.nan for name, value in load_file(path).items()}, path)
        (check,) = attempt("adapter", weights.check_adapter, tmp_path / "adapter")
        assert not check.passed
        assert "not finite" in check.detail

    def merged_with(self, llama, folder, change):
        """The merged model after ``change`` of its weights, its account put right."""
        from safetensors.torch import load_file as load
        from safetensors.torch import save_file as save

        shutil.copytree(llama.merged, folder)
        tensors = load(folder / "model.safetensors")
        change(tensors)
        save(tensors, folder / "model.safetensors")
        account = read_json(folder / "merge.json")
        account["tensors"] = len(tensors)
        account["shards"][0]["crc32"] = crc32_file(folder / "model.safetensors")
        write_json(folder / "merge.json", account)
        return weights.check_merged(llama.base, llama.adapter, folder)

    def test_tensor_changed_that_the_adapter_does_not_touch(self, llama, tmp_path):
        def change(tensors):
            tensors["model.norm.weight"][3] += 1

        check = self.merged_with(llama, tmp_path / "merged", change)
        assert not check.passed
        assert "model.norm.weight differs" in check.detail

    def test_tensor_lost(self, llama, tmp_path):
        check = self.merged_with(llama, tmp_path / "merged", lambda tensors: tensors.pop("model.norm.weight"))
        assert not check.passed
        assert "model.norm.weight is missing" in check.detail

    def test_base_passed_off_as_merged(self, llama, tmp_path):
        from safetensors.torch import load_file as load

        base = load(llama.base / "model.safetensors")
        check = self.merged_with(llama, tmp_path / "merged", lambda tensors: tensors.update(base))
        assert not check.passed
        assert "none of the" in check.detail

    def test_weights_other_than_accounted_for(self, llama, tmp_path):
        shutil.copytree(llama.merged, tmp_path / "merged")
        account = read_json(tmp_path / "merged" / "merge.json")
        account["shards"][0]["crc32"] = "0" * 8
        write_json(tmp_path / "merged" / "merge.json", account)
        check = weights.check_merged(llama.base, llama.adapter, tmp_path / "merged")
        assert "model.safetensors is not what merge.json recorded" in check.detail

    @pytest.mark.parametrize("scale", [0.8, 1.3])
    def test_merged_with_another_scale(self, llama, tmp_path, scale):
        """Every tensor is in order and every touched one changed, by too little or too much: only the logits tell."""
        from safetensors.torch import load_file as load

        base = load(llama.base / "model.safetensors")

        def change(tensors):
            for name, value in base.items():
                tensors[name] = (value + scale * (tensors[name].float() - value.float())).to(value.dtype)

        assert self.merged_with(llama, tmp_path / "merged", change).passed
        check = effect(llama, merged=tmp_path / "merged")
        assert not check.passed
        assert check.value == pytest.approx((1 - scale) ** 2, rel=0.5)

    def test_update_below_the_last_bit(self, llama, tmp_path):
        """An adapter a thousand times weaker is rounded away in part; the certificate says so."""
        shutil.copytree(llama.adapter, tmp_path / "adapter")
        path = tmp_path / "adapter" / "adapter_model.safetensors"
        weak = {name: value / (1000 if "lora_B" in name else 1) for name, value in load_file(path).items()}
        save_file(weak, path)
        stage(merge, "--base", llama.base, "--adapter", tmp_path / "adapter", "--out", tmp_path / "merged")
        check = effect(llama, adapter=tmp_path / "adapter", merged=tmp_path / "merged")
        assert not check.passed
        assert "float32" in check.advice
        assert effect(llama).passed


def effect(run, **instead):
    """The check of what merging lost."""
    folders = [instead.get(name, getattr(run, name)) for name in ("base", "adapter", "merged")]
    return check_effect(*folders, read_records(run.val), OPTIONS)


class TestTensors:
    """The f16 GGUF and the quants, tensor by tensor."""

    def test_one_value_altered(self, llama, tmp_path):
        tensor = GgufFile(llama.f16).tensors["blk.1.ffn_up.weight"]
        path = tampered(llama.f16, tmp_path / "x.gguf", (tensor.start + 100, b"\x00\x3c"))
        check = weights.check_values(llama.merged, path)
        assert not check.passed
        assert check.value == 1
        assert "blk.1.ffn_up.weight" in check.detail

    @pytest.mark.parametrize("bits", [b"\x00\x7e", b"\x00\x7c"])
    def test_nan_or_infinity(self, llama, tmp_path, bits):
        tensor = GgufFile(llama.f16).tensors["blk.0.attn_v.weight"]
        path = tampered(llama.f16, tmp_path / "x.gguf", (tensor.start, bits))
        assert "blk.0.attn_v.weight holds NaN or infinity" in weights.check_values(llama.merged, path).detail

    @pytest.mark.parametrize("which", ["f16", "Q8_0"])
    def test_tensor_missing(self, llama, tmp_path, which):
        source = llama.f16 if which == "f16" else llama.quant(which)
        path = replaced(source, tmp_path / "x.gguf", b"blk.1.attn_k.weight", b"blk.1.attn_9.weight")
        if which == "f16":
            check = weights.check_inventory(llama.merged, path)
        else:
            check = weights.check_quant(which, path, llama.f16)[0]
        assert not check.passed
        assert check.value == 2
        assert "blk.1.attn_k.weight" in check.detail
        assert "blk.1.attn_9.weight is nobody's" in check.detail

    def test_tensor_of_another_shape(self, llama, tmp_path):
        data = llama.f16.read_bytes()
        name = b"blk.1.attn_k.weight"
        sides = data.index(name) + len(name) + 4
        swapped = data[sides + 8 : sides + 16] + data[sides : sides + 8]
        check = weights.check_inventory(llama.merged, tampered(llama.f16, tmp_path / "x.gguf", (sides, swapped)))
        assert "blk.1.attn_k.weight has shape [64, 32] where [32, 64] is due" in check.detail

    def test_quant_under_a_wrong_name(self, llama):
        check = weights.check_quant("Q4_K_M", llama.quant("Q8_0"), llama.f16)[0]
        assert not check.passed
        assert "of type 7" in check.detail

    def test_quantised_tensor_altered(self, llama, tmp_path):
        tensor = GgufFile(llama.quant("Q8_0")).tensors["blk.0.ffn_down.weight"]
        noise = np.random.default_rng(7).integers(-90, 90, tensor.block_bytes - 2, np.int8).tobytes()
        path = tampered(llama.quant("Q8_0"), tmp_path / "x.gguf", (tensor.start + 2, noise))
        check = weights.check_quant("Q8_0", path, llama.f16)[1]
        assert not check.passed
        assert "blk.0.ffn_down.weight (Q8_0)" in check.detail

    def test_quant_with_nan(self, llama, tmp_path):
        tensor = GgufFile(llama.quant("Q8_0")).tensors["output_norm.weight"]
        nan = np.float32(np.nan).tobytes()
        path = tampered(llama.quant("Q8_0"), tmp_path / "x.gguf", (tensor.start, nan))
        assert "output_norm.weight (F32)" in weights.check_quant("Q8_0", path, llama.f16)[1].detail

    def test_type_by_bits_has_room_for_itself_only(self, exports):
        for run in exports.values():
            source = GgufFile(run.f16)
            for quant in QUANTS:
                for name, tensor in GgufFile(run.quant(quant)).tensors.items():
                    error = weights.relative_error(source.tensors[name], tensor)
                    limit = weights.most_error(tensor, source.tensors[name])
                    assert 3 * error <= limit or tensor.type == "F32"


class TestText:
    """Tokenizer, chat template and end of turn."""

    def checks(self, llama, path):
        return by_name(text.check_text(llama.merged, path, read_records(llama.train), 2))

    def test_tokens_swapped(self, llama, tmp_path):
        data = llama.f16.read_bytes()
        start = data.index(b"tokenizer.ggml.tokens")
        places = [data.index(length(1) + token, start) + 8 for token in (b"1", b"2")]
        path = tampered(llama.f16, tmp_path / "x.gguf", (places[0], b"2"), (places[1], b"1"))
        check = self.checks(llama, path)["tokenizer"]
        assert not check.passed
        assert check.value == 2
        assert "record r0, token" in check.detail
        assert not weights.check_quant("Q8_0", llama.quant("Q8_0"), path)[0].passed

    def test_merge_altered(self, llama, tmp_path):
        merge = GgufFile(llama.f16).fields["tokenizer.ggml.merges"][0].encode()
        path = replaced(
            llama.f16, tmp_path / "x.gguf", length(len(merge)) + merge, length(len(merge)) + merge[:-1] + b"#"
        )
        assert not self.checks(llama, path)["tokenizer"].passed

    def test_chat_template_altered(self, llama, tmp_path):
        path = replaced(llama.f16, tmp_path / "x.gguf", b"'<|im_start|>assistant", b"'<|im_start|>assistent")
        checks = self.checks(llama, path)
        assert checks["tokenizer"].passed
        assert not checks["prompt"].passed
        assert "record r0, message 2, character" in checks["prompt"].detail
        assert "assistent" in checks["prompt"].detail

    def test_template_that_llama_cpp_cannot_read(self, llama, tmp_path):
        path = replaced(
            llama.f16, tmp_path / "x.gguf", b"{% if add_generation_prompt %}", b"{% if add_generation_promp( %}"
        )
        checks = by_name(attempt("text", text.check_text, llama.merged, path, read_records(llama.train), 2))
        assert any(check.passed is False for check in checks.values())

    def test_end_of_turn_that_llama_cpp_runs_past(self, llama, tmp_path):
        """llama.cpp also knows <|im_end|> by its spelling, so both have to go."""
        data = llama.f16.read_bytes()
        key = b"tokenizer.ggml.eos_token_id"
        eos = (data.index(key) + len(key) + 4, (77).to_bytes(4, "little"))
        spelling = (data.index(length(10) + b"<|im_end|>") + 8, b"<|im_enq|>")
        check = self.checks(llama, tampered(llama.f16, tmp_path / "x.gguf", eos, spelling))["end_of_turn"]
        assert not check.passed
        assert "'<|im_end|>' ends an answer of record r0" in check.detail

    def test_records_without_answers_prove_nothing(self, llama, tmp_path):
        record = Record(id="a", group="a", messages=[text_message("user", "Anyone?")])
        checks = by_name(text.check_text(llama.merged, llama.f16, [record], 5))
        assert not checks["prompt"].passed
        assert not checks["end_of_turn"].passed


class TestLogits:
    """What the numbers mean, and that they are found where weights look right."""

    def test_rows_in_another_order(self, llama, tmp_path):
        """The values are all there, in the wrong places: only the logits tell."""
        tensor = GgufFile(llama.f16).tensors["blk.0.attn_q.weight"]
        data = llama.f16.read_bytes()[tensor.start : tensor.start + tensor.size]
        half = len(data) // 2
        path = tampered(llama.f16, tmp_path / "x.gguf", (tensor.start, data[half:] + data[:half]))
        assert weights.check_values(llama.merged, path).passed
        check = logits.check_parity(llama.merged, path, read_records(llama.val), OPTIONS)
        assert not check.passed
        assert check.value > 1e-5

    def test_no_answer_to_measure(self, llama, tmp_path):
        record = Record(id="a", group="a", messages=[text_message("user", "Anyone?")])
        (check,) = attempt("quality", logits.measure_quants, llama.merged, llama.f16, {}, [record], OPTIONS)
        assert not check.passed
        assert "raise certify.max_tokens" in check.detail

    def test_positions_and_blocks_do_not_change_logits(self, llama):
        ids = [token % 300 for token in range(3, 153)]
        with LogitReader(llama.f16, context=256) as reader:
            whole = np.stack(list(reader.rows(ids)))
            chosen = np.stack(list(reader.rows(ids, [0, 63, 64, 149])))
            assert whole.shape == (150, reader.n_vocab)
            np.testing.assert_allclose(chosen, whole[[0, 63, 64, 149]], atol=1e-5)
            with pytest.raises(UserError, match="257 tokens"):
                next(reader.rows([1] * 257))
            with pytest.raises(UserError, match="token 99999"):
                next(reader.rows([1, 99999]))

    def test_tally_against_numbers_made_by_hand(self):
        tally = Tally()
        reference, row = np.log(np.array([0.5, 0.25, 0.25])), np.log(np.array([0.25, 0.25, 0.5])) + 3
        tally.add(row, reference, 1)
        values = {check.name: check.value for check in tally.checks("Q")}
        assert values["perplexity:Q"] == pytest.approx(4)
        assert values["kl_divergence:Q"] == pytest.approx(0.5 * math.log(2) - 0.25 * math.log(2))
        assert values["top1_agreement:Q"] == 0

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_tally_finds_what_is_not_finite(self, bad):
        tally = Tally()
        tally.add(np.array([1.0, bad]), np.array([1.0, 2.0]), 0)
        checks = by_name(tally.checks("Q"))
        assert list(checks) == ["finite:Q"]
        assert not checks["finite:Q"].passed

    def test_constant_offset_changes_nothing(self):
        row = np.random.default_rng(7).normal(size=50).astype(np.float32)
        np.testing.assert_allclose(logits.centred(row + 5), logits.centred(row), atol=1e-6)
        assert np.exp(log_softmax(row)).sum() == pytest.approx(1)


def test_nan_is_above_every_limit():
    check = below("x", math.nan, 1.0, "detail")
    assert check.passed is False
    assert json.loads(json.dumps(check.to_json()))["value"] is None


def test_records_are_spread_evenly():
    assert spread(list(range(10)), 3) == [0, 3, 6]
    assert spread([1, 2], 5) == [1, 2]


def test_missing_records_are_named(llama, tmp_path):
    write_records(tmp_path / "empty.jsonl", [])
    with pytest.raises(UserError, match=r"empty\.jsonl"):
        stage(certify, *_words(arguments(llama)), "--heldout", tmp_path / "empty.jsonl")


def _words(args):
    names = ("base", "adapter", "merged", "f16", "heldout", "texts", "out")
    return [word for name in names for word in (f"--{name}", getattr(args, name))]
