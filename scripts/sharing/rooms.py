"""Rooms: the folders (or single files) that a system's rules write, which are shared whole.

A rule declares a few named files; these list the files beside them (images, a package's files, a base's weights). So
the whole folder is shared: ``data/curated/dnd``, ``models/dnd``, ``models/base/smollm2``, ``reports/index.html``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

BASES, PAGE = "bases", "page"
SHARED_BASES = "models/base"
RECORDS = "data/records"
CARD = "base.json"
RAW = "data/raw"


@dataclass
class Stage:
    """One stage of dvc.yaml: a system, or what several systems use (``bases``) or end in (``page``).

    Attributes:
        name: what follows `snakemake` in its command, too.
        outputs: files that its rules declare; temporary ones are left out.
        sources: files that its rules read and no rule makes.
        modules: project modules whose code its rules run.
        reads: files of other stages that its rules read.
        withheld: rooms of bases whose licence does not allow sharing: of those only the card is.
    """

    name: str
    outputs: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    withheld: set[str] = field(default_factory=set)

    @property
    def rooms(self) -> list[str]:
        """Folders and files that are shared, sorted; none lies in another."""
        rooms = {room_of(path) for path in self.outputs}
        return sorted((rooms - self.withheld) | {f"{room}/{CARD}" for room in rooms & self.withheld})

    @property
    def records(self) -> str:
        """The folder that Snakemake's records of these rooms travel in."""
        return f"{RECORDS}/{self.name}"


def room_of(path: str) -> str:
    """The room of a made file.

    Example: ``data/curated/dnd/dm/train.jsonl`` -> ``data/curated/dnd``; ``dist/dnd/dm/SHA256SUMS`` -> ``dist/dnd``.
    """
    parts = PurePosixPath(path).parts
    deep = parts[0] == "data" or parts[:2] == ("models", "base")
    return "/".join(parts[: 3 if deep else 2])


def stage_of(path: str) -> str:
    """The name of the stage that a made file belongs to."""
    parts = PurePosixPath(path).parts
    if parts[:2] == ("models", "base"):
        return BASES
    if len(parts) < 3:
        return PAGE
    return parts[2] if parts[0] == "data" else parts[1]


def lies_in(path: str, room: str) -> bool:
    """Whether a file is a room, or lies in it."""
    return path == room or path.startswith(f"{room}/")


def inside_checkout(path: str) -> bool:
    """Whether a path is one of the checkout's own: relative, and not leading out of it."""
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts


def stages_of(dag: Any) -> dict[str, Stage]:
    """The stages of a job graph of the workflow, by name: bases first, the page last."""
    stages: dict[str, Stage] = {}
    for job in dag.jobs:
        if job.rule.norun:
            continue
        name = stage_of(str(job.output[0]))
        stage = stages.setdefault(name, Stage(name))
        stage.outputs |= {str(file) for file in job.output if "temp" not in file.flags}
        stage.modules |= set(code_of(job))
        made = {str(file) for files in dag.dependencies[job].values() for file in files}
        stage.reads |= {file for file in made if stage_of(file) != stage.name}
        stage.sources |= {str(file) for file in job.input} - made
    order = {BASES: 0, PAGE: 2}
    return {name: stages[name] for name in sorted(stages, key=lambda name: (order.get(name, 1), name))}


def code_of(job: Any) -> Iterable[str]:
    """Modules in a job's code fingerprints (its ``code`` parameter: one JSON object, or a list of them)."""
    value = job.params.get("code", "{}")
    for text in [value] if isinstance(value, str) else value:
        yield from (name.partition(":")[0] for name in json.loads(text))


def files_in(room: str) -> list[Path]:
    """Every existing file of a room, sorted; half-written ones are left out."""
    path = Path(room)
    files = path.rglob("*") if path.is_dir() else [path]
    return sorted(file for file in files if file.is_file() and file.suffix != ".part")


def size_of(room: str) -> int:
    """Bytes of a room."""
    return sum(file.stat().st_size for file in files_in(room))
