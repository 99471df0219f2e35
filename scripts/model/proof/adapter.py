"""The merge keeps the adapter's effect: it outweighs what rounding the merged weights loses.

Weights are merged in float32 and stored in 16 bits. An update smaller than the last bit of its weight is rounded away,
and a comparison of tensors does not show whether that matters. So the logits of three models are compared, each row
centred to mean 0:

    lost = sum((z_merged - z_tuned)^2) / sum((z_tuned - z_base)^2)

z_tuned are the logits of the base with its unmerged adapter.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts.lib.options.export import CertifyOptions
from scripts.lib.records import Record
from scripts.lib.sampling import spread
from scripts.model.proof import logits
from scripts.model.proof.check import Check, below

ADVICE = (
    "16 bits cannot hold so small an update, or this is another adapter's merge: merge again; if that does not help, "
    "set the base's dtype to float16 or float32, or train for longer"
)


def check_effect(
    base: Path, adapter: Path, merged: Path, records: list[Record], options: CertifyOptions, folder: Path | None = None
) -> Check:
    """The share of the adapter's effect on the logits that merging loses; all three models in float32.

    The images of the records are in ``folder``. Memory: two models, and the logits of one record.
    """
    texts = logits.rendered(merged, spread(records, options.logit_records), options.max_tokens, folder)
    tuned, after = load_tuned(base, adapter), logits.merged_float32(merged)
    error = effect = energy = 0.0
    for text in tqdm(texts, desc="merge", unit="text"):
        with tuned.disable_adapter():
            before = logits.reference_logits(tuned, text.ids, text.shown)
        adapted, stored = (logits.reference_logits(model, text.ids, text.shown) for model in (tuned, after))
        error += logits.squared_distance(stored, map(logits.centred, adapted))
        effect += logits.squared_distance(adapted, map(logits.centred, before))
        energy += logits.squared_norm(map(logits.centred, adapted))
    lost = error / effect if effect else math.nan
    count = f"{len(texts)} records, {sum(len(text.ids) for text in texts):,} tokens"
    nmse = f"normalised mean squared error {error / energy:.1e}" if energy else "logits are all alike"
    detail = f"share of the adapter's effect on the logits lost by merging; {count}, {nmse}"
    return below("logits:merged", lost, options.max_effect_lost, detail, ADVICE)


def load_tuned(base: Path, adapter: Path) -> Any:
    """The base with its unmerged adapter, in float32 on the CPU."""
    from peft import PeftModel

    return PeftModel.from_pretrained(logits.load_float32(base), adapter).eval()
