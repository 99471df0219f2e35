"""A run's files as the values that the page's template shows."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

from scripts.lib.files import canonical_json
from scripts.packaging import evidence
from scripts.packaging.evidence import Row
from scripts.report_parts import svg
from scripts.report_parts.lineage import stages
from scripts.report_parts.sections import Section
from scripts.report_parts.sources import RunPaths, bytes_of, optional_json, optional_rows
from scripts.systems import SYSTEMS

STAGES = {"vae": "First stage: cells into codes and back", "transformer": "Second stage: what comes next"}
SAMPLES = 3
TAIL = 420  # characters of a prompt that are shown


def run_view(paths: RunPaths, scope: str | None) -> dict[str, Any]:
    """Everything the template shows of one run; a part whose files are missing is None or empty."""
    metrics = optional_json(paths.reports / "metrics.json")
    gate = optional_json(paths.reports / "gate.json")
    certificate = optional_json(paths.certificate)
    shipped = gate["variant"] if gate else ""
    scope = scope or (metrics or {}).get("scope") or "real"
    stats = optional_json(paths.curated / "stats.json")
    system = SYSTEMS.get(paths.system)
    return {
        "name": paths.name,
        "language": paths.family.is_language,
        "trained_on": "text" if paths.family.is_language else "windows",
        "group_noun": system.group_noun if system else "groups",
        "anchor": f"{paths.system}-{paths.run}",
        "summary": system.summary if system else "",
        "scope": scope,
        "scope_words": evidence.SCOPE_WORDS.get(scope, ""),
        "gate": gate,
        "gate_checks": evidence.checks(gate or {}),
        "shipped": shipped,
        "shipped_size": evidence.size(bytes_of([paths.shipped(shipped)])),
        "scores": scores_view(metrics, gate or {}) if metrics else None,
        "sections": system_sections(paths, metrics, shipped),
        "quants": quants_view(paths, metrics, gate or {}) if metrics else None,
        "losses": loss_views(optional_rows(paths.models / "training" / "loss.jsonl")),
        "training": training_view(optional_json(paths.models / "training" / "training_metadata.json")),
        "certificate": certificate,
        "certificate_rows": evidence.checks(certificate or {}),
        "certificate_more": certificate_more(certificate or {}),
        "counts": counts_view(paths.system, stats),
        "samples": samples_view(optional_json(paths.dist / "test_results.json")),
        "failures": failures_view(optional_rows(paths.reports / "failures.jsonl"), shipped),
        "stages": stages(paths),
        "base": optional_json(paths.base / "base.json" if paths.base else None),
    }


def system_sections(paths: RunPaths, metrics: dict[str, Any] | None, shipped: str) -> list[Section]:
    """What the run's system adds to the page."""
    system = SYSTEMS.get(paths.system)
    if system is None or system.report is None:
        return []
    return import_module(system.report.module).sections(paths, metrics, shipped)


def main_metric(metrics: dict[str, Any], gate: dict[str, Any]) -> str:
    """The metric in the headline: the gate's, else the first F1, else the first there is."""
    names = evidence.metric_names(metrics)
    named = [name for name in (gate.get("metric"), "call_f1") if name in names]
    return (named + [name for name in names if name.endswith("f1")] + names)[0]


def scores_view(metrics: dict[str, Any], gate: dict[str, Any]) -> dict[str, Any]:
    """The table, the chart of the main metric and the headline's numbers."""
    rows = evidence.score_rows(metrics, gate.get("variant", ""))
    names, main = evidence.metric_names(metrics), main_metric(metrics, gate)
    better = metrics.get("higher_is_better", {})
    columns = []
    for name in [main, *(name for name in names if name != main)]:
        title, words = evidence.metric_words(metrics, name)
        column = {"name": name, "title": title, "words": words, "higher": better.get(name, True), "main": name == main}
        columns.append(column | {"top": top_of(rows, name)})
    return {
        "cases": metrics.get("cases"),
        "groups": metrics.get("groups"),
        "confidence": f"{100 * metrics.get('confidence', 0.95):g}",
        "columns": columns,
        "rows": [table_row(row, columns, metrics.get("speed", {}).get(row.name) or {}) for row in rows],
        "speed": bool(metrics.get("speed")),
        "main": columns[0],
        "chart": rank_picture(rows, columns[0]),
        "headline": headline(rows, main, better.get(main, True)),
    }


