"""tools: tool-call examples to specialists that call tools exactly."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field, model_validator

from scripts.contract import LANGUAGE, PERPLEXITY, Baseline, Metric, Stage, System
from scripts.lib.cli import UserError
from scripts.lib.options.run import LanguageOptions, RunOptions, Shared, gate_section
from scripts.tools.options import ToolsCheckOptions, ToolsCurateOptions, ToolsGenerateOptions

METRICS = {
    "exact_match": Metric(
        "exact match",
        "of the requests that want calls, the share answered with exactly those: the same calls in order, every "
        "name and every parameter equal.",
    ),
    "tool_accuracy": Metric("tool accuracy", "as exact match, but only the names of the tools must be right."),
    "parameter_precision": Metric(
        "parameter precision",
        "of the tools and parameters the model wrote, the share that is due at that place with that value.",
    ),
    "parameter_recall": Metric(
        "parameter recall", "of the tools and parameters that are due, the share the model wrote."
    ),
    "parameter_f1": Metric("parameter F1", "precision and recall of parameters in one number."),
    "schema_validity": Metric(
        "schema validity", "of the calls the model wrote, broken ones counted, the share that keeps the tool schema."
    ),
    "decline_precision": Metric(
        "decline precision",
        "of the requests the model answered without a call, the share that had to be declined or asked back.",
    ),
    "decline_recall": Metric(
        "decline recall", "of the requests that had to be declined or asked back, the share answered without a call."
    ),
    "perplexity": PERPLEXITY,
}
COUNTS = {
    "rows in": "Rows read from the files of examples, of all specialists.",
    "valid": "Rows whose calls keep the tool schema.",
    "distinct": "Examples left once repeats fell, of all specialists.",
    "duplicates": "Rows that say and call what another does.",
    "near duplicates": "Rows that call the same as another and are phrased almost as it is.",
    "dropped": "Why rows were left out. Nothing is left out without a reason; quarantine.jsonl names each.",
    "of other specialists": "Examples that need tools which this specialist lacks.",
    "records": "Examples of this specialist in each split.",
    "calls": "Calls that each split expects.",
    "by tool": "Calls by tool.",
    "by difficulty": "Examples by difficulty.",
    "by kind": "Examples by what is due: calls, calls that wait for a result, a decline, a question back.",
    "templates": "What phrased the examples; none may dominate.",
    "groups": "What is kept on one side of the split: examples of one template, and near texts.",
    "leakage": "Examples that stand in two splits, the same or nearly; the first two must be zero. Naive figures "
    "say how many test rows a plain random split of the rows would have leaked.",
    "split": "How the splits were drawn.",
}
ToolsGateOverrides = gate_section("tools", "exact_match", ["base", "majority", "nearest"])


class SpecialistOptions(RunOptions):
    """One specialist: a run with tools of its own."""

    description: str = ""
    """one sentence on what it is for; the MCP server says it to its clients"""
    focus: list[str] = Field(min_length=1)
    """the tools that its prompts show, and its calls name; every tool of the schema needs a specialist"""


class ToolsOptions(LanguageOptions):
    """tools: tool-call examples to specialists that call tools exactly."""

    tool_schema: str = "data/raw/tools/schema.json"
    """MCP or OpenAI definitions, or the nested form"""
    examples: list[str] = []
    """files or folders of raw examples or JSONL; none given: examples are generated"""
    adapters: bool = False
    """also ship one quantised base with an adapter GGUF for each specialist (dist/tools/shared)"""
    generate: ToolsGenerateOptions = ToolsGenerateOptions()
    gate: ToolsGateOverrides = ToolsGateOverrides()  # type: ignore[valid-type]
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

    def shared_quant(self, shared: Shared) -> str:
        """The type in which the specialists' shared base is shipped: the first one that is built for all of them.

        Raises:
            UserError: there is none.
        """
        first, *others = (self.resolve(shared, "tools", name).variants for name in self.runs)
        common = [quant for quant in first if all(quant in quants for quants in others)]
        if not common:
            raise UserError("tools.adapters: no type of export.quants is built for every specialist; add a common one.")
        return common[0]

    def refuse(self, shared: Shared, system: str, locate: Callable[[list[str]], str]) -> None:
        """Stops also where specialists that share a base have no quantised type in common."""
        super().refuse(shared, system, locate)
        if self.adapters:
            self.shared_quant(shared)


SYSTEM = System(
    name="tools",
    summary="A specialist that turns an instruction into exact tool calls, and declines what its tools cannot do.",
    family=LANGUAGE,
    options=ToolsOptions,
    metrics=METRICS,
    counts=COUNTS,
    baselines={
        "none": Baseline("never calls"),
        "majority": Baseline("always makes the most frequent calls of the training data"),
        "nearest": Baseline("copies the calls of the most similar training request"),
    },
    score=Stage("scripts.tools.score", lambda config, run: {"--schema": config.tools.tool_schema}),
    deploy=Stage(
        "scripts.tools.deploy",
        lambda config, run: {"--specialist": f"models/tools/{run.name}/adapter/specialist_config.json"},
    ),
    extra_targets=lambda config, run: ["dist/tools/shared/SHA256SUMS"] if config.tools.adapters else [],
)
