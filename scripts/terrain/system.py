"""terrain: map exports to a model that takes a minimap and returns the ground under it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

from pydantic import Field, model_validator

from scripts.contract import PERPLEXITY, VISION_LANGUAGE, Baseline, Metric, Prediction, Report, Stage, System
from scripts.lib.cli import UserError
from scripts.lib.options.run import LanguageOptions, RunOptions, Shared, gate_section
from scripts.terrain.options import (
    TerrainCheckOptions,
    TerrainCurateOptions,
    TerrainGenerateOptions,
    TerrainIngestOptions,
)

PATCH = 28  # pixels a side that one token of an image stands for, in the model families known here
QUESTION_TOKENS = 96  # of the question and of what frames the turns
METRICS = {
    "height_rmse": Metric(
        "height error, yards",
        "root of the mean squared difference between the true ground and the one rebuilt from the answer.",
        higher_is_better=False,
    ),
    "height_correlation": Metric(
        "height correlation",
        "whether the ground rises where it should within a tile, whatever its level: 1 is perfect, 0 says nothing.",
    ),
    "valid_json": Metric(
        "valid answers", "share of the answers that can be read. One that cannot fails on every count."
    ),
    "texture_f1": Metric("textures F1", "precision and recall of the textures named, in one number."),
    "object_error": Metric(
        "objects off", "by how many the number of objects is off, on average.", higher_is_better=False
    ),
    "liquid_f1": Metric("liquid F1", "precision and recall of the cells under liquid, by type."),
    "hole_f1": Metric("holes F1", "precision and recall of the cells with holes."),
    "perplexity": PERPLEXITY,
}
COUNTS = {
    "rows in": "Tiles found in the exports.",
    "tiles": "Tiles that could be read and checked.",
    "maps": "Tiles of each map.",
    "quarantined": "Why tiles were left out. Nothing is left out without a reason; quarantine.jsonl names each.",
    "picked": "Why tiles were kept: worth most, with liquid, objects or holes, drawn, or all of them.",
    "look alikes": "Tiles whose minimap looks as another one's: of those that do the first is kept.",
    "gap": "Tiles that lie between two splits and are in neither.",
    "rows": "Tiles in each split; unseen ones are of maps in a style that no one trained on.",
    "leakage": "Tiles of different splits that are neighbours, or look alike: both must be zero.",
    "naive split": "How many test tiles a plain random split would have left beside a training tile.",
    "pictures": "The pictures that the model sees, and their side in pixels.",
    "answer": "The form of the answers, its longest, and how far the ground it rebuilds is from the true one, yards.",
}
TerrainGateOverrides = gate_section("terrain", "height_rmse", ["mean", "nearest", "shuffled"], tolerance=1.0)


class TerrainOptions(LanguageOptions):
    """terrain: map exports to a model that takes a minimap and returns the ground under it."""

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
    gate: TerrainGateOverrides = TerrainGateOverrides()  # type: ignore[valid-type]
    runs: dict[str, RunOptions] = {}

    @model_validator(mode="after")
    def _maps_differ(self) -> TerrainOptions:
        maps = [made.map for made in self.generate]
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

    def refuse(self, shared: Shared, system: str, locate: Callable[[list[str]], str]) -> None:
        """Stops also where an answer could be longer than the tokens it is trained with."""
        super().refuse(shared, system, locate)
        image_tokens = len(self.ingest.inputs) * math.ceil(self.ingest.image_size / PATCH) ** 2
        for name in self.runs:
            run = self.resolve(shared, system, name)
            needed = self.ingest.answer.longest + image_tokens + len(run.system_prompt.encode()) + QUESTION_TOKENS
            if needed > run.train.max_tokens:
                raise UserError(
                    f"terrain.runs.{name}: pictures, prompt and the longest answer take up to {needed} tokens, more "
                    f"than train.max_tokens {run.train.max_tokens}; raise it, or lower terrain.ingest.answer.cells."
                )


def curated_facts(config: object, run: object) -> dict[str, str | list[str]]:
    """What the scorer reads beside the records: the form of answers, and the list of images with their hashes."""
    folder = f"data/curated/terrain/{run.name}"  # type: ignore[attr-defined]
    return {"form": f"{folder}/stats.json", "images": f"{folder}/pictures.json"}


SYSTEM = System(
    name="terrain",
    summary="A surveyor: it takes a minimap and returns the ground under it as heights, textures, water and objects.",
    family=VISION_LANGUAGE,
    options=TerrainOptions,
    metrics=METRICS,
    counts=COUNTS,
    baselines={
        "mean": Baseline("always the mean of the training data"),
        "nearest": Baseline("copies the training tile with the most similar minimap"),
        "flat": Baseline("a plane at the tile's true mean height, which the model is not given", oracle=True),
    },
    predictions={
        "shuffled": Prediction(
            "the tuned model, given another case's image: what it still gets right does not depend on the image",
            "--shuffle-pictures",
        )
    },
    score=Stage("scripts.terrain.score", curated_facts),
    deploy=Stage("scripts.terrain.deploy"),
    extra_targets=lambda config, run: [f"reports/terrain/{run}/sheet.jpg"],
    report=Report("scripts.terrain.report", lambda config, run: [f"reports/terrain/{run}/sheet.jpg"]),
    group_noun="blocks of ground",
)
