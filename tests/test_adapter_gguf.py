"""An adapter as a GGUF of its own: the same pairs, the same answers, its certificate, and the package of them all."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from exported import ARCHITECTURES, convert_and_quantise, stage, train_and_merge

from scripts.lib.cli import UserError
from scripts.lib.files import read_json, write_json
from scripts.model import adapter_gguf, certify_adapter, convert, quantize
from scripts.model.gguf_file import GgufFile
from scripts.model.llama import Server
from scripts.tools import share
from scripts.tools.server.package import read_packages
from scripts.tools.server.specialist import Engines, Specialist

OPTIONS = {"logit_records": 1, "quant_records": 1}


class Adapted:
    """A tiny run with the GGUF of its base and of its adapter."""

    def __init__(self, arch, folder, converter, seed=0):
        self.run = train_and_merge(arch, folder, seed=seed)
        self.f16, self.gguf = folder / "base-f16.gguf", folder / "adapter.gguf"
        self.quant = folder / "base-Q8_0.gguf"  # model-Q8_0.gguf is the merged one
        stage(convert, "--model", self.run.base, "--out", self.f16, "--converter", converter)
        stage(quantize, "--model", self.f16, "--type", "Q8_0", "--out", self.quant)
        adapter_gguf.convert_adapter(self.run.base, self.run.adapter, self.gguf, converter)

    def certify(self, out, gguf=None):
        files = ("--base", self.run.base, "--adapter", self.run.adapter, "--gguf", gguf or self.gguf)
        more = ("--f16", self.f16, "--quant", f"Q8_0={self.quant}", "--heldout", self.run.val, "--out", out)
        stage(certify_adapter, *files, *more, "--params", json.dumps(OPTIONS))
        return {check["name"]: check for check in read_json(out)["checks"]}


@pytest.fixture(scope="module")
def llama(converter, tmp_path_factory):
    return Adapted("llama", tmp_path_factory.mktemp("llama"), converter)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_is_certified(arch, converter, tmp_path):
    checks = Adapted(arch, tmp_path, converter).certify(tmp_path / "certificate.json")
    assert all(check["passed"] for check in checks.values() if check["kind"] == "integrity")
    assert checks["effect:adapter"]["value"] < 1e-4
    assert checks["noise:adapter"]["value"] < 3
    assert checks["kl_divergence:Q8_0"]["value"] > 0


def rewritten(path, out, change):
    """The GGUF with one tensor's values changed in place."""
    shutil.copyfile(path, out)
    tensor = next(one for name, one in GgufFile(path).tensors.items() if "attn_q" in name and name.endswith("lora_b"))
    values = np.fromfile(path, np.float16, tensor.size // 2, offset=tensor.start).reshape(tensor.shape)
    with out.open("r+b") as stream:
        stream.seek(tensor.start)
        stream.write(np.ascontiguousarray(change(values)).tobytes())
    return out


@pytest.mark.parametrize(
    ("change", "named"),
    [(lambda values: values * np.float16(1.5), "pairs"), (lambda values: values[::-1], "noise:adapter")],
    ids=["other values", "other order"],
)
def test_tampering_is_found(llama, tmp_path, change, named):
    """Rows in another order hold the same values: only the logits tell."""
    out = tmp_path / "certificate.json"
    with pytest.raises(UserError, match=named):
        llama.certify(out, rewritten(llama.gguf, tmp_path / "adapter.gguf", change))
    assert read_json(tmp_path / "certificate.failed.json")["passed"] is False


def test_another_base_is_found(llama, converter, tmp_path):
    """A quant of a model of the same shapes is not the base's quant."""
    other = Adapted("llama", tmp_path / "other", converter, seed=1)
    out, own = tmp_path / "certificate.json", llama.quant
    llama.quant = other.quant
    try:
        with pytest.raises(UserError, match="values:Q8_0"):
            llama.certify(out)
    finally:
        llama.quant = own


def test_what_an_adapter_gguf_cannot_hold_is_refused(llama, converter, tmp_path):
    folder = tmp_path / "adapter"
    shutil.copytree(llama.run.adapter, folder)
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "adapter_model.safetensors")
    name = next(name for name in tensors if name.endswith("lora_B.weight"))
    magnitude = name.replace("lora_B.weight", "lora_magnitude_vector.weight")
    save_file({**tensors, magnitude: np.ones(len(tensors[name]), np.float32)}, folder / "adapter_model.safetensors")
    with pytest.raises(UserError, match="cannot hold DoRA's magnitudes; merge this adapter instead"):
        adapter_gguf.convert_adapter(llama.run.base, folder, tmp_path / "a.gguf", converter)
    assert not (tmp_path / "a.gguf").exists()


def test_each_request_is_answered_by_the_adapter_it_names(llama, converter, tmp_path):
    """Interleaved, with the cache kept, as alone."""
    other = rewritten(llama.gguf, tmp_path / "other.gguf", lambda values: values * np.float16(40))
    ids = list(range(5, 25))

    def asked(server, index):
        return server.next_token(ids, lora=server.only(index), id_slot=index or 0)

    with Server(llama.f16, slots=2, context=64, adapters=[llama.gguf, other]) as server:
        turns = [0, 1, None, 1, 0, None]
        told = [asked(server, index) for index in turns]
        for index, row in zip(turns, told, strict=True):
            assert np.allclose(row, told[turns.index(index)], atol=1e-3)
        assert not np.allclose(told[0], told[1], atol=1e-2)
        assert not np.allclose(told[1], told[2], atol=1e-2)


