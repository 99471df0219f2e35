"""TransVQVAE: a VQ-VAE, a transformer over its codes and poses, and history fusion.

Source: OccWorld (Zheng et al. 2023, arXiv:2311.16038). This one differs in three ways: it predicts motions in up to six
degrees of freedom, it predicts the codes of a frame given the motion to it, and, unless ``carry`` is off, it corrects a
predicted frame by what the history grids show of it (`join`). For each frame t to predict:

    hidden = transformer(codes and poses up to t - 1)
    motion = last motion + pose_decoder(hidden)                  [6]
    codes  = codes(hidden, motion)                               [places, codes], logits
    frame  = join(vae.decode(mean code vector), history, motion) [x, y, z, classes], logits

In training the past of every frame is the true one (teacher forcing); in `rollout` it is predicted.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from scripts.aerial.world.model.join import Join, evidence
from scripts.aerial.world.model.precision import in_full
from scripts.aerial.world.model.transformer import Transformer
from scripts.aerial.world.model.turns import composed, matrix_of, quaternion_of, turn_of
from scripts.aerial.world.model.vae import VAE
from scripts.aerial.world.model.warp import past, seen_from
from scripts.aerial.world.options import WorldDataOptions, WorldModelOptions

FREEDOM = {3: (1, 1, 0, 0, 0, 1), 4: (1, 1, 1, 0, 0, 1), 6: (1, 1, 1, 1, 1, 1)}
Tensors = dict[str, torch.Tensor]
History = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class Foretold(NamedTuple):
    """A rollout: class logits [n, future, x, y, z, classes], motions [n, future, 6] (metres, radians)."""

    logits: torch.Tensor
    steps: torch.Tensor


class TransVQVAE(nn.Module):
    """The whole model. Its parts, for freezing and for pretrained weights, are in `part_of`."""

    def __init__(self, data: WorldDataOptions, options: WorldModelOptions, seed: int = 0) -> None:
        super().__init__()
        self.data, self.options = data, options
        self.recompute = False  # whether the backward pass computes predicted frames again, instead of keeping them
        classes, width = len(data.classes.names), options.width
        self.vae = VAE(data.grid.shape, classes, options, seed)
        self.transformer = Transformer(self.vae.sides[-1], data.frames - 1, options)
        self.pose_encoder = nn.Sequential(nn.Linear(13, width), nn.GELU(), nn.Linear(width, width))
        self.pose_decoder = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 6))
        nn.init.zeros_(self.pose_decoder[-1].weight)
        nn.init.zeros_(self.pose_decoder[-1].bias)
        self.join = Join(classes, data.history, data.future, options.carry_width) if options.carry else None
        self.register_buffer("freedom", torch.tensor(FREEDOM[options.dof], dtype=torch.float32), persistent=False)
        scale = [data.grid.voxel[0]] * 3 + [1.0] * 3
        self.register_buffer("unit", torch.tensor(scale, dtype=torch.float32), persistent=False)

    def forward(self, stage: str, **batch: Any) -> Tensors:
        """The outputs that a stage's losses take; one entry point, as `DistributedDataParallel` needs."""
        return self.reconstruct(batch["grids"]) if stage == "vae" else self.teach(**batch)

    def reconstruct(self, grids: torch.Tensor) -> Tensors:
        """The VQ-VAE stage: grids [n, x, y, z] through codes and back."""
        quantised = self.vae.encode(grids)
        return {"logits": self.vae.decode(quantised.vectors), "commitment": quantised.loss, "codes": quantised.codes}

    def teach(self, grids: torch.Tensor, motion: torch.Tensor, steps: torch.Tensor, tilt: torch.Tensor) -> Tensors:
        """The transformer stage with the true past of every frame, from a batch as `Dataset.batch` gives it.

        Returns:
            ``logits`` [n, future, x, y, z, classes], ``code_logits`` [n, frames - 1, places, codes] and the ``codes``
            to be predicted [n, frames - 1, places], ``steps`` [n, frames - 1, 6] in voxel sides and radians, and
            ``commitment``.
        """
        n, frames = grids.shape[:2]
        vectors, codes, commitment = self.encoded(grids)
        hidden = self.transformer(vectors[:, :-1], self.pose_encoder(motion[:, :-1]))
        motions = self.next_steps(hidden, motion[:, :-1])
        code_logits = self.transformer.codes(hidden, steps / self.unit)
        last = self.data.history - 1
        history = (grids[:, : last + 1], motion[:, : last + 1], tilt)
        foresee = functools.partial(checkpoint, self.foresee, use_reentrant=False) if self.recompute else self.foresee
        ahead = [
            foresee(code_logits[:, last + at], history, steps[:, last : last + at + 1], at)
            for at in range(self.data.future)
        ]
        return {
            "logits": torch.stack(ahead, 1),
            "code_logits": code_logits,
            "codes": codes.reshape(n, frames, -1)[:, 1:],
            "steps": motions,
            "commitment": commitment,
        }

    def encoded(self, grids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Code vectors [n, frames, code_width, h, w], codes [n, frames, h, w], and the commitment loss."""
        n, frames = grids.shape[:2]
        quantised = self.vae.encode(grids.flatten(0, 1))
        vectors = quantised.vectors.reshape(n, frames, *quantised.vectors.shape[1:])
        return vectors, quantised.codes.reshape(n, frames, *quantised.codes.shape[1:]), quantised.loss

    def next_steps(self, hidden: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
        """Motions to the next frames [n, frames, 6] in voxel sides and radians: the last motion plus a correction."""
        last = torch.cat([motion[..., :3], turn_of(motion[..., 3:7])], -1)
        with in_full(motion):
            return (last + self.pose_decoder(hidden[:, :, 0].float())) * self.freedom

    def foresee(self, code_logits: torch.Tensor, history: History, steps: torch.Tensor, horizon: int) -> torch.Tensor:
        """Class logits [n, x, y, z, classes] of the predicted frame number ``horizon``, counted from 0.

        The decoder takes the mean of the code vectors under their probabilities, so that gradients reach the logits.

        Args:
            code_logits: [n, places, codes].
            history: grids [n, history, x, y, z], motion [n, history, 13], and the tilt of the last frame [n, 4].
            steps: motions from the last history frame to the predicted one, [n, horizon + 1, 6], metres and radians.
        """
        mean = code_logits.softmax(-1) @ self.vae.vqvae.embedding.weight.to(code_logits.dtype)
        logits = self.vae.decode(mean.transpose(1, 2).unflatten(2, self.vae.sides[-1])).float()
        if self.join is None:
            return logits
        grids, motion, tilt = history
        grid, classes = self.data.grid, self.data.classes
        with in_full(grids), torch.no_grad():
            turns, places = composed(steps, tilt)
            rotation, shift = seen_from(turns[:, -1], places[:, -1], *past(motion, tilt, grid), grid)
            shown = evidence(grids, rotation, shift, grid, classes.free, len(classes.names))
        return self.join(logits, shown, horizon)

    def rollout(self, grids: torch.Tensor, motion: torch.Tensor, tilt: torch.Tensor) -> Foretold:
        """Predicts ``future`` frames from the history alone, each from those before it, predicted ones included.

        Args:
            grids: [n, history, x, y, z].
            motion: [n, history, 13].
            tilt: of the last history frame, [n, 4].
        """
        vectors, _, _ = self.encoded(grids)
        history = (grids, motion, tilt)
        steps: list[torch.Tensor] = []
        frames: list[torch.Tensor] = []
        for at in range(self.data.future):
            hidden = self.transformer(vectors, self.pose_encoder(motion))
            step = self.next_steps(hidden[:, -1:], motion[:, -1:])
            # The motion from each frame to its next: the known ones, and the predicted one.
            known = torch.cat([motion[:, 1:, :3], turn_of(motion[:, 1:, 3:7])], -1)
            code_logits = self.transformer.codes(hidden, torch.cat([known, step], 1))[:, -1]
            steps.append(step * self.unit)
            frames.append(self.foresee(code_logits, history, torch.cat(steps, 1), at))
            codes = code_logits.argmax(-1).unflatten(1, self.vae.sides[-1])
            vectors = torch.cat([vectors, self.vae.vqvae.vectors(codes)[:, None].to(vectors.dtype)], 1)
            # The features of the predicted frame, as `scripts.aerial.world.poses.features` defines them.
            quaternion = quaternion_of(step[..., 3:])
            with in_full(step):
                speed = (matrix_of(quaternion).transpose(-1, -2) @ step[..., :3, None])[..., 0]
            motion = torch.cat([motion, torch.cat([step[..., :3], quaternion, speed, step[..., 3:]], -1)], 1)
        return Foretold(torch.stack(frames, 1), torch.cat(steps, 1))


def part_of(name: str) -> str:
    """Which part a parameter or buffer belongs to: vae, transformer or pose."""
    first = name.split(".")[0]
    return {"vae": "vae", "transformer": "transformer", "join": "transformer"}.get(first, "pose")


def freeze(model: TransVQVAE, frozen: set[str]) -> list[str]:
    """Freezes parts, and unfreezes the others; returns the names of the parameters that learn.

    Code vectors have no gradients: they follow moving averages, unless the VQ-VAE is frozen.
    """
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(part_of(name) not in frozen and name != "vae.vqvae.embedding.weight")
    model.vae.vqvae.frozen = "vae" in frozen
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]
