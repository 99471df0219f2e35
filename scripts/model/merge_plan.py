"""The plan of a merge: the source and update of every merged tensor, from names and shapes, before weights are read.

Example: a tied Llama with a LoRA pair on one projection. ``plan`` gives one `Planned` a base tensor, in the base's
order; ``q_proj.weight`` has an update, and every other tensor is copied:

    model.embed_tokens.weight                 source: base   update: None
    model.layers.0.self_attn.q_proj.weight    source: base   update: B [out, r], A [r, in], scaling alpha / r
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from scripts.lib.cli import UserError
from scripts.model.lora import WEIGHTS, Adapter, Update, scaling_of
from scripts.model.tensors import DTYPE_NAMES, ITEM_BYTES, Tensor, same_content

EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight")
HEADS = ("lm_head.weight", "embed_out.weight")
CONV1D_MODELS = {"gpt2", "openai-gpt", "imagegpt", "decision_transformer"}


@dataclass(frozen=True)
class Planned:
    """One tensor of the merged model: the tensor that its values come from, and the update that is added to them."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    source: Tensor
    update: Update | None = None

    @property
    def size(self) -> int:
        """Bytes in the merged model."""
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]


def plan(base: dict[str, Tensor], adapter: Adapter, model_config: dict[str, Any]) -> tuple[list[Planned], bool]:
    """Plans every tensor of the merged model: the base's tensors in the base's order, added tensors at the end.

    An output head that shares the embedding's weight is planned as a tensor of its own, and dropped again where both
    get the same update.

    Returns:
        The planned tensors, and whether tied embeddings must be untied.

    Raises:
        UserError: an adapter tensor has no counterpart in the base, or does not fit it.
    """
    rows = {name: Planned(name, tensor.dtype, tensor.shape, tensor) for name, tensor in base.items()}
    tied = tied_pair(base, model_config)
    if tied:
        head, embedding = tied
        rows[head] = replace(rows[embedding], name=head)
    for name, tensor in adapter.base_layers.items():
        target = find_target(name, rows, adapter)
        for shared in tied if tied and target in tied else (target,):
            rows[shared] = replaced(rows[shared], tensor, adapter)
    for name, tensor in adapter.replacements.items():
        target = find_target(name, rows, adapter)
        rows[target] = replaced(rows[target], tensor, adapter)
    for module, parts in adapter.pairs.items():
        target = find_target(module + ".weight", rows, adapter)
        rows[target] = replace(rows[target], update=build_update(module, parts, rows[target], adapter, model_config))
    unused = sorted(tensor.name for tensor in adapter.tensors if tensor.name not in adapter.used)
    if unused:
        raise UserError(f"{adapter.folder / WEIGHTS}: {len(unused)} tensors are unused: {', '.join(unused[:3])}.")
    if not tied:
        return list(rows.values()), False
    untied = not same_values(rows[head], rows[embedding])
    if not untied:
        rows[head] = replace(rows[embedding], name=head)
        if head not in base:
            del rows[head]
    return list(rows.values()), untied


def tied_pair(base: dict[str, Tensor], model_config: dict[str, Any]) -> tuple[str, str] | None:
    """Names of the output head and of the input embedding whose weight it shares; None where it has its own."""
    embeddings = [name for name in base if name.endswith(EMBEDDINGS)]
    heads = [name for name in base if name.endswith(HEADS)]
    flags = [part.get("tie_word_embeddings") for part in (model_config, model_config.get("text_config") or {})]
    if len(embeddings) != 1 or (heads and not any(flags)):
        return None
    return (heads or HEADS)[0], embeddings[0]


def find_target(name: str, rows: dict[str, Planned], adapter: Adapter) -> str:
    """The model's tensor for an adapter's name: the same name, or the only one that differs by an outer prefix.

    Vision-language models are published with shorter names than their modules have: ``model.layers`` and
    ``visual.blocks`` are ``model.language_model.layers`` and ``model.visual.blocks`` in transformers.

    Raises:
        UserError: no tensor fits, or several do.
    """
    if name in rows:
        return name

    def bare(name: str) -> str:
        return name.removeprefix("model.").removeprefix("language_model.")

    near = [known for known in rows if known.endswith("." + name) or name.endswith("." + known)]
    near = near or [known for known in rows if bare(known) == bare(name)]
    if len(near) != 1:
        raise UserError(
            f"{adapter.folder / WEIGHTS}: the adapter changes {name}, which the base model "
            f"{'does not have' if not near else 'has several times'}; merge it onto the base it was trained on."
        )
    return near[0]


