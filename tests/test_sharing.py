"""A clone that rebuilds nothing: what one person built, another pulls; every edit there replans exactly its cone.

The stages are played by tests/standin.py; Snakemake, DVC and git are the real ones.
"""

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time

import pytest
import yaml
from checkouts import ROOT, Checkout

from scripts.config import load_files
from scripts.lib.cli import UserError
from scripts.sharing import hashing, records
from scripts.sharing.store import advice, censored, without_secrets

OF_TRAINING = {
    "train",
    "merge",
    "convert",
    "quantize",
    "certify",
    "predict",
    "score",
    "gate",
    "deploy",
    "report",
}
OF_SCENARIOS = {"dnd_tools", "dnd_curate"} | OF_TRAINING
REAL = subprocess.Popen
LINKS = ["copy", "reflink,copy", "symlink"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Built, shared and committed once; tests clone it."""
    folder = tmp_path_factory.mktemp("sharing") / "first"
    folder.mkdir()
    checkout = Checkout(folder).populate().under_git()
    checkout.build()
    checkout.said = checkout.command("scripts.share")
    checkout.git("add", "-A")
    checkout.git("commit", "-qm", "shared")
    return checkout


@pytest.fixture
def clone(shared, request):
    """A colleague's clone beside it, nothing pulled yet."""
    name = re.sub(r"\W", "_", request.node.name)
    return shared.clone(shared.folder.parent / name, getattr(request, "param", "reflink,copy"))


@pytest.fixture
def pulled(clone):
    """The same, everything pulled."""
    clone.command("scripts.pull")
    return clone


def shuffle(checkout, seed):
    """Gives every file of the checkout another time stamp, some of them years old, links themselves included."""
    files = [path for path in checkout.files() if path.is_file()]
    random.Random(seed).shuffle(files)
    for age, path in enumerate(files):
        when = time.time() - age * (10 if seed % 2 else 1_000_000)
        os.utime(path, (when, when), follow_symlinks=False)


def replace(text, old, new):
    """An edit that is known to change something."""
    assert old in text
    return text.replace(old, new, 1)


EDITS = {
    "scenario": ("data/raw/dnd/combat/", lambda text: text + "\nMore.\n", OF_SCENARIOS),
    "parameter": (
        "config/demo.yaml",
        lambda text: replace(text, "learning_rate: 1.0e-3", "learning_rate: 2.0e-3"),
        OF_TRAINING,
    ),
    "command": (
        "workflow/rules/score.smk",
        lambda text: replace(text, "python -m scripts.packaging.gate", "python  -m scripts.packaging.gate"),
        {"gate", "deploy", "report"},
    ),
    "module": ("scripts/model/dataset.py", lambda text: replace(text, "IGNORED = -100", "IGNORED = -101"), OF_TRAINING),
    "made file": (
        "reports/dnd/dm/predictions/tuned.jsonl",
        lambda text: text + "edited\n",
        {"score", "gate", "deploy", "report"},
    ),
}


def edit(checkout, what, *, old_stamp):
    """Edits as named, possibly under a time stamp of long ago; returns how to take it back."""
    name, change, _ = EDITS[what]
    path = checkout.folder / name
    path = sorted(path.glob("*.md"))[0] if path.is_dir() else path
    before, link = path.read_text(), path.is_symlink() and path.readlink()
    path.unlink()
    path.write_text(change(before))
    if old_stamp:
        os.utime(path, (1_000_000_000, 1_000_000_000))

    def take_back():
        path.unlink()
        path.symlink_to(link) if link else path.write_text(before)

    return take_back


@pytest.mark.parametrize("clone", LINKS, indirect=True)
def test_clone_rebuilds_nothing_and_misses_nothing(pulled, request):
    """Twenty shuffles over the three kinds of links; after each an edit, every second one under an old time stamp."""
    assert pulled.planned() == set()
    seeds = range(LINKS.index(request.node.callspec.params["clone"]), 20, len(LINKS))
    for seed in seeds:
        shuffle(pulled, seed)
        assert pulled.planned() == set(), seed
        what = sorted(EDITS)[seed % len(EDITS)]
        take_back = edit(pulled, what, old_stamp=bool(seed % 2) and what in ("scenario", "made file"))
        assert pulled.planned() == EDITS[what][2], (seed, what)
        take_back()
    assert pulled.planned() == set()


def test_why_is_right_in_a_clone(pulled):
    assert pulled.why() == {}
    take_back = edit(pulled, "scenario", old_stamp=True)
    name = pulled.scenario().relative_to(pulled.folder).as_posix()
    assert f"content changed: {name}" in pulled.why()["dnd_curate (run=dm)"]
    take_back()
    edit(pulled, "module", old_stamp=False)
    assert pulled.why()["train (system=dnd, run=dm)"] == ["code changed: scripts.model.dataset"]


@pytest.mark.parametrize("clone", ["symlink"], indirect=True)
def test_what_a_clone_builds_leaves_the_cache_whole(pulled):
    edit(pulled, "scenario", old_stamp=False)
    assert pulled.modules() >= {"scripts.dnd.curate", "scripts.model.train", "scripts.dnd.deploy"}
    assert pulled.planned() == set()
    shutil.rmtree(pulled.folder / "models/dnd")
    pulled.command("scripts.pull", "--force")
    assert not [path for path in (pulled.folder / "dist").rglob("*") if path.is_symlink()]


def test_edit_made_during_a_run_in_a_clone_is_noticed(pulled):
    """An input that no parameter tells of, edited under an old time stamp while its job runs."""
    (pulled.folder / "extra.json").write_text("{}\n")
    (pulled.folder / "over.yaml").write_text("dnd: {extra_tools: extra.json}\n")
    arguments = ("--configfile", "config/demo.yaml", "over.yaml")
    hook = f'scripts.dnd.tools::{pulled.folder / "extra.json"}::{{"edited": 1}}\n'
    assert "scripts.dnd.tools" in pulled.modules(*arguments, HOOK=hook)
    os.utime(pulled.folder / "extra.json", (1_000_000_000, 1_000_000_000))
    assert "dnd_tools" in pulled.planned(*arguments)
    pulled.build(*arguments)
    assert pulled.planned(*arguments) == set()


def test_nothing_is_trained_that_only_has_to_be_pulled(clone):
    done = clone.command("snakemake", "-n", code=1)
    assert "shared, but not in this checkout" in done
    clone.command("scripts.pull", "bases")
    assert "make pull" in clone.command("snakemake", "-n", "dnd", code=1)
    assert "but shared: `make pull` brings it" in clone.command("scripts.why", "dnd")
    edit(clone, "command", old_stamp=False)
    assert "make pull" in clone.command("snakemake", "--cores", "1", "dnd", code=1)
    assert clone.planned("dnd", QUESTLINE_REBUILD="1") >= {"train"}
    clone.command("scripts.pull", "dnd")
    assert clone.planned("dnd") == EDITS["command"][2] - {"report"}


def test_what_was_changed_is_built_whatever_is_missing(pulled):
    """A run that failed half way through its cone must not be sent to pull: that would bring back the old models."""
    edit(pulled, "scenario", old_stamp=False)
    pulled.build("data/curated/dnd/dm/train.jsonl")
    shutil.rmtree(pulled.folder / "models/dnd/dm/adapter")
    assert pulled.planned() == OF_TRAINING
    shutil.rmtree(pulled.folder / "models/base/smollm2")
    assert "models/base/smollm2/base.json" in pulled.command("snakemake", "-n", code=1)


def test_hashes_are_known_before_they_are_stored(pulled):
    """The head start that sharing gives: DVC need not read again what was hashed beside the plan."""
    made = pulled.folder / "models/dnd/dm/adapter/beside.bin"
    made.write_bytes(b"new weights")
    asked = (
        "from dvc.repo import Repo; repo = Repo('.'); "
        f"print(repo.state.get({str(made)!r}, repo.dvcfs.repo.cache.local.fs)[1])"
    )
    before = subprocess.run([sys.executable, "-c", asked], cwd=pulled.folder, capture_output=True, text=True)
    assert before.stdout.strip() == "None", before.stderr
    pulled.command("scripts.sharing.hashing")
    after = subprocess.run([sys.executable, "-c", asked], cwd=pulled.folder, capture_output=True, text=True)
    assert hashlib.md5(b"new weights").hexdigest() in after.stdout, after.stderr


def test_hashing_beside_ends_with_the_plan_that_fails(shared, monkeypatch):
    monkeypatch.chdir(shared.folder)
    started = []
    monkeypatch.setattr(hashing.subprocess, "Popen", lambda *a, **k: started.append(REAL(*a, **k)) or started[0])
    with pytest.raises(UserError, match="no plan"), hashing.hashed_beside():
        raise UserError("no plan")
    assert started[0].returncode is not None


def test_share_lists_sizes_first_and_says_what_to_type(shared):
    said = shared.said.splitlines()
    rooms = [line.split()[-1] for line in said[said.index("to be shared:") + 1 :] if re.match(r" +\d", line)]
    assert set(rooms) == {
        "models/base/smollm2",
        "data/curated/dnd",
        "models/dnd",
        "reports/dnd",
        "dist/dnd",
        "reports/index.html",
    }
    assert "git add dvc.yaml dvc.lock" in shared.said


def test_share_stops_where_nobody_could_tell_what_is_up_to_date(pulled):
    def record(folder, name):
        import base64

        return pulled.folder / ".snakemake" / folder / base64.urlsafe_b64encode(name.encode()).decode()

    name = "models/dnd/dm/adapter/adapter_config.json"
    kept = record("metadata", name).read_text()
    record("metadata", name).unlink()
    assert f"{name}: there is no record" in pulled.command("scripts.share", code=2)
    record("metadata", name).write_text(kept)
    record("incomplete", name).write_text("{}")
    assert f"{name}: left incomplete" in pulled.command("scripts.share", code=2)
    assert f"{name}: left incomplete" in pulled.command("scripts.pull", code=2)
    record("incomplete", name).unlink()
    (pulled.folder / name).unlink()
    assert f"{name}: was shared before and is not here" in pulled.command("scripts.share", code=2)
    pulled.command("scripts.pull")
    assert pulled.planned() == set()


def test_pull_stops_where_a_record_is_missing(clone):
    clone.command("scripts.pull", "bases")
    path = clone.folder / "data/records/dnd/records.json"
    packed = json.loads(path.read_text())
    packed["records"].pop("dist/dnd/dm/SHA256SUMS")
    done = subprocess.run(
        [sys.executable, "-c", "from scripts.sharing.records import unpack; unpack('dnd')"],
        cwd=clone.folder,
        capture_output=True,
        text=True,
        input=path.write_text(json.dumps(packed)) and "",
    )
    assert "dist/dnd/dm/SHA256SUMS: shared without a record" in done.stderr


def test_work_that_was_never_shared_is_not_given_up(pulled):
    path = pulled.folder / "reports/dnd/dm/metrics.json"
    path.unlink()
    path.write_text("mine\n")
    assert "never shared" in pulled.command("scripts.pull", code=2)
    assert path.read_text() == "mine\n"
    assert pulled.planned() == {"gate", "deploy", "report"}
    pulled.command("scripts.pull", "--force")
    assert pulled.planned() == set()


def test_damaged_object_is_named_and_fetched_again(pulled):
    lock = yaml.safe_load((pulled.folder / "dvc.lock").read_text())
    [page] = [out["md5"] for out in lock["stages"]["page"]["outs"] if out["path"] == "reports/index.html"]
    cached = pulled.folder / ".dvc/cache/files/md5" / page[:2] / page[2:]
    cached.chmod(0o644)
    cached.write_text("rubbish\n")
    (pulled.folder / "reports/index.html").unlink()
    assert "reports/index.html: damaged in the cache" in pulled.command("scripts.pull")
    assert pulled.planned() == set()
    stored = pulled.folder.parent / "questline-remote/files/md5" / page[:2] / page[2:]
    whole = stored.read_bytes()
    stored.chmod(0o644)
    stored.write_text("rubbish\n")
    cached.unlink()
    try:
        assert "reports/index.html: the remote" in pulled.command("scripts.pull", code=2)
    finally:
        stored.write_bytes(whole)


def test_base_whose_licence_forbids_it_is_left_out(tmp_path):
    (tmp_path / "first").mkdir()
    first = Checkout(tmp_path / "first").populate().under_git()
    first.build("models/base/smollm2/base.json", LICENCE="gemma")
    said = first.command("scripts.share", "--no-push")
    assert "left out: models/base/smollm2: its licence (gemma)" in said
    first.command("scripts.share")
    first.git("add", "-A")
    first.git("commit", "-qm", "shared")
    clone = first.clone(tmp_path / "second")
    said = clone.command("scripts.pull")
    assert "left out: models/base/smollm2" in said and "fetch it yourself: python -m scripts.model.base" in said
    assert [path.name for path in (clone.folder / "models/base/smollm2").iterdir()] == ["base.json"]
    assert "--with-base" in said
    assert "left out" not in first.command("scripts.share", "--with-base", "smollm2", "--list")


def test_scores_and_curves_are_compared_between_two_revisions(tmp_path):
    (tmp_path / "first").mkdir()
    first = Checkout(tmp_path / "first").populate().under_git()
    first.build()
    for message in ("one", "two"):
        first.command("scripts.share")
        first.git("add", "-A")
        first.git("commit", "-qm", message)
        if message == "one":
            edit(first, "parameter", old_stamp=False)
            first.build()
    assert "reports/dnd/dm/metrics.json" in first.command("dvc", "metrics", "diff", "HEAD~1", "HEAD")
    first.command("dvc", "plots", "diff", "HEAD~1", "HEAD", "--out", "plots")
    assert "dm_loss_csv" in (first.folder / "plots/index.html").read_text()


def test_tracked_raw_data_that_was_edited_stops_sharing_and_names_both_ways_out(pulled):
    raw = pulled.folder / "data/raw/terrain/mine"
    raw.mkdir(parents=True)
    (raw / "tile.json").write_text("{}\n")
    pulled.command("dvc", "add", "-q", "data/raw/terrain/mine")
    (raw / "tile.json").unlink()
    (raw / "tile.json").write_text('{"edited": 1}\n')
    said = pulled.command("scripts.share", code=2)
    assert "data/raw/terrain/mine/tile.json" in said or "data/raw/terrain/mine" in said
    assert "dvc add" in said and "dvc checkout" in said


def test_who_holds_the_lock_is_said(pulled):
    locks = pulled.folder / ".snakemake/locks"
    locks.mkdir(exist_ok=True)
    (locks / "0.output.lock").write_text("dist/dnd/dm/SHA256SUMS\n")
    run = pulled.folder / ".snakemake/questline-run.json"
    who = {"pid": os.getpid(), "host": os.uname().nodename, "since": "2026-01-01 00:00:00"}
    run.write_text(json.dumps(who))
    assert f"process {os.getpid()}" in pulled.command("scripts.share", code=2)
    run.write_text(json.dumps(who | {"pid": 2**22 + 1}))
    assert "was killed" in pulled.command("scripts.pull", code=2)
    pulled.command("snakemake", "--unlock")
    pulled.command("scripts.pull")


def test_nothing_secret_reaches_git_the_remote_or_what_is_said(shared, tmp_path):
    """Planted credentials, in every place where they belong, are found nowhere else."""
    clone = shared.clone(shared.folder.parent / "secrets")
    secret = "PLANTED-" + "s3cr3t"
    config = clone.folder / ".dvc/config.local"
    config.write_text(
        config.read_text()
        + f"[core]\n    remote = web\n['remote \"web\"']\n    url = http://me:{secret}@127.0.0.1:9/x\n"
        + f"    password = {secret}\n"
    )
    environment = {"AWS_SECRET_ACCESS_KEY": secret, "HF_TOKEN": secret, "OPENAI_API_KEY": secret}
    said = clone.command("scripts.pull", code=2, **environment)
    config.write_text("")
    said += clone.command("scripts.pull", **environment)
    edit(clone, "command", old_stamp=False)
    clone.build(**environment)
    said += clone.command("scripts.share", **environment)
    assert secret not in said
    config.write_text(f"# {secret}\n")
    clone.git("add", "-A")
    tracked = subprocess.run(["git", "ls-files"], cwd=clone.folder, capture_output=True, text=True).stdout
    assert "config.local" not in tracked
    for folder in (clone.folder, shared.folder.parent / "questline-remote"):
        files = [path for path in folder.rglob("*") if path.is_file() and path != config]
        assert files, folder
        for path in files:
            assert secret.encode() not in path.read_bytes(), path


def test_dvc_yaml_is_what_the_workflow_makes():
    """The same systems, and every output made by a rule; never a second graph."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.sharing.dvcfile", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert set(stages) - {"bases", "page"} == set(load_files(ROOT / "config/demo.yaml").systems())
    summary = subprocess.run(
        [sys.executable, "-m", "snakemake", "--summary"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    made = [line.split("\t")[0] for line in summary.splitlines()[1:]]
    for name, stage in stages.items():
        for out in stage["outs"]:
            [(room, options)] = out.items()
            assert options == {"persist": True}
            if not room.startswith("data/records/"):
                assert any(file == room or file.startswith(f"{room}/") for file in made), (name, room)


def test_what_dvc_s_errors_become():
    full = advice(OSError(28, "No space left on device"), [])
    assert "free some space" in full and "\n" not in full
    assert "envs/remotes.txt" in advice(ImportError("s3 is supported, but requires 'dvc-s3' to be installed"), [])
    assert "see that the remote is there" in advice(RuntimeError("3 files failed"), ["connection refused\nmore"])
    remotes = {"web": {"url": "https://me:hidden@host/x", "password": "hidden"}}
    said = censored("could not open https://me:hidden@host/x with hidden", remotes)
    assert "hidden" not in said and "https://host/x" in said
    assert without_secrets("s3://key@bucket/path?token=1") == "s3://bucket/path"
    assert without_secrets("../folder") == "../folder"


@pytest.mark.parametrize("length", [10, 300, 900])
def test_records_are_found_where_snakemake_keeps_them(tmp_path, monkeypatch, length):
    from snakemake.persistence.file import FilePersistence

    monkeypatch.chdir(tmp_path)
    name = "models/" + "/".join("x" * 50 for _ in range(length // 50)) + "/ü.json"
    snakemake = FilePersistence(nolock=True)
    snakemake._io_write(snakemake._metadata_path, {"rule": "train"}, name)
    assert records.records_here() == {name: {"rule": "train"}}
    assert records.record_path(name).samefile(snakemake._record_path(snakemake._metadata_path, name))
