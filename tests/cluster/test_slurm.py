"""The workflow on a real Slurm: jobs are sent, one is cancelled as it trains, a rerun goes on from its checkpoint."""

import importlib.util
import json
import re
import subprocess
import sys
import time

import pytest
import yaml
from checkouts import copied
from onenode import OneNode, missing

WHY = missing() or (
    "" if importlib.util.find_spec("snakemake_executor_plugin_slurm") else "no executor plugin: make test-cluster"
)
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(WHY), reason=WHY or "Slurm is here"),
    pytest.mark.timeout(900),
]

PRESET = {
    "preset": "cluster",
    "scope": "road",
    "jobs_at_once": 1,
    "bases": {"tiny": {"source": "recipe:tiny-llama", "licence": "apache-2.0", "dtype": "float16", "billions": 0.0001}},
    "train": {
        "max_steps": 40,
        "max_tokens": 6000,
        "batch_size": 2,
        "lora": {"r": 4},
        "eval_steps": 2,
        "eval_records": 1,
        "report_to": [],
    },
    "dnd": {
        "curate": {"max_tokens": 6000, "val_share": 0.2, "test_share": 0.3},
        "runs": {"dm": {"base": "tiny", "system_prompt": "You are the dungeon master."}},
    },
    "terrain": {
        "generate": [{"map": "Eastvale", "tiles": 256}],
        "runs": {"tile": {"base": "tiny", "system_prompt": "You are a surveyor."}},
    },
}
# Three settings of a cluster without accounting, and this node's size.
HERE = ("--slurm-no-account", "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2")
SMALL = ("--cores", "2", "--latency-wait", "20")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with OneNode(tmp_path_factory.mktemp("slurm") / "node") as node:
        yield node


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The project with few scenarios and real stages."""
    folder = tmp_path_factory.mktemp("cluster")
    copied(folder, every=10)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(PRESET))
    return folder


def started(cluster, folder, *targets, more=("--set-resources", "train:mem_mb=3000", "--retries", "0")):
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/slurm", *HERE, *SMALL, *more]
    command += ["--configfile", "tiny.yaml", "--", *targets]
    return subprocess.Popen(
        command, cwd=folder, env=cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def checkpoints(folder):
    return sorted((folder / "models/.work").glob("dnd/dm/*/checkpoint-*/trainer_state.json"))


def test_a_cancelled_training_goes_on_from_its_checkpoint(cluster, checkout):
    first = started(cluster, checkout, "dnd_dm_train")
    while first.poll() is None and not checkpoints(checkout):
        time.sleep(0.1)
    assert checkpoints(checkout), first.communicate()[0][-6000:]
    cluster.run("scancel", "-u", "root")
    said = first.communicate()[0]
    assert first.returncode != 0, said[-3000:]
    assert not (checkout / "models/dnd/dm/adapter").exists()
    assert "has been submitted with SLURM jobid" in said, said[-3000:]
    second = started(cluster, checkout, "dnd_dm_train")
    said = second.communicate()[0]
    assert second.returncode == 0, said[-6000:]
    metadata = json.loads((checkout / "models/dnd/dm/training/training_metadata.json").read_text())
    assert json.dumps(metadata).count("resumed_from") == 1
    assert find(metadata, "resumed_from") >= 2
    third = started(cluster, checkout, "dnd_dm_train")
    assert "Nothing to be done" in third.communicate()[0]


def test_a_job_that_was_killed_is_sent_again_with_more_memory(cluster, checkout):
    target = "data/generated/terrain/Eastvale/files.json"
    run = started(cluster, checkout, target, more=("--retries", "1"))
    first = running(cluster, run)
    cluster.run("scancel", "--signal=KILL", first["job"])
    second = running(cluster, run, but=first["job"])
    said = run.communicate()[0]
    assert run.returncode == 0, said[-3000:]
    assert (first["memory"], second["memory"]) == ("1000M", "2000M")
    assert (checkout / target).is_file()


def test_shards_go_as_one_array_job(cluster, checkout):
    """More of them than two processors take at a time; each is built once, and the run ends."""
    run = started(cluster, checkout, "terrain", more=("--until", "terrain_ingest"))
    said = run.communicate()[0]
    assert run.returncode == 0, said[-3000:]
    shards = list((checkout / "data/ingested/terrain/Eastvale").glob("*/manifest.json"))
    assert len(shards) > 2
    assert re.search(rf"Submitted array job.*task IDs are 1-{len(shards)}\.", said, re.S), said[-3000:]


def running(cluster, run, but=""):
    """The job that runs, or waits, beside ``but``: its number and the memory it was granted."""
    while run.poll() is None:
        for line in cluster.run("squeue", "-h", "-t", "R", "-o", "%A %m").splitlines():
            job, memory = line.split()
            if job != but:
                return {"job": job, "memory": memory}
        time.sleep(0.05)
    raise AssertionError(run.communicate()[0][-3000:])


def find(value, key):
    """The value of a key, wherever it stands."""
    if isinstance(value, dict):
        return value[key] if key in value else next((one for part in value.values() if (one := find(part, key))), None)
    return None


def test_what_slurm_built_is_up_to_date_here(checkout):
    """Both profiles record checksums of every size, so that either finds nothing to do after the other."""
    for path in (checkout / "models").rglob("*"):
        path.touch()
    command = [sys.executable, "-m", "snakemake", "-n", "--configfile", "tiny.yaml", "--", "dnd_dm_train"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    assert "Nothing to be done" in done.stdout + done.stderr, done.stdout[-2000:]
