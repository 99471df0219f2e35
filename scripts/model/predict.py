"""Predicts assistant turns of the test split greedily, each from its true earlier messages.

A variant is a base, a base with its adapter (both by transformers), or a GGUF file (by llama.cpp's server). Every
variant predicts the same turns, and the same command writes the same bytes. The composition of a batch changes the
last bits of a logit, so another ``batch_size`` or ``slots`` may choose differently between two tokens that are equally
likely.

A prompt that does not fit into the model's context is kept: its completion is empty, its finish is ``overflow``, and
the statistics count it.
"""

from __future__ import annotations

import argparse
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
from scripts.lib.process import keep_memory, peak_resident_bytes
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
from scripts.model.vision import Eyes, eyes_of, for_llama

MARGIN = 8  # tokens of context that llama.cpp may need beyond prompt and answer


@dataclass(frozen=True)
class Outcome:
    """Answers by record id and message index, and the cost of generating them.

    Attributes:
        seconds: time of answering, without loading and full logits.
        memory: peak resident bytes of answering; None where the system does not report it.
    """

    answers: dict[tuple[str, int], Prediction]
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
    stage.add_argument("--mmproj", type=Path, help="the projector of a vision-language GGUF")
    stage.add_argument("--shuffle-pictures", action="store_true", help="show each prompt another one's picture")
    stage.add_argument("--swap-questions", action="store_true", help="ask each prompt what another one is asked")
    stage.add_argument("--tokenizer", type=Path, required=True, help="the base model's folder")
    stage.add_argument("--records", type=Path, required=True, help="test.jsonl")
    stage.add_argument("--out", type=Path, required=True, help="<variant>.jsonl; <variant>.stats.json goes beside it")
    return stage


