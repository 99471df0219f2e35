"""Metrics, certificate and counts as rows that a person can read; the model card and the report both show them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scripts.systems import SYSTEMS

TOP = "counts"
LONG_TEXT = 120  # characters
LONG_TABLE = 14  # rows
SCOPE_WORDS = {
    "road": "Made with a preset that proves the road from raw data to package, not the model. Quote no score of it.",
    "learning": "Made with a preset that proves that learning happens on a small model; it is not the best there is.",
    "real": "Made with the full preset.",
}


@dataclass(frozen=True)
class Row:
    """A variant or a baseline with its scores by metric name; an oracle is given what the model is not given."""

    name: str
    kind: str
    words: str
    scores: dict[str, dict[str, Any]]
    shipped: bool = False
    oracle: bool = False

    @property
    def css(self) -> str:
        """The class of its marks on the page."""
        return "shipped" if self.shipped else self.kind

    def score(self, metric: str) -> dict[str, Any]:
        """The estimate of a metric; empty where it has none."""
        return self.scores.get(metric) or {}


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
    """Some counts that belong together: a label and its values as text, a value for each column.

    ``columns`` is [""] where a label has just one value.
    """

    title: str
    columns: list[str] = field(default_factory=lambda: [""])
    rows: list[tuple[str, list[str]]] = field(default_factory=list)


def score_rows(metrics: dict[str, Any], shipped: str = "") -> list[Row]:
    """Variants first, then baselines, in the order in which they were written; each with its system's words for it."""
    system = SYSTEMS.get(metrics.get("system", ""))
    rows = []
    for name, scores in metrics.get("variants", {}).items():
        rows.append(Row(name, "variant", system.variant_words(name) if system else "", scores or {}, name == shipped))
    for name, scores in metrics.get("baselines", {}).items():
        words = system.baseline_words(name) if system else ""
        rows.append(Row(name, "baseline", words, scores or {}, oracle=name in metrics.get("oracles", [])))
    return rows


def metric_names(metrics: dict[str, Any]) -> list[str]:
    """Every metric that some variant or baseline has, in the order first met; ``iou_3``, at a horizon, aside."""
    rows = [*metrics.get("variants", {}).values(), *metrics.get("baselines", {}).values()]
    names = dict.fromkeys(name for row in rows for name in row or {})
    return [name for name in names if not (name.rpartition("_")[2].isdecimal() and name.rpartition("_")[0] in names)]


def metric_words(metrics: dict[str, Any], name: str) -> tuple[str, str]:
    """Title and explanation of a metric, as its system declares them."""
    system = SYSTEMS.get(metrics.get("system", ""))
    declared = system.metrics.get(name) if system else None
    return (declared.title, declared.description) if declared else (plain(name), "")


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
    return [
        Check(
            name=str(check.get("name", "")),
            passed=check.get("passed"),
            value=number(check["value"]) if "value" in check else "",
            limit=number(check["limit"]) if check.get("limit") is not None else "",
            detail=str(check.get("detail", "")),
        )
        for check in value.get("checks", [])
    ]


def count_groups(value: dict[str, Any], title: str = TOP) -> list[Group]:
    """Any nested JSON of counts as flat tables: one for each nested object, its plain values as rows.

    An object whose values are objects with the same keys becomes one table with a column for each key. Shapes differ
    between systems, so none is assumed. Long texts are no counts and stay out.
    """
    alike = {} if title == TOP else alike_in(value)
    own = Group(f"{title}: more" if alike else title)
    groups = [matrix(title, alike), own] if alike else [own]
    for key, item in value.items():
        name = plain(key) if title == TOP else f"{title}: {plain(key)}"
        if key in alike:
            continue
        if isinstance(item, dict) and item:
            groups += [matrix(name, item)] if is_matrix(item) else count_groups(item, name)
        elif isinstance(item, list) and item and all(isinstance(row, dict) for row in item):
            groups.append(records_table(name, item))
        elif not isinstance(item, str) or len(item) <= LONG_TEXT:
            own.rows.append((plain(key), [listed(item) if isinstance(item, (list, dict)) else number(item)]))
    kept = [group for group in groups if group.rows]
    return [shortened(group) for group in kept] if title == TOP else kept


def alike_in(value: dict[str, Any]) -> dict[str, Any]:
    """Two or more objects with the same keys among others' values; they make one table."""
    found = {key: item for key, item in value.items() if isinstance(item, dict) and item}
    return found if len(found) > 1 and is_matrix(found) else {}


def is_matrix(item: dict[str, Any]) -> bool:
    """Whether every value is an object with the same keys and plain values."""
    values = list(item.values())
    if not all(isinstance(row, dict) and row and row.keys() == values[0].keys() for row in values):
        return False
    return not any(isinstance(part, (dict, list)) for row in values for part in row.values())


def matrix(title: str, item: dict[str, dict[str, Any]]) -> Group:
    """An object of like objects as a table."""
    columns = [plain(key) for key in next(iter(item.values()))]
    return Group(title, columns, [(plain(key), [number(part) for part in row.values()]) for key, row in item.items()])


def records_table(title: str, items: list[dict[str, Any]]) -> Group:
    """A list of objects as a table, numbered."""
    columns = list(dict.fromkeys(key for row in items for key in row))
    rows = [(str(at), [pairs(row.get(key, "")) for key in columns]) for at, row in enumerate(items, 1)]
    return Group(title, [plain(key) for key in columns], rows)


def shortened(group: Group) -> Group:
    """A long table cut, with the number of what is left."""
    if len(group.rows) <= LONG_TABLE:
        return group
    rest = (f"and {len(group.rows) - LONG_TABLE} more", [""] * len(group.columns))
    return Group(group.title, group.columns, [*group.rows[:LONG_TABLE], rest])


def listed(items: Any, limit: int = 8) -> str:
    """A list on one line; a long one is cut with the number of what is left."""
    if not items:
        return "none"
    rest = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(pairs(item) for item in list(items)[:limit]) + rest


def pairs(item: Any) -> str:
    """A value inside a table cell; a nested one with its values joined."""
    if isinstance(item, (dict, list)):
        return " / ".join(pairs(value) for value in (item.values() if isinstance(item, dict) else item))
    return number(item)
