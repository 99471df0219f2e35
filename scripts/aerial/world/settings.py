"""The settings of a world model command: a section of a file of config/aerial/, and --params on top."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from scripts.aerial.world.options import AerialWorldOptions
from scripts.lib.cli import StageParser, UserError, load_params
from scripts.lib.options.strict import deep_merge


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


def section_values(args: argparse.Namespace, name: str, params: str) -> dict[str, Any]:
    """The values of a section of the file, with ``params`` (JSON) on top; not yet checked together."""
    over = load_params(params)
    if not args.config:
        return over
    return deep_merge(getattr(read_settings(args.config), name).model_dump(exclude_unset=True), over)


def section(args: argparse.Namespace, name: str) -> Any:
    """The options of a section (data, model, train, score, export): the file's, with --params on top."""
    kind = AerialWorldOptions.model_fields[name].annotation
    return kind.parse(section_values(args, name, args.params))  # type: ignore[union-attr]
