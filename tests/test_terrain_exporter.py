"""The user's own exporter, played by a small program: run first, taken over by content; one edit costs one shard."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from terrain_export import write_export
from test_workflow import ROOT, SOURCES

from scripts.lib.cli import UserError
from scripts.lib.files import read_json
from scripts.terrain import exporter
from scripts.terrain.system import TerrainOptions

PROGRAM = """
import shutil, sys
name, source, out = sys.argv[1:]
print(f"exporting {name}", flush=True)
if name == "Nowhere":
    sys.exit(f"no map {name}")
shutil.copytree(source, out, dirs_exist_ok=True)  # and the times
"""
TILES = [(x, y) for x in range(5, 11) for y in range(4)]  # two shards


@pytest.fixture
def made(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    write_export(tmp_path / "made", *TILES)
    return tmp_path / "made"


def command_of(made: Path, out: str = "{out}") -> str:
    return f"'{sys.executable}' '{made.parent / 'program.py'}' {{map}} '{made}' {out}"


def export(made: Path, out: Path, name: str = "Made", command: str | None = None) -> None:
    given = ["--map", name, "--command", command or command_of(made), "--out", str(out)]
    exporter.main(exporter.parser().parse_args(given))


def test_unchanged_files_keep_their_times_and_vanished_ones_go(made, tmp_path, capsys):
    out = tmp_path / "taken"
    export(made, out)
    assert "exporting Made" in capsys.readouterr().err
    listed = read_json(out / "files.json")["files"]
    assert [row["name"] for row in listed[:2]] == ["dataset/Made_10_0.json", "dataset/Made_10_1.json"]
    assert len(listed) == 2 * len(TILES) + 1
    for path in out.rglob("*.json"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    edited, gone = made / "dataset/Made_5_0.json", made / "dataset/Made_6_0.json"
    edited.write_text(edited.read_text() + " ")
    os.utime(edited, (900_000_000, 900_000_000))  # the program copies times too
    gone.unlink()
    export(made, out)
    times = {path.name: path.stat().st_mtime for path in (out / "dataset").iterdir()}
    assert "Made_6_0.json" not in times
    assert [name for name, time in times.items() if time > 1_000_000_000] == ["Made_5_0.json"]
    assert "1 of them new or changed" in capsys.readouterr().err
    assert not (tmp_path / ".taken.new").exists()


@pytest.mark.parametrize(
    ("name", "command", "message"),
    [
        ("Nowhere", None, r"ended with status 1 \(exporting Nowhere / no map Nowhere\); run it by hand: .*program.py"),
        ("Made", "no-such-exporter {out}", r"no-such-exporter cannot be run \(No such file or directory\)"),
        ("Made", f"'{sys.executable}' -c pass {{out}}", r"wrote no map exports into \{out\}, not one"),
        ("Made", f"""'{sys.executable}' -c "import os; os.mkdir(r'{{out}}/dataset')" """, "wrote no tile"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_what_was_there_stays(made, tmp_path, name, command, message):
    export(made, tmp_path / "taken")
    with pytest.raises(UserError, match=message):
        export(made, tmp_path / "taken", name, command)
    assert len(list((tmp_path / "taken/dataset").iterdir())) == len(TILES)
    assert (tmp_path / "taken/files.json").is_file()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"export_maps": ["A"], "export_command": "x"}, "has no {out}"),
        ({"export_command": "x {out}"}, "name each map"),
        ({"export_command": "x {out}", "export_maps": ["A", "A"]}, "name each map"),
        ({"export_command": "x {out}", "export_maps": ["A"], "exports": ["e"]}, "not both"),
    ],
)
def test_keys_that_do_not_fit_are_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        TerrainOptions(**keys)


def test_the_workflow_runs_it_first_and_an_edit_costs_one_shard(made, tmp_path):
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    terrain = {"export_command": command_of(made), "export_maps": ["Made"], "curate": {"block": 1, "gap": 0}}
    (folder / "own.yaml").write_text(json.dumps({"dnd": None, "tools": None, "terrain": terrain}))

    def build(*more: str) -> list[str]:
        """The rules that ran, in order."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *more]
        command += ["--configfile", "config/demo.yaml", "own.yaml", "--", "data/curated/terrain/tile/train.jsonl"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
        return re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", done.stdout + done.stderr)

    assert build() == ["terrain_export", "terrain_ingest", "terrain_ingest", "terrain_curate"]
    assert build() == []
    edited = made / "dataset/Made_5_0.json"
    edited.write_text(edited.read_text() + " ")
    assert build() == []  # nobody told of it
    assert build("--forcerun", "terrain_export") == ["terrain_export", "terrain_ingest", "terrain_curate"]
    assert build() == []
