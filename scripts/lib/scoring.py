"""The scoring frame: every system counts its own cases, and here counts become scores, differences and a table.

A scorer reads predictions, pairs them with its cases, counts each case (a dictionary of numbers), and hands the counts
of every variant and baseline to `measure`. Scores are formulas over sums of these counts (`scripts.lib.metrics`).
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from scripts.lib.cli import UserError
from scripts.lib.files import read_json, read_jsonl, write_json, write_jsonl
from scripts.lib.metrics import Bootstrap, Counts, Estimate, Formula, difference, estimate, shown, shown_estimate
from scripts.lib.tables import aligned

Key = tuple[str, int]  # record id and message index
Rows = dict[Key, dict[str, Any]]
NOT_TO_BE_QUOTED = "scope road: these scores prove that the road works, nothing about the model; do not quote them."
STEPS = ("base", "tuned", "f16")  # variants of a language model before it is quantised


def add_arguments(stage: ArgumentParser) -> None:
    """What every scorer is told."""
    stage.add_argument("--out", type=Path, required=True, help="metrics.json; failures.jsonl goes beside it")
    stage.add_argument("--run", default="", help="a label")
    stage.add_argument("--scope", choices=["road", "learning", "real"], help="what the scores prove")
    stage.add_argument("--gate-metric", help="the score that the gate compares; else the scorer's main one")


def add_prediction_arguments(stage: ArgumentParser) -> None:
    """What every scorer of a language model is told besides."""
    stage.add_argument("--records", type=Path, required=True, help="test.jsonl, in the folder of the curated data")
    stage.add_argument("--train", type=Path, required=True, help="train.jsonl, for the baselines")
    stage.add_argument("--predictions", type=Path, nargs="+", required=True, help="<variant>.jsonl files")
    add_arguments(stage)


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
    kinds = {"id": str, "answer": int, "completion": str, "finish": str}
    for number, row in read_jsonl(path):
        wrong = [key for key, kind in kinds.items() if not isinstance(row, dict) or not isinstance(row.get(key), kind)]
        if wrong:
            raise UserError(f"{path}, line {number}: {wrong[0]!r} is missing or of another type; predict again.")
        key = (row["id"], row["answer"])
        if key in rows:
            raise UserError(f"{path}, line {number}: answer {key[1]} of {key[0]!r} stands twice; predict again.")
        # A writer that cuts an answer inside a character leaves half of a surrogate pair, which no file could hold.
        whole = row["completion"].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        rows[key] = row | {"completion": whole}
    if not rows:
        raise UserError(f"{path}: no predictions; run scripts.model.predict again.")
    return rows


def predicted_cases(cases: Sequence[CaseT], predictions: Mapping[str, Rows], records: Path) -> list[CaseT]:
    """The cases that were predicted; every variant must have predicted the same ones.

    Raises:
        UserError: a prediction is of no case of the records, or variants differ in what they predicted.
    """
    first, *others = predictions
    wanted = set(predictions[first])
    for name in others:
        if unequal := wanted ^ set(predictions[name]):
            odd = min(unequal)
            raise UserError(
                f"variants {first} and {name} answered different turns (such as {odd[1]} of {odd[0]!r}); "
                "predict both from the same records with the same max_records."
            )
    if strays := wanted - {case.key for case in cases}:
        odd = min(strays)
        raise UserError(f"{records}: has no answer {odd[1]} of {odd[0]!r}, which was predicted; predict again.")
    return [case for case in cases if case.key in wanted]


def tabulate(rows: Iterable[Mapping[str, float]]) -> dict[str, np.ndarray]:
    """Counts of cases as arrays: of each name float64 [cases]."""
    listed = list(rows)
    return {name: np.array([row[name] for row in listed], np.float64) for name in listed[0]}


@dataclass(frozen=True)
class Scores:
    """Counts of every variant and baseline over the same cases, and what is made of them.

    Attributes:
        system: its declaration, which says what is a baseline, an oracle, and which way a metric points.
        counts: by variant, then by name, each [cases].
        formulas: the metrics by name, in the order in which they are shown.
        groups: the group of each case; whole groups are resampled.
        paired_metric: the metric of paired differences.
        not_applicable: baselines that were left out, each with the reason.
    """

    system: Any
    counts: Mapping[str, Counts]
    formulas: Mapping[str, Formula]
    groups: Sequence[str]
    bootstrap: Bootstrap
    paired_metric: str
    not_applicable: Mapping[str, str] = field(default_factory=dict)

    @property
    def variants(self) -> list[str]:
        """What is not a baseline."""
        return [name for name in self.counts if name not in self.system.baselines | self.system.predictions]

    def estimates(self, name: str) -> dict[str, dict[str, Any]]:
        """Every metric with its interval; one whose counts a baseline does not have is left out."""
        counts = self.counts[name]
        return {
            metric: estimate(formula, counts, self.groups, self.bootstrap).to_json()
            for metric, formula in self.formulas.items()
            if all(term in counts for term in formula.terms)
        }

    def difference(self, metric: str, variant: str, against: str) -> dict[str, Any]:
        """A variant's score minus another's or a baseline's on the same cases."""
        formula, ours, theirs = self.formulas[metric], self.counts[variant], self.counts[against]
        compared = difference(formula, ours, theirs, self.groups, self.bootstrap)
        return {"metric": metric, "variant": variant, "against": against, **compared.to_json()}

    def gate_pairs(self, shipped: Sequence[str], also: Sequence[str] = ()) -> list[tuple[str, str, str]]:
        """What the gate may ask of an exported variant: to be better than another variant, or than a baseline that is
        not an oracle."""
        metric = self.paired_metric
        rivals = [*also, *(name for name in self.counts if name not in self.variants + self.system.oracles)]
        terms = self.formulas[metric].terms
        known = [name for name in rivals if name in self.counts and all(term in self.counts[name] for term in terms)]
        return [(metric, name, rival) for name in shipped for rival in known]

    def language_pairs(self) -> list[tuple[str, str, str]]:
        """What training gained, what each later step cost, and what the gate may ask of the quantised files."""
        quants = [name for name in self.variants if name not in STEPS]
        steps = [("tuned", "base"), ("f16", "tuned"), *((name, "f16") for name in quants)]
        known = [(self.paired_metric, *pair) for pair in steps if set(pair) <= self.counts.keys()]
        return [*known, *self.gate_pairs(quants, ["base"])]

    def measure(self, pairs: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
        """Scores with intervals in the shape that gate, card and page read.

        Args:
            pairs: metric, variant and rival of each paired difference.
        """
        scores = {name: self.estimates(name) for name in self.counts}
        baselines = [name for name in self.counts if name not in self.variants]
        return {
            "cases": len(self.groups),
            "groups": len(set(self.groups)),
            "confidence": self.bootstrap.confidence,
            "resamples": self.bootstrap.resamples,
            "variants": {name: scores[name] for name in self.variants},
            "baselines": {name: scores[name] for name in baselines},
            "paired": [self.difference(*pair) for pair in pairs],
            "higher_is_better": directions(self.system, [*self.formulas, "perplexity"]),
            "oracles": [name for name in self.system.oracles if name in self.counts],
            "not_applicable": dict(self.not_applicable),
        }


def directions(system: Any, metrics: Sequence[str]) -> dict[str, bool]:
    """Which way each metric points, as the system declares it; ``iou_3``, at a horizon, points as ``iou``."""
    declared = {name: metric.higher_is_better for name, metric in system.metrics.items()}
    stems = {name: name if name in declared else name.rpartition("_")[0] for name in metrics}
    return {name: declared[stem] for name, stem in stems.items() if stem in declared}


def bootstrap_of(options: Any) -> Bootstrap:
    """How intervals are made, from a score section."""
    return Bootstrap(options.resamples, options.confidence, options.seed)


def checked_metric(formulas: Mapping[str, Formula], wanted: str | None, main: str) -> str:
    """The metric of paired differences.

    Raises:
        UserError: the scorer has no such metric.
    """
    if wanted and wanted not in formulas:
        raise UserError(f"gate.metric: no metric {wanted!r}; known: {', '.join(formulas)}.")
    return wanted or main


def add_predict_stats(metrics: dict[str, Any], predictions: Mapping[str, Rows], paths: Sequence[Path]) -> None:
    """Adds what predict measured: perplexity, prompts that did not fit, tokens a second, seconds, memory."""
    stats = {}
    for path in paths:
        beside = path.with_suffix(".stats.json")
        stats[path.stem] = read_json(beside) if beside.is_file() else {}
    for name, row in metrics["variants"].items():
        measured = stats[name].get("perplexity") or {}
        row["perplexity"] = Estimate(measured.get("value"), None, None, measured.get("tokens", 0)).to_json()
    # A prompt that did not fit into the context counts as an empty answer.
    metrics["overflow"] = {
        name: sum(row["finish"] == "overflow" for row in rows.values()) for name, rows in predictions.items()
    }
    metrics["speed"] = {}
    for name in metrics["variants"]:
        seconds, cases = stats[name].get("seconds"), stats[name].get("cases")
        metrics["speed"][name] = {
            "tokens_per_second": stats[name].get("tokens_per_second"),
            "peak_memory_bytes": stats[name].get("peak_memory_bytes"),
            "seconds_per_answer": round(seconds / cases, 4) if seconds and cases else None,
        }


def failure_rows(
    predictions: Mapping[str, Rows], cases: Sequence[Any], faults: Mapping[str, Sequence[dict[str, Any] | None]]
) -> list[dict[str, Any]]:
    """A row of failures.jsonl for each case in which something is wrong.

    Args:
        cases: with ``key``, (record id, message index).
        faults: of each variant, for each case what is wrong with the answer, or None.
    """
    return [
        {"variant": name, "id": case.key[0], "answer": case.key[1], **fault}
        | {key: predictions[name][case.key][key] for key in ("completion", "finish")}
        for name in predictions
        for case, fault in zip(cases, faults[name], strict=True)
        if fault is not None
    ]


def write_scores(
    args: Namespace, metrics: dict[str, Any], failures: Iterable[dict[str, Any]], report: Sequence[str]
) -> None:
    """Writes failures.jsonl and metrics.json and prints the report."""
    write_jsonl(args.out.parent / "failures.jsonl", failures)
    write_json(args.out, metrics)
    print("\n".join([*report, *([NOT_TO_BE_QUOTED] if args.scope == "road" else [])]))


def labels(args: Namespace, system: Any) -> dict[str, Any]:
    """Whose scores these are."""
    return {"system": system.name, "run": args.run, "scope": args.scope}


def score_table(
    metrics: dict[str, Any], columns: Mapping[str, str], wide: Sequence[str], digits: Mapping[str, int] | None = None
) -> str:
    """Variants, then baselines in round brackets, a column a metric.

    Args:
        columns: header by metric; a key of ``speed`` may stand among them.
        wide: metrics that are shown with their interval.
        digits: decimals of a metric where they are not two.
    """
    rows = [["", *columns.values()]]
    bracketed = {f"({name})": row for name, row in metrics["baselines"].items()}
    for name, row in {**metrics["variants"], **bracketed}.items():
        speed = metrics.get("speed", {}).get(name, {})
        cells = [name]
        for column in columns:
            if column in wide and column in row:
                cells.append(shown_estimate(row[column], (digits or {}).get(column, 2)))
            elif column in row:
                cells.append(shown(row[column]["value"], 2))
            elif column == "peak_memory_bytes":
                memory = speed.get(column)
                cells.append(shown(memory and memory / 1e6, 0))
            else:
                cells.append(shown(speed.get(column), 2))
        rows.append(cells)
    return aligned(rows)


def difference_lines(metrics: dict[str, Any]) -> list[str]:
    """Paired differences as sentences: what training gained and what each later step cost."""
    steps = {"tuned": "base", "f16": "tuned"}
    rows = [row for row in metrics["paired"] if row["against"] == steps.get(row["variant"], "f16")]
    return [f"{row['variant']} minus {row['against']}, {row['metric']}: {shown_estimate(row)}" for row in rows]


def overflow_lines(metrics: dict[str, Any]) -> list[str]:
    """Variants some of whose prompts did not fit."""
    return [
        f"{name}: {number} prompts did not fit into the context and count as empty answers"
        for name, number in metrics["overflow"].items()
        if number
    ]
