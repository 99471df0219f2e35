"""An adapter GGUF: it holds the adapter's pairs, and with it the base's GGUF predicts as the tuned model does."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from scripts.lib.chat import Rendered
from scripts.lib.options.export import CertifyOptions
from scripts.lib.records import Record
from scripts.lib.sampling import spread
from scripts.model.adapter_gguf import adapted, scaled_pair
from scripts.model.gguf_file import GgufFile
from scripts.model.llama import Server
from scripts.model.proof import logits
from scripts.model.proof.adapter import load_tuned
from scripts.model.proof.check import Check, below, faults
from scripts.model.proof.weights import gguf_names
from scripts.model.tensors import read_model

SLACK = 8  # tokens of context that llama.cpp may need beyond the text
MOST_NOISE = 10.0
POSITIONS = 6  # answer tokens of a record that are compared: llama.cpp's server takes a second for each
ADVICE = "build the adapter's GGUF again; if that does not help, ship the merged model"


def check_pairs(base: Path, adapter: Path, gguf: Path, base_gguf: Path) -> Check:
    """Whether the GGUF holds every pair of the adapter, rounded to float16, in any order, and no other tensor.

    llama.cpp stores some rows in another order; the logits show whether the order is right.
    """
    file, wrong, expected = GgufFile(gguf), [], set()
    names = {tensor.name: name for name, tensor in gguf_names(read_model(base), GgufFile(base_gguf))[0].items()}
    for weight, update in adapted(base, adapter).items():
        for part, values in zip("ab", scaled_pair(update), strict=True):
            name = f"{names.get(weight, weight)}.lora_{part}"
            expected.add(name)
            tensor = file.tensors.get(name)
            if tensor is None:
                wrong.append(f"{name} is missing")
            elif tensor.shape != values.shape:
                wrong.append(f"{name} has shape {list(tensor.shape)} where {list(values.shape)} is due")
            else:
                due = values.astype(np.float16).astype(np.float32).ravel()
                if not np.array_equal(np.sort(np.concatenate(list(tensor.values()))), np.sort(due)):
                    wrong.append(f"{name} holds other values than the adapter")
    wrong += [f"{name} is nobody's" for name in sorted(file.tensors.keys() - expected)]
    if file.fields.get("adapter.lora.alpha") != 0:
        wrong.append("adapter.lora.alpha is not 0, so that llama.cpp would scale what is scaled already")
    return faults("pairs", wrong, f"all {len(expected) // 2} pairs of the adapter, none besides", ADVICE)


def measure_adapter(
    base: Path,
    adapter: Path,
    gguf: Path,
    f16: Path,
    quants: dict[str, Path],
    records: list[Record],
    options: CertifyOptions,
) -> list[Check]:
    """Logits of the base's f16 GGUF with the adapter against base and adapter in transformers; then of the quants.

    Rows of logits z are centred to mean 0, squares summed. NMSE = |z_gguf - z_tuned|^2 / |z_tuned|^2; the lost share
    of the adapter's effect is |z_gguf - z_tuned|^2 / |z_tuned - z_base|^2. llama.cpp computes the base a little
    differently from transformers, and the adapter may add only little to that difference. So there is also a limit on
    |z_gguf - z_tuned|^2 / |z_gguf without - z_base|^2: it detects rows in a wrong order where the others are too wide.
    """
    texts = logits.rendered(base, spread(records, options.logit_records), options.max_tokens)
    places = []
    tuned, plain = [], []
    model = load_tuned(base, adapter)
    for text in texts:
        answers = spread([at for at in range(1, len(text.ids)) if text.mask[at]], POSITIONS)
        after = logits.reference_logits(model, text.ids)
        with model.disable_adapter():
            before = logits.reference_logits(model, text.ids)
        places += [(text, at) for at in answers]
        tuned += [logits.centred(after[at - 1]) for at in answers]
        plain += [logits.centred(before[at - 1]) for at in answers]
    predict = partial(log_probabilities, adapter=gguf, places=places)
    rows = predict(f16)
    error, effect = logits.squared_distance(rows, tuned), logits.squared_distance(tuned, plain)
    noise = logits.squared_distance(predict(f16, index=None), plain)
    count = f"{len(places)} answer tokens of {len(texts)} records, full vocabulary"
    measured = [
        ("logits:adapter", logits.squared_norm(tuned), options.max_nmse, count),
        ("effect:adapter", effect, options.max_effect_lost, f"share lost, {count}"),
        ("noise:adapter", noise, MOST_NOISE, f"times the base's own error, {count}"),
    ]
    checks = [
        below(name, error / whole if whole else math.nan, limit, detail, ADVICE)
        for name, whole, limit, detail in measured
    ]
    return checks + logits.compare_quants(rows, quants, [text.ids[at] for text, at in places], predict)


def log_probabilities(
    model: Path, adapter: Path, places: list[tuple[Rendered, int]], index: int | None = 0
) -> list[np.ndarray]:
    """ln p [vocab] of every token at each place (a text and an index in it), by a GGUF with the adapter.

    With ``index`` None the adapter is off.
    """
    context = max(len(text.ids) for text, _ in places) + SLACK
    with Server(model, slots=1, context=context, exact=True, adapters=[adapter]) as server:
        return [
            server.next_token(text.ids[:at], lora=server.only(index))
            for text, at in tqdm(places, desc=model.name, unit="token")
        ]
