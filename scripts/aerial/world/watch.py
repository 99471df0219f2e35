"""Checks during training: a warning where the predictions collapse, an abort on NaN or Inf."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from scripts.lib.cli import UserError, say

NOTHING_LEFT = 1e-4  # a loss this small in the first epoch means that the target is trivial
TOWARDS_ZERO = 0.1  # of the true fraction of occupied cells
UNSURE = 0.5


def collapse(epoch: int, loss: float, seen: Mapping[str, float]) -> list[str]:
    """What is wrong after an epoch (counted from 0), as sentences.

    Args:
        loss: mean over the epoch, all parts.
        seen: the means over the epoch of the statistics of `scripts.aerial.world.objective.seen_in`.
    """
    warnings = []
    if epoch == 0 and loss <= NOTHING_LEFT:
        warnings.append(
            f"the loss is {loss:.1e} in the first epoch: the grids are empty, or a loss is switched off; look at "
            "stats.json of the curated data (occupied_share, classes)."
        )
    true = seen["target/occupancy_rate"]
    if true > 0 and seen["pred/mean"] < TOWARDS_ZERO * true:
        warnings.append(
            f"the mean prediction is {seen['pred/mean']:.1e} where {true:.1e} of the cells are occupied: it collapses "
            "to all free; raise train.loss.mean_matching or train.loss.focal_alpha."
        )
    if true > 0 and seen["pred/max"] < UNSURE:
        warnings.append(
            f"no cell's probability is above {seen['pred/max']:.2f}: nothing is foretold as occupied; train longer, "
            "or raise train.learning_rate."
        )
    return warnings


class Watch:
    """Prints the warnings of each epoch, and keeps all of them for the metadata."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def after_epoch(self, stage: str, epoch: int, loss: float, seen: Mapping[str, float]) -> None:
        """Checks the means of an epoch."""
        for sentence in collapse(epoch, loss, seen):
            self.said.append(f"{stage}, epoch {epoch + 1}: {sentence}")
            say(f"warning: {self.said[-1]}")


def stop_at_nan(value: float, name: str, step: int, learning_rate: float, checkpoint: Path | None) -> None:
    """Aborts on NaN or Inf, before that step is saved.

    Raises:
        UserError: names the last good checkpoint and the learning rate to try.
    """
    if math.isfinite(value):
        return
    kept = f"the last good checkpoint is {checkpoint}" if checkpoint else "there is no checkpoint yet"
    raise UserError(
        f"step {step}: {name} is {value}; {kept}. Try train.learning_rate: {learning_rate / 10:.1e} (a tenth), more "
        "train.warmup_steps, or train.precision: float32."
    )
