"""A run, which is one model of a system, and the sections of the configuration that it may override."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from pydantic import create_model

from scripts.lib.cli import UserError
from scripts.lib.options.base import BaseOptions
from scripts.lib.options.deploy import DeployOptions, GateOptions
from scripts.lib.options.export import CertifyOptions, ExportOptions
from scripts.lib.options.predict import PredictOptions, ScoreOptions
from scripts.lib.options.strict import Options, overrides_of, resolve_section
from scripts.lib.options.train import TrainOptions

TrainOverrides = overrides_of(TrainOptions)
ExportOverrides = overrides_of(ExportOptions)
CertifyOverrides = overrides_of(CertifyOptions)
PredictOverrides = overrides_of(PredictOptions)
GateOverrides = overrides_of(GateOptions)
DeployOverrides = overrides_of(DeployOptions)


class Shared(Protocol):
    """What runs of all systems take from the top of the configuration."""

    seed: int
    bases: dict[str, BaseOptions]
    train: TrainOptions
    export: ExportOptions
    certify: CertifyOptions
    predict: PredictOptions
    score: ScoreOptions
    gate: GateOptions
    deploy: DeployOptions


class Sections(Options):
    """Keys of the sections of the same names above, for one system or one run of it."""

    train: TrainOverrides | None = None  # type: ignore[valid-type]
    export: ExportOverrides | None = None  # type: ignore[valid-type]
    certify: CertifyOverrides | None = None  # type: ignore[valid-type]
    predict: PredictOverrides | None = None  # type: ignore[valid-type]
    gate: GateOverrides | None = None  # type: ignore[valid-type]
    deploy: DeployOverrides | None = None  # type: ignore[valid-type]


class Run(Options):
    """A run with every section resolved."""

    system: str
    name: str
    train: Any
    score: Any
    gate: GateOptions
    deploy: DeployOptions

    @property
    def variants(self) -> list[str]:
        """Names of the files that a device runs."""
        raise NotImplementedError


class LanguageRun(Run):
    """A run of a language model with every section resolved."""

    base: str
    system_prompt: str
    train: TrainOptions
    export: ExportOptions
    certify: CertifyOptions
    predict: PredictOptions
    score: ScoreOptions

    @property
    def variants(self) -> list[str]:
        """Quantised types."""
        return list(self.export.quants)


class RunOptions(Sections):
    """One model of a system. What it does not override comes from its system, then from the top."""

    base: str
    """the name of a base model under `bases`"""
    system_prompt: str = ""
    """put before every conversation; recorded in the package"""


class SystemOptions(Options):
    """The section of one system."""

    @property
    def run_names(self) -> list[str]:
        """Names of its runs."""
        return list(self.runs)  # type: ignore[attr-defined]

    def resolve(self, shared: Shared, system: str, name: str) -> Run:
        """A run with every section resolved.

        Raises:
            UserError: what its sections come to does not fit together.
        """
        raise NotImplementedError

    def refuse(self, shared: Shared, system: str, locate: Callable[[list[str]], str]) -> None:
        """Checks across sections, before anything is planned.

        Args:
            locate: file and line of a key, "" where it is not known.

        Raises:
            UserError: names the key, what is wrong and what to do.
        """


class LanguageOptions(SystemOptions, Sections):
    """The section of a system whose runs are language models."""

    def resolve(self, shared: Shared, system: str, name: str) -> LanguageRun:
        """A run: its own keys over those of its system over those of the top."""
        options: RunOptions = self.runs[name]  # type: ignore[attr-defined]
        sections = {
            section: resolve_section(
                *(getattr(layer, section) for layer in (shared, self, options)),
                **({"seed": shared.seed} if section == "train" else {}),
            )
            for section in Sections.model_fields
        }
        return LanguageRun(
            system=system,
            name=name,
            base=options.base,
            system_prompt=options.system_prompt,
            score=shared.score,
            **sections,
        )

    def refuse(self, shared: Shared, system: str, locate: Callable[[list[str]], str]) -> None:
        """Stops at a run whose base is not configured."""
        for name, run in self.runs.items():  # type: ignore[attr-defined]
            if run.base not in shared.bases:
                raise UserError(
                    f"{locate([system, 'runs', name, 'base'])}: {system}.runs.{name}.base: no base {run.base!r}; "
                    f"known: {', '.join(sorted(shared.bases))}."
                )


def gate_section(system: str, metric: str, beat: list[str], **defaults: Any) -> type[Options]:
    """The gate's keys with a system's own defaults.

    Args:
        metric: the score by which the shipped file is chosen.
        beat: variants and baselines that it must exceed.
        defaults: of further keys.
    """
    values = {"metric": metric, "beat": beat, **defaults}
    fields: dict[str, Any] = {key: (GateOptions.model_fields[key].annotation, value) for key, value in values.items()}
    return create_model(
        f"{system.capitalize()}GateOverrides", __base__=GateOverrides, __doc__=f"Quality limits of {system}.", **fields
    )
