"""Decoding token by token on a CPU with less traffic to memory; the same sums in another order of rounding.

For every token transformers copies the keys and values of the whole past: once to make room for the new ones, and,
where several heads of queries share one of keys and values (Ainslie et al. 2023, arXiv:2305.13245), once more for each
of them. Here a layer has room to grow into, and heads that share are multiplied together.
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
UNUSUAL = ("position_bias", "softcap", "s_aux")  # what some models add to their scores


class RoomyLayer(DynamicLayer):
    """A layer's keys and values [batch, heads, length, width] in tensors with room for more."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self._whole: list[torch.Tensor] = []

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Appends; returns all keys and all values, as views."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if not self._whole or end > self._whole[0].shape[-2]:
            pairs = ((self.keys, key_states), (self.values, value_states))
            self._whole = [self._grown(own, new, end) for own, new in pairs]
        for whole, new in zip(self._whole, (key_states, value_states), strict=True):
            whole[:, :, start:end] = new
        self.keys, self.values = (whole[:, :, :end] for whole in self._whole)
        return self.keys, self.values

    def _grown(self, own: torch.Tensor, new: torch.Tensor, length: int) -> torch.Tensor:
        whole = new.new_empty((*new.shape[:2], length + self.room, new.shape[-1]))
        if own.numel():
            whole[:, :, : own.shape[-2]] = own
        return whole


def with_room(cache: Any, room: int) -> Any:
    """The cache with room for so many more tokens; layers that forget (sliding windows) stay as they are."""
    for at, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer:
            roomy = RoomyLayer(room)
            if layer.is_initialized:
                roomy.update(layer.keys, layer.values)
            cache.layers[at] = roomy
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
    """Attention of one new token [batch, heads, 1, width] to all before it; anything else goes to torch's own."""
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
    said = torch.softmax(scores, dim=-1) @ value
    return said.reshape(batch, 1, heads, -1), None


def register() -> str:
    """Makes `attend` known to transformers; returns its name for ``attn_implementation``."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME


def attention_of(folder: Path) -> str | None:
    """How the text of the model in a folder attends: by `attend` where heads share keys, else by its default."""
    config = read_json(folder / "config.json")
    text = config.get("text_config") or config
    shares = text.get("num_key_value_heads") not in (None, text.get("num_attention_heads"))
    return register() if shares and "vision_config" not in config else None
