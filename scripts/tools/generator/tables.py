"""Reads the tables in ``templates/``: YAML files with the words and phrases of the generated examples."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BeforeValidator, Field

from scripts.lib.cli import UserError
from scripts.lib.options.strict import Options

TEMPLATES = Path(__file__).parent / "templates"
SPECIALISTS = ("veran", "farore", "nayru")


def lines_of(value: Any) -> Any:
    """The lines of a YAML block, without indentation and blank lines; any other value unchanged."""
    return [line.strip() for line in value.splitlines() if line.strip()] if isinstance(value, str) else value


# ``[a, b]``, or a block with one item per line, which needs no quotes.
Lines = Annotated[tuple[str, ...], BeforeValidator(lines_of), Field(min_length=1)]


class Asset(Options):
    """Names and endings of files to import."""

    names: Lines
    endings: Lines


class Words(Options):
    """words.yaml, which explains each list."""

    ram: dict[int, str] = Field(min_length=1)
    routines: Lines
    roms: Lines
    patches: Lines
    folders: Lines
    shots: Lines
    dumps: Lines
    assets: dict[str, Asset]
    snippets: Lines
    times: Lines
    cities: Lines
    themes: Lines
    other_games: Lines
    prefixes: dict[str, Lines]
    endings: Lines


class Wording(Options):
    """wording.yaml: (rationale, expected output) by tool, success criteria by kind, and the work of each specialist."""

    calls: dict[str, tuple[str, str]]
    criteria: dict[str, str]
    scope: dict[str, Lines]


class UniqueKeyLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's fastest safe loader; a repeated key, of which PyYAML keeps only the last, is an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"repeated key {key.value!r}", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


Table = TypeVar("Table", bound=Options)


def read_table(path: Path, model: type[Table]) -> Table:
    """Reads and checks a table.

    Raises:
        UserError: the file is not YAML, or an entry does not fit the model; file and entry are named.
    """
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), UniqueKeyLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not readable as YAML ({' '.join(str(error).split())}); correct the file.") from error
    return model.parse(value, str(path))


@functools.cache
def words() -> Words:
    """The table words.yaml."""
    return read_table(TEMPLATES / "words.yaml", Words)


@functools.cache
def wording() -> Wording:
    """The table wording.yaml."""
    return read_table(TEMPLATES / "wording.yaml", Wording)
