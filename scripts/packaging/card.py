"""The model card (README.md of a package), made from the lineage: nothing in it is typed by hand.

One template, ``card.md.j2``, serves every model family; what a family adds stands in a template of its own that extends
it, and comes with its values from the package (`Package.card`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from scripts.lib.files import write_text
from scripts.packaging import evidence
from scripts.packaging.contents import TEMPLATES, Package

SETTINGS = (
    "epochs", "vae_epochs", "max_steps", "batch_size", "gradient_accumulation", "learning_rate", "warmup_steps",
    "schedule", "weight_decay", "max_grad_norm", "max_tokens", "load_in", "freeze_vae", "freeze_transformer",
    "freeze_pose", "seed",
)  # fmt: skip
OUTCOMES = (
    "precision", "engine", "steps", "best_step", "train_loss", "eval_loss", "trainable_parameters", "parameters",
)  # fmt: skip


def write_card(folder: Path, package: Package, config: dict[str, Any]) -> None:
    """Writes README.md: the same inputs give the same bytes.

    Args:
        config: what deployment_config.json holds.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    template, values = package.card(folder)
    environment = Environment(
        loader=FileSystemLoader([TEMPLATES, template.parent]),
        autoescape=False,  # Markdown, not HTML; cells are escaped by the filter
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = cell
    text = environment.get_template(template.name).render(**context(package, config), **values)
    write_text(folder / "README.md", re.sub(r"\n{3,}", "\n\n", text))


def cell(text: Any) -> str:
    """Text that cannot leave its table cell or bring HTML with it."""
    one_line = " ".join(str(text).split())
    return one_line.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def context(package: Package, config: dict[str, Any]) -> dict[str, Any]:
    """The values of the template that every family has."""
    rows = evidence.score_rows(package.metrics, package.gate["variant"])
    return {
        "name": package.name,
        "config": config,
        "gate": package.gate,
        "gate_checks": evidence.checks(package.gate),
        "scope": package.scope,
        "scope_words": evidence.SCOPE_WORDS[package.scope],
        "files": [row | {"size": evidence.size(row["bytes"])} for row in config["files"]],
        "metrics": package.metrics,
        "group_noun": package.system.group_noun,
        "confidence": f"{100 * package.metrics.get('confidence', 0.95):g}",
        "rows": rows,
        "score_lines": score_lines(package.metrics, rows),
        "certificate": evidence.checks(package.certificate),
        "data": evidence.count_groups(package.stats),
        "training": training_rows(package.training),
    }


def score_lines(metrics: dict[str, Any], rows: list[evidence.Row]) -> list[dict[str, Any]]:
    """One line a metric: a cell for each variant and baseline, and the number of cases.

    Where a row's number of cases is another than the line's, its cell says so.
    """
    better = metrics.get("higher_is_better", {})
    lines = []
    for name in evidence.metric_names(metrics):
        counts = [row.score(name).get("n") for row in rows if row.score(name)]
        usual = max(set(counts), key=counts.count)
        title, explanation = evidence.metric_words(metrics, name)
        cells = [score_cell(row.score(name), usual) for row in rows]
        lines.append(
            {"title": title, "words": explanation, "higher": better.get(name, True), "cells": cells, "n": usual}
        )
    return lines


def score_cell(score: dict[str, Any], usual: int | None) -> str:
    """``0.42<br>0.31–0.55`` and the number of cases where it is another than usual."""
    if not score:
        return "n/a"
    between, n = evidence.interval(score), score.get("n")
    extra = "" if n == usual else f"<br>n = {n}"
    return evidence.share(score.get("value")) + (f"<br>{between}" if between else "") + extra


def training_rows(training: dict[str, Any]) -> list[tuple[str, str]]:
    """Settings and outcome as rows. Time and memory stay out: they would change the card's bytes from run to run."""
    settings = training.get("settings", {})
    lora = settings.get("lora", {})
    rows = [("method", "LoRA, loss on the assistant's tokens only")] if lora else []
    rows += [
        (f"LoRA {evidence.plain(key)}", evidence.number(lora[key])) for key in ("r", "alpha", "dropout") if key in lora
    ]
    if "target_modules" in lora:
        targets = lora["target_modules"]
        rows.append(("LoRA target modules", targets if isinstance(targets, str) else ", ".join(targets)))
    # What batch_size: auto came to stands beside the settings.
    given = settings | {key: training[key] for key in ("batch_size",) if key in training}
    rows += [(evidence.plain(key), evidence.number(given[key])) for key in SETTINGS if given.get(key) is not None]
    rows += [(evidence.plain(key), evidence.number(training[key])) for key in OUTCOMES if training.get(key) is not None]
    return rows + [("warning", warning) for warning in training.get("warnings", [])]
