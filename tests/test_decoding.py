"""Decoding with shared heads and room to grow: the same answers as transformers' own."""

from __future__ import annotations

import pytest
import torch
from tiny_models import save_tiny
from transformers import AutoModelForCausalLM, DynamicCache

from scripts.model.decoding import RoomyLayer, attend, register, with_room


class Heads:
    """A module as an attention function sees it."""

    num_key_value_groups = 3
    is_causal = True


@pytest.mark.parametrize("mask", [None, "bool", "float"])
def test_shared_heads_attend_as_repeated_ones(mask):
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(2, heads, length, 8, generator=generator) for heads, length in ((6, 1), (2, 11), (2, 11))
    )
    seen = torch.ones(2, 1, 1, 11, dtype=torch.bool)
    seen[1, ..., :4] = False
    given = {None: None, "bool": seen, "float": torch.zeros(2, 1, 1, 11).masked_fill(~seen, -torch.inf)}[mask]
    ours, _ = attend(Heads(), query, key, value, given, scaling=0.3)
    repeated = (one.repeat_interleave(3, dim=1) for one in (key, value))
    theirs = torch.nn.functional.scaled_dot_product_attention(query, *repeated, attn_mask=given, scale=0.3)
    torch.testing.assert_close(ours, theirs.transpose(1, 2))


def test_a_layer_with_room_holds_what_a_growing_one_holds():
    generator = torch.Generator().manual_seed(0)
    cache = DynamicCache()
    pieces = [torch.randn(2, 3, length, 4, generator=generator) for length in (5, 1, 1, 9, 1)]
    cache.update(pieces[0], -pieces[0], 0)
    cache = with_room(cache, 3)
    for piece in pieces[1:]:  # the fourth needs more than the room there is
        keys, values = cache.update(piece, -piece, 0)
    assert type(cache.layers[0]) is RoomyLayer and cache.get_seq_length() == 17
    torch.testing.assert_close(keys, torch.cat(pieces, dim=2), rtol=0, atol=0)
    torch.testing.assert_close(values, -keys, rtol=0, atol=0)


@pytest.mark.parametrize("arch", ["llama", "qwen2", "gpt2"])
def test_answers_are_those_of_transformers(arch, tmp_path):
    folder = save_tiny(arch, tmp_path, dtype="float32")
    ids = torch.tensor([[3, 3, 40, 41, 42, 43], [50, 51, 52, 53, 54, 55]])
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1] * 6])
    said = []
    for way in ("sdpa", register()):
        model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation=way).eval()
        extra = {} if way == "sdpa" else {"past_key_values": with_room(DynamicCache(config=model.config), 21)}
        said.append(model.generate(ids, attention_mask=mask, max_new_tokens=20, do_sample=False, **extra))
    assert torch.equal(*said)
