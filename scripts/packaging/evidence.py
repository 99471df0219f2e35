"""Metrics, certificate and counts as rows that a person can read; the model card and the report both show them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

VARIANT_WORDS = {
    "base": "the base model, untrained for this task",
    "tuned": "base with the trained adapter, in transformers",
    "f16": "the merged weights as a 16-bit GGUF",
}
BASELINE_WORDS = {
    "none": "answers with nothing, ever",
    "majority": "always gives the commonest answer of the training data",
    "nearest": "copies the answer of the most similar training case",
    "mean": "always gives the mean of the training data",
}
SCOPE_WORDS = {
    "road": "Made with a preset that proves the road from raw data to package, not the model. Quote no score of it.",
    "learning": "Made with a preset that proves that learning happens on a small model; it is not the best there is.",
    "real": "Made with the full preset.",
}


@dataclass(frozen=True)
class Row:
    """A variant or a baseline with its scores by metric name."""

    name: str
    kind: str
    words: str
    scores: dict[str, dict[str, Any]]
    shipped: bool = False


@dataclass(frozen=True)
class Check:
    """One line of a certificate or a gate. ``passed`` is None for a measured value without a limit."""

    name: str
    passed: bool | None
    value: str = ""
    limit: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Group:
    """Some counts that belong together: (label, value as text) rows."""

    title: str
    rows: list[tuple[str, str]] = field(default_factory=list)


def score_rows(metrics: dict[str, Any], shipped: str = "") -> list[Row]:
    """Variants first, then baselines, in the order in which they were written."""
    rows = []
    for kind, known in (("variant", VARIANT_WORDS), ("baseline", BASELINE_WORDS)):
        for name, scores in metrics.get(f"{kind}s", {}).items():
            words = known.get(name, f"GGUF quantised to {name}" if kind == "variant" else "")
            rows.append(Row(name, kind, words, scores or {}, kind == "variant" and name == shipped))
    return rows


def metric_names(metrics: dict[str, Any]) -> list[str]:
    """Every metric that some variant or baseline has, in the order first met."""
    rows = [*metrics.get("variants", {}).values(), *metrics.get("baselines", {}).values()]
    return list(dict.fromkeys(name for row in rows for name in row or {}))


def number(value: Any) -> str:
    """A number short enough to read: 3 significant digits below 1,000, thousands parted above."""
    if value is None:
        return "n/a"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or (value == int(value) and abs(value) >= 1000):
        return f"{int(value):,}"
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e6):
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def share(value: Any) -> str:
    """A score for a table: two decimals below 10, fewer above; n/a where it is not defined."""
    if value is None:
        return "n/a"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:,.1f}"


def interval(score: dict[str, Any]) -> str:
    """``0.31–0.55``, or "" where the score has no interval."""
    if score.get("low") is None or score.get("high") is None:
        return ""
    return f"{share(score['low'])}–{share(score['high'])}"


def size(count: int | None) -> str:
    """Bytes for a person, in powers of 1,000."""
    if count is None:
        return "n/a"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("the last unit takes everything")


def plain(name: str) -> str:
    """A key as words: ``call_f1`` gives ``call f1``."""
    return str(name).replace("_", " ").replace(".", " ").strip()


def checks(value: dict[str, Any]) -> list[Check]:
    """The ``checks`` of a certificate or a gate as rows."""
    rows = []
    for check in value.get("checks", []):
        rows.append(
            Check(
                name=str(check.get("name", "")),
                passed=check.get("passed"),
                value=number(check["value"]) if "value" in check else "",
                limit=number(check["limit"]) if check.get("limit") is not None else "",
                detail=str(check.get("detail", "")),
            )
        )
    return rows


def count_groups(value: dict[str, Any], title: str = "Counts") -> list[Group]:
    """Any nested JSON of counts as flat groups: a group for each nested object, its scalars as rows.

    Lists of objects give a row each; lists of scalars are joined. Shapes differ between systems, so none is assumed.
    """
    own = Group(title)
    groups = [own]
    for key, item in value.items():
        if isinstance(item, dict) and any(isinstance(part, (dict, list)) for part in item.values()):
            groups += count_groups(item, plain(key))
        elif isinstance(item, dict):
            groups.append(Group(plain(key), [(plain(name), number(part)) for name, part in item.items()]))
        elif isinstance(item, list):
            own.rows.append((plain(key), listed(item)))
        else:
            own.rows.append((plain(key), number(item)))
    return [group for group in groups if group.rows]


def listed(items: list[Any], limit: int = 8) -> str:
    """A list on one line; a long one is cut with the number of what is left."""
    if not items:
        return "none"
    shown = [number(item) if not isinstance(item, (dict, list)) else pairs(item) for item in items[:limit]]
    rest = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(shown) + rest


def pairs(item: Any) -> str:
    """A small object inside a list: its values, in order."""
    values = item.values() if isinstance(item, dict) else item
    return " / ".join(number(value) if not isinstance(value, (dict, list)) else str(value) for value in values)
