"""What a command of the world model is told: a section of a file of config/aerial/, and --params on top."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from scripts.aerial.world.options import AerialWorldOptions
from scripts.lib.cli import StageParser, UserError, load_params
from scripts.lib.options.strict import Options, deep_merge


def add_config(stage: StageParser) -> None:
    """The argument that names a file of config/aerial/."""
    stage.add_argument("--config", type=Path, help="a file of config/aerial/; --params goes on top of its section")


def read_settings(path: Path) -> AerialWorldOptions:
    """A file of config/aerial/, checked.

    Raises:
        UserError: it is missing, no YAML mapping, or has a key or value that is not known.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML ({error}); mend it.") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected sections such as `train:`, got {type(values).__name__}; mend it.")
    return AerialWorldOptions.parse(values, str(path))


def section(args: argparse.Namespace, name: str) -> Any:
    """The options of a section (data, model, train, score, export): the file's, with --params on top."""
    base: Options | None = getattr(read_settings(args.config), name) if args.config else None
    over = load_params(args.params)
    kind = AerialWorldOptions.model_fields[name].annotation
    values = deep_merge(base.model_dump(exclude_unset=True), over) if base else over
    return kind.parse(values)  # type: ignore[union-attr]
