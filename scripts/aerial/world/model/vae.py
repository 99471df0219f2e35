"""The VQ-VAE of OccWorld: class embedding, 2D encoder with height folded into channels, codes, decoder.

Parameters are named as in OccWorld's `VAERes2D`, so that its weights fit where the widths agree.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from scripts.aerial.world.model.blocks import Level, Middle, Resample, norm
from scripts.aerial.world.model.quantizer import Quantised, VectorQuantizer
from scripts.aerial.world.options import WorldModelOptions

Sides = tuple[int, int]


def plane_sides(sides: Sides, levels: int) -> list[Sides]:
    """Sides of the plane at each level, finest first: each half of the one before, rounded up."""
    planes = [sides]
    for _ in range(levels - 1):
        height, width = planes[-1]
        planes.append(((height + 1) // 2, (width + 1) // 2))
    return planes


class Encoder(nn.Module):
    """[n, height · class_width, x, y] to [n, 2 · channels, x', y']."""

    def __init__(self, folded: int, options: WorldModelOptions) -> None:
        super().__init__()
        widths = [options.channels * factor for factor in options.multipliers]
        self.conv_in = nn.Conv2d(folded, options.channels, 3, padding=1)
        self.down = nn.ModuleList()
        before = options.channels
        for at, width in enumerate(widths):
            last = at == len(widths) - 1
            level = Level(before, width, options.blocks, attention=options.attention and last)
            level.downsample = None if last else Resample(width, 2)
            self.down.append(level)
            before = width
        self.mid = Middle(before)
        self.norm_out, self.conv_out = norm(before), nn.Conv2d(before, 2 * options.channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.conv_in(x)
        for level in self.down:
            h = level(h)
            if level.downsample is not None:
                h = level.downsample(h)
        return self.conv_out(F.silu(self.norm_out(self.mid(h))))


class Decoder(nn.Module):
    """[n, 2 · channels, x', y'] to [n, height · class_width, x, y]."""

    def __init__(self, folded: int, options: WorldModelOptions) -> None:
        super().__init__()
        widths = [options.channels * factor for factor in options.multipliers]
        before = widths[-1]
        self.conv_in, self.mid = nn.Conv2d(2 * options.channels, before, 3, padding=1), Middle(before)
        levels = []
        for at, width in reversed(list(enumerate(widths))):
            level = Level(before, width, options.blocks, attention=options.attention and at == len(widths) - 1)
            level.upsample = Resample(width, 1) if at else None
            levels.insert(0, level)
            before = width
        self.up = nn.ModuleList(levels)
        self.norm_out, self.conv_out = norm(before), nn.Conv2d(before, folded, 3, padding=1)

    def forward(self, z: torch.Tensor, sides: list[Sides]) -> torch.Tensor:
        h = self.mid(self.conv_in(z))
        for at in reversed(range(len(self.up))):
            level = self.up[at]
            h = level(h)
            if level.upsample is not None:
                h = level.upsample(doubled(h, sides[at - 1]))
        return self.conv_out(F.silu(self.norm_out(h)))


def doubled(plane: torch.Tensor, sides: Sides) -> torch.Tensor:
    """The plane upsampled by two, cropped or padded evenly to ``sides``, as in OccWorld."""
    plane = F.interpolate(plane, scale_factor=2.0, mode="nearest")
    y, x = sides[0] - plane.shape[2], sides[1] - plane.shape[3]
    return F.pad(plane, [x // 2, x - x // 2, y // 2, y - y // 2]) if x or y else plane


class VAE(nn.Module):
    """Grids of class numbers to codes and back."""

    def __init__(self, shape: tuple[int, int, int], classes: int, options: WorldModelOptions, seed: int = 0) -> None:
        super().__init__()
        self.shape, self.options = shape, options
        self.sides = plane_sides(shape[:2], len(options.multipliers))
        folded = shape[2] * options.class_width
        self.class_embeds = nn.Embedding(classes, options.class_width)
        self.encoder, self.decoder = Encoder(folded, options), Decoder(folded, options)
        self.vqvae = VectorQuantizer(2 * options.channels, options, seed)

    def encode(self, grids: torch.Tensor) -> Quantised:
        """Quantises class numbers [n, x, y, z]; planes are [n, ., x', y'], the sides as `plane_sides` has them."""
        n, x, y, _ = grids.shape
        folded = self.class_embeds(grids.long()).reshape(n, x, y, -1).permute(0, 3, 1, 2)
        return self.vqvae(self.encoder(folded))

    def decode(self, vectors: torch.Tensor) -> torch.Tensor:
        """Class logits [n, x, y, z, classes] of code vectors [n, code_width, x', y'], by the class embeddings."""
        folded = self.decoder(self.vqvae.post_quant_conv(vectors), self.sides)
        n = len(folded)
        cells = folded.permute(0, 2, 3, 1).reshape(n, *self.shape, self.options.class_width)
        return cells @ self.class_embeds.weight.T
