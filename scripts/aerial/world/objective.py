"""What a stage is trained on: its losses by name, and statistics of its predictions."""

from __future__ import annotations

from typing import Any

from scripts.aerial.world.options import WorldDataOptions, WorldTrainOptions


def losses_of(
    model: Any, stage: str, batch: dict[str, Any], data: WorldDataOptions, options: WorldTrainOptions
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Losses of a step by name, each with its weight, and the statistics of `seen_in`.

    Args:
        model: a `TransVQVAE`, or a wrapper of one.
        batch: as `Dataset.batch` gives it; the VQ-VAE stage takes only its ``grids`` [n, frames, x, y, z].
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
        steps = batch["steps"]  # metres and radians, [n, frames - 1, 6]; the loss takes voxel sides
        units = steps.new_tensor([data.grid.voxel[0]] * 3 + [1.0] * 3)
        parts |= losses.pose_loss(out["steps"], steps / units, options.loss)
    return parts | {"commitment": out["commitment"]}, seen_in(out["logits"], target, free)


def seen_in(logits: Any, target: Any, free: int) -> dict[str, Any]:
    """Statistics of the probability of being occupied: mean, extremes, rate at 0.5 or more, and the true rate.

    Of a step that several processes share they are of this process's windows.
    """
    from scripts.aerial.world.model.losses import occupied

    probability = occupied(logits.detach(), free)
    return {
        "pred/mean": probability.mean(),
        "pred/min": probability.min(),
        "pred/max": probability.max(),
        "pred/occupancy_rate": (probability >= 0.5).float().mean(),
        "target/occupancy_rate": (target != free).float().mean(),
    }
