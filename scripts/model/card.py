"""The model card (README.md of a package), made from the lineage: nothing in it is typed by hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.lib.files import write_text
from scripts.packaging import evidence, serving

if TYPE_CHECKING:
    from scripts.packaging.contents import Package

TEMPLATES = Path(serving.__file__).parent / "templates"
SETTINGS = (
    "epochs", "max_steps", "batch_size", "gradient_accumulation", "learning_rate", "warmup_steps", "schedule",
    "weight_decay", "max_grad_norm", "max_tokens", "load_in", "seed",
)  # fmt: skip


def write_card(path: Path, package: Package, metric_words: dict[str, Any]) -> None:
    """Writes README.md: the same inputs give the same bytes."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,  # Markdown, not HTML; cells are escaped by the filter
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = cell
    text = environment.get_template("card.md.j2").render(
        **context(package, metric_words), mcp=(path.parent / "mcp.json").is_file()
    )
    write_text(path, re.sub(r"\n{3,}", "\n\n", text))


def cell(text: Any) -> str:
    """Text that cannot leave its table cell or bring HTML with it."""
    one_line = " ".join(str(text).split())
    return one_line.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def context(package: Package, metric_words: dict[str, Any]) -> dict[str, Any]:
    """The template's values."""
    rows = evidence.score_rows(package.metrics, package.gate["variant"])
    merged = sorted(package.merged.glob("*.safetensors")) if package.merged else []
    return {
        "name": package.name,
        "base": {"revision": None, "licence": None, "source": None, "files": [], **package.base},
        "gate": package.gate,
        "gate_checks": evidence.checks(package.gate),
        "scope": package.scope,
        "scope_words": evidence.SCOPE_WORDS[package.scope],
        "default": package.default_file,
        "files": [
            {"name": path.name, "quant": quant, "size": evidence.size(path.stat().st_size)}
            for quant, path in package.ggufs.items()
        ],
        "safetensors": [{"name": path.name, "size": evidence.size(path.stat().st_size)} for path in merged],
        "context_length": package.context_length,
        "command": serving.server_command(package.default_file, package.options.generation, package.context_length),
        "chat_form": package.chat_form,
        "system_prompt": package.system_prompt,
        "metrics": package.metrics,
        "confidence": f"{100 * package.metrics.get('confidence', 0.95):g}",
        "rows": rows,
        "score_lines": score_lines(package.metrics, rows, metric_words),
        "certificate": evidence.checks(package.certificate),
        "data": evidence.count_groups(package.stats),
        "training": training_rows(package.training),
    }


def score_lines(metrics: dict[str, Any], rows: list[evidence.Row], words: dict[str, Any]) -> list[dict[str, Any]]:
    """One line a metric: a cell for each variant and baseline, and the number of cases.

    Where a row's number of cases is another than the line's, its cell says so.
    """
    better = metrics.get("higher_is_better", {})
    lines = []
    for name in evidence.metric_names(metrics):
        counts = [row.scores[name].get("n") for row in rows if row.scores.get(name)]
        usual = max(set(counts), key=counts.count)
        title, explanation = words.get(name, (evidence.plain(name), ""))
        cells = [score_cell(row.scores.get(name), usual) for row in rows]
        lines.append(
            {"title": title, "words": explanation, "higher": better.get(name, True), "cells": cells, "n": usual}
        )
    return lines


def score_cell(score: dict[str, Any] | None, usual: int | None) -> str:
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
    rows = [("method", "LoRA, loss on the assistant's tokens only")]
    rows += [
        (f"LoRA {evidence.plain(key)}", evidence.number(lora[key])) for key in ("r", "alpha", "dropout") if key in lora
    ]
    if "target_modules" in lora:
        targets = lora["target_modules"]
        rows.append(("LoRA target modules", targets if isinstance(targets, str) else ", ".join(targets)))
    rows += [(evidence.plain(key), evidence.number(settings[key])) for key in SETTINGS if settings.get(key) is not None]
    for key in ("precision", "engine", "steps", "best_step", "train_loss", "eval_loss", "trainable_parameters"):
        if training.get(key) is not None:
            rows.append((evidence.plain(key), evidence.number(training[key])))
    return rows
