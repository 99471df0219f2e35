"""Scores predictions of tool calls: exact match, tool accuracy, parameter F1, schema validity, declines.

Works on any predictions files, whatever wrote them. Beside metrics.json it writes failures.jsonl: each answer that is
not what was expected, with what was asked, so that the data can be mended from it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.cli import StageParser, load_params, run
from scripts.lib.files import write_json, write_jsonl
from scripts.lib.metrics import Bootstrap, f1_parts, ratio_estimate, shown, shown_estimate
from scripts.lib.options.predict import ScoreOptions
from scripts.lib.records import read_records
from scripts.lib.scoring import (
    NOT_TO_BE_QUOTED,
    Parts,
    Rows,
    add_arguments,
    overflow,
    paired,
    perplexity,
    predicted_cases,
    read_all_predictions,
    read_stats,
    speed,
)
from scripts.lib.tables import aligned
from scripts.tools import baselines
from scripts.tools.answers import Answer, parse
from scripts.tools.matching import COUNTS, Case, cases_of, count, plain, schema_of
from scripts.tools.schema import Tool, load_schema

Counts = dict[str, np.ndarray]
# metric: counts above and below the line, what `n` counts, and whether more is better
RATIOS: dict[str, tuple[str, str, str, bool]] = {
    "exact_match": ("exact", "due", "due", True),
    "tool_accuracy": ("tools", "due", "due", True),
    "parameter_precision": ("hits", "given", "given", True),
    "parameter_recall": ("hits", "wanted", "wanted", True),
    "parameter_f1": ("hits", "f1", "due", True),
    "schema_validity": ("valid", "written", "written", True),
    "decline_precision": ("right", "declined", "declined", True),
    "decline_recall": ("right", "quiet", "quiet", True),
}
HIGHER_IS_BETTER = {name: better for name, (_, _, _, better) in RATIOS.items()} | {"perplexity": False}
PAIRED_METRIC = "exact_match"


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--records", type=Path, required=True, help="test.jsonl")
    stage.add_argument("--schema", type=Path, help="the tool schema; the tools that the records show if not given")
    add_arguments(stage)
    return stage


def main(args: argparse.Namespace) -> None:
    """Scores every predictions file and the baselines, writes metrics.json and failures.jsonl, prints the table."""
    options = ScoreOptions.parse(load_params(args.params))
    records, train = read_records(args.records), read_records(args.train)
    tools = load_schema(args.schema) if args.schema else schema_of([*records, *train])
    predictions = read_all_predictions(args.predictions)
    cases = predicted_cases(cases_of(records, tools), predictions, args.records)
    stats = {path.stem: read_stats(path) for path in args.predictions}
    answers = {name: [parse(rows[case.key]["completion"]) for case in cases] for name, rows in predictions.items()}
    trivial = baselines.answers(cases_of(train, tools), cases)
    metrics = {
        "system": "tools",
        "run": args.run,
        "scope": args.scope,
        **measure(cases, answers, trivial, tools, options),
    }
    for name, row in metrics["variants"].items():
        row["perplexity"] = perplexity(stats[name])
    metrics["overflow"] = overflow(predictions)
    metrics["speed"] = {name: {**speed(stats[name]), **latency(stats[name])} for name in predictions}
    write_jsonl(args.out.parent / "failures.jsonl", failures(cases, predictions, answers, tools))
    write_json(args.out, metrics)
    print(report(metrics))


def latency(stats: Mapping[str, Any]) -> dict[str, float | None]:
    """Seconds an answer took on average, all slots busy."""
    seconds, cases = stats.get("seconds"), stats.get("cases")
    return {"seconds_per_answer": round(seconds / cases, 4) if seconds and cases else None}


def measure(
    cases: Sequence[Case],
    answers: Mapping[str, Sequence[Answer]],
    trivial: Mapping[str, Sequence[Answer]],
    tools: Mapping[str, Tool],
    options: ScoreOptions,
) -> dict[str, Any]:
    """Scores of variants and baselines, by tool too, and differences and flips between variants."""
    bootstrap = Bootstrap(options.resamples, options.confidence, options.seed)
    groups = [case.group for case in cases]
    counts = {name: counted(rows, cases, tools) for name, rows in answers.items()}
    baseline_counts = {name: counted(rows, cases, tools) for name, rows in trivial.items()}

    def of_variant(name: str) -> Parts:
        return parts(counts[name], PAIRED_METRIC)

    return {
        "cases": len(cases),
        "groups": len(set(groups)),
        "calls_due": sum(len(case.due) for case in cases),
        "turns_without_call": sum(case.kind in ("decline", "ask") for case in cases),
        "confidence": options.confidence,
        "variants": {name: estimates(row, groups, bootstrap) for name, row in counts.items()},
        "baselines": {name: estimates(row, groups, bootstrap) for name, row in baseline_counts.items()},
        "paired": paired(list(counts), PAIRED_METRIC, of_variant, groups, bootstrap),
        "flips": flips(counts),
        "by_tool": {name: by_tool(row, cases) for name, row in counts.items()},
        "higher_is_better": HIGHER_IS_BETTER,
    }


def counted(answers: Sequence[Answer], cases: Sequence[Case], tools: Mapping[str, Tool]) -> Counts:
    """Counts of every case, each [cases]."""
    rows = [count(answer, case, tools) for answer, case in zip(answers, cases, strict=True)]
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in COUNTS}


def parts(counts: Counts, metric: str) -> Parts:
    """A metric's numerator and denominator, each [cases]."""
    above, below, _, _ = RATIOS[metric]
    if below == "f1":
        return f1_parts(counts[above], counts["given"], counts["wanted"])
    return counts[above], counts[below]


