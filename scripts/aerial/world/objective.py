"""What a stage is trained on: its losses by name, and what its predictions look like."""

from __future__ import annotations

from typing import Any

from scripts.aerial.world.options import WorldDataOptions, WorldTrainOptions


def losses_of(
    model: Any, stage: str, batch: dict[str, Any], data: WorldDataOptions, options: WorldTrainOptions
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Losses of a batch by name, each with its weight, and the statistics of `seen_in`.

    Args:
        model: a `TransVQVAE`, or what wraps one.
        batch: as `Dataset.batch` gives it; the VQ-VAE stage takes its ``grids`` [n, frames, x, y, z] alone.
    """
    from scripts.aerial.world.model import losses

    free = data.classes.free
    if stage == "vae":
        target = batch["grids"].flatten(0, 1)
        out = model("vae", grids=target)
        parts = losses.occupancy_loss(out["logits"], target, free, options.loss)
    else:
        target = batch["grids"][:, data.history :]
        out = model("transformer", **batch)
        parts = losses.occupancy_loss(out["logits"], target, free, options.loss)
        parts["code"] = options.loss.code * losses.code_loss(out["code_logits"], out["codes"])
        parts |= losses.pose_loss(out["steps"], scaled(batch["steps"], data), options.loss)
    return parts | {"commitment": out["commitment"]}, seen_in(out["logits"], target, free)


def scaled(steps: Any, data: WorldDataOptions) -> Any:
    """Motions [n, frames, 6] in voxel sides and radians."""
    return steps / steps.new_tensor([data.grid.voxel[0]] * 3 + [1.0] * 3)


def seen_in(logits: Any, target: Any, free: int) -> dict[str, Any]:
    """Mean, least and greatest probability of being occupied, the share at 0.5 or more, and the true share."""
    from scripts.aerial.world.model.losses import occupied

    probability = occupied(logits.detach(), free)
    return {
        "pred/mean": probability.mean(),
        "pred/min": probability.min(),
        "pred/max": probability.max(),
        "pred/occupancy_rate": (probability >= 0.5).float().mean(),
        "target/occupancy_rate": (target != free).float().mean(),
    }
