"""Conversion to GGUF: the same bytes anywhere, nothing half-written, failures in one sentence."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from exported import stage
from tiny_models import save_tiny
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from scripts.lib.cli import UserError
from scripts.lib.files import sha256_file
from scripts.model import convert
from scripts.model.converter_shim import pre_tokenizer_name
from scripts.model.gguf_base import QWEN2_PATTERN
from scripts.model.gguf_file import GgufFile
from scripts.model.tensors import read_model

STANDINS = {
    "an error": "print('INFO:x:fine')\nprint('ERROR:x:Model Foo is not supported')\nraise SystemExit(1)",
    "a traceback": "print('ERROR:x:an earlier one')\nraise NotImplementedError('pre-tokenizer was not recognized')",
    "killed half-way": "import os, signal, sys\nout = sys.argv[sys.argv.index('--outfile') + 1]\n"
    "open(out, 'wb').write(b'GGUF half')\nos.kill(os.getpid(), signal.SIGKILL)",
    "not a GGUF": "import sys\nopen(sys.argv[sys.argv.index('--outfile') + 1], 'wb').write(b'<html>')",
}
REASONS = {
    "an error": "(ERROR:x:Model Foo is not supported)",
    "a traceback": "(NotImplementedError: pre-tokenizer was not recognized)",
    "killed half-way": "(it said nothing)",
    "not a GGUF": "(it said nothing)",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny("llama-tied", tmp_path_factory.mktemp("model") / "merged", vocab="smollm2")


@pytest.fixture(scope="module")
def converted(model, exports, converter, tmp_path_factory):
    """The big vocabulary's file, and one of the exports converted again elsewhere and under another name."""
    here, there = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    shutil.copytree(exports["llama"].merged, there / "a copy")
    jobs = [(model, here / "model-f16.gguf"), (there / "a copy", there / "other.gguf")]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: stage(convert, "--model", job[0], "--out", job[1], "--converter", converter), jobs))
    return [out for _, out in jobs]


def standin(folder: Path, program: str) -> Path:
    """A converter that does something else."""
    (folder / "conversion").mkdir(parents=True)
    (folder / "conversion" / "__init__.py").write_text("")
    base = "class ModelBase:\n    load_hparams = None\nclass TextModel:\n    get_vocab_base_pre = None\n"
    (folder / "conversion" / "base.py").write_text(base)
    (folder / convert.CONVERTER_MODULE).write_text(program)
    return folder


def test_same_bytes_wherever_the_model_lies(converted, exports):
    assert sha256_file(converted[1]) == sha256_file(exports["llama"].f16)


def test_only_the_file_appears(converted):
    assert [path.name for path in converted[0].parent.iterdir()] == [converted[0].name]


def test_known_tokenizer_is_named_and_tensors_are_there(converted, model):
    file = GgufFile(converted[0])
    assert file.fields["tokenizer.ggml.pre"] == "smollm"
    assert file.fields["general.name"] == "llama"
    assert file.file_type == 1
    assert len(file.tensors) == len(read_model(model))
    assert file.tensors["token_embd.weight"].shape == (49152, 64)


def test_header_reads_as_the_gguf_package_reads_it(exports):
    import numpy as np
    from gguf import GGUFReader
    from gguf.quants import dequantize

    path = exports["gpt2"].quant("Q4_K_M")
    reader, file = GGUFReader(path), GgufFile(path)
    named = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    assert named.keys() == file.fields.keys()
    assert all(np.array_equal(value, file.fields[name]) for name, value in named.items())
    for tensor in reader.tensors:
        values = np.concatenate(list(file.tensors[tensor.name].values()))
        assert np.array_equal(dequantize(tensor.data, tensor.tensor_type).ravel(), values)


@pytest.mark.parametrize("arch", ["gpt2", "llama", "qwen2"])
def test_unknown_vocabulary_with_a_known_pre_tokenizer(exports, arch):
    named = GgufFile(exports[arch].f16).fields["tokenizer.ggml.pre"]
    assert named == ("qwen2" if arch == "qwen2" else "smollm")


def test_gpt2_has_its_window(exports):
    assert GgufFile(exports["gpt2"].f16).own("context_length") == 256


@pytest.mark.parametrize("kind", STANDINS)
def test_failure_is_one_sentence_and_leaves_the_old_file(kind, exports, tmp_path):
    out = tmp_path / "out" / "model.gguf"
    out.parent.mkdir()
    out.write_bytes(b"old")
    folder = standin(tmp_path / "converter", STANDINS[kind])
    with pytest.raises(UserError) as error:
        stage(convert, "--model", exports["llama"].merged, "--out", out, "--converter", folder)
    assert REASONS[kind] in str(error.value)
    assert "\n" not in str(error.value)
    assert out.read_bytes() == b"old"
    log = out.with_name("model.gguf.log")
    assert str(log) in str(error.value)
    assert sorted(path.name for path in out.parent.iterdir()) == ["model.gguf", "model.gguf.log"]


def test_log_takes_the_converters_words(exports, tmp_path):
    folder = standin(tmp_path / "converter", STANDINS["an error"])
    arguments = ["--model", exports["llama"].merged, "--out", tmp_path / "x.gguf", "--converter", folder]
    with pytest.raises(UserError, match=r"logs.convert\.converter\.log"):
        stage(convert, *arguments, "--log", tmp_path / "logs" / "convert.log")
    assert "Model Foo" in (tmp_path / "logs" / "convert.converter.log").read_text()


def test_missing_converter_says_how_to_get_it(tmp_path, exports):
    with pytest.raises(UserError, match="make setup"):
        stage(convert, "--model", exports["llama"].merged, "--out", tmp_path / "x", "--converter", tmp_path)


def test_damaged_model_is_refused_before_the_converter_starts(exports, tmp_path):
    folder = standin(tmp_path / "converter", "raise SystemExit('started')")
    shutil.copytree(exports["llama"].merged, tmp_path / "merged")
    weights = tmp_path / "merged" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match="truncated"):
        stage(convert, "--model", tmp_path / "merged", "--out", tmp_path / "x", "--converter", folder)


def test_pre_tokenizers_are_known_by_what_they_do():
    def named(pre, normalizer=None):
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre
        if normalizer:
            backend.normalizer = normalizer
        return pre_tokenizer_name(backend)

    level = pre_tokenizers.ByteLevel
    digits = pre_tokenizers.Digits(individual_digits=True)
    split = pre_tokenizers.Split(Regex(QWEN2_PATTERN), behavior="isolated")
    assert named(level(add_prefix_space=False, trim_offsets=False)) == "gpt-2"
    assert named(pre_tokenizers.Sequence([digits, level(add_prefix_space=False)])) == "smollm"
    qwen = pre_tokenizers.Sequence([split, level(add_prefix_space=False, use_regex=False)])
    assert named(qwen, normalizers.NFC()) == "qwen2"
    assert named(qwen, normalizers.Lowercase()) is None
    assert named(level(add_prefix_space=True)) is None
    assert named(pre_tokenizers.Whitespace()) is None
    assert pre_tokenizer_name(None) is None


def test_converter_folder_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv(convert.CONVERTER_VARIABLE, "somewhere")
    assert convert.converter_dir() == Path("somewhere")
    monkeypatch.delenv(convert.CONVERTER_VARIABLE)
    assert convert.converter_dir() == convert.CONVERTER_FOLDER


def test_converter_stays_out_of_this_process(exports):
    assert "conversion" not in sys.modules
