"""A run of the world model with every section resolved, and what its data must be for the sessions it is made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from scripts.aerial.options import AerialGridOptions, AerialMeshOptions, AerialSessionOptions
from scripts.aerial.world.options import (
    AerialWorldOptions,
    WorldDataOptions,
    WorldExportOptions,
    WorldModelOptions,
    WorldScoreOptions,
    WorldTrainOptions,
)
from scripts.lib.cli import UserError
from scripts.lib.options.run import Run
from scripts.lib.options.strict import Options, deep_merge, overrides_of

SECTIONS = ("data", "model", "train", "score", "export")
SETTINGS = Path("config/aerial")
EXPORTS = ("f32", "int8")


class WorldSections(Options):
    """Keys of the sections of a file of config/aerial/, for all runs or for one."""

    settings: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_]+$")
    """name of a file of config/aerial/, on which the sections below go"""
    data: overrides_of(WorldDataOptions) | None = None  # type: ignore[valid-type]
    """grid, classes and dt come from the sessions where the workflow records them"""
    model: overrides_of(WorldModelOptions) | None = None  # type: ignore[valid-type]
    train: overrides_of(WorldTrainOptions) | None = None  # type: ignore[valid-type]
    score: overrides_of(WorldScoreOptions) | None = None  # type: ignore[valid-type]
    export: overrides_of(WorldExportOptions) | None = None  # type: ignore[valid-type]


class WorldRun(Run):
    """One world model."""

    data: WorldDataOptions
    model: WorldModelOptions
    train: WorldTrainOptions
    score: WorldScoreOptions
    export: WorldExportOptions

    @property
    def variants(self) -> list[str]:
        """ONNX files."""
        return list(EXPORTS)


def resolved(name: str, derived: dict[str, Any], *layers: WorldSections) -> dict[str, Options]:
    """The five sections of a run: defaults, what its sessions are, its file of settings, then each layer.

    Raises:
        UserError: the file is missing, or a value does not fit.
    """
    chosen = next((layer.settings for layer in reversed(layers) if layer.settings), None)
    values: dict[str, Any] = {"preset": name, "data": derived}
    if chosen:
        values = deep_merge(values, settings_of(chosen, name))
    for layer in layers:
        values = deep_merge(values, layer.model_dump(exclude_unset=True, exclude_none=True, include=set(SECTIONS)))
    whole = AerialWorldOptions.parse(values, f"aerial.runs.{name}")
    return {section: getattr(whole, section) for section in SECTIONS}


def settings_of(chosen: str, run: str) -> dict[str, Any]:
    """What a file of config/aerial/ holds."""
    path = SETTINGS / f"{chosen}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in SETTINGS.glob("*.yaml")))
        raise UserError(f"aerial.runs.{run}.settings: no {path}; known: {known}.")
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def derived_data(mesh: AerialMeshOptions, grid: AerialGridOptions, sessions: AerialSessionOptions) -> dict[str, Any]:
    """Grid, classes and time step of the sessions that the workflow records, as the section data has them.

    Raises:
        UserError: grids of these options have no counterpart in the model, or class numbers leave one out.
    """
    if grid.heights == "relative" and grid.rotation == "yaw":
        raise UserError(
            "aerial.voxels.grid: heights relative with rotation yaw is no grid that the world model can carry along; "
            "choose heights absolute, or rotation full."
        )
    names = ["free", *mesh.numbers]
    if list(mesh.numbers.values()) != list(range(1, len(names))):
        raise UserError(
            "aerial.mesh.classes: the world model counts classes 1, 2, 3 and on without a gap; renumber them."
        )
    top = grid.range[2] + grid.shape[2] * grid.voxel[2]
    return {
        "grid": {
            "range": [*grid.range[:5], max(top, grid.range[5]) if grid.top == "extend" else grid.range[5]],
            "voxel": list(grid.voxel),
            "anchor": "ego" if grid.rotation == "full" else "level",
        },
        "classes": {"names": names, "ground": [mesh.numbers["ground"]] if "ground" in mesh.numbers else []},
        "dt": sessions.dt,
    }
