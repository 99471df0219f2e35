"""The composite loss, part by part. Logits are [..., classes], targets class numbers [...].

Every mean and sum is over all windows of a step, in whichever process they are (`step_sums`).
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from scripts.aerial.world.model.step_sums import mean, total
from scripts.aerial.world.model.turns import product, quaternion_of
from scripts.aerial.world.options import WorldLossOptions

SMOOTH = 1.0  # added to numerator and denominator of Dice, whose loss is then 0 where both grids are empty


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
    return mean((-weight * (1 - log_p.exp()) ** gamma * log_p).mean(), log_p.numel())


def dice(probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Dice loss (Milletari et al. 2016, arXiv:1606.04797): ``1 - (2 sum p t + 1) / (sum p + sum t + 1)``."""
    truth = truth.float()
    both, sums = total((probability * truth).sum()), total(probability.sum() + truth.sum())
    return 1 - (2 * both + SMOOTH) / (sums + SMOOTH)


def mean_matching(probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """The squared difference of mean prediction and mean target: high for a model that predicts free everywhere."""
    return mean(probability.mean() - truth.float().mean(), truth.numel()) ** 2


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


def pose_loss(predicted: torch.Tensor, true: torch.Tensor, options: WorldLossOptions) -> dict[str, torch.Tensor]:
    """Of motions [..., 6]: mean distance in voxel sides, and twice the mean sine of half the angle between them.

    For small angles the latter is the angle in radians; unlike the arc cosine its slope is finite at 0.
    """
    apart = predicted[..., :3] - true[..., :3]
    inverse = quaternion_of(-true[..., 3:])
    vector = product(inverse, quaternion_of(predicted[..., 3:]))[..., :3]
    distance, sine = (torch.sqrt((value * value).sum(-1) + 1e-12) for value in (apart, vector))
    return {
        "position": options.position * mean(distance.mean(), distance.numel()),
        "orientation": options.orientation * 2 * mean(sine.mean(), sine.numel()),
    }


def code_loss(logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Cross entropy of codes: logits [..., codes], codes [...]."""
    return mean(F.cross_entropy(logits.float().flatten(0, -2), codes.flatten()), codes.numel())
