"""The whole road with the real stages on tiny random models: raw files in, packages that replay their answers out."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from checkouts import ROOT, copied

from scripts.lib.records import read_records
from scripts.tools.schema import load_schema

PRESET = """
preset: e2e
scope: road
jobs_at_once: 2
bases:
  tiny: {source: "recipe:tiny-llama", licence: apache-2.0, dtype: float16, billions: 0.0001}
  sketch: {source: "recipe:sketch-vl@0", licence: apache-2.0, dtype: float16, billions: 0.006}
train: {max_steps: 3, max_tokens: 6000, lora: {r: 4}, learning_rate: 1.0e-2, eval_steps: 3, report_to: []}
export: {quants: [Q8_0, Q5_0]}
certify: {max_tokens: 6000, logit_records: 1, quant_records: 1, tokenizer_texts: 20}
predict: {max_records: 1, max_new_tokens: 4, perplexity_records: 1, batch_size: 2}
deploy: {smoke_prompts: 1, smoke_tokens: 4}
dnd:
  curate: {max_tokens: 6000, val_share: 0.2, test_share: 0.3}
  deploy: {formats: [gguf, hf]}
  runs:
    dm: {base: tiny, system_prompt: "You are the dungeon master."}
tools:
  adapters: true
  generate: {count: 300}
  curate: {max_per_split: 3}
  export: {quants: [Q8_0]}
  train: {batch_size: 2}
  runs:
    all: {base: tiny, description: "Knows every tool.", system_prompt: "Call tools.", focus: FOCUS}
terrain:
  generate:
    - {map: Eastvale, tiles: 36}
    - {map: Northreach, tiles: 4, seed: 11, style: atlas}
  ingest: {inputs: [minimap, shadow, alpha1], image_size: 64}
  curate: {unseen: [Northreach], block: 2, max_per_split: 2, val_share: 0.12}
  export: {quants: [Q8_0]}
  train: {batch_size: 2}
  runs:
    tile: {base: sketch, system_prompt: "You are a surveyor."}
gameplay:
  generate: {recordings: 4, frames: 60, resolution: 160x120}
  ingest: {frame_size: [128, 96], stride: 3}
  curate: {max_train: 6, max_per_split: 2, val_share: 0.12}
  export: {quants: [Q8_0]}
  train: {batch_size: 2}
  loop: {episodes: 2, seconds: 1.2}
  runs:
    agent: {base: sketch, system_prompt: "You play."}
aerial:
  generate: [{size: 300, tallest: 20}]
  voxels: {grid: {range: [-16, -16, -4, 16, 16, 28], voxel: [2, 2, 4]}}
  sessions:
    sessions: 10
    frames: 8
    kinds: [walk, rover]
    max_empty_share: 1
    lidar: {beams: 4, azimuths: 32}
    camera: {width: 64, height: 36}
  data: {history: 3, future: 2, split: {block: 60, buffer: 16, val_share: 0.25, test_share: 0.25}}
  model: {class_width: 2, channels: 8, multipliers: [1, 2], blocks: 1, attention: false, codes: 16, code_width: 8,
    width: 16, layers: 1, heads: 2, carry_width: 4}
  train: {vae_epochs: 1, epochs: 1, max_steps: 2, batch_size: 2, precision: float32, learning_rate: 1.0e-2,
    warmup_steps: 1, eval_windows: 2, report_to: []}
  score: {max_windows: 4, threshold_windows: 2, resamples: 100}
  runs:
    world: {}
