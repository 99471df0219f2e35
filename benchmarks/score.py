"""Generated tokens a second when test turns are answered: a GGUF through the server against transformers' generate.

    python -m benchmarks.score --base models/base/smollm2 --gguf models/dnd/dm/gguf/model-Q8_0.gguf

The same prompts (the turns of several conversations), the same number of tokens each (the end of turn is ignored), the
time of reading prompts included, loading left out; each side in a process of its own. `gguf` is what scoring does: a
conversation's turns follow each other in a slot. `gguf-fresh` reads every prompt anew, as transformers does.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.sides import options_of, run_side

SIDES = ("gguf", "gguf-fresh", "transformers", "transformers-single")
FLOORS = {"tokens/s against transformers": 1.4, "tokens/s against transformers-single": 4.0}


def parser() -> argparse.ArgumentParser:
    """The benchmark's arguments."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--base", type=Path, default=Path("models/base/smollm2"), help="the model in transformers")
    options.add_argument("--gguf", type=Path, default=Path("models/dnd/dm/gguf/model-Q8_0.gguf"), help="of like shape")
    options.add_argument("--records", type=Path, default=Path("data/curated/dnd/dm/test.jsonl"))
    options.add_argument("--slots", type=int, default=8, help="prompts at a time, and conversations")
    options.add_argument("--turns", type=int, default=2, help="of each conversation, the first ones")
    options.add_argument("--tokens", type=int, default=128, help="generated for each prompt; predict's own default")
    options.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto", help="transformers'")
    options.add_argument("--side", choices=SIDES, help="measure one side in this process")
    options.add_argument("--json", action="store_true", help="accepted for symmetry: JSON is what is printed")
    return options


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Each side in a process of its own; tokens a second and the ratios."""
    options = options_of(args, ("base", "gguf", "records", "slots", "turns", "tokens", "precision"))
    sides = {side: run_side("score", side, options) for side in SIDES}
    speed = {side: row["tokens_per_second"] for side, row in sides.items()}
    ratios = {f"tokens/s against {side}": speed["gguf"] / speed[side] for side in SIDES[2:]}
    ratios |= {f"fresh prompts, tokens/s against {side}": speed["gguf-fresh"] / speed[side] for side in SIDES[2:]}
    return {"benchmark": "score", "sides": sides, "ratios": ratios, "at_least": FLOORS}


def one_side(args: argparse.Namespace) -> dict[str, Any]:
    """Answers all prompts and counts generated tokens a second."""
    from scripts.model.logits import let_idle_threads_sleep
    from scripts.model.predict import load_tokenizer

    let_idle_threads_sleep()
    tokenizer = load_tokenizer(args.base)
    cases = prompts(args, tokenizer)
    side = through_server if args.side.startswith("gguf") else by_transformers
    seconds, tokens = side(args, tokenizer, cases)
    return {
        "tokens_per_second": tokens / seconds,
        "seconds": seconds,
        "tokens": tokens,
        "prompts": len(cases),
        "prompt_tokens": sum(len(case.ids) for case in cases),
    }


def prompts(args: argparse.Namespace, tokenizer: Any) -> list[Any]:
    """The first turns of as many conversations as there are slots."""
    from scripts.lib.records import read_records
    from scripts.model.cases import by_record, draw_cases, window_of

    window = window_of(args.base)
    records = read_records(args.records)
    every = draw_cases(records, tokenizer, window=window, max_records=args.slots, max_new_tokens=args.tokens)
    return [case for rows in by_record(every) for case in rows[: args.turns] if case.room == args.tokens]


def timed(work: Callable[[], int]) -> tuple[float, int]:
    """Seconds, and what the work returns: generated tokens."""
    started = time.perf_counter()
    tokens = work()
    return time.perf_counter() - started, tokens


def through_server(args: argparse.Namespace, tokenizer: Any, cases: Sequence[Any]) -> tuple[float, int]:
    """llama.cpp's server, with as many slots as prompts at a time."""
    from scripts.model.cases import waves
    from scripts.model.llama import Server
    from scripts.model.predict import MARGIN

    reuse = args.side == "gguf"
    context = max(len(case.ids) for case in cases) + args.tokens + MARGIN

    def answer(server: Server) -> int:
        groups = waves(cases, args.slots) if reuse else [cases]
        return sum(
            one.tokens
            for group in groups
            for one in server.complete_many([case.prompt for case in group], args.tokens, reuse=reuse, ignore_eos=True)
        )

    with Server(args.gguf, slots=args.slots, context=context) as server:
        server.complete("Once", 1)  # the first request maps the weights
        return timed(lambda: answer(server))


def by_transformers(args: argparse.Namespace, tokenizer: Any, cases: Sequence[Any]) -> tuple[float, int]:
    """transformers' generate on batches of like lengths, or one prompt at a time."""
    import torch
    from transformers import AutoModelForCausalLM

    from scripts.lib import devices

    device = devices.pick_device("auto")
    auto = "bfloat16" if devices.computes_bfloat16(device) else "float32"
    precision = auto if args.precision == "auto" else args.precision
    model = AutoModelForCausalLM.from_pretrained(args.base, dtype=getattr(torch, precision)).to(device).eval()
    size = args.slots if args.side == "transformers" else 1
    ordered = sorted(cases, key=lambda case: len(case.ids))
    batches = [ordered[start : start + size] for start in range(0, len(ordered), size)]

    def answer() -> int:
        return sum(_generated(model, tokenizer, [case.prompt for case in batch], args.tokens) for batch in batches)

    _generated(model, tokenizer, ["Once"], 2)
    return timed(answer)


def _generated(model: Any, tokenizer: Any, texts: list[str], tokens: int) -> int:
    import torch

    inputs = tokenizer(texts, padding=True, padding_side="left", add_special_tokens=False, return_tensors="pt")
    with torch.inference_mode():
        output = model.generate(
            **inputs.to(model.device),
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )
    return (output.shape[1] - inputs["input_ids"].shape[1]) * len(texts)


if __name__ == "__main__":
    arguments = parser().parse_args()
    print(json.dumps(one_side(arguments) if arguments.side else measure(arguments)))
