"""How a run came to be, stage by stage: what was made, how big it is, how long it took."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scripts.packaging.evidence import size
from scripts.report_parts.sources import RunPaths, bytes_of, files_in, timing


@dataclass(frozen=True)
class Stage:
    """One step of the road.

    Attributes:
        name: the stage.
        words: what it does.
        takes, makes: what goes in and what comes out.
        size: of what it made, or that it is not there.
        seconds, memory: as text, "" where not measured.
    """

    name: str
    words: str
    takes: str
    makes: str
    size: str
    seconds: str
    memory: str


def stages(paths: RunPaths) -> list[Stage]:
    """The road from base model and raw data to the package."""
    if not paths.family.is_language:
        return world_stages(paths)
    gguf, merged = paths.models / "gguf", paths.models / "merged"
    quants = [file for file in files_in(gguf, "model-*.gguf") if file.name != "model-f16.gguf"]
    curated = [paths.curated / f"{split}.jsonl" for split in ("train", "val", "test")]
    built = bool(quants)
    rows = [
        row(paths, "base", "fetches the base model and records its hashes", "its source", "weights, tokenizer",
            files_in(paths.base, "*"), False),
        row(paths, "curate", "checks, removes doubles, splits by group, proves that nothing leaks", "raw data",
            "train, val, test", curated, False),
        row(paths, "train", "learns an adapter (LoRA) on the train split", "base + train", "adapter",
            files_in(paths.models / "adapter", "*.safetensors"), False),
        row(paths, "merge", "adds the adapter to the 16-bit base", "base + adapter", "merged weights",
            files_in(merged, "*.safetensors"), built),
        row(paths, "convert", "rewrites the weights for llama.cpp", "merged weights", "16-bit GGUF",
            [gguf / "model-f16.gguf"], built),
    ]  # fmt: skip
    for file in quants:
        kind = file.stem.removeprefix("model-")
        words = f"stores the weights as {kind}"
        rows.append(row(paths, f"quantize-{kind}", words, "16-bit GGUF", file.name, [file], False))
    rows.append(
        row(paths, "certify", "proves that nothing was lost", "all of the above", "certificate",
            [gguf / "certificate.json"], False)
    )  # fmt: skip
    for file in sorted(files_in(paths.reports / "predictions", "*.jsonl"), key=order):
        words = f"lets {file.stem} answer the test cases"
        rows.append(row(paths, f"predict-{file.stem}", words, "test split", "answers", [file], False))
    reports = [paths.reports / "metrics.json"], [paths.reports / "gate.json"]
    rows += [
        row(paths, "score", "compares the answers with what was due", "answers", "metrics", reports[0], False),
        row(paths, "gate", "chooses the file to ship and checks the quality limits", "metrics", "verdict", reports[1],
            False),
        row(paths, "deploy", "packs what a user ships", "quants + lineage", "package",
            files_in(paths.dist, "**/*"), False),
    ]  # fmt: skip
    return rows


def world_stages(paths: RunPaths) -> list[Stage]:
    """The road of a world model from recorded sessions to the package."""
    curated = [paths.curated / f"{split}.jsonl" for split in ("train", "val", "test")]
    exported, reports = paths.certificate.parent, paths.reports
    rows = [
        ("curate", "cuts sessions into windows, splits by place, proves the distance", "sessions", "train, val, test",
            curated),
        ("train", "learns codes of cells, then what comes next", "train", "weights",
            files_in(paths.models / "model", "*.safetensors")),
        ("export", "writes ONNX in 32 and 8 bits, proves that they say the same", "weights", "ONNX, certificate",
            files_in(exported, "*.onnx")),
        ("score", "compares what was foretold with what came", "test split", "metrics", [reports / "metrics.json"]),
        ("gate", "chooses the file to ship and checks the quality limits", "metrics", "verdict",
            [reports / "gate.json"]),
        ("sheet", "draws test windows", "test split", "pictures", [reports / "sheet.jpg"]),
        ("deploy", "packs what a user ships", "ONNX + lineage", "package", files_in(paths.dist, "**/*")),
    ]  # fmt: skip
    return [row(paths, name, words, takes, makes, files, False) for name, words, takes, makes, files in rows]


def order(path: Path) -> tuple[int, str]:
    """base, tuned and f16 in this order, then the rest by name."""
    known = ("base", "tuned", "f16")
    return (known.index(path.stem) if path.stem in known else len(known), path.stem)


def row(paths: RunPaths, name: str, words: str, takes: str, makes: str, files: list[Path], passing: bool) -> Stage:
    """One stage with the sizes of its files; ``passing`` ones are removed once everything that needs them was built."""
    count = bytes_of(files)
    missing = "not kept (needed no more)" if passing else "not built yet"
    spent = timing(paths, name)
    return Stage(
        name=name,
        words=words,
        takes=takes,
        makes=makes,
        size=missing if count is None else size(count),
        seconds=duration(spent.seconds),
        memory="" if spent.memory is None else size(int(spent.memory)),
    )


def duration(seconds: float | None) -> str:
    """Seconds for a person."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
