"""Options of the occupancy world model: its data, the model, training, scoring, export.

A file of config/aerial/ has these five sections; `scripts.aerial.world.settings` reads it.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from scripts.lib.options.split import SplitOptions
from scripts.lib.options.strict import Options
from scripts.lib.options.train import SHARED_NOT_IDENTITY, SharedTrainOptions

PARTS = ("vae", "transformer", "pose")


class WorldGridOptions(Options):
    """The cells of a frame around the ego vehicle.

    A range that is not a whole number of voxels is cut at its upper end: [-2, 150] m in voxels of 1.25 m are 121 cells,
    and the top 0.75 m is left out.
    """

    range: list[float] = Field(default=[-40.0, -40.0, -2.0, 40.0, 40.0, 150.0], min_length=6, max_length=6)
    """metres: lowest x, y, z, highest x, y, z"""
    voxel: list[float] = Field(default=[0.4, 0.4, 1.25], min_length=3, max_length=3)
    """metres a side"""
    anchor: Literal["level", "ego"] = "level"
    """level: x and y from the ego vehicle, turned by its yaw alone, z absolute; ego: turned by the whole orientation, z
    from the ego vehicle, as in nuScenes"""

    @model_validator(mode="after")
    def _has_cells(self) -> WorldGridOptions:
        if min(self.voxel) <= 0 or min(self.shape) < 1:
            raise ValueError(f"range {self.range} holds no whole voxel of {self.voxel}")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells along x, y and z."""
        sides = (high - low for low, high in zip(self.range[:3], self.range[3:], strict=True))
        # 1e-6: 80 / 0.4 is a hair below 200.
        x, y, z = (math.floor(side / voxel + 1e-6) for side, voxel in zip(sides, self.voxel, strict=True))
        return x, y, z


class WorldClassOptions(Options):
    """The classes of a model, and how the numbers of a data set map to them."""

    names: list[str] = Field(default=["free", "ground", "tree", "building"], min_length=2, max_length=255)
    """the number of a class is its index here"""
    free: int = Field(default=0, ge=0)
    """the number of empty cells"""
    ground: list[int] = [1]
    """numbers left out where a score is without ground"""
    merge: dict[int, int] = {}
    """number in the data to number in `names`; numbers that are not listed stay"""

    @model_validator(mode="after")
    def _numbers_are_known(self) -> WorldClassOptions:
        numbers = {self.free, *self.ground, *self.merge.values()}
        if strange := sorted(number for number in numbers if not 0 <= number < len(self.names)):
            raise ValueError(f"{strange[0]} is no number of a class: names has {len(self.names)}")
        if self.free in self.ground:
            raise ValueError(f"{self.free} cannot be both free and ground")
        return self


class WorldSplitOptions(SplitOptions):
    """Train, val and test by location."""

    block: float = Field(default=200.0, gt=0)
    """metres a side of the squares of ground; each square belongs to one split"""
    buffer: float = Field(default=80.0, ge=0)
    """least distance in metres between frames of two splits; 80 is a grid's side"""
    max_per_split: int | None = Field(default=None, ge=1)
    """at most so many windows of val and of test, drawn evenly; none given: all"""


class WorldDataOptions(Options):
    """From recorded or made frames to windows of history and future."""

    layout: Literal["session", "occ3d", "uavscenes"] = "session"
    """session: folders of occupancy/ and poses/; occ3d: gts/ with annotations.json; uavscenes: labelled LiDAR points"""
    grid: WorldGridOptions = WorldGridOptions()
    classes: WorldClassOptions = WorldClassOptions()
    history: int = Field(default=4, ge=2)
    """frames that the model takes"""
    future: int = Field(default=6, ge=1)
    """frames that it predicts"""
    stride: int = Field(default=1, ge=1)
    """frames from the start of a window to that of the next one"""
    dt: float = Field(default=0.5, gt=0)
    """seconds between frames; layouts with time stamps measure their own"""
    unit_tolerance: float = Field(default=1e-3, gt=0)
    """largest difference of a quaternion's length from 1"""
    max_bad_share: float = Field(default=0.2, ge=0, le=1)
    """a larger fraction of quarantined frames stops the build"""
    lidar_to_camera: list[float] = Field(default=[0, -1, 0, 0, 0, 0, -1, 0, 1, 0, 0, 0], min_length=12, max_length=12)
    """uavscenes: rows of the 3 × 4 matrix from LiDAR to camera coordinates; the default only turns the axes"""
    split: WorldSplitOptions = WorldSplitOptions()

    @property
    def frames(self) -> int:
        """Frames of a window."""
        return self.history + self.future


