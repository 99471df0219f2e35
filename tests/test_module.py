"""The workflow as a module of another one, by path and by git: what snakedeploy writes."""

import shutil
import subprocess
import sys

import pytest
import yaml
from checkouts import ROOT, Checkout

USER = """
configfile: "config/config.yaml"

module questline:
    snakefile: "{source}"
    config: config

use rule * from questline
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The project as a git repository."""
    folder = tmp_path_factory.mktemp("published") / "questline"
    folder.mkdir()
    return Checkout(folder).populate().under_git()


@pytest.mark.parametrize("source", ["{folder}/workflow/Snakefile", "git+file://{folder}/workflow/Snakefile@main"])
def test_another_workflow_uses_this_one_as_a_module(published, tmp_path, source):
    user = Checkout(tmp_path / "user")
    user.folder.mkdir()
    subprocess.run(["cp", "-r", published.folder / "config", published.folder / "data", user.folder], check=True)
    shutil.copy(user.folder / "config/demo.yaml", user.folder / "config/config.yaml")  # dnd alone
    (user.folder / "workflow").mkdir()
    (user.folder / "workflow/Snakefile").write_text(USER.format(source=source.format(folder=published.folder)))
    assert "scripts.dnd.deploy dist/dnd/dm" in user.build()
    assert (user.folder / "reports/index.html").is_file() and not (user.folder / "scripts").exists()
    assert user.build() == []


def test_a_killed_unpacking_of_the_source_is_no_source(published, tmp_path):
    """What a kill leaves of a revision is beside its folder, and the next run unpacks it whole."""
    user = Checkout(tmp_path / "user")
    user.folder.mkdir()
    subprocess.run(["cp", "-r", published.folder / "config", published.folder / "data", user.folder], check=True)
    shutil.copy(user.folder / "config/demo.yaml", user.folder / "config/config.yaml")
    source = f"git+file://{published.folder}/workflow/Snakefile@main"
    (user.folder / "workflow").mkdir()
    (user.folder / "workflow/Snakefile").write_text(USER.format(source=source))
    revision = subprocess.check_output(["git", "-C", published.folder, "rev-parse", "main"], text=True).strip()
    (user.folder / f".snakemake/questline-source/{revision}.1/scripts").mkdir(parents=True)
    assert user.planned()


def test_jobs_of_a_module_find_the_stages(tmp_path):
    """In a folder without scripts/ the environment of jobs names the checkout."""
    code = "import os; from pathlib import Path; from scripts.lib.environment import prepare_jobs\n"
    code += f"prepare_jobs(Path({str(ROOT)!r})); os.execvp('python', ['python', '-m', 'scripts.dnd.check', '--help'])"
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "usage" in done.stdout


def test_the_catalog_entry_is_whole():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"]["conda"] is True
    assert (ROOT / "config/README.md").is_file() and (ROOT / "config/config.yaml").resolve().name == "demo.yaml"
