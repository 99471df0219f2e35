"""The fused LoRA gives PEFT's outputs and gradients, and leaves to PEFT what is not plain."""

import pytest
import torch
from tiny_models import save_tiny

from scripts.lib.options.train import TrainOptions
from scripts.model import engine
from scripts.model.fused import fuse, fused_forward

IDS = torch.tensor([[5, 6, 7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 17, 18]])


def adapted(folder, *, plain=True, **lora):
    """A tiny model with an adapter that does something; ``plain`` as PEFT made it."""
    model = engine.load_for_training(folder, TrainOptions(lora={"r": 4, **lora}), "cpu", "float32")
    generator = torch.Generator().manual_seed(3)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.2, generator=generator)
    if plain:
        for module in model.modules():
            module.__dict__.pop("forward", None)
    return model


def outcome(model):
    model.zero_grad()
    loss = model(input_ids=IDS, labels=IDS).loss
    loss.backward()
    return loss.detach(), {name: one.grad for name, one in model.named_parameters() if one.grad is not None}


def fused_layers(model):
    return sum(getattr(module.__dict__.get("forward"), "__func__", None) is fused_forward for module in model.modules())


@pytest.mark.parametrize("arch", ["llama", "qwen2"])
@pytest.mark.parametrize("lora", [{}, {"rslora": True, "alpha": 8}])
def test_same_loss_and_gradients_as_peft(arch, lora, tmp_path):
    torch.set_num_threads(1)
    folder = save_tiny(arch, tmp_path / "base", dtype="float32")
    ours, theirs = adapted(folder, plain=False, **lora), adapted(folder, **lora)
    assert fused_layers(ours) == 14  # seven in each of two blocks
    assert fused_layers(theirs) == 0
    (loss, gradients), (expected, wanted) = outcome(ours), outcome(theirs)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    assert gradients.keys() == wanted.keys()
    assert max(gradient.abs().max() for gradient in wanted.values()) > 1e-3
    for name, gradient in wanted.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=1e-6)


def test_without_its_adapter_it_is_the_base(tmp_path):
    folder = save_tiny("llama", tmp_path / "base", dtype="float32")
    ours, theirs = adapted(folder, plain=False), adapted(folder)
    with ours.disable_adapter(), theirs.disable_adapter(), torch.no_grad():
        torch.testing.assert_close(ours(IDS).logits, theirs(IDS).logits)


@pytest.mark.parametrize(("arch", "lora"), [("gpt2", {}), ("llama", {"dropout": 0.1}), ("llama", {"dora": True})])
def test_what_is_not_plain_is_left_to_peft(arch, lora, tmp_path):
    model = adapted(save_tiny(arch, tmp_path / "base", dtype="float32"), plain=False, **lora)
    assert fused_layers(model) == 0
    assert fuse(model) == 0