def top_of(rows: list[Row], name: str) -> float:
    """The end of a metric's bar: 1 for a share, else the largest number there is."""
    found = [row.score(name).get(key) for row in rows for key in ("value", "high")]
    return max([1.0, *(value for value in found if value is not None)])


def table_row(row: Row, columns: list[dict[str, Any]], speed: dict[str, Any]) -> dict[str, Any]:
    """A variant or baseline with its cells in the columns' order."""
    cells = []
    for column in columns:
        score = row.score(column["name"])
        mark = marks([row], column["name"])
        bar = svg.interval_bar(mark[0], column["top"]) if mark else None
        cells.append({**cell(score), "n": score.get("n"), "bar": bar})
    rate, memory = speed.get("tokens_per_second"), speed.get("peak_memory_bytes")
    return {
        "row": row,
        "cells": cells,
        "speed": "" if rate is None else f"{rate:,.0f}",
        "memory": "" if memory is None else evidence.size(int(memory)),
    }


def cell(score: dict[str, Any]) -> dict[str, str]:
    """A score's value and interval as text."""
    return {"value": evidence.share(score.get("value")), "interval": evidence.interval(score)}


def marks(rows: list[Row], name: str) -> list[svg.Mark]:
    """Rows that have a value of a metric, for a chart."""
    scored = [(row, row.score(name)) for row in rows if row.score(name).get("value") is not None]
    return [svg.Mark(row.name, score["value"], score.get("low"), score.get("high"), row.css) for row, score in scored]


def rank_picture(rows: list[Row], column: dict[str, Any]) -> Any:
    """The main metric of every variant and baseline, or None where nobody has it."""
    found = marks(rows, column["name"])
    label = f"{column['title']} ({'higher' if column['higher'] else 'lower'} is better)"
    return svg.rank_chart(found, label, 0.0, column["top"]) if found else None


def best_baseline(rows: list[Row], name: str, higher: bool) -> svg.Mark | None:
    """The baseline with the best value of a metric; an oracle is no rival."""
    found = marks([row for row in rows if row.kind == "baseline" and not row.oracle], name)
    return (max if higher else min)(found, key=lambda mark: mark.value) if found else None


def headline(rows: list[Row], name: str, higher: bool) -> dict[str, Any]:
    """The shipped variant's, the base's and the best baseline's value of the main metric, as text."""
    shipped = next((row.score(name) for row in rows if row.shipped), {})
    base = next((row.score(name) for row in rows if (row.kind, row.name) == ("variant", "base")), {})
    best = best_baseline(rows, name, higher)
    return {
        **cell(shipped),
        "base": evidence.share(base.get("value")),
        "best": evidence.share(best.value) if best else "n/a",
        "best_name": best.label if best else "",
    }


def quants_view(paths: RunPaths, metrics: dict[str, Any], gate: dict[str, Any]) -> Any:
    """Size against the main metric for each file of a variant that is still there, or None."""
    rows = evidence.score_rows(metrics, gate.get("variant", ""))
    name = main_metric(metrics, gate)
    variants = marks([row for row in rows if row.kind == "variant"], name)
    sizes = {mark.label: bytes_of([paths.shipped(mark.label)]) for mark in variants}
    found = [replace(mark, x=size / 1e6) for mark in variants if (size := sizes[mark.label]) is not None]
    if not found:
        return None
    title, _ = evidence.metric_words(metrics, name)
    best = best_baseline(rows, name, metrics.get("higher_is_better", {}).get(name, True))
    return svg.size_chart(found, title, best)