"""
CONFIG = ("--configfile", "e2e.yaml")

pytestmark = pytest.mark.e2e


def run(folder, *command):
    environment = {**os.environ, "PYTHONPATH": "", "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.run([sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def built(converter, tmp_path_factory):
    folder = tmp_path_factory.mktemp("e2e")
    copied(folder, every=10)
    schema = ROOT / "data/raw/tools/schema.json"
    (folder / "data/raw/tools").mkdir()
    shutil.copy(schema, folder / "data/raw/tools")
    (folder / "e2e.yaml").write_text(PRESET.replace("FOCUS", json.dumps(sorted(load_schema(schema)))))
    done = run(folder, "snakemake", *CONFIG, "--cores", "2")
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
    done = run(built, "scripts.packaging.verify", "dist/dnd/dm")
    assert done.returncode == 0, done.stdout + done.stderr


def test_changed_byte_in_the_package_is_noticed(built, tmp_path):
    shutil.copytree(built / "dist/dnd/dm", tmp_path / "dm")
    path = tmp_path / "dm" / "cactus_config.json"
    path.write_text(path.read_text().replace("temperature", "temperatura"))
    done = run(built, "scripts.packaging.verify", str(tmp_path / "dm"), "--sums-only")
    assert done.returncode == 1
    assert "cactus_config.json" in done.stdout + done.stderr


def test_specialist_is_scored_packaged_and_shares_a_certified_base(built):
    metrics = read(built / "reports/tools/all/metrics.json")
    assert list(metrics["variants"]) == ["base", "tuned", "f16", "Q8_0"]
    assert {"majority", "nearest"} <= set(metrics["baselines"])
    assert run(built, "scripts.packaging.verify", "dist/tools/all").returncode == 0
    checks = {check["name"]: check for check in read(built / "dist/tools/shared/certificate-all.json")["checks"]}
    assert checks["pairs"]["passed"]
    assert checks["logits:adapter"]["passed"]
    served = run(built, "scripts.tools.serve", "dist/tools/shared", "--mcp-json")
    assert served.returncode == 0, served.stderr
    assert "questline-tools" in json.loads(served.stdout)["mcpServers"]


def test_a_model_that_is_shown_several_pictures_is_certified_scored_and_packaged(built):
    rows = [json.loads(line) for line in (built / "data/curated/terrain/tile/test.jsonl").read_text().splitlines()]
    assert {len(row["images"]) for row in rows} == {3}
    checks = {check["name"]: check for check in read(built / "models/terrain/tile/gguf/certificate.json")["checks"]}
    assert checks["logits:pictures"]["passed"]
    metrics = read(built / "reports/terrain/tile/metrics.json")
    assert list(metrics["variants"]) == ["base", "tuned", "f16", "Q8_0"]
    assert set(metrics["baselines"]) == {"mean", "flat", "nearest", "shuffled"}
    assert (built / "reports/terrain/tile/sheet.jpg").is_file()
    assert run(built, "scripts.packaging.verify", "dist/terrain/tile").returncode == 0


def test_an_agent_is_certified_counted_in_the_game_and_packaged(built):
    checks = {check["name"]: check for check in read(built / "models/gameplay/agent/gguf/certificate.json")["checks"]}
    assert checks["logits:pictures"]["passed"]
    metrics = read(built / "reports/gameplay/agent/metrics.json")
    assert list(metrics["variants"]) == ["base", "tuned", "f16", "Q8_0"]
    asked = {one.messages[-2].text for one in read_records(built / "data/curated/gameplay/agent/test.jsonl")}
    told = {"misled"} if len(asked) > 1 else set()  # another goal, where there is one
    assert set(metrics["baselines"]) == {"majority", "repeat_last", "shuffled"} | told
    predicted = [built / f"reports/gameplay/agent/predictions/{name}.jsonl" for name in ("misled", "tuned")]
    assert [len(path.read_text().splitlines()) for path in predicted] == [metrics["cases"]] * 2
    counted = read(built / "reports/gameplay/agent/loop.json")
    assert list(counted["players"]) == ["agent", "random", "majority", "repeat_last", "scripted"]
    assert all(row["success"]["n"] == counted["episodes"] == 2 for row in counted["players"].values())
    assert counted["players"]["agent"]["decisions"] == 2 * 4  # random weights write nothing readable, and press nothing
    assert counted["players"]["agent"]["unread"] == 8
    assert (built / "dist/gameplay/agent/loop.json").read_bytes() == (
        built / "reports/gameplay/agent/loop.json"
    ).read_bytes()
    assert run(built, "scripts.packaging.verify", "dist/gameplay/agent").returncode == 0
    goal = read(built / "dist/gameplay/agent/gameplay_config.json")["goals"]
    sheet = ("--sheet", "episode.jpg", "--seconds", "0.6", "--temperature", "0")
    played = run(built, "scripts.gameplay.play", "--model", "dist/gameplay/agent", "--goal", min(goal), *sheet)
    assert "2 decisions" in played.stdout and (built / "episode.jpg").is_file()
    asking = {"by": "vlm", "model": "models/gameplay/agent/gguf/model-Q8_0.gguf", "frames": 2, "max_tokens": 4}
    ingested = (
        "--ingested",
        "data/ingested/gameplay/vizdoom_0001",
        "--out",
        "labels.jsonl",
        "--params",
        json.dumps(asking),
    )
    said = [run(built, "scripts.gameplay.label", *ingested).stderr for _ in range(2)]
    segments = len((built / "labels.jsonl").read_text().splitlines())
    assert segments and f"{segments} asked for" in said[0] and ", 0 asked for" in said[1]
    page = (built / "reports/index.html").read_text()
    assert "Does it get there?" in page and page.count("An episode: what the agent saw") == 2


def test_a_world_is_certified_scored_drawn_and_packaged(built):
    sessions = sorted((built / "data/ingested/aerial/Hillford").glob("*/session.json"))
    assert len(sessions) == 10
    copies = [path.parent.with_name(f"{path.parent.name}.json") for path in sessions]
    assert all(one.read_bytes() == two.read_bytes() for one, two in zip(sessions, copies, strict=True))
    assert read(built / "models/aerial/world/onnx/certificate.json")["passed"]
    metrics = read(built / "reports/aerial/world/metrics.json")
    assert list(metrics["variants"]) == ["torch", "f32", "int8"]
    assert {"copy_last", "ego_warped", "history_warped", "ego_warped_true", "shuffled"} <= set(metrics["baselines"])
    assert [row["seconds"] for row in metrics["horizons"]] == [0.5, 1.0]
    assert (built / "reports/aerial/world/sheet.jpg").is_file()
    assert run(built, "scripts.aerial.world.replay", "dist/aerial/world").returncode == 0
    other = run(built, "scripts.packaging.verify", "dist/aerial/world")
    assert other.returncode == 2 and "scripts.aerial.world.replay" in other.stderr
    page = (built / "reports/index.html").read_text()
    assert "How far ahead?" in page and "Second stage: what comes next" in page


def test_second_run_has_nothing_to_do(built):
    done = run(built, "snakemake", *CONFIG, "--cores", "2")
    assert "Nothing to be done" in done.stdout + done.stderr


def test_summary_prints_the_table_and_the_file(built):
    done = run(built, "scripts.summary", *CONFIG)
    assert done.returncode == 0, done.stderr
    assert "call_f1" in done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("model: ")]
    assert len(lines) == 5
    assert all((built / line.split()[1]).is_file() for line in lines)


def test_report_is_one_page_without_network(built):
    page = (built / "reports/index.html").read_text()
    assert "dnd/dm" in page
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert "<script" not in page
