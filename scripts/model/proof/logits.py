"""Logits: the f16 GGUF against the merged model, and the loss of quality of each quant.

With a row of logits z centred to mean 0, NMSE = sum((z_gguf - z_merged)^2) / sum(z_merged^2) over all positions. Rows
are centred because a constant added to a row does not change the prediction, but would dominate the sums. KL
divergence is sum p (log p - log q), p of the f16 file, q of the quant, in nats; perplexity is exp of the mean
-log p(token). Both are means over answer tokens only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax
from tqdm import tqdm

from scripts.lib.chat import Rendered, render
from scripts.lib.cli import UserError
from scripts.lib.files import read_json
from scripts.lib.options.export import CertifyOptions
from scripts.lib.records import Record
from scripts.lib.sampling import spread
from scripts.model.logits import LogitReader
from scripts.model.proof.check import Check, below, faults
from scripts.model.vision import eyes_of, model_class, pictures_of
from scripts.model.weights import context_length

NMSE_ADVICE = (
    "it is not the merged model, or llama.cpp computes it differently: delete the GGUF file and convert again, and if "
    "that does not help choose a base that llama.cpp supports"
)
QUANT_ADVICE = "leave this type out of export.quants, or train with a lower learning rate"


def check_parity(merged: Path, f16: Path, records: list[Record], options: CertifyOptions) -> Check:
    """Full logits of the merged model in float32 against the f16 GGUF's; one record's logits are in memory at a time.

    Raises:
        UserError: the vocabularies differ in size.
    """
    texts = rendered(merged, spread(records, options.logit_records), options.max_tokens)
    model, reader = merged_float32(merged), f16_reader(f16, options.max_tokens)
    error = energy = 0.0
    for text in tqdm(texts, desc="logits", unit="text"):
        reference = reference_logits(model, text.ids)
        if reference.shape[1] != reader.n_vocab:
            raise UserError(f"{f16}: {reader.n_vocab} logits a token, the merged model has {reference.shape[1]}.")
        error += squared_distance(reader.rows(text.ids), map(centred, reference))
        energy += squared_norm(map(centred, reference))
    nmse = error / energy if energy else math.nan
    tokens = sum(len(text.ids) for text in texts)
    detail = f"{len(texts)} records, {tokens:,} tokens, full vocabulary, transformers in float32 against llama.cpp"
    return below("logits:f16", nmse, options.max_nmse, detail, NMSE_ADVICE)


def load_float32(folder: Path) -> Any:
    """A model in transformers, in float32 on the CPU."""
    import torch

    model = model_class(folder).from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return model.eval()


# The checks of one certificate share the merged model, the f16 file (with its key-value cache) and the tokenizer.
merged_float32 = lru_cache(maxsize=1)(load_float32)


@lru_cache(maxsize=1)
def f16_reader(f16: Path, context: int) -> LogitReader:
    """The reader of the f16 file's logits."""
    return LogitReader(f16, context=context)


@lru_cache(maxsize=1)
def tokenizer_of(folder: Path) -> Any:
    """The merged model's tokenizer in transformers."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def forget() -> None:
    """Frees what the checks of a certificate share: the next certificate may be about other files of the same name."""
    for shared in (merged_float32, f16_reader, tokenizer_of):
        shared.cache_clear()


def reference_logits(model: Any, ids: list[int], shown: dict[str, Any] | None = None) -> np.ndarray:
    """float32 logits [n, vocab] of one text; ``shown`` is the model's input for the text's images."""
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids]), **(shown or {})).logits[0].numpy()


def centred(row: np.ndarray) -> np.ndarray:
    """A row of logits in float64, minus its mean."""
    row = row.astype(np.float64)
    return row - row.mean()


def squared_norm(rows: Iterable[np.ndarray]) -> float:
    """Sum of squares of rows that are centred already."""
    return sum(float(np.square(row).sum()) for row in rows)


def squared_distance(rows: Iterable[np.ndarray], reference: Iterable[np.ndarray]) -> float:
    """Sum of squared differences between rows, centred here, and reference rows that are centred already."""
    return sum(float(np.square(centred(row) - other).sum()) for row, other in zip(rows, reference, strict=True))


@dataclass(frozen=True)
class Shown(Rendered):
    """A rendered record with the model's input for its images."""

    shown: dict[str, Any] = field(default_factory=dict)


