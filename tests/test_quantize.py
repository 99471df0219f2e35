"""Quantisation: real K-quants, the same bytes again, refusals in one sentence, never half a file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from exported import stage

from scripts.lib.cli import UserError
from scripts.lib.files import sha256_file
from scripts.model import quantize
from scripts.model.gguf_file import GgufFile


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A llama of one layer whose rows are 256 long, as K-quants want them, written by the gguf package."""
    from gguf import GGUFWriter

    path = tmp_path_factory.mktemp("wide") / "f16.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(256)
    writer.add_feed_forward_length(512)
    writer.add_head_count(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(1)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"t{n}" for n in range(256)])
    random = np.random.default_rng(7)
    sides = {
        **{f"blk.0.attn_{name}.weight": (256, 256) for name in ("q", "k", "v", "output")},
        **{f"blk.0.ffn_{name}.weight": (512, 256) for name in ("gate", "up")},
        **dict.fromkeys(("token_embd.weight", "output.weight"), (256, 256)),
        "blk.0.ffn_down.weight": (256, 512),
    }
    for name, shape in sides.items():
        writer.add_tensor(name, random.normal(0, 0.05, shape).astype(np.float16))
    for name in ("blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"):
        writer.add_tensor(name, np.ones(256, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def run(model, kind, out, **params):
    stage(quantize, "--model", model, "--type", kind, "--out", out, "--params", json.dumps(params))
    return GgufFile(out)


@pytest.mark.parametrize(("kind", "main"), [("Q4_K_M", "Q4_K"), ("Q5_K_M", "Q5_K"), ("q8_0", "Q8_0"), ("Q3_K", "Q3_K")])
def test_types(wide, tmp_path, kind, main):
    file = run(wide, kind, tmp_path / "out.gguf")
    kinds = Counter(tensor.type for tensor in file.tensors.values())
    assert kinds.most_common(1)[0][0] == main
    assert kinds["F32"] == 3
    source = GgufFile(wide)
    for name, tensor in file.tensors.items():
        before, after = (np.concatenate(list(one.values())) for one in (source.tensors[name], tensor))
        assert np.square(after - before).sum() < 0.05 * np.square(before).sum()


def test_same_bytes_with_any_number_of_threads(wide, tmp_path):
    for threads in (1, 2):
        run(wide, "Q4_K_M", tmp_path / f"{threads}.gguf", threads=threads)
    assert sha256_file(tmp_path / "1.gguf") == sha256_file(tmp_path / "2.gguf")


SIDE_BY_SIDE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.model import quantize

def once(number):
    out = folder / f"{number}.gguf"
    quantize.quantize(model, out, "Q8_0", quantize.QuantizeOptions(threads=1))

model, folder = Path(sys.argv[1]), Path(sys.argv[2])
with ThreadPoolExecutor(4) as pool:
    list(pool.map(once, range(200)))
"""


def test_threads_of_one_process_may_quantise_side_by_side(wide, tmp_path):
    # in a process of its own: it ended in a segmentation fault, one thread having freed the callback another logged to
    result = subprocess.run([sys.executable, "-c", SIDE_BY_SIDE, wide, tmp_path], capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert len({sha256_file(path) for path in tmp_path.glob("*.gguf")}) == 1


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("F16", "not a quantised type"),
        ("f32", "not a quantised type"),
        ("Q4_KM", "did you mean 'Q4_K_M'"),
        ("potato", "known types: Q4_0"),
        ("IQ1_S", "importance matrix"),
    ],
)
def test_refused_types(wide, tmp_path, kind, says):
    out = tmp_path / "out.gguf"
    out.write_bytes(b"old")
    with pytest.raises(UserError, match=says):
        run(wide, kind, out)
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


def test_quantised_twice_is_refused(exports, tmp_path):
    with pytest.raises(UserError, match="quantised already"):
        run(exports["llama"].quant("Q8_0"), "Q4_0", tmp_path / "out.gguf")


@pytest.mark.parametrize("cut", [3, 200, -10_000])
def test_cut_source_is_refused(wide, tmp_path, cut):
    (tmp_path / "cut.gguf").write_bytes(wide.read_bytes()[:cut])
    with pytest.raises(UserError, match=r"cut\.gguf: (damaged|cut short)"):
        run(tmp_path / "cut.gguf", "Q8_0", tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()


def program(folder, code):
    """A llama-quantize of our own."""
    path = folder / "llama-quantize"
    path.write_text(f"#!{sys.executable}\nimport sys\n{code}\n")
    path.chmod(0o755)
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="scripts are no programs there")
class TestProgram:
    """A llama-quantize named in the parameters, or found on PATH."""

    def test_named_program_is_used(self, wide, tmp_path):
        run(wide, "Q8_0", tmp_path / "real.gguf")
        code = f"import shutil; shutil.copy({str(tmp_path / 'real.gguf')!r}, sys.argv[2])\n"
        code += f"open({str(tmp_path / 'said')!r}, 'w').write(' '.join([sys.argv[1], *sys.argv[3:]]))"
        run(wide, "Q8_0", tmp_path / "out.gguf", llama_quantize=str(program(tmp_path, code)), threads=2)
        assert (tmp_path / "said").read_text() == f"{wide} Q8_0 2"

    def test_program_on_path_is_used(self, wide, tmp_path, monkeypatch):
        program(tmp_path, "print('main: failed to quantize: no reason'); sys.exit(1)")
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(UserError, match="no reason"):
            run(wide, "Q8_0", tmp_path / "out.gguf")

    def test_program_that_writes_another_type_is_caught(self, wide, exports, tmp_path):
        code = f"import shutil; shutil.copy({str(exports['llama'].quant('Q8_0'))!r}, sys.argv[2])"
        with pytest.raises(UserError, match="not a Q4_0 of the same 12 tensors"):
            run(wide, "Q4_0", tmp_path / "out.gguf", llama_quantize=str(program(tmp_path, code)))
        assert not (tmp_path / "out.gguf").exists()

    def test_half_a_file_is_caught(self, wide, tmp_path):
        code = "open(sys.argv[2], 'wb').write(open(sys.argv[1], 'rb').read()[:5000])"
        with pytest.raises(UserError, match=r"cut short|damaged"):
            run(wide, "Q8_0", tmp_path / "out.gguf", llama_quantize=str(program(tmp_path, code)))
        assert not (tmp_path / "out.gguf").exists()


def test_missing_program_is_named(wide, tmp_path):
    with pytest.raises(UserError, match=r"export\.llama_quantize: /no/such is not a program"):
        run(wide, "Q8_0", tmp_path / "out.gguf", llama_quantize="/no/such")
