"""aerial: city meshes to an occupancy world model for drone and rover."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from scripts.aerial.options import (
    AerialGenerateOptions,
    AerialMeshOptions,
    AerialSessionOptions,
    AerialSourceOptions,
    AerialVoxelOptions,
)
from scripts.aerial.world.run_options import EXPORTS, WorldRun, WorldSections, derived_data, resolved
from scripts.contract import WORLD_MODEL, Baseline, Files, MemoryEstimate, Metric, Report, Stage, System
from scripts.lib.cli import UserError
from scripts.lib.options.run import DeployOverrides, GateOverrides, Shared, SystemOptions, gate_section
from scripts.lib.options.strict import resolve_section

METRICS = {
    "iou_no_ground": Metric(
        "IoU without ground",
        "cells that are foretold as occupied by anything but ground and are, over those that are either.",
    ),
    "iou": Metric("IoU", "the same with the ground, which a plane gets right."),
    "miou_no_ground": Metric("mIoU without ground", "mean of the classes' IoU, ground and free left out."),
    "miou": Metric("mIoU", "mean of the classes' IoU, free left out."),
    "precision": Metric("precision", "share of the cells foretold as occupied that are."),
    "recall": Metric("recall", "share of the occupied cells that were foretold as such."),
    "position_error": Metric(
        "position, m", "how far the foretold ego position is from the true one.", higher_is_better=False
    ),
    "orientation_error": Metric(
        "orientation, degrees", "the angle between the foretold orientation and the true one.", higher_is_better=False
    ),
}
COUNTS = {
    "frames": "Frames found, used, and quarantined; quarantine.jsonl names each of the last with its reason.",
    "missing in a row": "Frames that are missing between others; no window reaches across them.",
    "windows": "Windows of history and future in each split.",
    "windows dropped": "Windows in no split, and why.",
    "squares": "Squares of ground that each split has whole.",
    "least distance m": "The least distance between frames of two splits; the buffer is what it must reach.",
    "occupied share": "Cells that are not free, over all frames.",
}
AerialGateOverrides = gate_section("aerial", "iou_no_ground", ["copy_last", "ego_warped", "shuffled"])


class AerialRunOptions(WorldSections):
    """One world model. What it does not override comes from the system, then from its settings."""

    gate: GateOverrides | None = None  # type: ignore[valid-type]
    deploy: DeployOverrides | None = None  # type: ignore[valid-type]


City = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$")]


class AerialOptions(SystemOptions, WorldSections):
    """aerial: city meshes to an occupancy world model for drone and rover."""

    cities: dict[City, AerialSourceOptions] = {}
    """meshes of each city by name; none given: cities are generated"""
    recorded: str | None = None
    """a folder of sessions, or of data.layout, that is there already; nothing is then recorded"""
    generate: list[AerialGenerateOptions] = Field(default=[AerialGenerateOptions()], min_length=1)
    """cities made instead"""
    mesh: AerialMeshOptions = AerialMeshOptions()
    voxels: AerialVoxelOptions = AerialVoxelOptions()
    sessions: AerialSessionOptions = AerialSessionOptions()
    """in each city"""
    gate: AerialGateOverrides = AerialGateOverrides()  # type: ignore[valid-type]
    deploy: DeployOverrides | None = None  # type: ignore[valid-type]
    runs: dict[str, AerialRunOptions] = {}

    @model_validator(mode="after")
    def _one_source(self) -> AerialOptions:
        if self.cities and self.recorded:
            raise ValueError("cities and recorded: name the meshes, or the sessions that are there, not both")
        if len({made.name for made in self.generate}) < len(self.generate):
            raise ValueError("generate: two cities have the same name; name each city once")
        return self

    @property
    def city_names(self) -> list[str]:
        """Cities in which sessions are recorded."""
        if self.recorded:
            return []
        return list(self.cities) or [made.name for made in self.generate]

    @property
    def sessions_root(self) -> str:
        """The folder that the curated windows' frames lie in."""
        return self.recorded or "data/ingested/aerial"

    def resolve(self, shared: Shared, system: str, name: str) -> WorldRun:
        """A world model: its own keys over the system's, over its file of settings, over what its sessions are."""
        run = self.runs[name]
        derived = {} if self.recorded else derived_data(self.mesh, self.voxels.grid, self.sessions)
        sections: dict[str, Any] = resolved(name, derived, self, run)
        if derived and list(sections["data"].grid.shape) != list(self.voxels.grid.shape):
            raise UserError(
                f"aerial.runs.{name}: data.grid has {sections['data'].grid.shape} cells, but aerial.voxels.grid "
                f"records {self.voxels.grid.shape}; leave data.grid out, or make them equal."
            )
        gate = resolve_section(shared.gate, self.gate, run.gate)
        deploy = resolve_section(shared.deploy, self.deploy, run.deploy)
        return WorldRun(system=system, name=name, **sections, gate=gate, deploy=deploy)


