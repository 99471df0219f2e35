"""What the page reads: a run's files where they lie; what is not built yet is None."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.contract import Family
from scripts.lib.cli import UserError
from scripts.lib.files import read_json, read_jsonl
from scripts.systems import family_of

PLACES = ("models", "curated", "dist", "base")


@dataclass(frozen=True)
class RunPaths:
    """Folders of one run.

    Attributes:
        system, run: its name in two parts.
        reports, models, curated, dist: folders of what its stages wrote.
        base: folder of its base model; None where nothing says which one that is.
        benchmarks: folder of Snakemake's benchmark files of all runs, or None.
    """

    system: str
    run: str
    reports: Path
    models: Path
    curated: Path
    dist: Path
    base: Path | None = None
    benchmarks: Path | None = None

    @property
    def name(self) -> str:
        """``dnd/dm``."""
        return f"{self.system}/{self.run}"

    @property
    def family(self) -> Family:
        """Its model family."""
        return family_of(self.system)

    @property
    def certificate(self) -> Path:
        """Where the certificate lies."""
        return self.models / self.family.exported / "certificate.json"

    def shipped(self, variant: str) -> Path:
        """The file of a variant that a device runs."""
        return self.certificate.with_name(f"model-{variant}{self.family.suffix}")


def locate(reports: Path, places: dict[str, str], benchmarks: Path | None) -> RunPaths:
    """A run's folders from that of its reports, ``.../reports/<system>/<run>``: beside it, unless ``places`` says else.

    Raises:
        UserError: the path is too short to name a system and a run, or a place is unknown.
    """
    if len(reports.parts) < 2:
        raise UserError(f"{reports}: name a run's reports by system and run, such as reports/dnd/dm.")
    if unknown := sorted(set(places) - set(PLACES)):
        raise UserError(f"--paths: unknown key {unknown[0]!r} of {reports}; known: {', '.join(PLACES)}.")
    system, run = reports.parts[-2:]
    root = reports.parent.parent.parent
    usual = {
        "models": root / "models" / system / run,
        "curated": root / "data" / "curated" / system / run,
        "dist": root / "dist" / system / run,
    }
    chosen = usual | {name: Path(place) for name, place in places.items() if name != "base"}
    base = Path(places["base"]) if "base" in places else base_folder(root, chosen["models"])
    return RunPaths(system, run, reports, base=base, benchmarks=benchmarks, **chosen)


def base_folder(root: Path, models: Path) -> Path | None:
    """The base model's folder, as the training's metadata names it."""
    metadata = optional_json(models / "training" / "training_metadata.json") or {}
    name = (metadata.get("base") or {}).get("name")
    return root / "models" / "base" / Path(str(name)).name if name else None


def optional_json(path: Path | None) -> Any:
    """A JSON file's value, or None where there is no such file."""
    return read_json(path) if path and path.is_file() else None


def optional_rows(path: Path, limit: int | None = None) -> list[Any]:
    """A JSONL file's values, at most ``limit`` of them; none where there is no such file."""
    rows = []
    for _, row in read_jsonl(path) if path.is_file() else ():
        if len(rows) == limit:
            break
        rows.append(row)
    return rows


def bytes_of(paths: list[Path]) -> int | None:
    """Bytes of the files that are there; None where there is none."""
    sizes = [path.stat().st_size for path in paths if path.is_file()]
    return sum(sizes) if sizes else None


def files_in(folder: Path | None, pattern: str) -> list[Path]:
    """Files of a folder, sorted; none where there is no such folder."""
    return sorted(path for path in folder.glob(pattern) if path.is_file()) if folder and folder.is_dir() else []


@dataclass(frozen=True)
class Timing:
    """Wall time in seconds and peak memory in bytes; None where not measured."""

    seconds: float | None = None
    memory: float | None = None


def timing(paths: RunPaths, stage: str) -> Timing:
    """The mean of a stage's rows in Snakemake's benchmark file, such as benchmarks/out/dnd/dm/train.tsv."""
    if paths.benchmarks is None:
        return Timing()
    file = paths.benchmarks / paths.system / paths.run / f"{stage}.tsv"
    if stage == "base" and paths.base:
        file = paths.benchmarks / "base" / f"{paths.base.name}.tsv"
    if not file.is_file():
        return Timing()
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    memory = mean(row.get("max_rss") for row in rows)
    return Timing(mean(row.get("s") for row in rows), None if memory is None else memory * 2**20)


def mean(texts: Any) -> float | None:
    """The mean of what is a number among texts ("-" and "NA" stand for not measured)."""
    numbers = []
    for item in texts:
        try:
            numbers.append(float(item))
        except (TypeError, ValueError):
            continue
    return sum(numbers) / len(numbers) if numbers else None
