"""dnd: scenario Markdown to a dungeon master that writes tool calls."""

from __future__ import annotations

from pydantic import Field

from scripts.contract import LANGUAGE, PERPLEXITY, Baseline, Metric, Stage, System
from scripts.dnd.options import DndCheckOptions, DndCurateOptions
from scripts.lib.options.run import LanguageOptions, RunOptions, gate_section

METRICS = {
    "call_precision": Metric(
        "call precision",
        "of the calls the model wrote, the share that the scenario has at that turn: the right tool with the "
        "right arguments.",
    ),
    "call_recall": Metric(
        "call recall", "of the calls the scenario has, the share the model wrote, arguments and all."
    ),
    "call_f1": Metric("call F1", "precision and recall of calls in one number; both must be good for it to be good."),
    "tool_precision": Metric(
        "tool precision", "as call precision, but only the tool must be right, not its arguments."
    ),
    "tool_recall": Metric("tool recall", "as call recall, but only the tool must be right."),
    "tool_f1": Metric("tool F1", "as call F1, but only the tool must be right."),
    "well_formed": Metric(
        "well formed", "of the brackets the model opened for a call, the share that a program can read."
    ),
    "false_call_rate": Metric(
        "false calls",
        "of the turns where no call is due, the share in which the model wrote one.",
        higher_is_better=False,
    ),
    "stranger_rate": Metric(
        "strangers",
        "of the calls that name somebody, the share that name someone not in the party.",
        higher_is_better=False,
    ),
    "perplexity": PERPLEXITY,
}
COUNTS = {
    "scenarios": "Scenario files: how many were found, how many are used.",
    "scenarios: dropped": "Why files were left out. Nothing is left out without a reason.",
    "scenarios: quarantined": "The files and turns set aside, one by one; all are in quarantine.jsonl.",
    "scenarios: warnings": "Oddities in files that are used all the same, such as a result that does not add up.",
    "records": "Conversations in each split. All of a scenario lies in one split.",
    "categories": "Scenarios of each kind in each split.",
    "turns": "Turns of the dungeon master, each of them a case; and those where no call is due.",
    "calls: by tool": "Calls that the splits expect, by tool.",
    "tokens": "Lengths of conversations in tokens, against the longest the model takes. Nothing is cut.",
    "supervised share": "The share of tokens that the model learns to write: only the dungeon master's turns.",
    "leakage": "Held-out conversations that also stand in the training data; the first two must be zero. A plain "
    "random split by turn would have leaked as many as the naive figure says.",
    "split": "How the splits were drawn.",
}
REGISTRY = {"--registry": "data/curated/dnd/registry.json"}
DndGateOverrides = gate_section("dnd", "call_f1", ["base", "majority", "nearest"])


class DndOptions(LanguageOptions):
    """dnd: scenario Markdown to a dungeon master that writes tool calls."""

    scenarios: list[str] = Field(default=["data/raw/dnd"], min_length=1)
    """files, or folders searched for *.md (README.md aside)"""
    extra_tools: str | None = None
    """a registry JSON that adds tools to the six known ones"""
    check: DndCheckOptions = DndCheckOptions()
    curate: DndCurateOptions = DndCurateOptions()
    gate: DndGateOverrides = DndGateOverrides()  # type: ignore[valid-type]
    runs: dict[str, RunOptions] = {}


SYSTEM = System(
    name="dnd",
    summary="A dungeon master for tabletop scenarios: it narrates, and when a rule is due it writes a tool call such "
    "as [check: stealth, Pip] that a game can carry out.",
    family=LANGUAGE,
    options=DndOptions,
    metrics=METRICS,
    counts=COUNTS,
    baselines={
        "none": Baseline("never writes a call"),
        "majority": Baseline("always writes the most frequent call of the training data"),
        "nearest": Baseline("copies the calls of the most similar training turn"),
    },
    score=Stage("scripts.dnd.score", lambda config, run: dict(REGISTRY)),
    deploy=Stage("scripts.dnd.deploy", lambda config, run: dict(REGISTRY)),
    group_noun="scenarios",
)
