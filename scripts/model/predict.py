"""Predicts assistant turns of the test split, greedily, each given its true past.

A variant is a base, a base with its adapter (both by transformers), or a GGUF file (by llama.cpp's server). The same
turns are predicted whichever variant is asked, and the same command writes the same bytes. What batches with what does
change the last bits of a logit, so that another ``batch_size``, or ``slots``, may choose differently where two tokens
are equally likely.

A prompt that does not fit into the model's context is no turn left out: its completion is empty, its finish
``overflow``, and the statistics count it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts.lib.chat import Rendered, ensure_template, render
from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import write_json, write_jsonl
from scripts.lib.options.predict import PredictOptions
from scripts.lib.process import keep_memory
from scripts.lib.records import read_records
from scripts.lib.sampling import spread
from scripts.lib.tokenizer import Tokenizer
from scripts.model.cases import (
    OVERFLOW,
    Case,
    Prediction,
    by_record,
    draw_cases,
    slots_for,
    waves,
    window_of,
    with_others_pictures,
    with_others_questions,
)
from scripts.model.dataset import look
from scripts.model.generation import Surprise, Transformer, predict_all
from scripts.model.logits import LogitReader, let_idle_threads_sleep
from scripts.model.vision import eyes_of, for_llama

MARGIN = 8  # tokens of context that llama.cpp may want beyond prompt and answer


@dataclass(frozen=True)
class Outcome:
    """Answers in the order of their cases, and what producing them took."""

    answers: list[Prediction]
    surprise: Surprise
    seconds: float
    memory: int | None
    engine: str


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--variant", required=True, help="the name under which it is scored")
    stage.add_argument("--model", type=Path, required=True, help="a base model's folder, or a GGUF file")
    stage.add_argument("--adapter", type=Path, help="a folder with an adapter of that base")
    stage.add_argument("--mmproj", type=Path, help="the projector of a GGUF model that sees")
    stage.add_argument("--shuffle-pictures", action="store_true", help="show each prompt another one's picture")
    stage.add_argument("--swap-questions", action="store_true", help="ask each prompt what another one is asked")
    stage.add_argument("--tokenizer", type=Path, required=True, help="the base model's folder")
    stage.add_argument("--records", type=Path, required=True, help="test.jsonl")
    stage.add_argument("--out", type=Path, required=True, help="<variant>.jsonl; <variant>.stats.json goes beside it")
    return stage


def main(args: argparse.Namespace) -> None:
    """Writes one row a turn, and the statistics."""
    let_idle_threads_sleep()  # before transformers loads OpenMP
    keep_memory()
    options = PredictOptions.parse(load_params(args.params))
    llama = args.model.suffix == ".gguf"
    # llama.cpp makes its own tokens: rendering needs no transformers, whose import takes longer than many an answer.
    tokenizer = Tokenizer(args.tokenizer) if llama else load_tokenizer(args.tokenizer)
    window, eyes = window_of(args.tokenizer), eyes_of(args.tokenizer)
    records = read_records(args.records)
    cases = draw_cases(
        with_others_questions(records) if args.swap_questions else records,
        tokenizer,
        window=window,
        max_records=options.max_records,
        max_new_tokens=options.max_new_tokens,
        look=lambda record: look(record, args.records, eyes),
    )
    cases = with_others_pictures(cases) if args.shuffle_pictures else cases
    fitting = [case for case in cases if case.room]
    if not fitting:
        raise UserError(f"{args.records}: no prompt fits into {window} tokens; use a base with a longer context.")
    drawn = [rows[0].record for rows in by_record(fitting)]
    texts = {record.id: render(tokenizer, record, look(record, args.records, eyes)[1]) for record in drawn}
    measured = spread([name for name, text in texts.items() if len(text.ids) <= window], options.perplexity_records)
    predicted = with_llama if llama else with_transformers
    outcome = predicted(args, options, tokenizer, fitting, texts, measured)
    answers = dict(zip(map(key_of, fitting), outcome.answers, strict=True))
    write_jsonl(args.out, [row_of(case, answers.get(key_of(case), OVERFLOW)) for case in cases])
    stats = statistics(args.variant, cases, outcome, measured)
    write_json(args.out.with_suffix(".stats.json"), stats)
    say(summary(stats))


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer with a chat template and a pad token.

    Raises:
        UserError: the folder holds none.
    """
    from transformers import AutoTokenizer

    if not (folder / "tokenizer_config.json").is_file():
        raise UserError(f"{folder}: holds no tokenizer; build the base model first, or check --tokenizer.")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    ensure_template(tokenizer)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def key_of(case: Case) -> tuple[str, int]:
    """What names a turn."""
    return case.record.id, case.answer


def with_transformers(
    args: argparse.Namespace,
    options: PredictOptions,
    tokenizer: Any,
    cases: Sequence[Case],
    texts: dict[str, Rendered],
    measured: Sequence[str],
) -> Outcome:
    """Answers of a base or of a base with its adapter; the surprise comes from the same reading."""
    model = Transformer(args.model, args.adapter, tokenizer, options.device)
    started = time.perf_counter()
    with progress(args.variant, len(cases)) as bar:
        answers, surprise = predict_all(model, by_record(cases), texts, set(measured), options.batch_size, bar.update)
    engine = f"transformers {model.device} {model.precision}"
    return Outcome(answers, surprise, time.perf_counter() - started, peak_memory(), engine)