def estimates(counts: Counts, groups: Sequence[str], bootstrap: Bootstrap) -> dict[str, dict[str, Any]]:
    """Every ratio with its interval; ``n`` is what stands below the line, for F1 the turns with a call due."""
    return {
        metric: ratio_estimate(*parts(counts, metric), groups, bootstrap, n=int(counts[cases].sum())).to_json()
        for metric, (_, _, cases, _) in RATIOS.items()
    }


def flips(counts: Mapping[str, Counts]) -> list[dict[str, Any]]:
    """How many answers became exact, and ceased to be, from one variant to the next on the road."""
    order = ["base", "tuned", "f16", *(name for name in counts if name not in ("base", "tuned", "f16"))]
    steps = [(one, "f16" if index > 2 else order[index - 1]) for index, one in enumerate(order) if index]
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


def by_tool(counts: Counts, cases: Sequence[Case]) -> dict[str, dict[str, Any]]:
    """Exact matches and cases by the first tool that is due."""
    rows: dict[str, dict[str, int]] = {}
    for at, case in enumerate(cases):
        if case.due:
            row = rows.setdefault(case.due[0][0], {"exact": 0, "tools": 0, "cases": 0})
            row["exact"] += int(counts["exact"][at])
            row["tools"] += int(counts["tools"][at])
            row["cases"] += 1
    return dict(sorted(rows.items()))


def failures(
    cases: Sequence[Case],
    predictions: Mapping[str, Rows],
    answers: Mapping[str, Sequence[Answer]],
    tools: Mapping[str, Tool],
) -> list[dict[str, Any]]:
    """Every answer that is not what was expected: other calls, or calls where none was due."""
    rows = []
    for name in predictions:
        for case, answer in zip(cases, answers[name], strict=True):
            counts = count(answer, case, tools)
            fine = counts["exact"] if case.kind == "calls" else answer.declines
            if not fine:
                rows.append(
                    {
                        "variant": name,
                        "id": case.id,
                        "answer": case.answer,
                        "kind": case.kind,
                        "instruction": case.said,
                        "expected": plain(case.due),
                        "answered": plain(answer.calls),
                        "broken": answer.broken,
                        "completion": predictions[name][case.key]["completion"],
                    }
                )
    return rows


def report(metrics: dict[str, Any]) -> str:
    """The table for a terminal: variants, then baselines in round brackets; then each tool by variant."""
    header = ["", "exact match", "tool accuracy", "parameter F1", "valid", "decline P", "decline R", "perplexity", "s"]
    rows = [header]
    rows += [_table_row(name, row, metrics["speed"][name]) for name, row in metrics["variants"].items()]
    rows += [_table_row(f"({name})", row, {}) for name, row in metrics["baselines"].items()]
    said = [
        f"{metrics['cases']} turns of {metrics['groups']} groups: {metrics['calls_due']} calls due, "
        f"{metrics['turns_without_call']} turns to decline or ask back; intervals {metrics['confidence']:.0%}.",
        aligned(rows),
        aligned(_tool_rows(metrics["by_tool"])),
    ]
    said += [
        f"{row['variant']} minus {row['against']}, {row['metric']}: {shown_estimate(row)}" for row in metrics["paired"]
    ]
    return "\n".join(said + ([NOT_TO_BE_QUOTED] if metrics["scope"] == "road" else []))


def _table_row(name: str, row: dict[str, Any], speed: dict[str, Any]) -> list[str]:
    cells = [name, *(shown_estimate(row[metric], 2) for metric in ("exact_match", "tool_accuracy", "parameter_f1"))]
    cells += [shown(row[metric]["value"], 2) for metric in ("schema_validity", "decline_precision", "decline_recall")]
    cells.append(shown(row.get("perplexity", {"value": None})["value"], 2))
    return [*cells, shown(speed.get("seconds_per_answer"), 2)]


def _tool_rows(tables: Mapping[str, Mapping[str, Mapping[str, int]]]) -> list[list[str]]:
    names = sorted({tool for table in tables.values() for tool in table})
    rows = [["exact by first tool", *tables]]
    for tool in names:
        cells = (tables[variant][tool] for variant in tables)
        rows.append([tool, *(f"{cell['exact']}/{cell['cases']}" for cell in cells)])
    return rows


if __name__ == "__main__":
    run(parser, main)
