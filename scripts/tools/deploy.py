"""Makes a specialist's package: model files, specialist_config.json for the MCP server, mcp.json, card, checksums.

    python -m scripts.tools.deploy --gate reports/tools/veran/gate.json ... --out dist/tools/veran

The folder is written beside its place and takes it in one step. Its files hold no times: the same inputs give the
same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from scripts.lib.cli import StageParser, run
from scripts.lib.files import write_json
from scripts.lib.records import Record, read_records
from scripts.lib.sampling import spread
from scripts.model.package import publish
from scripts.packaging.contents import Package, add_arguments, gather
from scripts.tools.words import METRICS

PHRASES = 400  # instructions that the router knows a specialist by
ROOM = 256  # tokens of an answer: five calls


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    add_arguments(stage)
    stage.add_argument("--train", type=Path, required=True, help="train.jsonl: the router learns from its instructions")
    stage.add_argument("--description", default="", help="what the specialist is for, in one sentence")
    return stage


def main(args: argparse.Namespace) -> None:
    """Builds and publishes the package."""
    package = gather(args, args.system_prompt)
    records = read_records(args.train)

    def add_files(package: Package, folder: Path) -> None:
        if package.ggufs:
            write_json(folder / "specialist_config.json", specialist_config(package, records, args.description))
            write_json(folder / "mcp.json", mcp_snippet(package))

    publish(package, add_files, METRICS)


def specialist_config(package: Package, records: list[Record], description: str) -> dict[str, Any]:
    """What serves the specialist: its prompt, tools and template, how it was trained, what it is asked."""
    name = package.name.partition("/")[2]
    asked = [record for record in records if record.expect[0]["kind"] == "calls"]
    tokenizer = package.tokenizer
    return {
        "name": name,
        "description": description,
        "system_prompt": package.system_prompt,
        "focus": [tool["function"]["name"] for tool in records[0].tools],
        "tools": records[0].tools,
        "training": package.training.get("settings", {}),
        "max_new_tokens": ROOM,
        "chat_template": tokenizer.chat_template,
        "bos_token": tokenizer.bos_token or "",
        "eos_token": tokenizer.eos_token or "",
        "phrases": [first_words(record) for record in spread(asked, PHRASES)],
    }


def first_words(record: Record) -> str:
    """What the user asks first."""
    return next(message.text for message in record.messages if message.role == "user")


def mcp_snippet(package: Package) -> dict[str, Any]:
    """mcp.json to paste into a client, run from the project's folder; more packages may be named after this one."""
    arguments = ["-m", "scripts.tools.serve", f"dist/{package.name}"]
    return {"mcpServers": {f"questline-{package.name.replace('/', '-')}": {"command": "python", "args": arguments}}}


if __name__ == "__main__":
    run(parser, main)
