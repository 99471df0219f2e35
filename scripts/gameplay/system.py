"""gameplay: recordings of play to an agent that plays towards a goal."""

from __future__ import annotations

from typing import Any

from scripts.contract import PERPLEXITY, VISION_LANGUAGE, Baseline, Metric, Prediction, Report, Stage, System
from scripts.gameplay.options import (
    GameGenerateOptions,
    GameplayCheckOptions,
    GameplayCurateOptions,
    GameplayIngestOptions,
    LabelOptions,
    LoopOptions,
)
from scripts.lib.options.run import LanguageOptions, RunOptions, gate_section

METRICS = {
    "first_action": Metric(
        "first action", "share of the answers whose first slot has exactly the keys that were pressed."
    ),
    "slot_accuracy": Metric(
        "slots right", "share of all slots with exactly the keys that were pressed, seven an answer."
    ),
    "key_f1": Metric(
        "keys, macro F1", "precision and recall of each key in one number, averaged over the keys in use."
    ),
    "idle_precision": Metric("goal reached, precision", "of the answers that press nothing, how many were due."),
    "idle_recall": Metric("goal reached, recall", "of the answers that should press nothing, how many do."),
    "valid_json": Metric(
        "valid answers", "share of the answers that can be read. One that cannot fails on every count."
    ),
    "perplexity": PERPLEXITY,
}
COUNTS = {
    "recordings": "Recordings that were read.",
    "unusable": "Recordings of which nothing could be used; quarantine says why.",
    "samples": "Frames with a goal and the keys of the next seven slots.",
    "dropped": "Frames that make no sample, by reason.",
    "quarantined": "What was wrong with files, by kind. Nothing is left out without a reason.",
    "segments without goal": "Segments that the labeller gave no goal; quarantine.jsonl says why.",
    "repeated pictures": "Frames left out because an earlier recording holds the same picture.",
    "split": "The recordings of each split.",
    "rows": "Frames in each split.",
    "goals": "How often each goal stands in each split.",
    "leakage": "Recordings and pictures on two sides of the split: both must be zero.",
    "health": "Shares of the time in which keys and words were held.",
}
EPISODES = (1, 2)  # of which pictures are drawn
GameplayGateOverrides = gate_section("gameplay", "slot_accuracy", ["base", "majority", "shuffled", "misled"])


class GameplayOptions(LanguageOptions):
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
    gate: GameplayGateOverrides = GameplayGateOverrides()  # type: ignore[valid-type]
    runs: dict[str, RunOptions] = {}

    @property
    def plays(self) -> bool:
        """Whether the agent is counted in the game: only one that was trained on it could reach a goal there."""
        return self.loop is not None and not self.recordings


def episode_files(config: Any, run: str) -> list[str]:
    """Pictures of episodes."""
    return [f"reports/gameplay/{run}/episode{number}.jpg" for number in EPISODES] if config.gameplay.plays else []


def success_file(config: Any, run: str) -> list[str]:
    """How often the agent reached its goal in the game, where that is counted."""
    return [f"reports/gameplay/{run}/loop.json"] if config.gameplay.plays else []


SYSTEM = System(
    name="gameplay",
    summary="An agent that takes a frame of a game and a goal, and returns the keys to press.",
    family=VISION_LANGUAGE,
    options=GameplayOptions,
    metrics=METRICS,
    counts=COUNTS,
    baselines={
        "majority": Baseline("always the commonest keys of the training data"),
        "repeat_last": Baseline("keeps the keys that are held, which the model is not given", oracle=True),
    },
    predictions={
        "shuffled": Prediction(
            "the tuned model, given another case's image: what it still gets right does not depend on the image",
            "--shuffle-pictures",
        ),
        "misled": Prediction(
            "the tuned model, given another case's goal: what it still gets right does not depend on the goal",
            "--swap-questions",
        ),
    },
    score=Stage("scripts.gameplay.score"),
    deploy=Stage(
        "scripts.gameplay.deploy",
        lambda config, run: {"--loop": success_file(config, run.name)},
        lambda config, run: ["--size", *map(str, config.gameplay.ingest.frame_size)],
    ),
    gate_files=success_file,
    report=Report(
        "scripts.gameplay.report", lambda config, run: success_file(config, run) + episode_files(config, run)
    ),
    common_keys={"curate.max_bad_share": "check.max_bad_share"},
    group_noun="recordings",
)
