"""Scores predictions of tool calls: exact match, tool accuracy, parameter F1, schema validity, declines.

Works on any predictions files, whatever wrote them. Beside metrics.json it writes failures.jsonl: each answer that is
not what was expected, with what was asked, so that the data can be mended from it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.lib import scoring
from scripts.lib.cli import StageParser, load_params, run
from scripts.lib.metrics import Counts, f1_of, ratio_of
from scripts.lib.options.predict import ScoreOptions
from scripts.lib.records import read_records
from scripts.lib.tables import aligned
from scripts.tools import baselines
from scripts.tools.answers import Answer, parse
from scripts.tools.matching import Case, cases_of, count, plain, schema_of
from scripts.tools.schema import Tool, load_schema
from scripts.tools.system import SYSTEM

FORMULAS = {
    "exact_match": ratio_of("exact", "due", "due"),
    "tool_accuracy": ratio_of("tools", "due", "due"),
    "parameter_precision": ratio_of("hits", "given", "given"),
    "parameter_recall": ratio_of("hits", "wanted", "wanted"),
    "parameter_f1": f1_of("hits", "given", "wanted", "due"),
    "schema_validity": ratio_of("valid", "written", "written"),
    "decline_precision": ratio_of("right", "declined", "declined"),
    "decline_recall": ratio_of("right", "quiet", "quiet"),
}
COLUMNS = {
    "exact_match": "exact match",
    "tool_accuracy": "tool accuracy",
    "parameter_f1": "parameter F1",
    "schema_validity": "valid",
    "decline_precision": "decline P",
    "decline_recall": "decline R",
    "perplexity": "perplexity",
    "seconds_per_answer": "s",
}


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    scoring.add_prediction_arguments(stage)
    stage.add_argument("--schema", type=Path, help="the tool schema; the tools that the records show if not given")
    return stage


def main(args: argparse.Namespace) -> None:
    """Scores every predictions file and the baselines, writes metrics.json and failures.jsonl, prints the table."""
    options = ScoreOptions.parse(load_params(args.params))
    records, train = read_records(args.records), read_records(args.train)
    tools = load_schema(args.schema) if args.schema else schema_of([*records, *train])
    predictions = scoring.read_all_predictions(args.predictions)
    cases = scoring.predicted_cases(cases_of(records, tools), predictions, args.records)
    answers = {name: [parse(rows[case.key]["completion"]) for case in cases] for name, rows in predictions.items()}
    every = answers | baselines.answers(cases_of(train, tools), cases)
    counts = {
        name: scoring.tabulate(count(answer, case, tools) for answer, case in zip(rows, cases, strict=True))
        for name, rows in every.items()
    }
    metric = scoring.checked_metric(FORMULAS, args.gate_metric, "exact_match")
    groups = [case.group for case in cases]
    scores = scoring.Scores(SYSTEM, counts, FORMULAS, groups, scoring.bootstrap_of(options), metric)
    metrics = scoring.labels(args, SYSTEM) | scores.measure(scores.language_pairs())
    metrics["calls_due"] = sum(len(case.due) for case in cases)
    metrics["turns_without_call"] = sum(case.kind in ("decline", "ask") for case in cases)
    metrics["flips"] = flips({name: counts[name] for name in scores.variants})
    metrics["by_tool"] = {name: by_tool(counts[name], cases) for name in scores.variants}
    scoring.add_predict_stats(metrics, predictions, args.predictions)
    faults = {name: [fault(*pair, tools) for pair in zip(cases, answers[name], strict=True)] for name in answers}
    scoring.write_scores(args, metrics, scoring.failure_rows(predictions, cases, faults), report(metrics))


def flips(counts: Mapping[str, Counts]) -> list[dict[str, Any]]:
    """How many answers became exact, and ceased to be, from one variant to the next on the road."""
    order = [*scoring.STEPS, *(name for name in counts if name not in scoring.STEPS)]
    steps = [(name, "f16" if index > 2 else order[index - 1]) for index, name in enumerate(order) if index]
    return [
        {
            "variant": name,
            "against": before,
            "gained": int(((counts[name]["exact"] > 0) & (counts[before]["exact"] == 0)).sum()),
            "lost": int(((counts[name]["exact"] == 0) & (counts[before]["exact"] > 0)).sum()),
        }
        for name, before in steps
        if name in counts and before in counts
    ]


def by_tool(counts: Counts, cases: Sequence[Case]) -> dict[str, dict[str, int]]:
    """Exact matches and cases by the first tool that is due."""
    rows: dict[str, dict[str, int]] = {}
    for at, case in enumerate(cases):
        if case.due:
            row = rows.setdefault(case.due[0][0], {"exact": 0, "tools": 0, "cases": 0})
            row["exact"] += int(counts["exact"][at])
            row["tools"] += int(counts["tools"][at])
            row["cases"] += 1
    return dict(sorted(rows.items()))


def fault(case: Case, answer: Answer, tools: Mapping[str, Tool]) -> dict[str, Any] | None:
    """What is wrong with an answer: other calls, or calls where none was due; None where nothing is."""
    if count(answer, case, tools)["exact"] if case.kind == "calls" else answer.declines:
        return None
    return {
        "kind": case.kind,
        "instruction": case.said,
        "expected": plain(case.due),
        "answered": plain(answer.calls),
        "broken": answer.broken,
    }


def report(metrics: dict[str, Any]) -> list[str]:
    """The lines for a terminal: all variants, then each tool by variant."""
    tables = metrics["by_tool"]
    by_name = [["exact by first tool", *tables]]
    for tool in sorted({tool for table in tables.values() for tool in table}):
        cells = (tables[variant][tool] for variant in tables)
        by_name.append([tool, *(f"{cell['exact']}/{cell['cases']}" for cell in cells)])
    return [
        f"{metrics['cases']} turns of {metrics['groups']} groups: {metrics['calls_due']} calls due, "
        f"{metrics['turns_without_call']} turns to decline or ask back; intervals {metrics['confidence']:.0%}.",
        scoring.score_table(metrics, COLUMNS, ("exact_match", "tool_accuracy", "parameter_f1")),
        aligned(by_name),
        *scoring.difference_lines(metrics),
        *scoring.overflow_lines(metrics),
    ]


if __name__ == "__main__":
    run(parser, main)
