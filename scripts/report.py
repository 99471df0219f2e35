"""Makes one self-contained page that shows every run, for people who did not write the code.

    python -m scripts.report --run reports/dnd/dm --benchmarks benchmarks/out --out reports/index.html

What is not built yet is said to be so. The page needs no network and no scripts.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from scripts import report_parts
from scripts.lib.cli import StageParser, UserError, run, say
from scripts.lib.files import write_text
from scripts.packaging.evidence import SCOPE_WORDS
from scripts.report_parts.sources import RunPaths, locate
from scripts.report_parts.view import run_view

TEMPLATES = Path(report_parts.__file__).parent / "templates"


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__, params=False)
    stage.add_argument("--run", type=Path, nargs="+", required=True, help="report folders, such as reports/dnd/dm")
    stage.add_argument(
        "--paths",
        default="{}",
        help='a run\'s other folders, where they do not lie beside reports/ as usual: {"dnd/dm": {"models": "...", '
        '"curated": "...", "dist": "...", "base": "..."}}',
    )
    stage.add_argument("--benchmarks", type=Path, help="Snakemake's benchmark files, for times")
    stage.add_argument("--preset", default="", help="name of the configuration")
    stage.add_argument("--scope", choices=tuple(SCOPE_WORDS), help="what scores prove; else as each metrics.json says")
    stage.add_argument("--out", type=Path, required=True, help="reports/index.html")
    return stage


def main(args: argparse.Namespace) -> None:
    """Reads every run and writes the page."""
    places = read_places(args.paths)
    runs = [locate(path, places.get("/".join(path.parts[-2:]), {}), args.benchmarks) for path in args.run]
    write_text(args.out, page(runs, args.preset, args.scope))
    say(f"{args.out}: {len(runs)} run{'s' if len(runs) != 1 else ''}")


def read_places(text: str) -> dict[str, dict[str, str]]:
    """The value of --paths.

    Raises:
        UserError: it is not an object of objects.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"--paths: not valid JSON ({error}); see --help for its shape.") from error
    if not isinstance(value, dict) or not all(isinstance(row, dict) for row in value.values()):
        raise UserError("--paths: expected an object of objects; see --help for its shape.")
    return value


def page(runs: list[RunPaths], preset: str, scope: str | None) -> str:
    """The page as HTML. Everything that comes from data is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    views: list[dict[str, Any]] = [run_view(paths, scope) for paths in runs]
    return environment.get_template("report.html.j2").render(runs=views, preset=preset)


if __name__ == "__main__":
    run(parser, main)
