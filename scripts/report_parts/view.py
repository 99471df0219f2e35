"""A run's files as the values that the page's template shows."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from scripts.aerial.world import words as aerial_words
from scripts.dnd import words as dnd_words
from scripts.gameplay import words as gameplay_words
from scripts.lib.files import canonical_json
from scripts.packaging import evidence
from scripts.packaging.evidence import Row
from scripts.report_parts import svg
from scripts.report_parts.horizons import horizon_view
from scripts.report_parts.lineage import stages
from scripts.report_parts.loop import episode_files, loop_view
from scripts.report_parts.sources import RunPaths, bytes_of, optional_json, optional_rows
from scripts.terrain import words as terrain_words
from scripts.tools import words as tools_words

SYSTEMS: dict[str, Any] = {
    "dnd": dnd_words,
    "tools": tools_words,
    "terrain": terrain_words,
    "gameplay": gameplay_words,
    "aerial": aerial_words,
}
WORDS = {name: words.METRICS for name, words in SYSTEMS.items()}
COUNT_WORDS = {name: words.COUNTS for name, words in SYSTEMS.items()}
SYSTEM_WORDS = {
    "dnd": "A dungeon master for tabletop scenarios: it narrates, and when a rule is due it writes a tool call such as "
    "[check: stealth, Pip] that a game can carry out.",
    "terrain": "A surveyor that sees a minimap and describes the ground under it: heights, textures, water, objects.",
    "gameplay": "An agent that sees a frame of a game and presses keys towards a goal.",
    "aerial": "A world model for drone and rover: from a few frames of the cells around it, it foretells the next, and "
    "how it will have moved.",
    "tools": "A specialist that turns an instruction into exact tool calls, and says so where it cannot.",
}
SHEETS = {
    "terrain": "Test tiles: the minimap that the model is shown, the true ground, the ground rebuilt from its answer, "
    "and how far that is off. The model never saw these places.",
    "aerial": "Test windows, drawn evenly from places that the model never saw: what came, what the shipped file "
    "foretold, and two answers that need no model. Time runs to the right; above each other the cells seen from above "
    "(ahead is up) and from the right (ahead is right).",
}
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
    return {
        "name": paths.name,
        "world": paths.is_world,
        "learnt_from": "windows" if paths.is_world else "text",
        "anchor": f"{paths.system}-{paths.run}",
        "what": SYSTEM_WORDS.get(paths.system, ""),
        "scope": scope,
        "scope_words": evidence.SCOPE_WORDS.get(scope, ""),
        "gate": gate,
        "gate_checks": evidence.checks(gate or {}),
        "shipped": shipped,
        "shipped_size": evidence.size(bytes_of([paths.shipped(shipped)])),
        "scores": scores_view(paths.system, metrics, gate or {}) if metrics else None,
        "horizons": horizon_view(metrics, shipped) if metrics and "horizons" in metrics else None,
        "sheet": data_uri(paths.reports / "sheet.jpg"),
        "sheet_words": SHEETS.get(paths.system, ""),
        "loop": loop_view(
            optional_json(paths.reports / "loop.json"),
            optional_json(paths.reports / "loop.speed.json"),
            [uri for path in episode_files(paths.reports) if (uri := data_uri(path))],
        ),
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


def data_uri(picture: Path) -> str | None:
    """A JPEG as text inside the page; None where there is none."""
    if not picture.is_file():
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(picture.read_bytes()).decode()}"


def main_metric(metrics: dict[str, Any], gate: dict[str, Any]) -> str:
    """The metric in the headline: the gate's, else the first F1, else the first there is."""
    names = evidence.metric_names(metrics)
    named = [name for name in (gate.get("metric"), "call_f1") if name in names]
    return (named + [name for name in names if name.endswith("f1")] + names)[0]


def scores_view(system: str, metrics: dict[str, Any], gate: dict[str, Any]) -> dict[str, Any]:
    """The table, the chart of the main metric and the headline's numbers."""
    rows = evidence.score_rows(metrics, gate.get("variant", ""))
    names, main = plain_names(metrics), main_metric(metrics, gate)
    better = metrics.get("higher_is_better", {})
    words = WORDS.get(system, {})
    columns = [
        {
            "name": name,
            "title": words.get(name, (evidence.plain(name), ""))[0],
            "words": words.get(name, ("", ""))[1],
            "higher": better.get(name, True),
            "main": name == main,
        }
        for name in [main, *(name for name in names if name != main)]
    ]
    tops = {name: top_of(rows, name) for name in names}
    return {
        "cases": metrics.get("cases"),
        "groups": metrics.get("groups"),
        "confidence": f"{100 * metrics.get('confidence', 0.95):g}",
        "columns": columns,
        "rows": [table_row(row, columns, tops, metrics.get("speed", {}).get(row.name)) for row in rows],
        "speed": bool(metrics.get("speed")),
        "main": columns[0],
        "chart": rank_picture(rows, columns[0], tops[main]),
        "headline": headline(told_to_someone(rows, metrics), main, better.get(main, True)),
    }


