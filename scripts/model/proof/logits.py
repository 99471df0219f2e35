"""Logits: the f16 GGUF answers as the merged model does, and how much each quant costs.

With a row of logits z centred to mean 0, NMSE = sum((z_gguf - z_merged)^2) / sum(z_merged^2) over all positions. A
constant added to a row changes nothing a model says, and would hide everything else. KL divergence is
sum p (log p - log q), p of the f16 file, q of the quant, in nats; perplexity is exp of the mean -log p(token).
Both are taken over answer tokens only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from scripts.lib.chat import Rendered, render
from scripts.lib.cli import UserError
from scripts.lib.options.export import CertifyOptions
from scripts.lib.records import Record
from scripts.model.logits import LogitReader
from scripts.model.proof.check import Check, below, evenly, faults
from scripts.model.vision import Eyes, eyes_of, model_class, pictures_of

NMSE_ADVICE = (
    "it is not the merged model, or llama.cpp computes it differently: delete the GGUF file and convert again, and if "
    "that does not help choose a base that llama.cpp supports"
)
QUANT_ADVICE = "leave this type out of export.quants, or train with a lower learning rate"


def check_parity(merged: Path, f16: Path, records: list[Record], options: CertifyOptions) -> Check:
    """Full logits of the merged model in float32 against the f16 GGUF's; a record's logits are held at a time.

    Raises:
        UserError: the vocabularies have unlike sizes.
    """
    texts = rendered(merged, evenly(records, options.logit_records), options.max_tokens)
    model, reader = merged_float32(merged), f16_reader(f16, options.max_tokens)
    error = energy = 0.0
    tokens = 0
    for text in tqdm(texts, desc="logits", unit="text"):
        reference = reference_logits(model, text.ids)
        if reference.shape[1] != reader.n_vocab:
            raise UserError(f"{f16}: {reader.n_vocab} logits a token, the merged model has {reference.shape[1]}.")
        for ours, theirs in zip(reference, reader.rows(text.ids), strict=True):
            ours, theirs = centred(ours), centred(theirs)
            error += float(np.square(theirs - ours).sum())
            energy += float(np.square(ours).sum())
        tokens += len(text.ids)
    nmse = error / energy if energy else math.nan
    detail = f"{len(texts)} records, {tokens:,} tokens, full vocabulary, transformers in float32 against llama.cpp"
    return below("logits:f16", nmse, options.max_nmse, detail, NMSE_ADVICE)


def load_float32(folder: Path) -> Any:
    """The merged model in transformers, in float32 on the CPU."""
    import torch

    model = model_class(folder).from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return model.eval()


@lru_cache(maxsize=1)
def merged_float32(folder: Path) -> Any:
    """`load_float32` of the merged model, shared by the checks of one certificate; `forget` lets go of it."""
    return load_float32(folder)


@lru_cache(maxsize=1)
def f16_reader(f16: Path, context: int) -> LogitReader:
    """The f16 file, read by the checks of one certificate: what one has read of a text the next need not."""
    return LogitReader(f16, context=context)


@lru_cache(maxsize=1)
def tokenizer_of(folder: Path) -> Any:
    """The merged model's tokenizer in transformers, shared likewise."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def forget() -> None:
    """Lets go of what the checks of a certificate share: files may be others next time."""
    for shared in (merged_float32, f16_reader, tokenizer_of):
        shared.cache_clear()


def reference_logits(model: Any, ids: list[int], shown: dict[str, Any] | None = None) -> np.ndarray:
    """float32 logits [n, vocab] of one text, beside the pictures that it shows."""
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids]), **(shown or {})).logits[0].numpy()


def centred(row: np.ndarray) -> np.ndarray:
    """A row of logits in float64, its mean taken off."""
    row = row.astype(np.float64)
    return row - row.mean()


@dataclass(frozen=True)
class Shown(Rendered):
    """A rendered record with what the model takes beside its ids for the pictures it shows."""

    shown: dict[str, Any] = field(default_factory=dict)


def rendered(folder: Path, records: list[Record], most: int, pictures: Path | None = None) -> list[Shown]:
    """Records as tokens and mask, cut after ``most`` tokens or the model's window; one with pictures is never cut.

    Args:
        pictures: the folder of the records' pictures; none given: the model only reads.
    """
    from scripts.lib.files import read_json
    from scripts.model.weights import context_length

    tokenizer, eyes = tokenizer_of(folder), eyes_of(folder) if pictures else None
    most = min(most, context_length(read_json(folder / "config.json")) or most)
    texts = []
    for record in records:
        if eyes and pictures and record.images:
            texts.append(_shown(tokenizer, record, pictures_of(record, pictures), eyes))
            continue
        text = render(tokenizer, record)
        texts.append(Shown(text.text, text.ids[:most], text.mask[:most]))
    return texts