class WorldModelOptions(Options):
    """TransVQVAE (OccWorld: Zheng et al. 2023, arXiv:2311.16038)."""

    class_width: int = Field(default=8, ge=1)
    """numbers in the embedding of a class; height is folded into channels: height × this"""
    channels: int = Field(default=64, ge=4, multiple_of=4)
    """of the encoder's first level"""
    multipliers: list[int] = Field(default=[1, 2, 4], min_length=1)
    """channels of each level; every level but the last halves the grid's sides"""
    blocks: int = Field(default=2, ge=1)
    """residual blocks a level"""
    attention: bool = True
    """attention in the blocks of the coarsest level"""
    codes: int = Field(default=512, ge=2)
    code_width: int = Field(default=128, ge=1)
    commitment: float = Field(default=0.25, ge=0)
    """weight of the squared distance from the encoder's output to its code"""
    decay: float = Field(default=0.99, ge=0, lt=1)
    """of the moving averages from which the codes are learnt"""
    revive_below: float = Field(default=0.01, ge=0)
    """a code whose moving count falls below this is moved onto an output of the encoder; 0: never"""
    width: int = Field(default=256, ge=8)
    """of the transformer"""
    layers: int = Field(default=4, ge=1)
    heads: int = Field(default=8, ge=1)
    dof: Literal[3, 4, 6] = 4
    """of the ego motion: 3: x, y, yaw (a car); 4: also z (a drone that stays level); 6: also roll and pitch"""
    carry: bool = True
    """history fusion: the history grids, moved by the predicted motion, correct each predicted grid; not in OccWorld"""
    carry_width: int = Field(default=16, ge=1)
    """hidden channels of the fusion layers"""

    @model_validator(mode="after")
    def _heads_fit(self) -> WorldModelOptions:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        return self


class WorldLossOptions(Options):
    """The composite loss; its parts are formulas of `scripts.aerial.world.model.losses`."""

    focal: float = Field(default=1.0, ge=0)
    focal_alpha: float = Field(default=0.99, gt=0, lt=1)
    """weight of occupied cells; that of free ones is 1 minus this"""
    focal_gamma: float = Field(default=2.0, ge=0)
    dice: float = Field(default=1.0, ge=0)
    mean_matching: float = Field(default=10.0, ge=0)
    """weight of the squared difference of mean prediction and mean target, against a collapse to all free"""
    code: float = Field(default=1.0, ge=0)
    """cross entropy of the next frame's codes"""
    position: float = Field(default=1.0, ge=0)
    """of the ego motion's error in voxel sides"""
    orientation: float = Field(default=1.0, ge=0)
    """of its error in radians"""


