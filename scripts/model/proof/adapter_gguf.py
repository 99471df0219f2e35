"""An adapter GGUF: it holds the adapter's pairs, and with it the base's GGUF answers as the tuned model does."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from tqdm import tqdm

from scripts.lib.chat import Rendered
from scripts.lib.options.export import CertifyOptions
from scripts.lib.records import Record
from scripts.model.adapter_gguf import adapted, scaled_pair
from scripts.model.gguf_file import GgufFile
from scripts.model.llama import Server
from scripts.model.proof.adapter import load_tuned
from scripts.model.proof.check import Check, below, evenly, faults
from scripts.model.proof.logits import Tally, centred, longest, reference_logits, rendered
from scripts.model.proof.weights import gguf_names
from scripts.model.tensors import read_model

ROOM = 8  # tokens of context that llama.cpp may want beyond the text
MOST_NOISE = 10.0
POSITIONS = 6  # answer tokens of a record that are compared: llama.cpp's server takes a second for each
ADVICE = "build the adapter's GGUF again; if that does not help, ship the merged model"


def check_pairs(base: Path, adapter: Path, gguf: Path, base_gguf: Path) -> Check:
    """Whether the GGUF holds every pair of the adapter, rounded to float16, in whatever order, and nothing besides.

    llama.cpp wants some rows in another order; what the order does is proved by the logits.
    """
    file, wrong, expected = GgufFile(gguf), [], set()
    names = {tensor.name: there for there, tensor in gguf_names(read_model(base), GgufFile(base_gguf))[0].items()}
    for row in adapted(base, adapter):
        assert row.update is not None
        for part, values in zip("ab", scaled_pair(row.update.load()), strict=True):
            there = f"{names.get(row.name, row.name)}.lora_{part}"
            expected.add(there)
            here = file.tensors.get(there)
            if here is None:
                wrong.append(f"{there} is missing")
            elif here.shape != values.shape:
                wrong.append(f"{there} has shape {list(here.shape)} where {list(values.shape)} is due")
            elif not _same_values(np.concatenate(list(here.values())), values.astype(np.float16)):
                wrong.append(f"{there} holds other values than the adapter")
    wrong += [f"{name} is nobody's" for name in sorted(file.tensors.keys() - expected)]
    if file.fields.get("adapter.lora.alpha") != 0:
        wrong.append("adapter.lora.alpha is not 0, so that llama.cpp would scale what is scaled already")
    return faults("pairs", wrong, f"all {len(expected) // 2} pairs of the adapter, none besides", ADVICE)


def _same_values(here: np.ndarray, due: np.ndarray) -> bool:
    return np.array_equal(np.sort(here), np.sort(due.astype(np.float32).ravel()))


def measure_adapter(
    base: Path,
    adapter: Path,
    gguf: Path,
    f16: Path,
    quants: dict[str, Path],
    records: list[Record],
    options: CertifyOptions,
) -> list[Check]:
    """Logits of the base's f16 GGUF with the adapter against base and adapter in transformers; then what quants cost.

    Rows of logits z are centred to mean 0, squares summed. NMSE = |z_gguf - z_tuned|^2 / |z_tuned|^2; the share
    of the adapter's effect that is lost is |z_gguf - z_tuned|^2 / |z_tuned - z_base|^2. llama.cpp computes the base a
    little differently from transformers; the adapter may not add much to that, which finds rows in a wrong order where
    the two limits are too wide: |z_gguf - z_tuned|^2 / |z_gguf without - z_base|^2.
    """
    texts = rendered(base, evenly(records, options.logit_records), options.max_tokens)
    places = [(text, at) for text in texts for at in answer_places(text)]
    tuned, plain = _reference(base, adapter, texts)
    told, without = _told(f16, gguf, places), _told(f16, gguf, places, None)
    error, noise, effect = _distance(told, tuned), _distance(without, plain), _distance(tuned, plain)
    energy = sum(float(np.square(row).sum()) for row in tuned)
    count = f"{len(places)} answer tokens of {len(texts)} records, full vocabulary"
    checks = [
        below("logits:adapter", _ratio(error, energy), options.max_nmse, count, ADVICE),
        below("effect:adapter", _ratio(error, effect), options.max_effect_lost, f"share lost, {count}", ADVICE),
        below("noise:adapter", _ratio(error, noise), MOST_NOISE, f"times the base's own error, {count}", ADVICE),
    ]
    for name, path in {"f16": f16, **quants}.items():
        tally = Tally()
        rows = told if name == "f16" else _told(path, gguf, places)
        for (text, at), row, reference in zip(places, rows, told, strict=True):
            tally.add(row, reference, text.ids[at])
        checks += tally.checks(name)
    return checks


def _reference(base: Path, adapter: Path, texts: list[Rendered]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Centred logits before each place, by transformers in float32: with the adapter, and without."""
    model = load_tuned(base, adapter)
    tuned, plain = [], []
    for text in texts:
        after = reference_logits(model, text.ids)
        with model.disable_adapter():
            before = reference_logits(model, text.ids)
        tuned += [centred(after[at - 1]) for at in answer_places(text)]
        plain += [centred(before[at - 1]) for at in answer_places(text)]
    return tuned, plain


def _distance(some: list[np.ndarray], others: list[np.ndarray]) -> float:
    return sum(float(np.square(centred(one) - other).sum()) for one, other in zip(some, others, strict=True))


def _ratio(error: float, whole: float) -> float:
    return error / whole if whole else math.nan


def answer_places(text: Rendered) -> list[int]:
    """Answer tokens of a text that are compared, spread evenly over it."""
    return evenly([at for at in range(1, len(text.ids)) if text.mask[at]], POSITIONS)


def _told(model: Path, adapter: Path, places: list[tuple[Rendered, int]], index: int | None = 0) -> list[np.ndarray]:
    """ln p after the text before each place, by a GGUF with the adapter; with ``index`` None without it."""
    context = longest([text for text, _ in places]) + ROOM
    with Server(model, slots=1, context=context, exact=True, adapters=[adapter]) as server:
        return [
            server.next_token(text.ids[:at], lora=server.only(index))
            for text, at in tqdm(places, desc=model.name, unit="token")
        ]
