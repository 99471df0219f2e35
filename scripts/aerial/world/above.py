"""At which frames a model lies above a baseline, and where by more than chance: for terminal, card and page."""

from __future__ import annotations

from typing import Any

METRIC = "iou_no_ground"


def paired_by_frame(metrics: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """What the trained model's score is above a baseline's, on the same windows, frame by frame."""
    keys = [f"{METRIC}_{frame['frame']}" for frame in metrics["horizons"]]
    known = {row["metric"]: row for row in metrics.get("paired", []) if row["against"] == name}
    return [known[key] for key in keys if key in known]


def sentence(metrics: dict[str, Any], name: str) -> str:
    """Where the trained model is above a baseline, and where that is more than chance.

    Example: ``ego warped: the model is above it at frames 1, 2, 3, clearly (...) at 1, 3.``
    """
    words, found = name.replace("_", " "), metrics["beats"][name]
    if not found:
        return f"{words}: the model is above it at no frame."
    rows = enumerate(paired_by_frame(metrics, name), 1)
    clear = [str(at) for at, row in rows if row["low"] is not None and row["low"] > 0]
    more = f"clearly (the range of the difference leaves out 0) at {', '.join(clear)}" if clear else "nowhere clearly"
    return f"{words}: the model is above it at frames {', '.join(map(str, found))}, {more}."