class WorldTrainOptions(SharedTrainOptions):
    """What makes a training run what it is."""

    vae_epochs: int = Field(default=50, ge=0)
    """of the VQ-VAE stage, which is first; 0 if its weights come from `pretrained`"""
    epochs: int = Field(default=50, ge=0)
    """of the transformer stage"""
    vae_frames: int = Field(default=2, ge=1)
    """frames of each window that a step of the VQ-VAE stage takes; neighbours are much alike"""
    max_steps: int | None = Field(default=None, ge=1)
    """each stage stops here, if its epochs are longer"""
    batch_size: int | Literal["auto"] = "auto"
    """windows of a step, which its processes share; auto: as many as the memory of one device takes, 32 at most"""
    precision: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    recompute: bool = False
    """compute each predicted frame again in the backward pass: less memory, more time, the same result"""
    freeze_vae: bool = True
    """in the transformer stage"""
    freeze_transformer: bool = False
    freeze_pose: bool = False
    pretrained: str | None = None
    """a .pth of OccWorld, or a model.safetensors of this project, to start from"""
    pretrained_parts: list[Literal["vae", "transformer", "pose"]] = Field(default=["vae"], min_length=1)
    """parts taken from it, each whole or not at all"""
    learning_rate: float = Field(default=1e-4, gt=0)
    final_learning_rate: float = Field(default=1e-6, ge=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup_steps: int = Field(default=100, ge=0)
    max_grad_norm: float = Field(default=35.0, gt=0)
    loss: WorldLossOptions = WorldLossOptions()
    eval_windows: int | None = Field(default=None, ge=1)
    """windows of val to evaluate on after each epoch, spread evenly; none given: all"""
    save_epochs: int = Field(default=5, ge=1)
    """a checkpoint is kept every so many epochs, besides the last one and the best"""
    save_minutes: float = Field(default=10.0, ge=0)
    """within an epoch the last checkpoint is saved every so many minutes; 0: after every step"""
    wandb_project: str = "questline-aerial"
    wandb_name: str | None = None
    wandb_tags: list[str] = []
    seed: int = 42

    @model_validator(mode="after")
    def _settings_fit_together(self) -> WorldTrainOptions:
        if self.batch_size == "auto":
            if self.machines > 1:
                raise ValueError("batch_size: auto is measured on one machine; give a number with machines > 1")
        elif self.batch_size < 1:
            raise ValueError("batch_size is auto or at least 1")
        elif self.batch_size % self.processes:
            raise ValueError(
                f"{self.processes} processes cannot share the {self.batch_size} windows of a step evenly; change "
                "batch_size or the number of processes"
            )
        if self.epochs and self.freeze_vae and self.freeze_transformer and self.freeze_pose:
            raise ValueError("freeze_vae, freeze_transformer and freeze_pose leave nothing to learn")
        if not self.epochs and not self.vae_epochs:
            raise ValueError("vae_epochs and epochs are both 0; nothing would be trained")
        return self


# Not part of a run's identity: what labels it, and what says where it runs and how it is watched.
WORLD_WATCHED = SHARED_NOT_IDENTITY | {
    "wandb_project",
    "wandb_name",
    "wandb_tags",
    "save_epochs",
    "save_minutes",
    "recompute",
}
# Batch size and precision enter the identity as they were resolved, the weights to start from by content.
WORLD_NOT_IDENTITY = WORLD_WATCHED | {"batch_size", "precision", "pretrained"}


class WorldScoreOptions(Options):
    """How predicted occupancy is scored."""

    threshold: float | Literal["auto"] = "auto"
    """least probability of being occupied at which a cell counts as occupied; auto: the one of the best IoU without
    ground on val"""
    max_windows: int | None = Field(default=None, ge=1)
    """windows of the test split, spread evenly; none given: all"""
    threshold_windows: int = Field(default=32, ge=1)
    """windows of val that the threshold is chosen on, spread evenly"""
    batch_size: int = Field(default=1, ge=1)
    resamples: int = Field(default=2000, ge=100)
    """of the bootstrap; whole blocks of ground are resampled"""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    seed: int = 7
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"


class WorldExportOptions(Options):
    """The model as ONNX, and how close its outputs must be to those of PyTorch."""

    opset: int = Field(default=17, ge=13)
    windows: int = Field(default=4, ge=1)
    """windows that both run on"""
    max_difference: float = Field(default=1e-3, gt=0)
    """of a probability, at 99.9 % of the cells, and of the motion in its units"""
    max_flipped: float = Field(default=1e-4, ge=0)
    """fraction of cells that one predicts as occupied and the other as free"""


class AerialWorldOptions(Options):
    """One file of config/aerial/."""

    preset: str
    """its name"""
    data: WorldDataOptions = WorldDataOptions()
    model: WorldModelOptions = WorldModelOptions()
    train: WorldTrainOptions = WorldTrainOptions()
    score: WorldScoreOptions = WorldScoreOptions()
    export: WorldExportOptions = WorldExportOptions()
