"""The model card (README.md of the package), made from the files of the run: nothing in it is typed by hand."""

from __future__ import annotations

from typing import Any

from scripts.aerial.world.above import sentence
from scripts.aerial.world.words import METRICS
from scripts.packaging.evidence import SCOPE_WORDS, interval, number, share, size

SETTINGS = (
    "vae_epochs", "epochs", "max_steps", "freeze_vae", "freeze_transformer", "freeze_pose", "learning_rate",
    "weight_decay", "warmup_steps", "max_grad_norm", "seed",
)  # fmt: skip
RUN = """```python
import numpy as np, onnxruntime

told = dict(np.load("example.npz"))  # grids, motion, tilt: the history of one window
session = onnxruntime.InferenceSession("{default}")
wanted = [value.name for value in session.get_inputs()]
probabilities, steps = session.run(None, {{name: told[name] for name in wanted}})
occupied = 1 - probabilities[..., {free}] >= {threshold}  # [1, future, x, y, z]
```"""


def card(name: str, config: dict[str, Any], files: dict[str, Any]) -> str:
    """The text.

    Args:
        name: "aerial/world".
        config: the package's deployment_config.json.
        files: metrics, gate, certificate, training, stats: what the JSON files of those names hold.
    """
    data = config["data"]
    parts = [
        f"# {name}",
        f"{config['architecture']}, {number(config['parameters'])} parameters: foretells {data['future']} frames of "
        f"occupancy and the ego motion from {data['history']}. Default file: `{config['default']}`.",
        SCOPE_WORDS[config["scope"]],
        "## Run\n\n"
        + RUN.format(default=config["default"], free=data["classes"]["free"], threshold=config["threshold"]),
        inputs_text(config),
        scores_text(files["metrics"], data["split"]["buffer"]),
        horizon_text(files["metrics"]),
        f"## Gate\n\n{files['gate']['why']}",
        f"## Certificate\n\n{table(certificate_rows(files['certificate']))}",
        f"## Data\n\n{table(data_rows(files['stats']))}",
        f"## Training\n\n{table(training_rows(files['training']))}",
        f"## Files\n\n{table([['file', 'size'], *([row['name'], size(row['bytes'])] for row in config['files'])])}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def scores_text(metrics: dict[str, Any], buffer: float) -> str:
    """The scores over all horizons, and how they were made."""
    return (
        f"## Scores\n\n{metrics['cases']} windows on {metrics['groups']} squares of ground that no training frame lies "
        f"within {buffer:g} m of; {100 * metrics['confidence']:g} % intervals resample squares. A cell is occupied at "
        f"{metrics['threshold']:g} or more ({metrics['threshold_from']}).\n\n{scores_table(metrics)}"
    )


def inputs_text(config: dict[str, Any]) -> str:
    """What goes in and comes out, with shapes and units."""
    data, shape = config["data"], " × ".join(map(str, config["shape"]))
    classes = ", ".join(f"{number} {name}" for number, name in enumerate(data["classes"]["names"]))
    cell = " × ".join(f"{side:g}" for side in data["grid"]["voxel"])
    return (
        f"## In and out\n\n`grids` int32 [1, {data['history']}, {shape}]: class numbers ({classes}) in cells of {cell} "
        f"m, anchored {data['grid']['anchor']}. `motion` float32 [1, {data['history']}, 13]: each frame seen from the "
        "one before (position in voxel sides, quaternion x y z w, velocity in voxel sides a frame, angular velocity in "
        "radians a frame). `tilt` float32 [1, 4]: the last orientation without its yaw. Out: `probabilities` "
        f"[1, {data['future']}, {shape}, classes] and `steps` [1, {data['future']}, 6], metres and a rotation "
        "vector in radians."
    )


def table(rows: list[list[str]]) -> str:
    """Rows as Markdown, the first one the header."""
    lines = ["| " + " | ".join(cell(text) for text in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def cell(text: Any) -> str:
    """Text that cannot leave its cell or bring HTML with it."""
    return " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def named_rows(metrics: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Variants, then baselines in round brackets."""
    return [*metrics["variants"].items(), *((f"({name})", row) for name, row in metrics["baselines"].items())]


def scores_table(metrics: dict[str, Any]) -> str:
    """A row a variant over all horizons, a column a metric."""
    rows = [["", *(title for title, _ in METRICS.values())]]
    rows += [[name, *(score_cell(row.get(key)) for key in METRICS)] for name, row in named_rows(metrics)]
    return table(rows)


def score_cell(score: dict[str, Any] | None) -> str:
    """``0.42 (0.31–0.55)``."""
    if not score:
        return "n/a"
    between = interval(score)
    return share(score["value"]) + (f" ({between})" if between else "")


def horizon_text(metrics: dict[str, Any]) -> str:
    """IoU without ground by horizon, and which baselines are beaten where."""
    frames = [row["frame"] for row in metrics["horizons"]]
    rows = [["IoU without ground", *(f"+{row['seconds']:g} s" for row in metrics["horizons"])]]
    for name, row in named_rows(metrics):
        if f"iou_no_ground_{frames[0]}" in row:
            rows.append([name, *(share(row[f"iou_no_ground_{frame}"]["value"]) for frame in frames)])
    return table(rows) + "\n\n" + "\n".join(f"- {sentence(metrics, name)}" for name in metrics["beats"])


def certificate_rows(certificate: dict[str, Any]) -> list[list[str]]:
    """Name, outcome and detail of each check."""
    words = {True: "pass", False: "FAIL", None: "measured"}
    return [
        ["check", "", "detail"],
        *([row["name"], words[row["passed"]], row["detail"]] for row in certificate["checks"]),
    ]


def data_rows(stats: dict[str, Any]) -> list[list[str]]:
    """Counts of the curated data."""
    rows = [["", ""], ["sessions", str(len(stats["sessions"]))]]
    for key in ("frames", "windows", "windows_dropped", "squares", "least_distance_m"):
        rows.append([key.replace("_", " "), ", ".join(f"{name} {number(value)}" for name, value in stats[key].items())])
    return [*rows, ["occupied share of cells", number(stats["occupied_share"])]]


def training_rows(training: dict[str, Any]) -> list[list[str]]:
    """Settings and outcome. Time and memory stay out: they would change the card's bytes from run to run."""
    settings = training["settings"]
    rows = [[key.replace("_", " "), number(settings[key])] for key in SETTINGS if settings.get(key) is not None]
    told = ("batch_size", "precision", "steps", "train_loss", "eval_loss")
    rows += [[key.replace("_", " "), number(training[key])] for key in told]
    return [["", ""], *rows, *(["warning", sentence] for sentence in training["warnings"])]
