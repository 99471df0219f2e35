"""Decoding token by token on a CPU with less memory traffic; the results differ from transformers' by rounding only.

For every token transformers copies the keys and values of all earlier tokens: once to append the new ones, and, where
several query heads share a key-value head (Ainslie et al. 2023, arXiv:2305.13245), once more for each query head. Here
the tensors of a layer are preallocated, and the query heads that share a key-value head are multiplied together:

    scores [batch, kv heads, group, length] = query [batch, kv heads, group, width] @ key^T [.., width, length]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from scripts.lib.files import read_json

NAME = "shared_heads"
UNUSUAL = ("position_bias", "softcap", "s_aux")  # changes of the scores in some models


class RoomyLayer(DynamicLayer):
    """A layer's keys and values [batch, heads, length, width], preallocated for ``room`` more tokens."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self._whole: list[torch.Tensor] = []

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Appends new keys and values; returns all keys and all values, as views."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if not self._whole or end > self._whole[0].shape[-2]:
            self._whole = []
            for own, new in ((self.keys, key_states), (self.values, value_states)):
                whole = new.new_empty((*new.shape[:2], end + self.room, new.shape[-1]))
                if own.numel():
                    whole[:, :, :start] = own
                self._whole.append(whole)
        for whole, new in zip(self._whole, (key_states, value_states), strict=True):
            whole[:, :, start:end] = new
        self.keys, self.values = (whole[:, :, :end] for whole in self._whole)
        return self.keys, self.values


def with_room(cache: Any, room: int) -> Any:
    """The cache, preallocated for ``room`` more tokens; layers with a sliding window are not changed."""
    for index, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer:
            roomy = RoomyLayer(room)
            if layer.is_initialized:
                roomy.update(layer.keys, layer.values)
            cache.layers[index] = roomy
    return cache


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one new token to all earlier tokens; other calls go to torch's own implementation.

    Args:
        query: [batch, heads, 1, width].
        key, value: [batch, kv heads, length, width].
        attention_mask: [batch, 1, 1, at least length], True or 0 where a token is attended to.

    Returns:
        the output [batch, 1, heads, width].
    """
    groups = getattr(module, "num_key_value_groups", 1)
    if (
        groups == 1
        or query.shape[2] != 1
        or query.device.type != "cpu"
        or any(kwargs.get(name) is not None for name in UNUSUAL)
    ):
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    batch, heads, _, width = query.shape
    scores = query.reshape(batch, heads // groups, groups, width) @ key.transpose(2, 3)
    scores = scores * (width**-0.5 if scaling is None else scaling)
    if attention_mask is not None:
        shown = attention_mask[..., : key.shape[-2]]
        scores = scores.masked_fill(~shown, -torch.inf) if shown.dtype == torch.bool else scores + shown
    output = torch.softmax(scores, dim=-1) @ value
    return output.reshape(batch, 1, heads, -1), None


def register() -> str:
    """Registers `attend` in transformers; returns its name for ``attn_implementation``."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME


def attention_of(folder: Path) -> str | None:
    """The ``attn_implementation`` of a model: `attend` for a language model whose heads share keys, else None."""
    config = read_json(folder / "config.json")
    text = config.get("text_config") or config
    shares = text.get("num_key_value_heads") not in (None, text.get("num_attention_heads"))
    return register() if shares and "vision_config" not in config else None
