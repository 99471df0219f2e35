"""The whole road with the real stages on a tiny random model: Markdown in, a package that replays its answers out."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OVERLAY = """
preset: e2e
bases:
  tiny: {source: "recipe:tiny-llama", licence: apache-2.0, dtype: float16, billions: 0.0001}
train: {max_steps: 3, max_tokens: 6000, lora: {r: 4}, learning_rate: 1.0e-2, eval_steps: 3, report_to: []}
export: {quants: [Q8_0, Q5_0]}
certify: {max_tokens: 6000, logit_records: 1, quant_records: 1}
predict: {max_records: 1, max_new_tokens: 4, perplexity_records: 1, batch_size: 2}
deploy: {smoke_prompts: 1, smoke_tokens: 4, formats: [gguf, hf]}
dnd:
  curate: {max_tokens: 6000, val_share: 0.2, test_share: 0.3}
  runs:
    dm: {base: tiny, system_prompt: "You are the dungeon master."}
"""
SOURCES = ("Snakefile", "workflow", "config", "envs", "profiles", "scripts")

pytestmark = pytest.mark.e2e


def run(folder, *command):
    environment = {**os.environ, "PYTHONPATH": "", "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.run([sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def built(converter, tmp_path_factory):
    folder = tmp_path_factory.mktemp("e2e")
    for name in SOURCES:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    for source in sorted((ROOT / "data/raw/dnd").glob("*/*.md"))[::10]:
        target = folder / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    (folder / "e2e.yaml").write_text(OVERLAY)
    done = run(folder, "snakemake", "--configfile", "config/demo.yaml", "e2e.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-5000:]
    return folder


def read(path):
    return json.loads(path.read_text())


def test_certificate_holds_and_every_variant_is_scored(built):
    certificate = read(built / "models/dnd/dm/gguf/certificate.json")
    assert all(check["passed"] for check in certificate["checks"] if check["kind"] == "integrity")
    metrics = read(built / "reports/dnd/dm/metrics.json")
    assert list(metrics["variants"]) == ["base", "tuned", "f16", "Q8_0", "Q5_0"]
    assert set(metrics["baselines"]) == {"none", "majority", "nearest"}
    assert metrics["cases"] >= 6


def test_package_is_whole_and_replays(built):
    names = {path.name for path in (built / "dist/dnd/dm").rglob("*") if path.is_file()}
    assert {"Modelfile", "cactus_config.json", "SHA256SUMS", "test_results.json", "model.safetensors"} <= names
    done = run(built, "scripts.model.verify", "dist/dnd/dm")
    assert done.returncode == 0, done.stdout + done.stderr


def test_changed_byte_in_the_package_is_noticed(built, tmp_path):
    shutil.copytree(built / "dist/dnd/dm", tmp_path / "dm")
    path = tmp_path / "dm" / "cactus_config.json"
    path.write_text(path.read_text().replace("temperature", "temperatura"))
    done = run(built, "scripts.model.verify", str(tmp_path / "dm"), "--sums-only")
    assert done.returncode == 1
    assert "cactus_config.json" in done.stdout + done.stderr


def test_second_run_has_nothing_to_do(built):
    done = run(built, "snakemake", "--configfile", "config/demo.yaml", "e2e.yaml", "--cores", "2")
    assert "Nothing to be done" in done.stdout + done.stderr


def test_summary_prints_the_table_and_the_file(built):
    done = run(built, "scripts.summary", "--configfile", "config/demo.yaml", "e2e.yaml")
    assert done.returncode == 0, done.stderr
    assert "call_f1" in done.stdout
    [line] = [line for line in done.stdout.splitlines() if line.startswith("model: ")]
    assert (built / line.split()[1]).is_file()


def test_report_is_one_page_without_network(built):
    page = (built / "reports/index.html").read_text()
    assert "dnd/dm" in page
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert "<script" not in page
