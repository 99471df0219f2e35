"""The whole configuration. Only the Snakefile and the commands about the project (doctor, why) import it.

A stage is handed its own slice as JSON and parses it with its own options model.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from scripts.aerial.options import (
    AerialGenerateOptions,
    AerialMeshOptions,
    AerialSessionOptions,
    AerialSourceOptions,
    AerialVoxelOptions,
)
from scripts.dnd.options import DndCheckOptions, DndCurateOptions
from scripts.gameplay.options import (
    GameGenerateOptions,
    GameplayCheckOptions,
    GameplayCurateOptions,
    GameplayIngestOptions,
    LabelOptions,
    LoopOptions,
)
from scripts.lib.cli import UserError
from scripts.lib.config_lines import key_line
from scripts.lib.files import write_text
from scripts.lib.options.aerial_run import WorldRun, WorldSections, derived_data, resolved
from scripts.lib.options.base import BaseOptions
from scripts.lib.options.deploy import DeployOptions, GateOptions
from scripts.lib.options.export import CertifyOptions, ExportOptions
from scripts.lib.options.predict import PredictOptions, ScoreOptions
from scripts.lib.options.strict import DESCRIBE, Options, deep_merge, merged, overrides_of
from scripts.lib.options.train import TrainOptions
from scripts.terrain.options import (
    TerrainCheckOptions,
    TerrainCurateOptions,
    TerrainGenerateOptions,
    TerrainIngestOptions,
)
from scripts.tools.options import ToolsCheckOptions, ToolsCurateOptions, ToolsGenerateOptions

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = Path("config/schema.json")
SYSTEMS = ("dnd", "tools", "terrain", "gameplay", "aerial")
WORLDS = frozenset({"aerial"})  # systems whose models are no language models: they have a road of their own
SMALLEST_STEP = 28  # pixels a side that one token of a picture stands for, in the models known here
ROOM_FOR_QUESTION = 96  # tokens of the question and of what frames the turns
SEEING = frozenset({"terrain", "gameplay"})  # systems whose records show pictures

TrainOverrides = overrides_of(TrainOptions)
ExportOverrides = overrides_of(ExportOptions)
CertifyOverrides = overrides_of(CertifyOptions)
PredictOverrides = overrides_of(PredictOptions)
GateOverrides = overrides_of(GateOptions)
DeployOverrides = overrides_of(DeployOptions)


class Sections(Options):
    """Keys of the sections of the same names above, for one system or one run of it."""

    train: TrainOverrides | None = None  # type: ignore[valid-type]
    export: ExportOverrides | None = None  # type: ignore[valid-type]
    certify: CertifyOverrides | None = None  # type: ignore[valid-type]
    predict: PredictOverrides | None = None  # type: ignore[valid-type]
    gate: GateOverrides | None = None  # type: ignore[valid-type]
    deploy: DeployOverrides | None = None  # type: ignore[valid-type]


class RunOptions(Sections):
    """One model of a system. What it does not override comes from its system, then from the top."""

    base: str
    """the name of a base model under `bases`"""
    system_prompt: str = ""
    """put before every conversation; recorded in the package"""


class DndOptions(Sections):
    """dnd: scenario Markdown to a dungeon master that writes tool calls."""

    scenarios: list[str] = Field(default=["data/raw/dnd"], min_length=1)
    """files, or folders searched for *.md (README.md aside)"""
    extra_tools: str | None = None
    """a registry JSON that adds tools to the six known ones"""
    check: DndCheckOptions = DndCheckOptions()
    curate: DndCurateOptions = DndCurateOptions()
    runs: dict[str, RunOptions] = {}


class SpecialistOptions(RunOptions):
    """One specialist: a run with tools of its own."""

    description: str = ""
    """one sentence on what it is for; the MCP server says it to its clients"""
    focus: list[str] = Field(min_length=1)
    """the tools that its prompts show, and its calls name; every tool of the schema needs a specialist"""


class ToolsGateOverrides(GateOverrides):  # type: ignore[misc, valid-type]
    """Quality limits of tool calls."""

    metric: str = "exact_match"
    beat: list[str] = ["base", "majority", "nearest"]


class ToolsOptions(Sections):
    """tools: tool-call examples to specialists that call tools exactly."""

    tool_schema: str = "data/raw/tools/schema.json"
    """MCP or OpenAI definitions, or the nested form"""
    examples: list[str] = []
    """files or folders of raw examples or JSONL; none given: examples are generated"""
    adapters: bool = False
    """also ship one quantised base with an adapter GGUF for each specialist (dist/tools/shared)"""
    generate: ToolsGenerateOptions = ToolsGenerateOptions()
    gate: ToolsGateOverrides = ToolsGateOverrides()
    check: ToolsCheckOptions = ToolsCheckOptions()
    curate: ToolsCurateOptions = ToolsCurateOptions()
    runs: dict[str, SpecialistOptions] = {}

    @model_validator(mode="after")
    def _one_base(self) -> ToolsOptions:
        bases = sorted({run.base for run in self.runs.values()})
        if self.adapters and len(bases) != 1:
            raise ValueError(f"adapters: true needs one base for all runs, not {' and '.join(bases) or 'none'}")
        if self.adapters and "shared" in self.runs:
            raise ValueError("runs.shared: dist/tools/shared is the package of adapters: true; name the run otherwise")
        return self

    @property
    def owned(self) -> list[str]:
        """Every tool that some specialist shows, sorted."""
        return sorted({tool for run in self.runs.values() for tool in run.focus})


class TerrainGateOverrides(GateOverrides):  # type: ignore[misc, valid-type]
    """Quality limits of terrain."""

    metric: str = "height_rmse"
    tolerance: float = 1.0
    beat: list[str] = ["mean", "flat", "nearest", "shuffled"]


class TerrainOptions(Sections):
    """terrain: map exports to a model that sees a minimap and answers with the ground under it."""

    exports: list[str] = []
    """folders of map exports, or folders of such; none given: maps are generated"""
    export_command: str | None = None
    """your own exporter, run first for each of export_maps: {map} is the map's name, {out} the folder to write"""
    export_maps: list[Annotated[str, Field(pattern=r"^[^/\\]+$")]] = []
    export_inputs: list[str] = []
    """files that the exporter reads: when one changes, it runs again"""
    generate: list[TerrainGenerateOptions] = [TerrainGenerateOptions()]
    """maps made instead of exported ones"""
    check: TerrainCheckOptions = TerrainCheckOptions()
    ingest: TerrainIngestOptions = TerrainIngestOptions()
    curate: TerrainCurateOptions = TerrainCurateOptions()
    gate: TerrainGateOverrides = TerrainGateOverrides()
    runs: dict[str, RunOptions] = {}

    @model_validator(mode="after")
    def _maps_differ(self) -> TerrainOptions:
        maps = [one.map for one in self.generate]
        if len(set(maps)) < len(maps):
            raise ValueError("generate: two maps have the same name; name each map once")
        return self

    @model_validator(mode="after")
    def _one_source(self) -> TerrainOptions:
        if self.export_command is None:
            return self
        if self.exports:
            raise ValueError("exports and export_command: name the exports, or the command that writes them, not both")
        if not self.export_maps or len(set(self.export_maps)) < len(self.export_maps):
            raise ValueError("export_maps: name each map that export_command is to write, once")
        if "{out}" not in self.export_command:
            raise ValueError("export_command: has no {out}, so that it cannot know where to write")
        return self