def replaced(row: Planned, tensor: Tensor, adapter: Adapter) -> Planned:
    """A tensor whose values come from the adapter's copy of the whole tensor instead of the base.

    Raises:
        UserError: the copy has another shape, or one of the two is not stored as floats of 16 or 32 bits.
    """
    if tensor.shape != row.shape:
        raise UserError(
            f"{adapter.folder / WEIGHTS}: {tensor.name} has shape {tensor.shape} and the base's {row.name} "
            f"{row.shape}; merge it onto the base it was trained on (a resized vocabulary must be in the base)."
        )
    require_float(row, adapter)
    if tensor.dtype not in DTYPE_NAMES:
        raise UserError(f"{tensor.file}: {tensor.name} is {tensor.dtype}; only BF16, F16 and F32 can be merged.")
    adapter.used.add(tensor.name)
    return replace(row, source=tensor)


def build_update(
    module: str, parts: dict[str, Tensor], row: Planned, adapter: Adapter, model_config: dict[str, Any]
) -> Update:
    """Checks a LoRA pair, A [r, in] and B [out, r], against its weight, stored as [out, in] or (Conv1D) [in, out].

    Raises:
        UserError: half a pair, a convolution's pair, a rank other than the config's, or shapes that do not fit.
    """
    where = f"{adapter.folder / WEIGHTS}: the pair for {module}"
    embedding = "embedding_A" in parts
    down, up = (parts.get(f"embedding_{side}" if embedding else side) for side in "AB")
    if down is None or up is None:
        raise UserError(f"{where} lacks its other half; the adapter is damaged, train or fetch it again.")
    if len(row.shape) != 2 or len(down.shape) != 2 or len(up.shape) != 2:
        raise UserError(f"{where} changes a weight of shape {row.shape}; only matrices can be merged.")
    require_float(row, adapter)
    rank, scaling = scaling_of(module, adapter.config)
    if down.shape[0] != rank or up.shape[1] != rank:
        raise UserError(f"{where} has rank {down.shape[0]}, its config says {rank}; they are of two adapters.")
    linear = (up.shape[0], down.shape[1]) == row.shape
    transposed = (down.shape[1], up.shape[0]) == row.shape
    if linear and transposed:
        fans = adapter.config.get("fan_in_fan_out") or model_config.get("model_type") in CONV1D_MODELS
        linear = not (embedding or fans)
    elif not linear and not transposed:
        raise UserError(
            f"{where} makes {up.shape[0]} x {down.shape[1]}, the base has {row.shape}; use the base it was trained on."
        )
    magnitude = parts.get("magnitude_vector")
    if magnitude is not None and math.prod(magnitude.shape) != up.shape[0]:
        raise UserError(f"{where} has {up.shape[0]} outputs and a magnitude of {magnitude.shape}; train it again.")
    adapter.used.update(tensor.name for tensor in parts.values())
    return Update(down, up, scaling, magnitude, by_row=linear)


def require_float(row: Planned, adapter: Adapter) -> None:
    """Refuses a base tensor that is not stored as floats of 16 or 32 bits.

    Raises:
        UserError: with the tensor's name.
    """
    if row.dtype not in DTYPE_NAMES:
        raise UserError(
            f"{row.source.file}: {row.name} is stored as {row.dtype}, and adapters are merged onto 16 bits; "
            f"merge {adapter.folder} onto the 16-bit model this one was made from."
        )


def same_values(one: Planned, other: Planned) -> bool:
    """Whether two planned tensors will hold the same values: equal sources and equal updates."""
    if (one.update is None) != (other.update is None) or (one.update and not one.update.same(other.update)):
        return False
    return one.source == other.source or same_content(one.source, other.source)
