"""LoRA on a frozen linear layer with fewer passes over memory, for full precision on the CPU.

PEFT computes out = base(x) + lora_B(lora_A(x)) * scaling: two passes over [tokens, out] forward and two over
[tokens, in] backward that only add and scale. Here the matrix multiplication adds the small products itself (addmm):
the same sums, rounded in another order. With G = d loss / d out, U = x Aᵀ [tokens, r] and V = s G B [tokens, r]:

    out = x Wᵀ + b + s U Bᵀ,    d loss / dx = G W + V A,    d loss / dA = Vᵀ x,    d loss / dB = s Gᵀ U
"""

from __future__ import annotations

import types
from typing import Any

import torch


class LoraLinear(torch.autograd.Function):
    """out = x Wᵀ + b + s (x Aᵀ) Bᵀ for x [tokens, in], W [out, in] frozen, A [r, in], B [out, r], scaling s."""

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, a: Any, b: Any, scaling: float) -> Any:
        low = x @ a.t()
        ctx.save_for_backward(x, low, weight, a, b)
        ctx.scaling = scaling
        return torch.nn.functional.linear(x, weight, bias).addmm_(low, b.t(), alpha=scaling)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        x, low, weight, a, b = ctx.saved_tensors
        inner = (gradient @ b).mul_(ctx.scaling)
        of_x = (gradient @ weight).addmm_(inner, a) if ctx.needs_input_grad[0] else None
        return of_x, None, None, inner.t() @ x, (gradient.t() @ low).mul_(ctx.scaling), None


def fuse(model: Any) -> int:
    """Gives every plain LoRA layer of a PEFT model the fused forward; returns how many there are."""
    from peft.tuners.lora.layer import Linear

    layers = [module for module in model.modules() if type(module) is Linear and is_plain(module)]
    for layer in layers:
        layer.forward = types.MethodType(fused_forward, layer)
    return len(layers)


def is_plain(layer: Any) -> bool:
    """Whether a PEFT layer has one adapter on a frozen `torch.nn.Linear`, without dropout, DoRA or bias, in float32."""
    names = list(layer.lora_A)
    base = layer.base_layer
    if len(names) != 1 or layer.lora_variant or type(base) is not torch.nn.Linear:
        return False
    pair = (layer.lora_A[names[0]], layer.lora_B[names[0]])
    return (
        isinstance(layer.lora_dropout[names[0]], torch.nn.Identity)
        and all(type(part) is torch.nn.Linear and part.bias is None for part in pair)
        and {part.weight.dtype for part in (*pair, base)} == {torch.float32}
        and not base.weight.requires_grad
    )


def fused_forward(layer: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """Replaces PEFT's forward; anything but the plain case is left to it."""
    if args or kwargs or layer.disable_adapters or layer.merged or x.dtype != torch.float32:
        return type(layer).forward(layer, x, *args, **kwargs)
    (name,) = layer.active_adapters
    base, a, b = layer.base_layer, layer.lora_A[name].weight, layer.lora_B[name].weight
    flat = x.reshape(-1, x.shape[-1])
    out = LoraLinear.apply(flat, base.weight, base.bias, a, b, layer.scaling[name])
    return out.view(*x.shape[:-1], out.shape[-1])
