"""Batch size and precision that fit the device, measured on a run of the model that computes shapes only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scripts.aerial.world.options import WorldDataOptions, WorldModelOptions, WorldTrainOptions
from scripts.lib.devices import computes_bfloat16, free_memory

MOST_WINDOWS = 32
USABLE = 0.8  # of free memory; libraries keep the rest
STATE_BYTES = 16  # a parameter, its gradient and AdamW's two moments, float32


@dataclass(frozen=True)
class Estimate:
    """Memory of training in bytes: once, and for each window of a batch."""

    fixed: int
    window: int
    free: int

    @property
    def batch(self) -> int:
        """Windows that fit, at least 1."""
        return max(1, min(MOST_WINDOWS, int((USABLE * self.free - self.fixed) // self.window)))

    def __str__(self) -> str:
        fixed, window, free = (f"{value / 1e9:.2f} GB" for value in (self.fixed, self.window, self.free))
        return f"{fixed} for weights and optimizer, {window} a window, {free} free"


def pick_precision(options: WorldTrainOptions, device: str) -> str:
    """bfloat16 where the device computes in it, float16 on older CUDA devices, else float32."""
    if options.precision != "auto":
        return options.precision
    if computes_bfloat16(device):
        return "bfloat16"
    return "float16" if device == "cuda" else "float32"


def estimate(data: WorldDataOptions, model: WorldModelOptions, options: WorldTrainOptions, device: str) -> Estimate:
    """What training takes: all that autograd saves in the forward pass and loss of one window, and half of it again.

    The half is for gradients and temporary tensors. The tensors are on torch's meta device: nothing is computed or
    allocated. Counted in float32, which is too much where a part of them is in 16 bits.
    """
    import torch

    from scripts.aerial.world.loop import stages_of
    from scripts.aerial.world.model.transvqvae import TransVQVAE, freeze
    from scripts.aerial.world.objective import losses_of

    with torch.device("meta"):
        network = TransVQVAE(data, model).eval()
        network.recompute = options.recompute
        batch = blank(data)
    own = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
    most = 0
    for stage, _, frozen in stages_of(options):
        freeze(network, frozen)
        given = {"grids": batch["grids"][:, : options.vae_frames]} if stage == "vae" else batch
        saved: dict[int, Any] = {}  # storages by identity: views of one are counted once

        def keep(tensor: Any, saved: dict[int, Any] = saved) -> Any:
            storage = tensor.untyped_storage()
            saved.setdefault(storage._cdata, storage)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            losses_of(network, stage, given, data, options)
        most = max(most, sum(storage.nbytes() for key, storage in saved.items() if key not in own))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Estimate(STATE_BYTES * parameters, int(1.5 * most) + 1, free_memory(device))


def blank(data: WorldDataOptions) -> dict[str, Any]:
    """A batch of one window without content, as `Dataset.batch` gives it."""
    import torch

    upright = torch.tensor([0.0, 0.0, 0.0, 1.0])
    return {
        "grids": torch.zeros((1, data.frames, *data.grid.shape), dtype=torch.uint8),
        "motion": torch.cat([torch.zeros(3), upright, torch.zeros(6)]).repeat(1, data.frames, 1),
        "steps": torch.zeros(1, data.frames - 1, 6),
        "tilt": upright[None],
    }
