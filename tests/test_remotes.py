"""Remotes: S3 by a server of its own, pushes and pulls that are killed half way, one system only."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from checkouts import Checkout

BUCKET = "questline-bucket"
KEYS = {"access_key_id": "PLANTED-KEY", "secret_access_key": "PLANTED-SECRET"}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Built once, with enough bytes beside the outputs that moving them takes a moment."""
    folder = tmp_path_factory.mktemp("remotes") / "first"
    folder.mkdir()
    checkout = Checkout(folder).populate().under_git()
    checkout.build()
    beside = folder / "models/dnd/dm/adapter"
    for number in range(40):
        (beside / f"beside{number}.bin").write_bytes(os.urandom(1_000_000))
    return checkout


def killed_when(checkout, module, happened):
    """Runs a command and kills it, children and all, as soon as something happened (or lets it end before)."""
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=checkout.folder,
        env=checkout.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and not happened():
        time.sleep(0.002)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def count(folder):
    return sum(path.is_file() for path in folder.rglob("*")) if folder.is_dir() else 0


def contents(checkout):
    """Everything made, by path."""
    made = [checkout.folder / name for name in ("models", "reports", "dist", "data/curated")]
    return {
        path.relative_to(checkout.folder): path.read_bytes()
        for folder in made
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_killed_push_and_pull_go_on_where_they_stopped(first):
    remote = first.folder.parent / "questline-remote"
    for least in (1, 20):
        killed_when(first, "scripts.share", lambda least=least: count(remote) >= least)
    first.command("scripts.share")
    first.git("add", "-A")
    first.git("commit", "-qm", "shared")
    clone = first.clone(first.folder.parent / "killed", "copy")
    killed_when(clone, "scripts.pull", lambda: count(clone.folder / ".dvc/cache/files") >= 10)
    assert "make pull" in clone.command("snakemake", "-n", code=1)
    killed_when(clone, "scripts.pull", lambda: count(clone.folder / "models") >= 5)
    clone.command("scripts.pull")
    assert contents(clone) == contents(first)
    assert clone.planned() == set()


def test_an_interrupted_pull_is_said_until_it_was_finished(first):
    clone = first.clone(first.folder.parent / "half", "copy")
    clone.command("scripts.pull")
    (clone.folder / ".snakemake/questline-pull-interrupted").write_text("")
    assert "a pull was interrupted here" in clone.command("snakemake", "-n", code=1)
    assert "a pull was interrupted here" in clone.command("scripts.share", code=2)
    clone.command("scripts.pull")
    assert clone.planned() == set()


def test_a_remote_that_is_not_there_is_one_sentence(first):
    clone = first.clone(first.folder.parent / "lost", "copy")
    clone.git("config", "user.name", "t")
    (clone.folder / ".dvc/config.local").write_text("['remote \"folder\"']\n    url = /nowhere/at/all\n")
    said = clone.command("scripts.pull", code=2)
    assert "/nowhere/at/all" in said and "make share" in said


def server():
    """A real S3-speaking server on a free port of loopback; skips where it is not installed."""
    pytest.importorskip("moto.server", reason="no moto: run `make setup`")
    pytest.importorskip("dvc_s3", reason="no dvc-s3: run `make setup`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{address}/moto-api/", timeout=5).close()
            break
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, "moto's server ended"
            time.sleep(0.1)
    return process, address


@pytest.fixture(scope="module")
def s3():
    process, address = server()
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    client.create_bucket(Bucket=BUCKET)
    yield address, client
    process.kill()
    process.wait()


def use_s3(checkout, address):
    """Address in the tracked configuration, keys in the one that is not."""
    (checkout.folder / ".dvc/config").write_text(
        f"[core]\n    remote = s3\n['remote \"s3\"']\n    url = s3://{BUCKET}/questline\n    endpointurl = {address}\n"
    )
    keys = "".join(f"    {name} = {value}\n" for name, value in KEYS.items())
    (checkout.folder / ".dvc/config.local").write_text(f"['remote \"s3\"']\n{keys}")


def test_s3(first, s3, tmp_path):
    address, client = s3
    shutil.copytree(first.folder, tmp_path / "first", symlinks=True)
    checkout = Checkout(tmp_path / "first")
    use_s3(checkout, address)
    said = checkout.command("scripts.share")
    assert "new files pushed to s3" in said and "PLANTED" not in said
    checkout.git("add", "-A")
    checkout.git("commit", "-qm", "shared")
    clone = checkout.clone(tmp_path / "second")
    use_s3(clone, address)
    clone.command("scripts.pull", "page")
    assert (clone.folder / "reports/index.html").is_file() and not (clone.folder / "models/dnd").exists()
    assert "make pull" in clone.command("snakemake", "-n", code=1)
    killed_when(clone, "scripts.pull", lambda: count(clone.folder / ".dvc/cache/files") >= 20)
    clone.command("scripts.pull")
    assert contents(clone) == contents(checkout)
    assert clone.planned() == set()
    for path in clone.folder.rglob("*"):
        if path.is_file() and path.name != "config.local":
            assert b"PLANTED" not in path.read_bytes(), path
    stored = client.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert not [
        one["Key"] for one in stored if b"PLANTED" in client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
    ]


def test_s3_keys_that_are_refused_are_one_sentence_without_them(first, s3, tmp_path):
    address, _ = s3
    clone = first.clone(tmp_path / "second")
    use_s3(clone, address.rpartition(":")[0] + ":9")
    config = clone.folder / ".dvc/config"
    config.write_text(config.read_text() + "    connect_timeout = 1\n    read_timeout = 1\n")
    said = clone.command("scripts.pull", code=2)
    assert "could not fetch from s3" in said and "PLANTED" not in said
