"""Writes docs/options.md: the options that more than one system has, with each system's default.

    python -m scripts.option_table

A difference between systems needs a reason in `REASONS`. A test fails where a reason is missing or no longer needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

from scripts.config import Config
from scripts.lib.files import write_text
from scripts.lib.options.strict import Options
from scripts.systems import SYSTEMS

PAGE = Path("docs/options.md")
BASE = "base"
NO_ADAPTER = "aerial trains all weights of a small world model. The other systems train an adapter of a language model."
OWN_CHOICE = "Each system's own choice."
REASONS = {  # by key, or by section for keys that a system does not have
    "train": NO_ADAPTER,
    "export": NO_ADAPTER + " It is exported to ONNX.",
    "certify": NO_ADAPTER + " Its ONNX file is compared with PyTorch's output under `export`.",
    "predict": "aerial predicts grids and not text; it has no tokens, prompts or perplexity. `score` holds its limits.",
    "train.epochs": "aerial trains from random weights, the other systems from a pretrained model.",
    "train.batch_size": "aerial measures how many windows the device's memory takes, because grids differ in size.",
    "train.learning_rate": "A full training of a small model needs another rate than an adapter.",
    "train.warmup_steps": "As for the learning rate.",
    "train.max_grad_norm": "35 is OccWorld's, on whose losses aerial is trained.",
    "train.seed": "The configuration's `seed` sets the seed of the language models and does not reach aerial.",
    "gate.metric": "Each system has its own main metric.",
    "gate.beat": "Each system has its own trivial baselines.",
    "gate.tolerance": "terrain's metric is in yards, the others are shares.",
    "check.max_file_mb": "A scenario is text, a tile is a large JSON file. tools limits rows (`check.max_row_mb`); "
    "recordings and sessions are read in parts.",
    "curate.near_threshold": "dnd and tools compare texts. terrain compares image hashes (`curate.max_hash_distance`), "
    "gameplay equal images, and aerial distances on the ground (`data.split.buffer`).",
    "curate.block": "terrain counts tiles, aerial metres.",
    "generate.seed": "dnd comes with scenarios in data/raw and generates none.",
}


def defaults_of(system: str) -> dict[str, Any]:
    """A system's options with their defaults by path, under the common keys: ``{"curate.val_share": 0.1, ...}``.

    Sections that a system shares with others, such as ``train``, are those of a run that overrides nothing.
    """
    fields = SYSTEMS[system].options.model_fields
    run_options = get_args(fields["runs"].annotation)[1]
    required = {name: field for name, field in run_options.model_fields.items() if field.is_required()}
    run = {name: BASE if field.annotation is str else [BASE] for name, field in required.items()}
    bases = {BASE: {"source": "path:base", "licence": "cc0-1.0"}}
    config = Config(preset="defaults", scope="road", bases=bases, **{system: {"runs": {"run": run}}})
    options, resolved = config.systems()[system], config.run(system, "run")
    sections = {name: getattr(options, name) for name in fields if name != "runs"}
    sections |= {name: value for name, value in resolved if isinstance(value, Options)}
    rows = {}
    for path, default in flat(sections):
        for own, common in SYSTEMS[system].common_keys.items():
            if path.startswith(own):
                path = common + path.removeprefix(own)
        rows[path] = default
    return rows


def flat(sections: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Paths and values of nested options; the first of a list of options stands for all."""
    rows = []
    for name, value in sections.items():
        if isinstance(value, list) and value and isinstance(value[0], Options):
            value = value[0]
        if isinstance(value, Options):
            nested = {key: getattr(value, key) for key in type(value).model_fields}
            rows += flat(nested, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, value))
    return rows


def common_rows() -> dict[str, dict[str, Any]]:
    """Default by system of every option that more than one system has, sorted by path."""
    rows: dict[str, dict[str, Any]] = {}
    for system in SYSTEMS:
        for path, default in defaults_of(system).items():
            rows.setdefault(path, {})[system] = default
    return {path: row for path, row in sorted(rows.items()) if len(row) > 1}


def reason_keys(path: str, row: dict[str, Any]) -> list[str]:
    """The keys of `REASONS` one of which must explain a row; none where all systems agree."""
    if any(default != next(iter(row.values())) for default in row.values()):
        return [path]
    return [path, path.split(".")[0]] if len(row) < len(SYSTEMS) else []


def page() -> str:
    """The page as Markdown."""
    rows = common_rows()
    lines = ["# Options of several systems", "", "Written by `python -m scripts.option_table`; do not edit.", ""]
    lines += ["A dash: the system does not have the option. Options of one system alone are in config/schema.json.", ""]
    lines += [f"| option | {' | '.join(SYSTEMS)} |", f"|---|{'---|' * len(SYSTEMS)}"]
    for path, row in rows.items():
        cells = [f"`{json.dumps(row[system])}`" if system in row else "–" for system in SYSTEMS]
        lines.append(f"| `{path}` | {' | '.join(cells)} |")
    lines += ["", "Under other keys:", ""]
    lines += [
        f"- {name} has `{common}` as `{own}`"
        for name, system in SYSTEMS.items()
        for own, common in system.common_keys.items()
    ]
    lines += ["", "## Differences that are meant", ""]
    keys = [keys for path, row in rows.items() if (keys := reason_keys(path, row))]
    used = {next((key for key in choices if key in REASONS), choices[0]) for choices in keys}
    lines += [f"- `{key}`: {REASONS.get(key, OWN_CHOICE)}" for key in sorted(used)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_text(PAGE, page())
    print(f"wrote {PAGE}")
