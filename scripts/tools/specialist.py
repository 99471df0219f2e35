"""Writes specialist_config.json beside an adapter: all that a server needs to know of a specialist but its weights.

python -m scripts.tools.specialist --training models/tools/veran/training/training_metadata.json
    --train data/curated/tools/veran/train.jsonl --base-json models/base/smollm2/base.json --run veran
    --out models/tools/veran/adapter/specialist_config.json
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from scripts.lib.cli import StageParser, run, say
from scripts.lib.files import read_json, write_json
from scripts.lib.records import Record, read_records
from scripts.lib.sampling import spread
from scripts.lib.tokenizer import Tokenizer

PHRASES = 400  # instructions that the router knows a specialist by
ROOM = 256  # tokens of an answer: five calls


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__, params=False)
    stage.add_argument("--run", required=True, help="the specialist's name")
    stage.add_argument("--description", default="", help="what it is for, in one sentence")
    stage.add_argument("--training", type=Path, required=True, help="training_metadata.json")
    stage.add_argument("--train", type=Path, required=True, help="train.jsonl: the router learns from its instructions")
    stage.add_argument("--base-json", type=Path, required=True, help="base.json, in the folder of the base model")
    stage.add_argument("--out", type=Path, required=True, help="specialist_config.json")
    return stage


def main(args: argparse.Namespace) -> None:
    """Runs the stage."""
    training, records = read_json(args.training), read_records(args.train)
    config = specialist_config(args.run, args.description, training, records, Tokenizer(args.base_json.parent))
    write_json(args.out, config)
    say(f"{args.out}: {len(config['focus'])} tools, {len(config['phrases'])} phrases for the router")


def specialist_config(
    name: str, description: str, training: dict[str, Any], records: list[Record], tokenizer: Tokenizer
) -> dict[str, Any]:
    """What serves the specialist: its prompt, tools and template, how it was trained, what it is asked."""
    asked = [record for record in records if record.expect[0]["kind"] == "calls"]
    return {
        "name": name,
        "description": description,
        "system_prompt": training.get("system_prompt", ""),
        "focus": [tool["function"]["name"] for tool in records[0].tools],
        "tools": records[0].tools,
        "training": training.get("settings", {}),
        "max_new_tokens": ROOM,
        "chat_template": tokenizer.chat_template,
        "bos_token": tokenizer.bos_token or "",
        "eos_token": tokenizer.eos_token or "",
        "phrases": [first_words(record) for record in spread(asked, PHRASES)],
    }


def first_words(record: Record) -> str:
    """What the user asks first."""
    return next(message.text for message in record.messages if message.role == "user")


if __name__ == "__main__":
    run(parser, main)