def main(args: argparse.Namespace) -> None:
    """Writes one row a turn, and the statistics.

    Raises:
        UserError: no prompt fits into the context, or the model, adapter, projector and records do not fit together.
    """
    let_idle_threads_sleep()  # before transformers loads OpenMP
    keep_memory()
    options = PredictOptions.parse(load_params(args.params))
    is_gguf = args.model.suffix == ".gguf"
    # llama.cpp makes its own tokens: rendering needs no transformers, whose import takes longer than many an answer.
    tokenizer = Tokenizer(args.tokenizer) if is_gguf else load_tokenizer(args.tokenizer)
    window, eyes = window_of(args.tokenizer), eyes_of(args.tokenizer)
    records = read_records(args.records)
    if args.swap_questions:
        records = with_others_questions(records)
    cases = draw_cases(
        records,
        tokenizer,
        window=window,
        max_records=options.max_records,
        max_new_tokens=options.max_new_tokens,
        look=lambda record: look(record, args.records, eyes),
    )
    if args.shuffle_pictures:
        cases = with_others_pictures(cases)
    fitting = [case for case in cases if case.room]
    if not fitting:
        raise UserError(f"{args.records}: no prompt fits into {window} tokens; use a base with a longer context.")
    drawn = [rows[0].record for rows in by_record(fitting)]
    texts = {record.id: render(tokenizer, record, look(record, args.records, eyes)[1]) for record in drawn}
    measured = spread([name for name, text in texts.items() if len(text.ids) <= window], options.perplexity_records)
    if is_gguf:
        outcome = with_llama(args, options.slots, fitting, [texts[name] for name in measured], eyes)
    else:
        model = Transformer(args.model, args.adapter, tokenizer, options.device)
        outcome = with_transformers(model, args.variant, fitting, texts, set(measured), options.batch_size)
    write_results(args.variant, args.out, cases, outcome, len(measured))


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer with a chat template and a pad token.

    Raises:
        UserError: the folder has no tokenizer.
    """
    from transformers import AutoTokenizer

    if not (folder / "tokenizer_config.json").is_file():
        raise UserError(f"{folder}: holds no tokenizer; build the base model first, or check --tokenizer.")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    ensure_template(tokenizer)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def with_transformers(
    model: Transformer, variant: str, cases: Sequence[Case], texts: dict[str, Rendered], measured: set[str], batch: int
) -> Outcome:
    """Answers of a base or of a base with its adapter, and the surprise from the same run over the conversations."""
    started = time.perf_counter()
    with tqdm(total=len(cases), desc=variant, unit="answer", mininterval=0.5) as bar:
        predictions, surprise = predict_all(model, by_record(cases), texts, measured, batch, bar.update)
    seconds = time.perf_counter() - started
    answers = {(case.record.id, case.answer): answer for case, answer in zip(cases, predictions, strict=True)}
    engine = f"transformers {model.device} {model.precision}"
    return Outcome(answers, surprise, seconds, peak_resident_bytes() or None, engine)


def with_llama(
    args: argparse.Namespace, most_slots: int, cases: Sequence[Case], texts: Sequence[Rendered], eyes: Eyes | None
) -> Outcome:
    """Answers of a GGUF file through llama.cpp's server; then the surprise of ``texts``, from full logits."""
    from scripts.model.llama import Server

    if args.adapter is not None:
        raise UserError("--adapter: a GGUF file has its adapter merged in; leave --adapter out.")
    if eyes is not None and args.mmproj is None and any(case.pictures for case in cases):
        raise UserError("--mmproj: the prompts show pictures; name the model's projector (mmproj.gguf).")
    context = max(len(case.ids) + case.room for case in cases) + MARGIN
    slots = slots_for(cases, most_slots)
    answers = {}
    with (
        Server(args.model, slots=slots, context=context, mmproj=args.mmproj) as server,
        tqdm(total=len(cases), desc=args.variant, unit="answer", mininterval=0.5) as bar,
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
                completions = server.complete_many(prompts, room, reuse=eyes is None)
                for case, answer in zip(rows, completions, strict=True):
                    answers[case.record.id, case.answer] = Prediction(answer.text, answer.tokens, answer.finish)
                bar.update(len(rows))
        seconds = time.perf_counter() - started
    memory = peak_resident_bytes() or None  # before full logits: they are large, and serving does not compute them
    # Full logits do not take images: the certificate measures the quants of a vision-language model.
    surprise = llama_surprise(args.model, [] if eyes else texts)
    return Outcome(answers, surprise, seconds, memory, "llama.cpp")


def llama_surprise(gguf: Path, texts: Sequence[Rendered]) -> Surprise:
    """The surprise of the answers in rendered conversations."""
    from scipy.special import logsumexp

    surprise = Surprise()
    if not texts:
        return surprise
    with LogitReader(gguf, context=max(len(text.ids) for text in texts)) as reader:
        for text in tqdm(texts, desc="perplexity", unit="text", mininterval=0.5):
            counted = [place for place, on in enumerate(text.mask) if on and place > 0]
            rows = reader.rows(text.ids, [place - 1 for place in counted])
            losses = [float(logsumexp(row)) - float(row[text.ids[at]]) for row, at in zip(rows, counted, strict=True)]
            surprise.add(sum(losses), len(losses))
    return surprise


def write_results(variant: str, out: Path, cases: Sequence[Case], outcome: Outcome, measured: int) -> None:
    """Writes the predictions, a row a case, and the statistics beside them; says a summary.

    Args:
        measured: conversations whose perplexity was measured.
    """
    rows = []
    for case in cases:
        answer = outcome.answers.get((case.record.id, case.answer), OVERFLOW)
        row = {"id": case.record.id, "answer": case.answer, "group": case.record.group}
        row |= {"prompt_tokens": len(case.ids), "completion": answer.text}
        rows.append(row | {"tokens": answer.tokens, "finish": answer.finish})
    write_jsonl(out, rows)
    tokens = sum(answer.tokens for answer in outcome.answers.values())
    overflow = sum(case.room == 0 for case in cases)
    speed, perplexity = tokens / outcome.seconds, outcome.surprise.perplexity
    stats = {
        "variant": variant,
        "engine": outcome.engine,
        "cases": len(cases),
        "overflow": overflow,
        "seconds": round(outcome.seconds, 3),
        "tokens": tokens,
        "tokens_per_second": round(speed, 3),
        "peak_memory_bytes": outcome.memory,
        "perplexity": {"value": perplexity, "tokens": outcome.surprise.tokens, "records": measured},
    }
    write_json(out.with_suffix(".stats.json"), stats)
    summary = f"{variant}: {len(cases)} answers, {speed:.1f} tokens/s"
    summary += f", perplexity {perplexity:.2f}" if perplexity is not None else ""
    say(summary + (f", {overflow} prompts too long for the context" if overflow else ""))


if __name__ == "__main__":
    run(parser, main)
