"""One line of a certificate, and how a check that cannot run becomes a failed one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from scripts.lib.cli import UserError

DIGITS = 4  # significant digits: below them, values follow the number of threads
REBUILD = "delete the file and build it again"
T = TypeVar("T")


@dataclass(frozen=True)
class Check:
    """One line of a certificate.

    Attributes:
        name: what was checked, with the quant after a colon where it is about one.
        kind: "integrity" (a miss stops the run) or "quality" (measured for the gate to judge).
        passed: None for a measured value without a limit.
        value: what was found.
        limit: the most that ``value`` may be; for a count of faults, 0.
        detail: a clause for a person.
        advice: what to do when it failed; not part of the certificate.
    """

    name: str
    kind: Literal["integrity", "quality"]
    passed: bool | None
    value: float | int | None
    limit: float | int | None
    detail: str
    advice: str = REBUILD

    def to_json(self) -> dict[str, Any]:
        """The line as the certificate holds it; a value that is not a number (NaN, inf) is null there."""
        return {
            "name": self.name,
            "kind": self.kind,
            "passed": self.passed,
            "value": rounded(self.value),
            "limit": self.limit,
            "detail": self.detail,
        }

    def sentence(self) -> str:
        """What failed, by how much, and what to do."""
        measured = "" if self.value is None else f" (value {rounded(self.value)}, limit {self.limit})"
        return f"{self.name} failed: {self.detail.rstrip('.')}{measured}; {self.advice}."


def faults(name: str, found: Sequence[str], detail: str, advice: str = REBUILD) -> Check:
    """An integrity check that counts faults and allows none; the first three are named."""
    named = "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")
    return Check(name, "integrity", not found, len(found), 0, named or detail, advice)


def below(name: str, value: float, limit: float, detail: str, advice: str = REBUILD) -> Check:
    """An integrity check of a measured value against a limit. NaN is above every limit."""
    return Check(name, "integrity", bool(value <= limit), value, limit, detail, advice)


def failed(name: str, detail: str, advice: str = REBUILD) -> Check:
    """An integrity check that did not come to a value."""
    return Check(name, "integrity", False, None, None, detail, advice)


def attempt(name: str, prove: Callable[..., Check | list[Check]], *args: Any) -> list[Check]:
    """Runs checks; whatever keeps them from running is a failure, not a pass."""
    try:
        result = prove(*args)
    except UserError as error:
        return [failed(name, f"could not run: {error}", "mend that and certify again")]
    except (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        return [failed(name, f"could not run: {type(error).__name__}: {' '.join(str(error).split())[:300]}")]
    return result if isinstance(result, list) else [result]


def rounded(value: float | int | None) -> float | int | None:
    """``value`` to `DIGITS` significant digits; None for what JSON cannot hold."""
    if value is None or isinstance(value, int):
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def evenly(items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` of the items, spread evenly over them, the first one among them."""
    count = min(count, len(items))
    return [items[index * len(items) // count] for index in range(count)]