def _shown(tokenizer: Any, record: Record, paths: list[Path], eyes: Eyes) -> Shown:
    import torch

    text = render(tokenizer, record, [eyes.features(path) for path in paths])
    return Shown(text.text, text.ids, text.mask, eyes.input_of(torch.tensor([text.ids]), paths))


def longest(texts: Sequence[Rendered]) -> int:
    """Tokens of the longest text."""
    return max(len(text.ids) for text in texts)


@dataclass
class Tally:
    """Sums over the answer tokens of one file."""

    tokens: int = 0
    surprise: float = 0.0
    divergence: float = 0.0
    agreed: int = 0
    bad: int = 0

    def add(self, row: np.ndarray, reference: np.ndarray, token: int) -> None:
        """Takes one position: this file's logits and the f16 file's, and the token that stands next."""
        if not (np.isfinite(row).all() and np.isfinite(reference).all()):
            self.bad += 1
            return
        ours, theirs = log_softmax(row), log_softmax(reference)
        self.tokens += 1
        self.surprise -= float(ours[token])
        self.divergence += float((np.exp(theirs) * (theirs - ours)).sum())
        self.agreed += int(ours.argmax() == theirs.argmax())

    def checks(self, name: str) -> list[Check]:
        """What was measured; NaN and infinity are no measurement but a fault."""
        found = [f"logits of {self.bad} positions are not finite"] if self.bad else []
        if not self.tokens:
            found.append("no answer token was measured")
        checks = [faults(f"finite:{name}", found, f"logits of {self.tokens:,} answer tokens are finite", QUANT_ADVICE)]
        if found:
            return checks
        count = f"on {self.tokens:,} answer tokens of held-out text"
        checks.append(_measured(f"perplexity:{name}", math.exp(min(700.0, self.surprise / self.tokens)), count))
        if name != "f16":
            checks.append(
                _measured(f"kl_divergence:{name}", self.divergence / self.tokens, f"from f16, in nats, {count}")
            )
            checks.append(_measured(f"top1_agreement:{name}", self.agreed / self.tokens, f"with f16, {count}"))
        return checks


def _measured(name: str, value: float, detail: str) -> Check:
    return Check(name, "quality", None, value, None, detail)


def log_softmax(row: np.ndarray) -> np.ndarray:
    """log p of every token, float64."""
    row = row.astype(np.float64)
    row -= row.max()
    return row - math.log(float(np.exp(row).sum()))


def measure_quants(
    merged: Path, f16: Path, quants: dict[str, Path], records: list[Record], options: CertifyOptions
) -> list[Check]:
    """Perplexity of the f16 file and of each quant, and how far each quant is from it, on answer tokens.

    All files are read side by side, so that the f16 file's logits are computed once and none are kept.
    """
    texts = rendered(merged, evenly(records, options.quant_records), options.max_tokens)
    if not any(any(text.mask) for text in texts):
        raise UserError(
            f"no answer begins within the first {options.max_tokens} tokens of the records compared; raise "
            "certify.max_tokens, or certify.quant_records"
        )
    tallies = {name: Tally() for name in ("f16", *quants)}
    merged_float32.cache_clear()  # as large as all the others together, and no longer needed
    with ExitStack() as stack:
        others = [stack.enter_context(LogitReader(path, context=longest(texts))) for path in quants.values()]
        readers = [f16_reader(f16, options.max_tokens), *others]
        for text in tqdm(texts, desc="quants", unit="text"):
            for token, rows in answer_rows(text, readers):
                for tally, row in zip(tallies.values(), rows, strict=True):
                    tally.add(row, rows[0], token)
    return [check for name, tally in tallies.items() for check in tally.checks(name)]


def answer_rows(text: Rendered, readers: list[LogitReader]) -> Iterator[tuple[int, tuple[np.ndarray, ...]]]:
    """Each answer token and, from every reader, the row of logits that predicts it."""
    tokens = [at for at in range(1, len(text.ids)) if text.mask[at]]
    positions = [at - 1 for at in tokens]
    streams = [reader.rows(text.ids, positions) for reader in readers]
    for at, *rows in zip(tokens, *streams, strict=True):
        yield text.ids[at], tuple(rows)
