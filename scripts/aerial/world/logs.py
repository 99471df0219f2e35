"""Where training is watched: TensorBoard, Weights & Biases, a bar on the screen."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.aerial.world.options import WorldTrainOptions


class Loggers:
    """Writes numbers by name; nothing that was not asked for is imported."""

    def __init__(self, options: WorldTrainOptions, work: Path, identity: str, step: int) -> None:
        self.board: Any = None
        self.wandb: Any = None
        if "tensorboard" in options.report_to:
            from torch.utils.tensorboard import SummaryWriter

            # A resumed run goes on at its last step; what a killed one wrote after that is hidden.
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
        """One step's numbers."""
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)
        if self.wandb is not None:
            self.wandb.log(dict(values), step=step)

    def close(self) -> None:
        """Everything is written when this returns."""
        if self.board is not None:
            self.board.close()
        if self.wandb is not None:
            self.wandb.finish()


def bar(stage: str, total: int, done: int) -> Any:
    """A bar with steps, loss and time left, on stderr."""
    from tqdm import tqdm

    return tqdm(total=total, initial=done, desc=stage, unit="step", file=sys.stderr)