def test_shared_package_states_both_sizes_and_is_served(llama, converter, tmp_path):
    convert_and_quantise(llama.run, converter)
    llama.certify(tmp_path / "certificate.json")
    write_json(tmp_path / "base.json", {"name": "tiny", "source": "recipe:tiny", "licence": "apache-2.0"})
    names = ("veran", "nayru")
    write_json(tmp_path / "gate.json", {"passed": False, "variant": "Q8_0", "why": "No baseline is beaten."})
    for name in names:
        tools = [{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {}}}]
        config = {"name": name, "description": "Looks.", "system_prompt": "Look.", "tools": tools, "focus": ["look"]}
        template = "{% for message in messages %}{{ message['content'] }} {% endfor %}"
        write_json(tmp_path / f"{name}.json", {**config, "chat_template": template, "phrases": [f"{name} look"]})

    def make():
        out, merged = tmp_path / "shared", llama.run.quant("Q8_0")
        twice = {"--adapter": llama.gguf, "--certificate": tmp_path / "certificate.json", "--merged": merged}
        twice |= {"--gate": tmp_path / "gate.json"}
        words = [word for flag, path in twice.items() for word in (flag, path, path)]
        base = ("--base", llama.quant, "--base-json", tmp_path / "base.json")
        stage(share, *base, "--specialist", *(tmp_path / f"{name}.json" for name in names), *words, "--out", out)
        return out

    folder = make()
    sizes = read_json(folder / "deployment_config.json")["bytes"]
    assert sizes["shared"] == llama.quant.stat().st_size + 2 * llama.gguf.stat().st_size
    assert sizes["merged"] == 2 * llama.run.quant("Q8_0").stat().st_size
    packages = read_packages([folder])
    assert [(one.name, one.adapter, len(one.adapters)) for one in packages] == [("veran", 0, 2), ("nayru", 1, 2)]
    sums = (folder / "SHA256SUMS").read_text()
    make()
    assert (folder / "SHA256SUMS").read_text() == sums
    card = (folder / "README.md").read_text()
    assert "- veran: missed by its merged Q8_0 (No baseline is beaten.)" in card
    nayru = read_json(tmp_path / "nayru.json")
    write_json(tmp_path / "nayru.json", nayru | {"name": "veran"})
    with pytest.raises(UserError, match=r"nayru\.json: --specialist names 'veran' twice"):
        make()
    write_json(tmp_path / "nayru.json", nayru)
    certificate = read_json(tmp_path / "certificate.json")
    write_json(tmp_path / "certificate.json", certificate | {"passed": False})
    with pytest.raises(UserError, match=r"certificate\.json: the certificate has not passed"):
        make()
    certificate["files"][-1]["sha256"] = "0" * 64
    write_json(tmp_path / "certificate.json", certificate)
    with pytest.raises(UserError, match=r"not about base-Q8_0\.gguf as it is now; nothing ships"):
        make()


def test_specialists_of_one_base_answer_side_by_side_as_alone(llama, tmp_path):
    """Through the server's own classes: one loaded model, an adapter and a slot each, asked at once from threads."""
    folder = tmp_path / "shared"
    folder.mkdir()
    shutil.copyfile(llama.quant, folder / "base.gguf")
    shutil.copyfile(llama.gguf, folder / "adapter-veran.gguf")
    rewritten(llama.gguf, folder / "adapter-nayru.gguf", lambda values: -values)
    specialists = {}
    for name in ("veran", "nayru"):
        tools = [{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {}}}]
        config = {"name": name, "description": "Looks.", "system_prompt": "Look.", "tools": tools, "focus": ["look"]}
        template = "{% for message in messages %}{{ message['content'] }} {% endfor %}"
        more = {"chat_template": template, "phrases": [f"{name} look"], "max_new_tokens": 24}
        write_json(folder / f"specialist-{name}.json", config | more)
        specialists[name] = {"adapter": f"adapter-{name}.gguf", "config": f"specialist-{name}.json"}
    facts = {"default": "base.gguf", "context_length": 256, "specialists": specialists}
    write_json(folder / "deployment_config.json", facts)
    engines = Engines()
    try:
        one, other = (Specialist(package, engines) for package in read_packages([folder]))
        asked = ["read the map", "see the door", "look at nothing", "a b c"]
        # The second round: a slot that holds nothing yet reads a prompt in one go, one that was asked before goes on
        # from its beginning, and a random model is near enough to a tie that the last bits decide.
        alone = [[(one.complete(text).text, other.complete(text).text) for text in asked] for _ in range(2)][-1]
        assert any(first != second for first, second in alone)
        with ThreadPoolExecutor(2) as pool:  # a thread each: a specialist answers one instruction at a time
            told = pool.map(lambda who: [who.complete(text).text for text in asked], (one, other))
            assert list(zip(*told, strict=True)) == alone
    finally:
        engines.close()
