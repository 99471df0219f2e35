"""The composite loss, part by part. Logits are [..., classes], targets class numbers [...]."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from scripts.aerial.world.model.turns import product, quaternion_of
from scripts.aerial.world.options import WorldLossOptions

SMOOTH = 1.0  # added above and below the line of Dice, which is then 1 where both are empty


def occupied(logits: torch.Tensor, free: int) -> torch.Tensor:
    """The probability that a cell is not free, [...]."""
    return 1 - logits.float().softmax(-1)[..., free]


def focal(logits: torch.Tensor, target: torch.Tensor, free: int, alpha: float, gamma: float) -> torch.Tensor:
    """Focal loss (Lin et al. 2017, arXiv:1708.02002): mean of ``-a (1 - p)^gamma log p``.

    ``p`` is the true class's probability; ``a`` is ``alpha`` for occupied cells and ``1 - alpha`` for free ones;
    two classes give the paper's binary form.
    """
    log_p = F.log_softmax(logits.float(), -1).gather(-1, target.long()[..., None])[..., 0]
    weight = torch.where(target == free, 1 - alpha, alpha)
    return (-weight * (1 - log_p.exp()) ** gamma * log_p).mean()


def dice(probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Dice loss (Milletari et al. 2016, arXiv:1606.04797): ``1 - (2 sum p t + 1) / (sum p + sum t + 1)``."""
    truth = truth.float()
    return 1 - (2 * (probability * truth).sum() + SMOOTH) / (probability.sum() + truth.sum() + SMOOTH)


def mean_matching(probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """The squared difference of mean prediction and mean target: a model that says free everywhere pays for it."""
    return (probability.mean() - truth.float().mean()) ** 2


def occupancy_loss(
    logits: torch.Tensor, target: torch.Tensor, free: int, options: WorldLossOptions
) -> dict[str, torch.Tensor]:
    """The three parts, each with its weight."""
    probability, truth = occupied(logits, free), target != free
    return {
        "focal": options.focal * focal(logits, target, free, options.focal_alpha, options.focal_gamma),
        "dice": options.dice * dice(probability, truth),
        "mean_matching": options.mean_matching * mean_matching(probability, truth),
    }


def pose_loss(said: torch.Tensor, true: torch.Tensor, options: WorldLossOptions) -> dict[str, torch.Tensor]:
    """Of motions [..., 6]: mean distance in voxel sides, and mean sine of half the angle between, times two.

    For small angles the latter is the angle in radians; unlike the arc cosine its slope is finite at 0.
    """
    apart = said[..., :3] - true[..., :3]
    back = quaternion_of(-true[..., 3:])
    vector = product(back, quaternion_of(said[..., 3:]))[..., :3]
    return {
        "position": options.position * torch.sqrt((apart * apart).sum(-1) + 1e-12).mean(),
        "orientation": options.orientation * 2 * torch.sqrt((vector * vector).sum(-1) + 1e-12).mean(),
    }


def code_loss(logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Cross entropy of codes: logits [..., codes], codes [...]."""
    return F.cross_entropy(logits.float().flatten(0, -2), codes.flatten())
