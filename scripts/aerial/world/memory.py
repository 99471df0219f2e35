"""Batch size and precision by what the device has, from a run of the model that computes shapes only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scripts.lib.devices import computes_bfloat16, free_memory
from scripts.lib.options.aerial_world import WorldDataOptions, WorldModelOptions, WorldTrainOptions

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
    """What training takes: every tensor that one window's forward pass and loss make, twice for gradients.

    The tensors lie on torch's meta device, so nothing is computed and nothing allocated. Counted in float32, which is
    too much where half of it is in 16 bits.
    """
    import torch

    from scripts.aerial.world.model.transvqvae import TransVQVAE
    from scripts.aerial.world.objective import losses_of

    with torch.device("meta"):
        network = TransVQVAE(data, model).eval()
        batch = blank(data)
    network.freedom, network.unit = network.freedom.to("meta"), network.unit.to("meta")
    parameters = sum(one.numel() for one in network.parameters())
    stages = (["vae"] if options.vae_epochs else []) + (["transformer"] if options.epochs else [])
    most = 0
    for stage in stages:
        with counting() as counter:
            losses_of(network, stage, batch, data, options)
        most = max(most, counter.bytes)
    return Estimate(STATE_BYTES * parameters, 2 * most, free_memory(device))


def blank(data: WorldDataOptions) -> dict[str, Any]:
    """A batch of one window without content."""
    import torch

    return {
        "grids": torch.zeros((1, data.frames, *data.grid.shape), dtype=torch.uint8),
        "motion": torch.zeros(1, data.frames, 13),
        "steps": torch.zeros(1, data.frames - 1, 6),
        "tilt": torch.zeros(1, 4),
    }


def counting() -> Any:
    """A context that adds up the bytes of every storage made inside it."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Counter(TorchDispatchMode):
        bytes = 0

        def __init__(self) -> None:
            super().__init__()
            self.kept: dict[int, Any] = {}

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = function(*args, **(kwargs or {}))
            for leaf in tree_leaves(made):
                if hasattr(leaf, "untyped_storage"):
                    storage = leaf.untyped_storage()
                    # Kept, so that no later storage takes the place of one that is gone and counts as the same.
                    if self.kept.setdefault(storage._cdata, storage) is storage:
                        self.bytes += storage.nbytes()
            return made

    return Counter()
