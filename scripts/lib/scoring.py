"""What every system's scorer does alike: reading predictions, pairing them with cases, comparing variants."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from scripts.lib.cli import UserError
from scripts.lib.files import read_json, read_jsonl
from scripts.lib.metrics import Bootstrap, Estimate, difference_estimate

Key = tuple[str, int]  # record id and message index
Rows = dict[Key, dict[str, Any]]
Parts = tuple[np.ndarray, np.ndarray]  # a ratio's numerator and denominator, each [cases]
NOT_TO_BE_QUOTED = "scope road: these scores prove that the road works, nothing about the model; do not quote them."


def add_arguments(stage: ArgumentParser) -> None:
    """What every scorer is told besides its records."""
    stage.add_argument("--train", type=Path, required=True, help="train.jsonl, for the baselines")
    stage.add_argument("--predictions", type=Path, nargs="+", required=True, help="<variant>.jsonl files")
    stage.add_argument("--out", type=Path, required=True, help="metrics.json")
    stage.add_argument("--run", default="", help="a label")
    stage.add_argument("--scope", choices=["road", "learning", "real"], help="what the scores prove")


class Keyed(Protocol):
    """A case that a prediction names by record and message."""

    @property
    def key(self) -> Key: ...


CaseT = TypeVar("CaseT", bound=Keyed)


def read_all_predictions(paths: Sequence[Path]) -> dict[str, Rows]:
    """Predictions by variant, which is the file's name.

    Raises:
        UserError: two files have the same name, or one cannot be read.
    """
    predictions = {path.stem: read_predictions(path) for path in paths}
    if len(predictions) < len(paths):
        raise UserError("--predictions: two files have the same name, and a variant is named by its file; rename one.")
    return predictions


def read_predictions(path: Path) -> Rows:
    """Rows of a predictions file by (record id, message index).

    Raises:
        UserError: a row lacks a key or stands twice, or there is none.
    """
    rows: Rows = {}
    for number, row in read_jsonl(path):
        kinds = {"id": str, "answer": int, "completion": str, "finish": str}
        wrong = [key for key, kind in kinds.items() if not isinstance(row, dict) or not isinstance(row.get(key), kind)]
        if wrong:
            raise UserError(f"{path}, line {number}: {wrong[0]!r} is missing or of another type; predict again.")
        key = (row["id"], row["answer"])
        if key in rows:
            raise UserError(f"{path}, line {number}: answer {key[1]} of {key[0]!r} stands twice; predict again.")
        rows[key] = row | {"completion": whole_characters(row["completion"])}
    if not rows:
        raise UserError(f"{path}: no predictions; run scripts.model.predict again.")
    return rows


def whole_characters(text: str) -> str:
    """The text with a replacement character for each half of a surrogate pair, which no file could hold.

    A writer that cuts an answer inside a character leaves such halves.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_stats(path: Path) -> dict[str, Any]:
    """What predict measured, from the file beside its predictions; empty where there is none."""
    beside = path.with_suffix(".stats.json")
    return read_json(beside) if beside.is_file() else {}


def predicted_cases(cases: Sequence[CaseT], predictions: dict[str, Rows], records: Path) -> list[CaseT]:
    """The cases that were predicted; every variant must have predicted the same ones.

    Raises:
        UserError: a prediction is of no case of the records, or variants differ in what they predicted.
    """
    names = list(predictions)
    wanted = set(predictions[names[0]])
    for name in names[1:]:
        if difference := wanted ^ set(predictions[name]):
            odd = min(difference)
            raise UserError(
                f"variants {names[0]} and {name} answered different turns (such as {odd[1]} of {odd[0]!r}); "
                "predict both from the same records with the same max_records."
            )
    if strays := wanted - {case.key for case in cases}:
        odd = min(strays)
        raise UserError(f"{records}: has no answer {odd[1]} of {odd[0]!r}, which was predicted; predict again.")
    return [case for case in cases if case.key in wanted]


def perplexity(stats: dict[str, Any]) -> dict[str, Any]:
    """The measured perplexity as an estimate without an interval; ``n`` is tokens."""
    measured = stats.get("perplexity") or {}
    return Estimate(measured.get("value"), None, None, measured.get("tokens", 0)).to_json()


def speed(stats: dict[str, Any]) -> dict[str, Any]:
    """Tokens a second and peak memory, None where they were not measured."""
    return {key: stats.get(key) for key in ("tokens_per_second", "peak_memory_bytes")}


def overflow(predictions: dict[str, Rows]) -> dict[str, int]:
    """Prompts of each variant that did not fit into the context: they count as empty answers."""
    return {name: sum(row["finish"] == "overflow" for row in rows.values()) for name, rows in predictions.items()}


def paired(
    names: Sequence[str], metric: str, parts: Callable[[str], Parts], groups: Sequence[str], bootstrap: Bootstrap
) -> list[dict[str, Any]]:
    """Differences of a metric between variants over the same cases: training's gain, then what each later step costs.

    Args:
        names: the variants there are.
        parts: a variant's numerator and denominator of the metric.
    """
    pairs = [("tuned", "base"), ("f16", "tuned")]
    pairs += [(name, "f16") for name in names if name not in ("base", "tuned", "f16")]
    return [
        {
            "metric": metric,
            "variant": name,
            "against": against,
            **difference_estimate(parts(name), parts(against), groups, bootstrap).to_json(),
        }
        for name, against in pairs
        if name in names and against in names
    ]