class GameplayGateOverrides(GateOverrides):  # type: ignore[misc, valid-type]
    """Quality limits of gameplay."""

    metric: str = "slot_accuracy"
    beat: list[str] = ["base", "majority", "repeat_last", "shuffled"]


class GameplayOptions(Sections):
    """gameplay: recordings of play to an agent that plays towards a goal."""

    recordings: list[str] = []
    """recordings, or folders of them; none given: a scripted player records itself in ViZDoom"""
    generate: GameGenerateOptions = GameGenerateOptions()
    """the game and its scripted player; the game is also where the agent is counted"""
    check: GameplayCheckOptions = GameplayCheckOptions()
    ingest: GameplayIngestOptions = GameplayIngestOptions()
    label: LabelOptions = LabelOptions()
    curate: GameplayCurateOptions = GameplayCurateOptions()
    loop: LoopOptions | None = LoopOptions()
    """null: the agent is not counted in the game, as for recordings of another one"""
    gate: GameplayGateOverrides = GameplayGateOverrides()
    runs: dict[str, RunOptions] = {}


class AerialGateOverrides(GateOverrides):  # type: ignore[misc, valid-type]
    """Quality limits of aerial."""

    metric: str = "iou_no_ground"
    beat: list[str] = ["copy_last", "ego_warped", "shuffled"]


