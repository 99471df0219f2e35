"""Checkpoints of a run's work folder: written whole or not at all, read as data only.

``<stage>-last.pt`` after each epoch, ``<stage>-epoch-005.pt`` every few, ``<stage>-best.pt`` at the best validation
loss. The last one is written last: after a kill between the files the epoch runs again, with the same outcome.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError
from scripts.lib.files import atomic_path

STAGES = ("vae", "transformer")
KEYS = frozenset({"stage", "epoch", "step", "model", "optimizer", "best", "history"})


def path_of(work: Path, stage: str, which: str | int) -> Path:
    """``which`` is last, best, or the number of an epoch."""
    return work / (f"{stage}-epoch-{which:03d}.pt" if isinstance(which, int) else f"{stage}-{which}.pt")


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint atomically."""
    import torch

    with atomic_path(path) as part:
        torch.save(state, part)


def load(path: Path) -> dict[str, Any]:
    """Reads a checkpoint.

    Raises:
        UserError: it is missing, cut short, or not one of this trainer.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint; check the path.") from None
    except Exception as error:  # pickle, zip and torch raise many kinds
        raise UserError(
            f"{path}: no whole checkpoint ({str(error).splitlines()[0]}); delete it, or resume from another."
        ) from error
    if not isinstance(state, dict) or not state.keys() >= KEYS:
        raise UserError(f"{path}: no checkpoint of this trainer; OccWorld's .pth files go to train.pretrained.")
    return state


def newest(work: Path) -> Path | None:
    """The last checkpoint of the latest stage that has one."""
    paths = [path_of(work, stage, "last") for stage in reversed(STAGES)]
    return next((path for path in paths if path.is_file()), None)
