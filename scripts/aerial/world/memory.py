"""Batch size and precision by what the device has, from a run of the model that computes shapes only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scripts.aerial.world.options import WorldDataOptions, WorldModelOptions, WorldTrainOptions
from scripts.lib.devices import computes_bfloat16, free_memory

MOST_WINDOWS = 32
SHARE = 0.8  # of free memory; the rest is for what libraries keep
STATE_BYTES = 16  # a parameter, its gradient and AdamW's two moments, float32


@dataclass(frozen=True)
class Estimate:
    """Memory of training in bytes: once, and for each window of a batch."""

    fixed: int
    window: int
    free: int

    @property
    def batch(self) -> int:
        """Windows that fit, 1 at least."""
        return max(1, min(MOST_WINDOWS, int((SHARE * self.free - self.fixed) // self.window)))

    def __str__(self) -> str:
        giga = [f"{value / 1e9:.2f} GB" for value in (self.fixed, self.window, self.free)]
        return f"{giga[0]} for weights and optimizer, {giga[1]} a window, {giga[2]} free"


def pick_precision(options: WorldTrainOptions, device: str) -> str:
    """bfloat16 where the device computes in it, float16 on older CUDA devices, else float32."""
    if options.precision != "auto":
        return options.precision
    if computes_bfloat16(device):
        return "bfloat16"
    return "float16" if device == "cuda" else "float32"


def estimate(data: WorldDataOptions, model: WorldModelOptions, options: WorldTrainOptions, device: str) -> Estimate:
    """What training takes: what autograd keeps of one window's forward pass and loss, and half of it again.

    The half is for gradients and what a step makes and drops. The tensors lie on torch's meta device, so nothing is
    computed and nothing allocated. Counted in float32, which is too much where half of it is in 16 bits.
    """
    import torch

    from scripts.aerial.world.loop import stages_of
    from scripts.aerial.world.model.transvqvae import TransVQVAE, freeze
    from scripts.aerial.world.objective import losses_of

    with torch.device("meta"):
        network = TransVQVAE(data, model).eval()
        network.recompute = options.recompute
        batch = blank(data)
    parameters = sum(one.numel() for one in network.parameters())
    most = 0
    for stage, _, frozen in stages_of(options):
        freeze(network, frozen)
        given = {"grids": batch["grids"][:, : options.vae_frames]} if stage == "vae" else batch
        with keeping() as kept:
            losses_of(network, stage, given, data, options)
        own = {one.untyped_storage()._cdata for one in network.parameters()}
        most = max(most, sum(one.nbytes() for key, one in kept.items() if key not in own))
    return Estimate(STATE_BYTES * parameters, int(1.5 * most) + 1, free_memory(device))


@contextlib.contextmanager
def keeping() -> Iterator[dict[int, Any]]:
    """Gives the storages that autograd keeps for the way back, by identity, while the context lasts."""
    import torch

    kept: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        kept.setdefault(storage._cdata, storage)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield kept


def blank(data: WorldDataOptions) -> dict[str, Any]:
    """A batch of one window without content."""
    import torch

    upright = torch.tensor([0.0, 0.0, 0.0, 1.0])
    return {
        "grids": torch.zeros((1, data.frames, *data.grid.shape), dtype=torch.uint8),
        "motion": torch.cat([torch.zeros(3), upright, torch.zeros(6)]).repeat(1, data.frames, 1),
        "steps": torch.zeros(1, data.frames - 1, 6),
        "tilt": upright[None],
    }