def world_files(run: str) -> Files:
    """The trained model, its exported files, and how its windows are read."""
    return {
        "--test": f"data/curated/aerial/{run}/test.jsonl",
        "dataset": f"data/curated/aerial/{run}/dataset.json",
        "weights": [f"models/aerial/{run}/model/{name}" for name in ("model.safetensors", "config.json")],
        "exported": [f"models/aerial/{run}/onnx/model-{name}.onnx" for name in EXPORTS],
    }


def score_arguments(config: Any, run: WorldRun) -> list[str]:
    """Folders and exported variants that the scorer is given."""
    onnx = f"models/aerial/{run.name}/onnx"
    variants = [f"{name}={onnx}/model-{name}.onnx" for name in run.variants]
    model = f"models/aerial/{run.name}/model"
    return ["--input", config.aerial.sessions_root, "--model", model, "--onnx", *variants]


def deploy_arguments(config: Any, run: WorldRun) -> list[str]:
    """Folders that the package is made from."""
    models = f"models/aerial/{run.name}"
    return ["--input", config.aerial.sessions_root, "--model", f"{models}/model", "--onnx", f"{models}/onnx"]


def training_memory(run: WorldRun) -> MemoryEstimate:
    """The trainer's own estimate; where the batch size is chosen by memory, for one window."""
    from scripts.aerial.world.memory import estimate
    from scripts.lib.devices import pick_device

    needed = estimate(run.data, run.model, run.train, pick_device(run.train.device))
    windows = 1 if run.train.batch_size == "auto" else run.train.batch_size
    advice = "lower aerial.train.batch_size, model.channels or the grid"
    return MemoryEstimate(needed.fixed + windows * needed.window, needed.free, f"at {windows} windows a batch", advice)


SYSTEM = System(
    name="aerial",
    summary="A world model for drone and rover: from a few frames of the cells around it, it predicts the next, and "
    "its own motion.",
    family=WORLD_MODEL,
    options=AerialOptions,
    metrics=METRICS,
    counts=COUNTS,
    baselines={
        "copy_last": Baseline("the last grid and its pose, for ever"),
        "ego_warped": Baseline("the last grid carried along as if the last motion went on"),
        "history_warped": Baseline("the same, and beyond its edge the grids before it"),
        "ego_warped_true": Baseline(
            "the last grid carried along by the true future poses, which the model is not given", oracle=True
        ),
        "ground_only": Baseline("the ground of ego_warped and nothing on it"),
        "constant_velocity": Baseline("the last motion goes on; predicts no occupancy"),
        "shuffled": Baseline("the model, given another window's history"),
    },
    score=Stage(
        "scripts.aerial.world.score",
        lambda config, run: {"--val": f"data/curated/aerial/{run.name}/val.jsonl", **world_files(run.name)},
        score_arguments,
    ),
    deploy=Stage("scripts.aerial.world.deploy", lambda config, run: world_files(run.name), deploy_arguments),
    verify="scripts.aerial.world.replay",
    extra_targets=lambda config, run: [f"reports/aerial/{run}/sheet.jpg"],
    report=Report("scripts.aerial.world.report", lambda config, run: [f"reports/aerial/{run}/sheet.jpg"]),
    warm="scripts.aerial.warm",
    common_keys={"data.split.": "curate.", "data.max_bad_share": "check.max_bad_share"},
    training_memory=training_memory,
    group_noun="squares of ground",
)
