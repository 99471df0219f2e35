"""Residual and attention blocks on planes of cells, laid out as in OccWorld's and latent diffusion's autoencoders.

The names of parameters are theirs (norm1, conv1, nin_shortcut, proj_out), so that their weights fit.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def norm(channels: int) -> nn.GroupNorm:
    """Group normalisation: 32 groups, or a quarter of the channels if they are at most 32 or no multiple of 32."""
    return nn.GroupNorm(32 if channels > 32 and channels % 32 == 0 else channels // 4, channels, eps=1e-6)


class ResnetBlock(nn.Module):
    """Two normalised convolutions and a skip connection, [n, channels, h, w] to [n, out, h, w]."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = norm(channels), nn.Conv2d(channels, out, 3, padding=1)
        self.norm2, self.conv2 = norm(out), nn.Conv2d(out, out, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(channels, out, 1) if channels != out else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.nin_shortcut is None else self.nin_shortcut(x))


class AttnBlock(nn.Module):
    """Single-head attention among all places of a plane, [n, channels, h, w] to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        y = self.norm(x)
        q, k, v = (layer(y).reshape(n, 1, c, h * w).transpose(2, 3) for layer in (self.q, self.k, self.v))
        attended = F.scaled_dot_product_attention(q, k, v)
        return x + self.proj_out(attended.transpose(2, 3).reshape(n, c, h, w))


class Resample(nn.Module):
    """A convolution that halves the sides of a plane (stride 2), or follows an upsampling (stride 1)."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=stride, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


class Level(nn.Module):
    """The blocks of one level."""

    def __init__(self, channels: int, out: int, blocks: int, *, attention: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(ResnetBlock(channels if at == 0 else out, out) for at in range(blocks))
        self.attn = nn.ModuleList(AttnBlock(out) for _ in range(blocks if attention else 0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for at, block in enumerate(self.block):
            x = block(x)
            if len(self.attn):
                x = self.attn[at](x)
        return x


class Middle(nn.Module):
    """Block, attention, block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1, self.attn_1 = ResnetBlock(channels, channels), AttnBlock(channels)
        self.block_2 = ResnetBlock(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))