def plain_names(metrics: dict[str, Any]) -> list[str]:
    """The metrics that are over all horizons; where there are none, all."""
    names = evidence.metric_names(metrics)
    return [name for name in names if name.rpartition("_")[0] not in names or not name.rpartition("_")[2].isdecimal()]


def top_of(rows: list[Row], name: str) -> float:
    """The end of a metric's bar: 1 for a share, else the largest number there is."""
    found = [row.scores.get(name, {}).get(key) for row in rows for key in ("value", "high")]
    return max([1.0, *(value for value in found if value is not None)])


def table_row(row: Row, columns: list[dict[str, Any]], tops: dict[str, float], speed: dict | None) -> dict[str, Any]:
    """A variant or baseline with its cells in the columns' order."""
    cells = []
    for column in columns:
        score = row.scores.get(column["name"]) or {}
        value, kind = score.get("value"), "shipped" if row.shipped else row.kind
        bounds = score.get("low"), score.get("high")
        bar = None if value is None else svg.interval_bar(value, *bounds, tops[column["name"]], kind)
        cells.append(
            {"value": evidence.share(value), "interval": evidence.interval(score), "n": score.get("n"), "bar": bar}
        )
    rate, memory = (speed or {}).get("tokens_per_second"), (speed or {}).get("peak_memory_bytes")
    return {
        "row": row,
        "cells": cells,
        "speed": "" if rate is None else f"{rate:,.0f}",
        "memory": "" if memory is None else evidence.size(int(memory)),
    }


def marks(rows: list[Row], name: str) -> list[svg.Mark]:
    """Rows that have a value of a metric, for a chart."""
    found = []
    for row in rows:
        score = row.scores.get(name) or {}
        if score.get("value") is not None:
            kind = "shipped" if row.shipped else row.kind
            found.append(svg.Mark(row.name, score["value"], score.get("low"), score.get("high"), kind))
    return found


def rank_picture(rows: list[Row], column: dict[str, Any], top: float) -> Any:
    """The main metric of every variant and baseline, or None where nobody has it."""
    found = marks(rows, column["name"])
    label = f"{column['title']} ({'higher' if column['higher'] else 'lower'} is better)"
    return svg.rank_chart(found, label, 0.0, top) if found else None


def told_to_someone(rows: list[Row], metrics: dict[str, Any]) -> list[Row]:
    """Rows without the baselines that are told what is to be foretold: they are limits, not rivals."""
    return [row for row in rows if row.name not in metrics.get("oracles", [])]


def best_baseline(rows: list[Row], name: str, higher: bool) -> svg.Mark | None:
    """The baseline with the best value of a metric."""
    found = marks([row for row in rows if row.kind == "baseline"], name)
    return (max if higher else min)(found, key=lambda mark: mark.value) if found else None


def headline(rows: list[Row], name: str, higher: bool) -> dict[str, Any]:
    """The shipped variant's, the base's and the best baseline's value of the main metric, as text."""
    values = {row.name: (row.scores.get(name) or {}) for row in rows if row.kind == "variant"}
    shipped = next((row for row in rows if row.shipped), None)
    best = best_baseline(rows, name, higher)
    score = (shipped.scores.get(name) or {}) if shipped else {}
    return {
        "value": evidence.share(score.get("value")),
        "interval": evidence.interval(score),
        "base": evidence.share(values.get("base", {}).get("value")),
        "best": evidence.share(best.value) if best else "n/a",
        "best_name": best.label if best else "",
    }


def quants_view(paths: RunPaths, metrics: dict[str, Any], gate: dict[str, Any]) -> Any:
    """Size against the main metric for each file of a variant that is still there, or None."""
    rows = evidence.score_rows(metrics, gate.get("variant", ""))
    name = main_metric(metrics, gate)
    found = []
    for mark in marks([row for row in rows if row.kind == "variant"], name):
        count = bytes_of([paths.shipped(mark.label)])
        if count is not None:
            found.append(svg.Mark(mark.label, mark.value, mark.low, mark.high, mark.kind, count / 1e6))
    if not found:
        return None
    title = WORDS.get(paths.system, {}).get(name, (evidence.plain(name), ""))[0]
    known = told_to_someone(rows, metrics)
    best = best_baseline(known, name, metrics.get("higher_is_better", {}).get(name, True))
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
    rows = [(evidence.plain(key), metadata.get(key)) for key in ("device", "precision", "engine", "steps", "seconds")]
    rows += [("learning rate", metadata.get("settings", {}).get("learning_rate"))]
    rows += [
        ("trained parameters", metadata.get("trainable_parameters")),
        ("all parameters", metadata.get("parameters")),
    ]
    shown = [(label, evidence.number(value)) for label, value in rows if value is not None]
    return shown + ([("peak memory", evidence.size(int(peak)))] if peak else [])


def certificate_more(certificate: dict[str, Any]) -> list[evidence.Group]:
    """What a certificate measured beside its checks."""
    return evidence.count_groups({key: value for key, value in certificate.items() if key not in ("checks", "passed")})


def counts_view(system: str, stats: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Tables of counts, each with a sentence where there is one."""
    words = COUNT_WORDS.get(system, {})
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