class AerialRunOptions(WorldSections):
    """One world model. What it does not override comes from the system, then from its settings."""

    gate: GateOverrides | None = None  # type: ignore[valid-type]
    deploy: DeployOverrides | None = None  # type: ignore[valid-type]


City = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$")]


class AerialOptions(WorldSections):
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
    gate: AerialGateOverrides = AerialGateOverrides()
    deploy: DeployOverrides | None = None  # type: ignore[valid-type]
    runs: dict[str, AerialRunOptions] = {}

    @model_validator(mode="after")
    def _one_source(self) -> AerialOptions:
        if self.cities and self.recorded:
            raise ValueError("cities and recorded: name the meshes, or the sessions that are there, not both")
        if len({one.name for one in self.generate}) < len(self.generate):
            raise ValueError("generate: two cities have the same name; name each city once")
        return self

    @property
    def city_names(self) -> list[str]:
        """Cities in which sessions are recorded."""
        if self.recorded:
            return []
        return list(self.cities) or [one.name for one in self.generate]


class Config(Options):
    """One preset, with whatever a second --configfile put over it."""

    preset: str
    """its name, shown in reports"""
    scope: Literal["road", "learning", "real"]
    """what scores made with it prove: only that the road works, that learning happens, or the real thing"""
    seed: int = 7
    jobs_at_once: int = Field(default=1, ge=1)
    """heavy jobs that run side by side, each on its share of the cores: small models gain, large ones need memory"""
    merge_shards: int = Field(default=1, ge=1)
    """safetensors files that merged weights are written to"""
    keep_intermediates: bool = False
    """keep merged weights and the f16 GGUF after everything that needs them was built"""
    bases: dict[str, BaseOptions]
    train: TrainOptions = TrainOptions()
    export: ExportOptions = ExportOptions()
    certify: CertifyOptions = CertifyOptions()
    predict: PredictOptions = PredictOptions()
    score: ScoreOptions = ScoreOptions()
    gate: GateOptions = GateOptions()
    deploy: DeployOptions = DeployOptions()
    dnd: DndOptions | None = None
    tools: ToolsOptions | None = None
    terrain: TerrainOptions | None = None
    gameplay: GameplayOptions | None = None
    aerial: AerialOptions | None = None

    @field_validator("bases")
    @classmethod
    def _parents_exist(cls, bases: dict[str, BaseOptions]) -> dict[str, BaseOptions]:
        for name, base in bases.items():
            if base.merge_onto and base.merge_onto not in bases:
                raise ValueError(f"{name}.merge_onto names {base.merge_onto!r}, which `bases` does not have")
        return bases

    def systems(self) -> dict[str, Any]:
        """The configured systems by name."""
        return {name: getattr(self, name) for name in SYSTEMS if getattr(self, name) is not None}

    def run(self, system: str, name: str) -> Run:
        """A run with every section resolved."""
        whole: Sections = self.systems()[system]
        options: RunOptions = self.systems()[system].runs[name]
        sections = {
            section: merged(merged(getattr(self, section), getattr(whole, section)), getattr(options, section))
            for section in Sections.model_fields
        }
        return Run(
            system=system,
            name=name,
            base=options.base,
            system_prompt=options.system_prompt,
            score=self.score,
            **sections | {"train": sections["train"].model_copy(update={"seed": self.seed})},
        )

    def shared_quant(self) -> str:
        """The type in which the specialists' shared base is shipped: the first one that is built for all of them.

        Raises:
            UserError: there is none.
        """
        first, *others = (self.run("tools", name).export.quants for name in self.tools.runs)  # type: ignore[union-attr]
        found = [quant for quant in first if all(quant in quants for quants in others)]
        if not found:
            raise UserError("tools.adapters: no type of export.quants is built for every specialist; add a common one.")
        return found[0]

    def runs(self) -> list[Run]:
        """All runs of language models."""
        return [self.run(system, name) for system, name in self.run_names() if system not in WORLDS]

    def run_names(self) -> list[tuple[str, str]]:
        """System and name of all runs of all systems."""
        return [(system, name) for system, options in self.systems().items() for name in options.runs]

    def world_run(self, name: str) -> WorldRun:
        """A world model with every section resolved.

        Raises:
            UserError: what its sections come to does not fit the sessions.
        """
        whole: AerialOptions = self.aerial  # type: ignore[assignment]
        own = whole.runs[name]
        derived = {} if whole.recorded else derived_data(whole.mesh, whole.voxels.grid, whole.sessions)
        sections: dict[str, Any] = resolved(name, derived, whole, own)
        if derived and list(sections["data"].grid.shape) != list(whole.voxels.grid.shape):
            raise UserError(
                f"aerial.runs.{name}: data.grid has {sections['data'].grid.shape} cells, but aerial.voxels.grid "
                f"records {whole.voxels.grid.shape}; leave data.grid out, or make them equal."
            )
        gate = merged(merged(self.gate, whole.gate), own.gate)
        return WorldRun(name=name, **sections, gate=gate, deploy=merged(merged(self.deploy, whole.deploy), own.deploy))

    def world_runs(self) -> list[WorldRun]:
        """All world models."""
        return [self.world_run(name) for system, name in self.run_names() if system in WORLDS]


