"""Writes specialist_config.json beside an adapter: everything that a server needs about a specialist but its weights.

python -m scripts.tools.specialist --training models/tools/veran/training/training_metadata.json
    --train data/curated/tools/veran/train.jsonl --base-json models/base/smollm2/base.json --run veran
    --out models/tools/veran/adapter/specialist_config.json
"""

from __future__ import annotations

import argparse
from itertools import groupby
from pathlib import Path

from scripts.lib.chat import prompt_text, render, render_text
from scripts.lib.cli import StageParser, UserError, run, say
from scripts.lib.files import read_json, write_json
from scripts.lib.records import Record, read_records
from scripts.lib.sampling import spread
from scripts.lib.tokenizer import Tokenizer
from scripts.lib.tool_prompt import CALL_CLOSE, CALL_OPEN
from scripts.tools.answers import parse

PHRASES = 400  # training instructions that the router gets for one specialist
MIN_NEW_TOKENS = 256  # an answer may have this many tokens, or 25 percent more than the longest one in training


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
    """Writes the file.

    Raises:
        UserError: the base's template writes calls in a form that the server's grammar does not allow.
    """
    training, records = read_json(args.training), read_records(args.train)
    tokenizer = Tokenizer(args.base_json.parent)
    with_calls = [record for record in records if record.expect[0]["kind"] == "calls"]
    if with_calls:
        check_call_format(args.run, with_calls[0], tokenizer)
    masks = [render(tokenizer, record).mask for record in records]
    longest = max((len(list(run)) for mask in masks for on, run in groupby(mask) if on), default=0)  # tokens
    config = {
        "name": args.run,
        "description": args.description,
        "system_prompt": training.get("system_prompt", ""),
        "focus": [tool["function"]["name"] for tool in records[0].tools],
        "tools": records[0].tools,
        "training": training.get("settings", {}),
        "max_new_tokens": max(MIN_NEW_TOKENS, longest * 5 // 4),
        "chat_template": tokenizer.chat_template,
        "bos_token": tokenizer.bos_token or "",
        "eos_token": tokenizer.eos_token or "",
        "phrases": [first_words(record) for record in spread(with_calls, PHRASES)],
    }
    write_json(args.out, config)
    say(f"{args.out}: {len(config['focus'])} tools, {len(config['phrases'])} phrases for the router")


def check_call_format(run_name: str, record: Record, tokenizer: Tokenizer) -> None:
    """Checks that the template writes a record's first call in the only form that the server's grammar allows.

    Raises:
        UserError: it does not; the message shows the template's form.
    """
    at = next(iter(record.answers))
    prompt = prompt_text(tokenizer, record, at)
    answer = render_text(tokenizer, record.messages[: at + 1], record.tools, prompt=False)[len(prompt) :]
    due = [tuple(call) for call in record.expect[0]["calls"]]
    if not answer.lstrip().startswith(CALL_OPEN) or list(parse(answer.partition(CALL_CLOSE)[0]).calls) != due[:1]:
        raise UserError(
            f"tools.runs.{run_name}.base: its chat template writes a call as {answer.strip()[:60]!r}, but the server "
            f"lets a model write {CALL_OPEN}{{...}}{CALL_CLOSE} only; choose a base with Qwen's form or with none."
        )


def first_words(record: Record) -> str:
    """The text of the user's first message."""
    return next(message.text for message in record.messages if message.role == "user")


if __name__ == "__main__":
    run(parser, main)
