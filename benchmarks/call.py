"""Milliseconds from an instruction to its validated call: a package as it is served, against transformers' generate.

    python -m benchmarks.call --package dist/tools/veran

Ours is what `scripts.tools.serve` does with a request: render the prompt, generate under the grammar, parse, validate.
The peer is the same model, base and adapter merged in memory, through transformers: render the same prompt, generate
greedily without a grammar to the end of the turn or the package's limit, parse, validate. The same instructions on both
sides, one at a time, each side in a process of its own. Loading and the first answer, for which ours reads the tools'
definitions once, are left out of the median and the 90th percentile; the first answer is told beside them.
``questline-calls`` leaves words out of the grammar, so that a model that was hardly trained (the demo) calls as well.

Instructions are those of the test split that want calls; where it holds too few (the demo keeps three records), ours of
the generator under a seed that no preset uses follow.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.sides import must_exist, options_of, run_side

SIDES = ("questline", "questline-calls", "transformers")
UNUSED_SEED = 20_011
PATHS = ("package", "records", "base", "adapter")


def parser() -> argparse.ArgumentParser:
    """The benchmark's arguments."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--package", type=Path, default=Path("dist/tools/veran"))
    options.add_argument("--records", type=Path, default=Path("data/curated/tools/veran/test.jsonl"))
    options.add_argument("--base", type=Path, default=Path("models/base/smollm2"), help="the package's base")
    options.add_argument("--adapter", type=Path, default=Path("models/tools/veran/adapter"), help="the package's")
    options.add_argument("--instructions", type=int, default=20, help="at most so many")
    options.add_argument("--side", choices=SIDES, help="measure one side in this process")
    return options


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Each side in a process of its own; milliseconds and the ratios.

    Raises:
        SystemExit: something to measure is missing.
    """
    must_exist(args, PATHS)
    options = options_of(args, (*PATHS, "instructions"))
    sides = {side: run_side("call", side, options) for side in SIDES}
    peer = sides["transformers"]
    ratios = {
        f"{name} ms, transformers / {side}": peer[f"{name}_ms"] / sides[side][f"{name}_ms"]
        for side in SIDES[:2]
        for name in ("median", "p90")
    }
    return {"benchmark": "call", "sides": sides, "ratios": ratios}


def one_side(args: argparse.Namespace) -> dict[str, Any]:
    """Answers all instructions in this process."""
    from scripts.model.logits import let_idle_threads_sleep
    from scripts.tools.server.grammar import rules, written
    from scripts.tools.server.package import read_packages
    from scripts.tools.server.specialist import Specialist

    let_idle_threads_sleep()
    specialist = Specialist(read_packages([args.package])[0])
    asked = instructions(args.records, args.instructions + 1)
    if args.side == "transformers":
        return timed(asked, by_transformers(specialist, args))
    named = rules(specialist.package.tools)
    forced = {"grammar": written({**named, "root": "calls"})} if args.side == "questline-calls" else {}
    specialist.load()
    try:
        return timed(asked, lambda text: judged(specialist, specialist.complete(text, **forced)))
    finally:
        specialist.close()


def instructions(records: Path, count: int) -> list[str]:
    """First instructions of test records that expect calls, drawn evenly; generated ones of the same tools fill up."""
    from scripts.lib.records import read_records
    from scripts.lib.sampling import spread
    from scripts.tools.generator.assemble import examples
    from scripts.tools.specialist import first_words

    read = read_records(records)
    shown = {tool["function"]["name"] for tool in read[0].tools}
    asked = spread([first_words(record) for record in read if record.expect[0]["kind"] == "calls"], count)
    if len(asked) == count:
        return asked
    rows = [row for row in examples(600, UNUSED_SEED, lambda *_: []) if row["kind"] == "calls"]
    fitting = [row["instruction"] for row in rows if all(call["tool"] in shown for call in row["tool_calls"])]
    return [*asked, *spread(fitting, count - len(asked))]


def timed(asked: list[str], answer: Callable[[str], tuple[str, int]]) -> dict[str, Any]:
    """Milliseconds of every answer after the first, what the answers were, and their tokens."""
    import numpy as np

    spent, kinds, tokens = [], Counter[str](), []
    for text in asked:
        started = time.perf_counter()
        kind, length = answer(text)
        spent.append(1000 * (time.perf_counter() - started))
        kinds[kind] += 1
        tokens.append(length)
    median, p90 = np.percentile(spent[1:], [50, 90])
    return {
        "median_ms": round(float(median), 1),
        "p90_ms": round(float(p90), 1),
        "first_ms": round(spent[0], 1),
        "median_tokens": float(np.median(tokens[1:])),
        "instructions": len(spent) - 1,
        "answers": dict(kinds),
    }


def judged(specialist: Any, said: Any) -> tuple[str, int]:
    """Whether an answer is valid calls, words, or neither; and its tokens."""
    from scripts.tools.answers import parse
    from scripts.tools.server.specialist import judge

    reply = judge(specialist.name, said, specialist.package.tools)
    kind = "words" if parse(said.text).declines else "refused calls"
    return kind if reply.declined else "valid calls", said.tokens


def by_transformers(specialist: Any, args: argparse.Namespace) -> Callable[[str], tuple[str, int]]:
    """The same model through transformers' generate, without a grammar."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from scripts.lib import devices
    from scripts.model import engine
    from scripts.model.llama import Completion

    device = devices.pick_device("auto")
    dtype = torch.bfloat16 if devices.computes_bfloat16(device) else torch.float32
    model = AutoModelForCausalLM.from_pretrained(args.base, dtype=dtype)
    model = PeftModel.from_pretrained(model, args.adapter).merge_and_unload().to(device).eval()
    tokenizer = engine.load_tokenizer(args.base)
    ends = [tokenizer.convert_tokens_to_ids(specialist.package.config.eos_token), tokenizer.eos_token_id]

    def answer(text: str) -> tuple[str, int]:
        inputs = tokenizer(specialist.prompt(text), add_special_tokens=False, return_tensors="pt").to(device)
        limit = specialist.package.config.max_new_tokens
        with torch.inference_mode():
            output = model.generate(
                **inputs, max_new_tokens=limit, do_sample=False, eos_token_id=ends, pad_token_id=tokenizer.pad_token_id
            )[0, inputs["input_ids"].shape[1] :]
        words = tokenizer.decode(output, skip_special_tokens=True)
        finish = "stop" if int(output[-1]) in ends else "length"
        return judged(specialist, Completion(words, len(output), finish, inputs["input_ids"].shape[1]))

    return answer


if __name__ == "__main__":
    arguments = parser().parse_args()
    print(json.dumps(one_side(arguments) if arguments.side else measure(arguments)))
