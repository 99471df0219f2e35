"""What a system declares: `scripts/<system>/system.py` holds one `System`, `scripts/systems.py` lists them.

Shared rules and stages ask the declaration; none of them knows a system's name. Declarations are no part of a stage's
code fingerprint (`scripts.lib.identity`): a reworded description plans nothing. What changes an output, a metric's
direction and which baselines are oracles, is a parameter of the rule (`System.scored`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scripts.lib.options.run import SystemOptions

Files = dict[str, str | list[str]]


@dataclass(frozen=True)
class Family:
    """What the models of some systems have in common.

    Attributes:
        name: language, vision-language or world-model.
        weights: what training makes, below ``models/<system>/<run>/``.
        exported: folder beside it with the files that a device runs, and their certificate.
        suffix: of such a file; it is called ``model-<variant><suffix>``.
        variants: versions of the model that are scored, in words; ``other_variant`` is a template for the rest.
        takes_images: records show images, and a projector stands beside each exported file.
    """

    name: str
    weights: str
    exported: str
    suffix: str
    variants: Mapping[str, str]
    other_variant: str
    takes_images: bool = False

    @property
    def is_language(self) -> bool:
        """Whether records are conversations and training makes an adapter of a base model."""
        return self.exported == "gguf"


LANGUAGE = Family(
    "language",
    "adapter/adapter_model.safetensors",
    "gguf",
    ".gguf",
    {
        "base": "the base model, untrained for this task",
        "tuned": "base with the trained adapter, in transformers",
        "f16": "the merged weights as a 16-bit GGUF",
    },
    "GGUF quantised to {}",
)
VISION_LANGUAGE = replace(LANGUAGE, name="vision-language", takes_images=True)
WORLD_MODEL = Family(
    "world-model",
    "model/model.safetensors",
    "onnx",
    ".onnx",
    {"torch": "as trained, in PyTorch", "f32": "ONNX in 32 bits", "int8": "ONNX with weights in 8 bits"},
    "ONNX: {}",
)


@dataclass(frozen=True)
class Metric:
    """A score in words.

    Example: ``Metric("call F1", "precision and recall of calls in one number.")``.
    """

    title: str
    description: str
    higher_is_better: bool = True


PERPLEXITY = Metric(
    "perplexity",
    "exponential of the mean cross entropy of held-out answers; 1 is the least. Its n counts tokens.",
    higher_is_better=False,
)


@dataclass(frozen=True)
class Baseline:
    """An answer that needs no model, or the model under a changed input.

    Attributes:
        oracle: given information that the model is not given. It is shown and marked, and never gated on.
    """

    description: str
    oracle: bool = False


@dataclass(frozen=True)
class Prediction:
    """An extra variant that is predicted: the tuned model under a changed input. It is scored as a baseline.

    Attributes:
        flag: of `scripts.model.predict`.
    """

    description: str
    flag: str


@dataclass(frozen=True)
class Stage:
    """A system's command behind a rule that is written once for every system.

    Attributes:
        module: run as ``python -m <module>``.
        files: from the configuration and a resolved run to what the command reads, by name. ``--records`` is an
            argument as well as an input of the rule, ``images`` an input alone.
        arguments: from the same to the rest of the command line.
    """

    module: str
    files: Callable[[Any, Any], Files] = lambda config, run: {}
    arguments: Callable[[Any, Any], list[str]] = lambda config, run: []


@dataclass(frozen=True)
class Report:
    """What a system adds to the report page.

    Attributes:
        module: has ``sections(paths, metrics, shipped)``, which returns `scripts.report_parts.sections.Section`.
        files: from the configuration and a run's name to the files that it reads.
    """

    module: str
    files: Callable[[Any, str], list[str]] = lambda config, run: []


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory that training needs, and what is free, in bytes; under which condition, and what would lower it."""

    bytes: float
    free: float
    condition: str
    advice: str


@dataclass(frozen=True)
class System:
    """One system.

    Attributes:
        name: of its folder below scripts/, and of its section of the configuration.
        summary: one sentence for the report: what the model takes and returns.
        options: its section of the configuration.
        metrics, baselines, predictions: by name, in the order in which they are shown.
        counts: what stats.json of the curated data counts, in words, by the title of the table.
        score, deploy: its commands behind the rules of these names.
        verify: module of the command that checks a package and repeats its answers.
        gate_files: from the configuration and a run's name to further evidence that the gate judges.
        extra_targets: from the same to further files that the system's name builds.
        warm: module of a command that compiles ahead what its stages would compile at their first use.
        common_keys: beginnings of its own options to those under which other systems have them.
        training_memory: from a resolved run to an estimate; of language models `scripts.doctor` makes its own.
        group_noun: what the cases of one group have in common, for sentences about intervals.
        rules: its rule file, relative to workflow/, where it is not rules/<name>.smk.
    """

    name: str
    summary: str
    family: Family
    options: type[SystemOptions]
    metrics: Mapping[str, Metric]
    baselines: Mapping[str, Baseline]
    score: Stage
    deploy: Stage
    predictions: Mapping[str, Prediction] = field(default_factory=dict)
    counts: Mapping[str, str] = field(default_factory=dict)
    verify: str = "scripts.packaging.verify"
    gate_files: Callable[[Any, str], list[str]] = lambda config, run: []
    extra_targets: Callable[[Any, str], list[str]] = lambda config, run: []
    report: Report | None = None
    warm: str = ""
    common_keys: Mapping[str, str] = field(default_factory=dict)
    training_memory: Callable[[Any], MemoryEstimate] | None = None
    group_noun: str = "groups"
    rules: str = ""

    def rule_file(self) -> str:
        """Where its rules stand, relative to workflow/."""
        return self.rules or f"rules/{self.name}.smk"

    def variant_words(self, name: str) -> str:
        """A scored version of the model in words."""
        return self.family.variants.get(name) or self.family.other_variant.format(name)

    def baseline_words(self, name: str) -> str:
        """A baseline in words."""
        declared = self.baselines.get(name) or self.predictions.get(name)
        return declared.description if declared else ""

    def scored(self) -> dict[str, list[str]]:
        """What scores depend on: a parameter of the rule, so that a change is noticed."""
        lower = [name for name, metric in self.metrics.items() if not metric.higher_is_better]
        return {"lower_is_better": lower, "oracles": self.oracles, "baselines": [*self.baselines, *self.predictions]}

    @property
    def oracles(self) -> list[str]:
        """Baselines that are given information that the model is not given."""
        return [name for name, baseline in self.baselines.items() if baseline.oracle]
