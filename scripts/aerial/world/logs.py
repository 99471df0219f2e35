"""Loggers of training: TensorBoard, Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.aerial.world.options import WorldTrainOptions


class Loggers:
    """Writes scalars by name; a logger that was not asked for is not imported."""

    def __init__(self, options: WorldTrainOptions, work: Path, identity: str, step: int) -> None:
        self.board: Any = None
        self.wandb: Any = None
        if "tensorboard" in options.report_to:
            from torch.utils.tensorboard import SummaryWriter

            # A resumed run continues at its last step; what the killed one wrote after that is hidden.
            self.board = SummaryWriter(str(work / "tensorboard"), purge_step=step or None)
        if "wandb" in options.report_to:
            import wandb

            self.wandb = wandb.init(
                project=options.wandb_project,
                name=options.wandb_name,
                tags=options.wandb_tags,
                id=identity,
                resume="allow",
                dir=str(work),
                config=options.model_dump(),
            )

    def log(self, values: Mapping[str, float], step: int) -> None:
        """The scalars of one step."""
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)
        if self.wandb is not None:
            self.wandb.log(dict(values), step=step)

    def close(self) -> None:
        """Flushes what is not written yet."""
        if self.board is not None:
            self.board.close()
        if self.wandb is not None:
            self.wandb.finish()
