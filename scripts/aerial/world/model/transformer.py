"""The transformer over codes and poses, after OccWorld (arXiv:2311.16038).

A frame is 1 + places tokens: its pose, then its codes. A block attends within each frame (all places), then along time
at each place, causally: a place attends to itself in this frame and earlier ones.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from scripts.aerial.world.options import WorldModelOptions


class Attention(nn.Module):
    """Multi-head self-attention, [n, tokens, width] to the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor, *, causal: bool) -> torch.Tensor:
        n, tokens, width = x.shape
        parts = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mask = torch.ones(tokens, tokens, dtype=torch.bool, device=x.device).tril() if causal else None
        attended = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=mask)
        return self.out(attended.transpose(1, 2).reshape(n, tokens, width))


class Block(nn.Module):
    """Attention within a frame, attention along time, and a feed-forward layer; [n, frames, places, width]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.space_norm, self.space = nn.LayerNorm(width), Attention(width, heads)
        self.time_norm, self.time = nn.LayerNorm(width), Attention(width, heads)
        self.norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, frames, places, width = x.shape
        flat = self.space_norm(x).reshape(n * frames, places, width)
        x = x + self.space(flat, causal=False).reshape(x.shape)
        flat = self.time_norm(x).transpose(1, 2).reshape(n * places, frames, width)
        x = x + self.time(flat, causal=True).reshape(n, places, frames, width).transpose(1, 2)
        return x + self.feed(self.norm(x))


class Transformer(nn.Module):
    """Predicts the codes of each next frame, and the hidden states that the pose decoder reads.

    Args:
        sides: of the plane of codes.
        frames: the most that it ever takes.
    """

    def __init__(self, sides: tuple[int, int], frames: int, options: WorldModelOptions) -> None:
        super().__init__()
        width = options.width
        self.enter = nn.Linear(options.code_width, width)
        self.place = nn.Parameter(torch.randn(1 + sides[0] * sides[1], width) * 0.02)
        self.time = nn.Parameter(torch.randn(frames, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, options.heads) for _ in range(options.layers))
        self.ahead = nn.Sequential(nn.Linear(6, width), nn.GELU(), nn.Linear(width, width))
        self.last = Block(width, options.heads)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, options.codes)

    def forward(self, vectors: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
        """Hidden states [n, frames, 1 + places, width], the pose's first.

        Args:
            vectors: of codes, [n, frames, code_width, h, w].
            pose: tokens of the poses, [n, frames, width].
        """
        tokens = self.enter(vectors.flatten(3).transpose(2, 3))
        x = torch.cat([pose[:, :, None], tokens], 2)
        x = x + self.place + self.time[: x.shape[1], None]
        for block in self.blocks:
            x = block(x)
        return x

    def codes(self, hidden: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """Logits of the next frame's codes, [n, frames, places, codes], given the motion to it, [n, frames, 6]."""
        x = self.last(hidden + self.ahead(steps)[:, :, None])
        return self.head(self.norm(x[:, :, 1:]))
