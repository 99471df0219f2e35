"""A copy of the project in a folder of its own, whose stages are played by standin.py."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("Snakefile", "workflow", "config", "envs", "profiles", "scripts")
CURATE = {"scripts.dnd.tools", "scripts.dnd.curate"}
PREDICT = {"scripts.model.predict"}
EXPORT = {"scripts.model.merge", "scripts.model.convert", "scripts.model.quantize", "scripts.model.certify"}
JUDGE = {"scripts.dnd.score", "scripts.packaging.gate", "scripts.dnd.deploy", "scripts.report"}
TRAIN = {"scripts.model.train"}
CONE_OF_TRAINING = TRAIN | EXPORT | PREDICT | JUDGE


def copied(folder, every):
    """The project's sources in a folder, and every so many of its scenarios."""
    for name in SOURCES:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    for source in sorted((ROOT / "data/raw/dnd").glob("*/*.md"))[::every]:
        target = folder / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


class Checkout:
    """A copy of the project in a folder, with six scenarios, whose stages are stand-ins."""

    def __init__(self, folder):
        self.folder = folder
        self.journal = folder.parent / f"{folder.name}.journal"
        python = folder.parent / f"{folder.name}-bin" / "python"
        python.parent.mkdir(exist_ok=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "{ROOT / "tests" / "standin.py"}" "$@"\n')
        python.chmod(0o755)
        self.environment = {**os.environ, "QUESTLINE_BIN": str(python.parent), "JOURNAL": str(self.journal)}

    def populate(self, *, whole=False):
        """The project's sources and some scenarios; unless ``whole``, the demo preset holds dnd alone."""
        copied(self.folder, every=14)
        if not whole:
            demo = self.folder / "config" / "demo.yaml"
            demo.write_text(demo.read_text().partition("\ntools:\n")[0])
        schema = self.folder / "data" / "raw" / "tools" / "schema.json"
        schema.parent.mkdir(parents=True)
        shutil.copy(ROOT / "data" / "raw" / "tools" / "schema.json", schema)
        return self

    def snakemake(self, *arguments, **environment):
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done

    def build(self, *arguments, **environment):
        """Runs the workflow; returns the stages that ran, as a sorted list of modules and outputs."""
        self.journal.write_text("")
        self.snakemake(*arguments, **environment)
        return sorted(self.journal.read_text().splitlines())

    def modules(self, *arguments, **environment):
        return {line.split()[0] for line in self.build(*arguments, **environment)}

    def why(self, *targets):
        done = subprocess.run(
            [sys.executable, "-m", "scripts.why", "--json", *targets],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return {row["job"]: row["why"] for row in rows}

    def command(self, *arguments, code=0, **environment):
        """`python -m ...` in the checkout; what it said."""
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said[-4000:]
        assert "Traceback" not in said, said[-4000:]
        return said

    def planned(self, *arguments, **environment):
        """The rules that a dry run would run."""
        done = self.snakemake("-n", *arguments, **environment)
        if "Nothing to be done" in done.stdout + done.stderr:
            return set()
        table = done.stdout[done.stdout.rindex("Job stats:") :].partition("\ntotal ")[0].splitlines()[3:]
        return {row.split()[0] for row in table} - {"all", "dnd"}

    def git(self, *arguments):
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always")
        subprocess.run(["git", *who, *arguments], cwd=self.folder, check=True, capture_output=True, text=True)

    def under_git(self):
        """Makes it a git repository that DVC works in, as the project is one."""
        for name in (".gitignore", ".dvcignore"):
            shutil.copy(ROOT / name, self.folder / name)
        (self.folder / ".dvc").mkdir(exist_ok=True)
        for name in (".gitignore", "config"):
            shutil.copy(ROOT / ".dvc" / name, self.folder / ".dvc" / name)
        self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-qm", "sources")
        return self

    def clone(self, folder, link="reflink,copy"):
        """A colleague's clone, with its own way of linking files to the cache."""
        subprocess.run(["git", "clone", "-q", str(self.folder), str(folder)], check=True, capture_output=True)
        (folder / ".dvc" / "config.local").write_text(f'[cache]\n    type = "{link}"\n')
        return Checkout(folder)

    def scenario(self):
        return sorted((self.folder / "data/raw/dnd").rglob("*.md"))[0]

    def edit(self, name, old, new):
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def files(self):
        made = ("data", "models", "reports", "dist", *SOURCES)
        return [path for name in made for path in (self.folder / name, *(self.folder / name).rglob("*"))]