def rendered(folder: Path, records: list[Record], most: int, pictures: Path | None = None) -> list[Shown]:
    """Records as tokens and mask, cut after ``most`` tokens or the model's window; one with images is never cut.

    Args:
        pictures: the folder of the records' images; None for a language model.
    """
    import torch

    tokenizer, eyes = tokenizer_of(folder), eyes_of(folder) if pictures else None
    most = min(most, context_length(read_json(folder / "config.json")) or most)
    texts = []
    for record in records:
        if eyes and pictures and record.images:
            paths = pictures_of(record, pictures)
            text = render(tokenizer, record, [eyes.features(path) for path in paths])
            texts.append(Shown(text.text, text.ids, text.mask, eyes.input_of(torch.tensor([text.ids]), paths)))
        else:
            text = render(tokenizer, record)
            texts.append(Shown(text.text, text.ids[:most], text.mask[:most]))
    return texts


@dataclass
class Tally:
    """Sums over the answer tokens of one file."""

    tokens: int = 0
    surprise: float = 0.0
    divergence: float = 0.0
    agreed: int = 0
    bad: int = 0

    def add(self, row: np.ndarray, reference: np.ndarray, token: int) -> None:
        """Adds one position.

        Args:
            row: this file's logits [vocab].
            reference: the f16 file's logits [vocab].
            token: the answer token at this position.
        """
        if not (np.isfinite(row).all() and np.isfinite(reference).all()):
            self.bad += 1
            return
        ours, theirs = log_softmax(row.astype(np.float64)), log_softmax(reference.astype(np.float64))
        self.tokens += 1
        self.surprise -= float(ours[token])
        self.divergence += float((np.exp(theirs) * (theirs - ours)).sum())
        self.agreed += int(ours.argmax() == theirs.argmax())

    def checks(self, name: str) -> list[Check]:
        """The measured values; NaN and infinity give a failed check instead."""
        wrong = [f"logits of {self.bad} positions are not finite"] if self.bad else []
        if not self.tokens:
            wrong.append("no answer token was measured")
        finite = faults(f"finite:{name}", wrong, f"logits of {self.tokens:,} answer tokens are finite", QUANT_ADVICE)
        if wrong:
            return [finite]
        count = f"on {self.tokens:,} answer tokens of held-out text"
        measured = [("perplexity", math.exp(min(700.0, self.surprise / self.tokens)), count)]
        if name != "f16":
            measured.append(("kl_divergence", self.divergence / self.tokens, f"from f16, in nats, {count}"))
            measured.append(("top1_agreement", self.agreed / self.tokens, f"with f16, {count}"))
        return [
            finite,
            *(Check(f"{kind}:{name}", "quality", None, value, None, text) for kind, value, text in measured),
        ]


def measure_quants(
    merged: Path, f16: Path, quants: dict[str, Path], records: list[Record], options: CertifyOptions
) -> list[Check]:
    """Perplexity of the f16 file and of each quant, and each quant's divergence from it, on answer tokens.

    All files are read side by side, so that the f16 file's logits are computed once and not kept.

    Raises:
        UserError: the records have no answer token among those compared.
    """
    texts = rendered(merged, spread(records, options.quant_records), options.max_tokens)
    if not any(any(text.mask) for text in texts):
        raise UserError(
            f"no answer begins within the first {options.max_tokens} tokens of the records compared; raise "
            "certify.max_tokens, or certify.quant_records"
        )
    tallies = {name: Tally() for name in ("f16", *quants)}
    merged_float32.cache_clear()  # as large as all the others together, and no longer needed
    context = max(len(text.ids) for text in texts)
    with ExitStack() as stack:
        others = [stack.enter_context(LogitReader(path, context=context)) for path in quants.values()]
        readers = [f16_reader(f16, options.max_tokens), *others]
        for text in tqdm(texts, desc="quants", unit="text"):
            answers = [at for at in range(1, len(text.ids)) if text.mask[at]]
            streams = [reader.rows(text.ids, [at - 1 for at in answers]) for reader in readers]
            for at, *rows in zip(answers, *streams, strict=True):
                for tally, row in zip(tallies.values(), rows, strict=True):
                    tally.add(row, rows[0], text.ids[at])
    return [check for name, tally in tallies.items() for check in tally.checks(name)]


def compare_quants(
    rows: Sequence[np.ndarray], quants: dict[str, Path], tokens: Sequence[int], predict: Callable[[Path], Any]
) -> list[Check]:
    """As `measure_quants`, for rows that are computed file by file and kept.

    Args:
        rows: the f16 file's logits or log-probabilities [vocab] at each position.
        quants: the quantised files by type.
        tokens: the answer token at each position.
        predict: gives the rows of a quantised file at the same positions.
    """
    checks = []
    for name, path in [("f16", None), *quants.items()]:
        tally = Tally()
        for row, reference, token in zip(predict(path) if path else rows, rows, tokens, strict=True):
            tally.add(row, reference, token)
        checks += tally.checks(name)
    return checks