def loss_views(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A curve for each stage of training, where it has several; the stage's name goes with it."""
    names = list(dict.fromkeys(row.get("stage", "") for row in rows))
    found = [(name, loss_view([row for row in rows if row.get("stage", "") == name])) for name in names]
    return [{"stage": STAGES.get(name, name), **view} for name, view in found if view]


def loss_view(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The loss curve, and its first and last numbers as a sentence's parts."""
    train = [(row["step"], row["loss"]) for row in rows if row.get("loss") is not None]
    held_out = [(row["step"], row["eval_loss"]) for row in rows if row.get("eval_loss") is not None]
    if not (train or held_out):
        return None
    lowest = min(held_out, key=lambda row: row[1]) if held_out else None
    return {
        "chart": svg.loss_chart(train, held_out),
        "first": f"{train[0][1]:.2f}" if train else "",
        "last": f"{train[-1][1]:.2f}" if train else "",
        "lowest": f"{lowest[1]:.2f} at step {lowest[0]}" if lowest else "",
    }


def training_view(metadata: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Facts of the training as rows."""
    if not metadata:
        return []
    memory = metadata.get("peak_memory_bytes")
    peak = memory.get("process") if isinstance(memory, dict) else memory
    rows = [(key, metadata.get(key)) for key in ("device", "precision", "engine", "steps", "seconds")]
    rows.append(("learning rate", metadata.get("settings", {}).get("learning_rate")))
    rows.append(("trained parameters", metadata.get("trainable_parameters")))
    rows.append(("all parameters", metadata.get("parameters")))
    shown = [(label, evidence.number(value)) for label, value in rows if value is not None]
    return shown + ([("peak memory", evidence.size(int(peak)))] if peak else [])


def certificate_more(certificate: dict[str, Any]) -> list[evidence.Group]:
    """What a certificate measured beside its checks."""
    return evidence.count_groups({key: value for key, value in certificate.items() if key not in ("checks", "passed")})


def counts_view(system: str, stats: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Tables of counts, each with a sentence where there is one."""
    words = SYSTEMS[system].counts if system in SYSTEMS else {}
    return [{"group": group, "words": words.get(group.title, "")} for group in evidence.count_groups(stats or {})]


def samples_view(transcript: dict[str, Any] | None) -> list[dict[str, str]]:
    """Prompts of the smoke transcript, their ends, and what the shipped file answered."""
    cases = (transcript or {}).get("cases", [])[:SAMPLES]
    return [{"id": case["id"], "prompt": tail(case["prompt"]), "answer": case["completion"]} for case in cases]


def failures_view(rows: list[dict[str, Any]], shipped: str) -> dict[str, Any]:
    """How often the shipped variant's answers failed, and the first few such answers.

    Scorers of calls write down which were ``expected``, scorers of pictures ``why`` an answer cannot be read.
    """
    ours = [row for row in rows if row.get("variant") == shipped]
    shown = [
        {
            "id": row["id"],
            "prompt": tail(row.get("prompt_tail") or row.get("instruction", "")),
            "wrong": "cannot be read" if "why" in row else "due",
            "expected": row.get("why") or " ".join(map(call_text, row.get("expected", []))) or "no call",
            "answer": row.get("completion", ""),
        }
        for row in ours[:SAMPLES]
    ]
    unread = any("why" in row for row in ours)
    what = "that cannot be read" if unread else "whose calls were not those due"
    return {"count": len(ours), "rows": shown, "what": what}


def call_text(call: Any) -> str:
    """A call as a scorer wrote it down: text, or JSON."""
    return call if isinstance(call, str) else canonical_json(call)


def tail(text: str) -> str:
    """The end of a text."""
    return text if len(text) <= TAIL else "…" + text[-TAIL:]
