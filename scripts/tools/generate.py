"""Generates raw examples of requests and the tool calls that answer them, one JSON file each.

It writes `<specialist>/<id>.json`, then `statistics.json` and last `manifest.json`. Equal seeds give equal bytes.
"""

from __future__ import annotations

import argparse
import functools
import re
from collections import Counter
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts.lib.cli import StageParser, UserError, run, say
from scripts.lib.files import manifest, write_json
from scripts.tools.generator.assemble import Example, examples
from scripts.tools.schema import Tool, load_schema
from scripts.tools.validate import call_problems

STATISTICS, MANIFEST = "statistics.json", "manifest.json"
OWN_FILE = re.compile(r"(veran|farore|nayru)/\1-(calls|follow_up|decline|ask)-\d{4,}\.json")


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__, params=False)
    result.add_argument("--schema", type=Path, required=True, help="tool schema that every call must fit")
    result.add_argument("--out", type=Path, required=True, help="folder to write")
    result.add_argument("--count", type=int, default=1200, help="examples")
    result.add_argument("--seed", type=int, default=7)
    return result


def main(args: argparse.Namespace) -> None:
    """Generates the examples and writes them; examples of an earlier run are removed, other files stay.

    Raises:
        UserError: the count is below 1 or too high, or the schema does not fit the generator.
    """
    if args.count < 1:
        raise UserError(f"--count {args.count}: must be 1 or more.")
    rows = examples(args.count, args.seed, functools.partial(fits, load_schema(args.schema)))
    files = {f"{row['specialist']}/{row['id']}.json": row for row in rows}
    (args.out / MANIFEST).unlink(missing_ok=True)
    for path in args.out.glob("*/*.json"):
        name = f"{path.parent.name}/{path.name}"
        if OWN_FILE.fullmatch(name) and name not in files:
            path.unlink()
    for name, row in tqdm(files.items(), desc="write", unit="file", disable=None):
        write_json(args.out / name, row)
    counts = statistics(rows)
    write_json(args.out / STATISTICS, counts)
    hashes = manifest(args.out, [*files, STATISTICS])
    write_json(args.out / MANIFEST, {"seed": args.seed, "count": len(rows), "files": hashes})
    say(f"{args.out}: {len(rows)} examples of {counts['templates']} templates")


def fits(tools: dict[str, Tool], name: str, parameters: dict[str, Any]) -> list[str]:
    """The errors of a call, one sentence each."""
    return [sentence for _, sentence in call_problems((name, parameters), tools)]


def statistics(rows: list[Example]) -> dict[str, Any]:
    """Counts by specialist, kind, difficulty, tool, number of calls and template.

    ``by_tool`` counts the examples that call a tool, by difficulty: ``{"mesen2.run": {"simple": 20, ...}}``.
    """
    tools: dict[str, Counter[str]] = {}
    for row in rows:
        for tool in {call["tool"] for call in row["tool_calls"]}:
            tools.setdefault(tool, Counter())[row["difficulty"]] += 1
    templates = Counter(row["template"] for row in rows)
    return {
        "examples": len(rows),
        **{f"by_{key}": _sorted(Counter(row[key] for row in rows)) for key in ("specialist", "kind", "difficulty")},
        "by_tool": {tool: _sorted(counts) for tool, counts in sorted(tools.items())},
        "by_calls": _sorted(Counter(str(len(row["tool_calls"])) for row in rows)),
        "templates": len(templates),
        "largest_template_share": round(max(templates.values()) / len(rows), 5),
        "by_template": _sorted(templates),
    }


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


if __name__ == "__main__":
    run(parser, main)
