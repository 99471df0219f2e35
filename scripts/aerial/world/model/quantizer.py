"""Vector-quantised codes (van den Oord et al. 2017, arXiv:1711.00937), learnt by moving averages (appendix A.1).

Each place of a plane takes the code k of the nearest vector e_k. In training, n_k places of a step choose k, and s_k is
the sum of their vectors:

    N_k <- decay N_k + (1 - decay) n_k,    S_k <- decay S_k + (1 - decay) s_k,    e_k = S_k / N_k.

A code with N_k below ``revive_below`` is hardly chosen any more. It is moved onto a vector of the step, drawn by a
generator that is seeded with the number of updates, so that a resumed run draws the same.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from scripts.aerial.world.model.precision import in_full
from scripts.aerial.world.model.step_sums import mean, rows, total
from scripts.aerial.world.options import WorldModelOptions

EPSILON = 1e-5


class Quantised(NamedTuple):
    """Codes [n, h, w], their vectors [n, code_width, h, w] through which gradients pass, and the commitment loss."""

    codes: torch.Tensor
    vectors: torch.Tensor
    loss: torch.Tensor


class VectorQuantizer(nn.Module):
    """The nearest of ``codes`` vectors for each place of a plane; they are learnt in training, unless frozen."""

    def __init__(self, channels: int, options: WorldModelOptions, seed: int = 0) -> None:
        super().__init__()
        self.options, self.seed, self.frozen = options, seed, False
        self.quant_conv = nn.Conv2d(channels, options.code_width, 1)
        self.post_quant_conv = nn.Conv2d(options.code_width, channels, 1)
        self.embedding = nn.Embedding(options.codes, options.code_width)
        self.embedding.weight.requires_grad_(False)
        nn.init.uniform_(self.embedding.weight, -1 / options.codes, 1 / options.codes)
        self.register_buffer("counts", torch.ones(options.codes))
        self.register_buffer("sums", self.embedding.weight.detach().clone())
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    def forward(self, z: torch.Tensor) -> Quantised:
        """Quantises [n, channels, h, w]; vectors are not yet through ``post_quant_conv``."""
        flat = self.quant_conv(z).movedim(1, 3).float()
        with in_full(flat):
            codes = self.nearest(flat)
        if self.training and not self.frozen:
            self.follow(flat.detach().reshape(-1, flat.shape[-1]), codes.reshape(-1))
        vectors = self.embedding(codes)
        loss = self.options.commitment * mean(F.mse_loss(flat, vectors), flat.numel())
        through = flat + (vectors - flat).detach()
        return Quantised(codes, through.movedim(3, 1), loss)

    def nearest(self, flat: torch.Tensor) -> torch.Tensor:
        """The code of least squared distance for vectors [..., code_width]."""
        book = self.embedding.weight
        return ((book * book).sum(1) - 2 * flat @ book.T).argmin(-1)

    def vectors(self, codes: torch.Tensor) -> torch.Tensor:
        """Vectors of codes [n, h, w], [n, code_width, h, w]."""
        return self.embedding(codes).movedim(3, 1)

    @torch.no_grad()
    def follow(self, flat: torch.Tensor, codes: torch.Tensor) -> None:
        """Updates the moving averages; ``flat`` is [places, code_width], ``codes`` [places]."""
        counts = torch.zeros_like(self.counts).index_add_(0, codes, torch.ones_like(codes, dtype=self.counts.dtype))
        sums = torch.zeros_like(self.sums).index_add_(0, codes, flat)
        decay = self.options.decay
        self.counts.mul_(decay).add_(total(counts), alpha=1 - decay)
        self.sums.mul_(decay).add_(total(sums), alpha=1 - decay)
        self.embedding.weight.copy_(self.sums / self.counts.clamp_min(EPSILON)[:, None])
        self.updates += 1
        self.revive(flat)

    def revive(self, flat: torch.Tensor) -> None:
        """Moves codes that are hardly chosen onto vectors of this step, drawn without repetition while they last."""
        dead = torch.nonzero(self.counts < self.options.revive_below)[:, 0]
        if not len(dead):
            return
        # Drawn among the vectors of all processes; each fills in those that are its own, and the sum has all.
        before, count = rows(flat)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + int(self.updates))
        picks = torch.randperm(count, generator=generator)[: len(dead)].to(flat.device) - before
        own = (picks >= 0) & (picks < len(flat))
        drawn = flat.new_zeros(len(picks), flat.shape[1])
        drawn[own] = flat[picks[own]]
        dead, drawn = dead[: len(drawn)], total(drawn)
        self.embedding.weight[dead] = drawn
        self.sums[dead] = drawn
        self.counts[dead] = 1.0