class Run(Options):
    """A run with every section resolved."""

    system: str
    name: str
    base: str
    system_prompt: str
    train: TrainOptions
    export: ExportOptions
    certify: CertifyOptions
    predict: PredictOptions
    score: ScoreOptions
    gate: GateOptions
    deploy: DeployOptions


def load(values: dict[str, Any], source: str = "config", files: Sequence[Path] = ()) -> Config:
    """Validates a configuration and the names inside it.

    Raises:
        UserError: an unknown key (with the nearest known one), a wrong value, or a run whose base is not in `bases`;
            with file and line, where ``files`` has them.
    """

    def locate(path: Sequence[str]) -> str:
        return key_line(files, path)

    config = Config.parse(values, source, locate)
    for run in config.runs():
        if run.base not in config.bases:
            known = ", ".join(sorted(config.bases))
            where = locate([run.system, "runs", run.name, "base"]) or source
            raise UserError(f"{where}: {run.system}.runs.{run.name}.base: no base {run.base!r}; known: {known}.")
    for system, name in config.run_names():
        if "_" in name or not name.isidentifier():
            where = locate([system, "runs", name]) or source
            raise UserError(f"{where}: {system}.runs.{name}: a run's name is letters and digits only.")
    config.world_runs()  # resolves, and refuses what does not fit
    if config.terrain is not None:
        refuse_long_answers(config)
    return config


def refuse_long_answers(config: Config) -> None:
    """Stops where an answer could be longer than the tokens it is trained with.

    Raises:
        UserError: names the run, and what to raise or lower.
    """
    ingest = config.terrain.ingest  # type: ignore[union-attr]
    tokens_a_side = math.ceil(ingest.image_size / SMALLEST_STEP)
    pictures = len(ingest.inputs) * tokens_a_side**2
    for name in config.terrain.runs:  # type: ignore[union-attr]
        run = config.run("terrain", name)
        needed = ingest.answer.longest + pictures + len(run.system_prompt.encode()) + ROOM_FOR_QUESTION
        if needed > run.train.max_tokens:
            raise UserError(
                f"terrain.runs.{name}: pictures, prompt and the longest answer take up to {needed} tokens, more than "
                f"train.max_tokens {run.train.max_tokens}; raise it, or lower terrain.ingest.answer.cells."
            )


def load_files(*paths: Path) -> Config:
    """Reads YAML files, the later ones over the earlier ones, as Snakemake merges --configfile."""
    values: dict[str, Any] = {}
    for path in paths:
        try:
            loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except yaml.YAMLError as error:
            raise UserError(f"{path}: not valid YAML ({error}).") from error
        values = deep_merge(values, loaded)
    return load(values, " + ".join(map(str, paths)), paths)


def schema_text() -> str:
    """The JSON schema of the configuration, as config/schema.json holds it; made in a process that describes keys."""
    command = [sys.executable, "-m", "scripts.config", "--print"]
    environment = {**os.environ, DESCRIBE: "1"}
    return subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def main() -> None:
    """Writes the schema, or prints it."""
    if sys.argv[1:] == ["--print"]:
        print(json.dumps(Config.model_json_schema(), indent=2))
        return
    write_text(SCHEMA, schema_text())
    print(f"wrote {SCHEMA}")


if __name__ == "__main__":
    main()
