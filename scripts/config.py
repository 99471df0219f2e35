"""The whole configuration. Only the Snakefile and the commands about the project (doctor, why) import it.

A stage is handed its own slice as JSON and parses it with its own options model. The section of each system is the
options model that its declaration names (`scripts.systems`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, create_model, field_validator

from scripts.lib.cli import UserError, describe_os_error
from scripts.lib.config_lines import key_line
from scripts.lib.files import write_text
from scripts.lib.options.base import BaseOptions
from scripts.lib.options.deploy import DeployOptions, GateOptions
from scripts.lib.options.export import CertifyOptions, ExportOptions
from scripts.lib.options.predict import PredictOptions, ScoreOptions
from scripts.lib.options.run import Run, SystemOptions
from scripts.lib.options.strict import DESCRIBE, Options, deep_merge
from scripts.lib.options.train import TrainOptions
from scripts.systems import SYSTEMS

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = Path("config/schema.json")


class SharedConfig(Options):
    """One preset, with whatever a second --configfile put over it."""

    preset: str
    """its name, shown in reports"""
    scope: Literal["road", "learning", "real"]
    """what scores made with it prove: only that the road works, that learning happens, or the real thing"""
    seed: int = Field(default=7, ge=0, lt=1 << 32)
    """of training, where `train.seed` does not say another"""
    jobs_at_once: int = Field(default=1, ge=1)
    """heavy jobs that run side by side, each on its share of the cores: small models gain, large ones need memory"""
    merge_shards: int = Field(default=1, ge=1)
    """safetensors files that merged weights are written to"""
    keep_intermediates: bool = False
    """keep merged weights and the f16 GGUF after everything that needs them was built"""
    bases: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")], BaseOptions]
    train: TrainOptions = TrainOptions()
    export: ExportOptions = ExportOptions()
    certify: CertifyOptions = CertifyOptions()
    predict: PredictOptions = PredictOptions()
    score: ScoreOptions = ScoreOptions()
    gate: GateOptions = GateOptions()
    deploy: DeployOptions = DeployOptions()

    @field_validator("bases")
    @classmethod
    def _parents_exist(cls, bases: dict[str, BaseOptions]) -> dict[str, BaseOptions]:
        for name, base in bases.items():
            if base.merge_onto and base.merge_onto not in bases:
                raise ValueError(f"{name}.merge_onto names {base.merge_onto!r}, which `bases` does not have")
        return bases

    def systems(self) -> dict[str, SystemOptions]:
        """The configured systems by name, in the registry's order."""
        return {name: options for name in SYSTEMS if (options := getattr(self, name)) is not None}

    def run(self, system: str, name: str) -> Run:
        """A run with every section resolved."""
        return self.systems()[system].resolve(self, system, name)

    def run_names(self) -> list[tuple[str, str]]:
        """System and name of all runs of all systems."""
        return [(system, name) for system, options in self.systems().items() for name in options.run_names]

    def runs(self) -> list[Run]:
        """All runs, resolved."""
        return [self.run(system, name) for system, name in self.run_names()]


Config = create_model(
    "Config",
    __base__=SharedConfig,
    __doc__=SharedConfig.__doc__,
    **{name: (system.options | None, None) for name, system in SYSTEMS.items()},
)


def load(values: dict[str, Any], source: str = "config", files: Sequence[Path] = ()) -> Any:
    """Validates a configuration and the names inside it.

    Returns:
        a `Config`: the shared sections, and one attribute a system, None where it is not configured.

    Raises:
        UserError: an unknown key (with the nearest known one), a wrong value, a run whose base is not in `bases`, or a
            gate that names an oracle; with file and line, where ``files`` has them.
    """

    def locate(path: Sequence[str]) -> str:
        return key_line(files, path)

    config = Config.parse(values, source, locate)
    for system, options in config.systems().items():
        for name in options.run_names:
            if not re.fullmatch(r"[A-Za-z0-9]+", name):
                where = locate([system, "runs", name]) or source
                raise UserError(f"{where}: {system}.runs.{name}: a run's name is made of ASCII letters and digits.")
        options.refuse(config, system, lambda path: locate(path) or source)
        for name in options.run_names:
            check_gate(config.run(system, name), source, files)
    return config


def check_gate(run: Run, source: str, files: Sequence[Path]) -> None:
    """Stops where a gate names a metric or a baseline that is not scored, or asks a model to beat an oracle.

    Raises:
        UserError: with file and line of the key, and the names that are known.
    """
    system, gate = SYSTEMS[run.system], run.gate

    def key(option: str) -> str:
        paths = ([run.system, "runs", run.name, "gate", option], [run.system, "gate", option], ["gate", option])
        for path in paths:
            if where := key_line(files, path, whole=True):
                return f"{where}: {'.'.join(path)}"
        return f"{source}: {'.'.join(paths[0])}"

    rivals = [*system.baselines, *system.predictions, *(["base"] if system.family.is_language else [])]
    allowed = [name for name in rivals if name not in system.oracles]
    for name in gate.beat:
        if name in system.oracles:
            raise UserError(
                f"{key('beat')}: {name!r} is an oracle ({system.baselines[name].description}); no model can be "
                f"asked to beat it. Choose among: {', '.join(allowed)}."
            )
        if name not in allowed:
            raise UserError(f"{key('beat')}: nothing called {name!r} is compared; known: {', '.join(allowed)}.")
    for option, metrics in (("metric", [gate.metric]), ("minimum", gate.minimum)):
        for metric in metrics:
            if metric not in system.metrics and metric.rpartition("_")[0] not in system.metrics:
                known = ", ".join(system.metrics)
                raise UserError(f"{key(option)}: no metric {metric!r}; known: {known}.")


def load_files(*paths: Path) -> Config:
    """Reads YAML files, the later ones over the earlier ones, as Snakemake merges --configfile."""
    values: dict[str, Any] = {}
    for path in paths:
        try:
            loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: not valid YAML in UTF-8 ({error}).") from error
        except OSError as error:
            raise UserError(f"--configfile: {describe_os_error(error)}") from error
        if not isinstance(loaded, dict):
            raise UserError(
                f"{path}: a configuration has `key: value` lines at the top, not a {type(loaded).__name__}."
            )
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