def with_llama(
    args: argparse.Namespace,
    options: PredictOptions,
    tokenizer: Any,
    cases: Sequence[Case],
    texts: dict[str, Rendered],
    measured: Sequence[str],
) -> Outcome:
    """Answers of a GGUF file through llama.cpp's server; then the surprise, from full logits."""
    from scripts.model.llama import Server

    if args.adapter is not None:
        raise UserError("--adapter: a GGUF file has its adapter merged in; leave --adapter out.")
    eyes = eyes_of(args.tokenizer)
    if eyes is not None and args.mmproj is None and any(case.pictures for case in cases):
        raise UserError("--mmproj: the prompts show pictures; name the model's projector (mmproj.gguf).")
    context = max(len(case.ids) + case.room for case in cases) + MARGIN
    slots = slots_for(cases, options.slots)
    answers: dict[tuple[str, int], Prediction] = {}
    with (
        Server(args.model, slots=slots, context=context, mmproj=args.mmproj) as server,
        progress(args.variant, len(cases)) as bar,
    ):
        started = time.perf_counter()
        for wave in waves(cases, slots):
            for room in sorted({case.room for case in wave}):
                rows = [case for case in wave if case.room == room]
                prompts = [
                    for_llama(case.prompt, case.pictures, eyes, server.marker)
                    if eyes and case.pictures
                    else case.prompt
                    for case in rows
                ]
                said = server.complete_many(prompts, room, progress=False, reuse=eyes is None)
                for case, one in zip(rows, said, strict=True):
                    answers[key_of(case)] = Prediction(one.text, one.tokens, one.finish)
                bar.update(len(rows))
        seconds = time.perf_counter() - started
    memory = peak_memory()  # of answering: full logits are wide, and nobody who uses the model computes them
    # Full logits come without pictures: of a model that sees, the certificate measures the quants.
    surprise = llama_surprise(args.model, [texts[name] for name in measured if eyes is None])
    return Outcome([answers[key_of(case)] for case in cases], surprise, seconds, memory, "llama.cpp")


def llama_surprise(gguf: Path, texts: Sequence[Rendered]) -> Surprise:
    """The surprise of the answers in rendered conversations."""
    from scipy.special import logsumexp

    surprise = Surprise()
    if not texts:
        return surprise
    with LogitReader(gguf, context=max(len(text.ids) for text in texts)) as reader:
        for text in progress("perplexity", len(texts), texts):
            counted = [place for place, on in enumerate(text.mask) if on and place > 0]
            rows = reader.rows(text.ids, [place - 1 for place in counted])
            losses = [float(logsumexp(row)) - float(row[text.ids[at]]) for row, at in zip(rows, counted, strict=True)]
            surprise.add(sum(losses), len(losses))
    return surprise


def progress(what: str, total: int, items: Any = None) -> tqdm:
    """A bar with the time left."""
    return tqdm(items, total=total, desc=what, unit="text" if items else "answer", mininterval=0.5)


def row_of(case: Case, answer: Prediction) -> dict[str, Any]:
    """A line of the predictions file."""
    return {
        "id": case.record.id,
        "answer": case.answer,
        "group": case.record.group,
        "prompt_tokens": len(case.ids),
        "completion": answer.text,
        "tokens": answer.tokens,
        "finish": answer.finish,
    }


def statistics(variant: str, cases: Sequence[Case], outcome: Outcome, measured: Sequence[str]) -> dict[str, Any]:
    """What <variant>.stats.json holds; ``seconds`` are those of answering, loading and full logits apart."""
    tokens = sum(answer.tokens for answer in outcome.answers)
    return {
        "variant": variant,
        "engine": outcome.engine,
        "cases": len(cases),
        "overflow": sum(case.room == 0 for case in cases),
        "seconds": round(outcome.seconds, 3),
        "tokens": tokens,
        "tokens_per_second": round(tokens / outcome.seconds, 3),
        "peak_memory_bytes": outcome.memory,
        "perplexity": {
            "value": outcome.surprise.perplexity,
            "tokens": outcome.surprise.tokens,
            "records": len(measured),
        },
    }


def summary(stats: dict[str, Any]) -> str:
    """A line for the person watching."""
    perplexity = stats["perplexity"]["value"]
    return (
        f"{stats['variant']}: {stats['cases']} answers, {stats['tokens_per_second']:.1f} tokens/s"
        + (f", perplexity {perplexity:.2f}" if perplexity is not None else "")
        + (f", {stats['overflow']} prompts too long for the context" if stats["overflow"] else "")
    )


def peak_memory() -> int | None:
    """The most memory this process ever held, in bytes; None where the system does not say.

    From VmHWM in /proc/self/status on Linux, which counts mapped pages of a model file too; else from getrusage.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    run(parser, main)
