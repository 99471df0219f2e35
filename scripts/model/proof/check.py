"""One line of a certificate. A check that cannot run counts as failed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from scripts.lib.cli import UserError

DIGITS = 4  # significant digits: further digits depend on the number of threads
REBUILD = "delete the file and build it again"


@dataclass(frozen=True)
class Check:
    """One line of a certificate.

    Attributes:
        name: the property checked; for a quant "<property>:<quant>".
        kind: "integrity" (a failure stops the run) or "quality" (measured for the gate).
        passed: None for a measured value without a limit.
        value: the measured value.
        limit: the largest ``value`` that passes; for a count of faults, 0.
        detail: a clause for the reader.
        advice: what to do after a failure; not part of the certificate.
    """

    name: str
    kind: Literal["integrity", "quality"]
    passed: bool | None
    value: float | int | None
    limit: float | int | None
    detail: str
    advice: str = REBUILD

    def to_json(self) -> dict[str, Any]:
        """The line of the certificate; NaN and infinity become null."""
        return {key: value for key, value in asdict(self).items() if key != "advice"} | {"value": rounded(self.value)}

    def sentence(self) -> str:
        """The failure, the value and limit, and what to do."""
        measured = "" if self.value is None else f" (value {rounded(self.value)}, limit {self.limit})"
        return f"{self.name} failed: {self.detail.rstrip('.')}{measured}; {self.advice}."


def faults(name: str, found: Sequence[str], detail: str, advice: str = REBUILD) -> Check:
    """An integrity check that counts faults and passes with none; ``detail`` then describes what was checked."""
    named = "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")
    return Check(name, "integrity", not found, len(found), 0, named or detail, advice)


def below(name: str, value: float, limit: float, detail: str, advice: str = REBUILD) -> Check:
    """An integrity check of a measured value against a limit. NaN is above every limit."""
    return Check(name, "integrity", bool(value <= limit), value, limit, detail, advice)


def failed(name: str, detail: str, advice: str = REBUILD) -> Check:
    """An integrity check without a value."""
    return Check(name, "integrity", False, None, None, detail, advice)


def attempt(name: str, prove: Callable[..., Check | list[Check]], *args: Any) -> list[Check]:
    """Runs checks; an error that keeps them from running becomes one failed check of this name."""
    try:
        result = prove(*args)
    except UserError as error:
        return [failed(name, f"could not run: {error}", "mend that and certify again")]
    except (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        return [failed(name, f"could not run: {type(error).__name__}: {' '.join(str(error).split())[:300]}")]
    return result if isinstance(result, list) else [result]


def rounded(value: float | int | None) -> float | int | None:
    """``value`` to `DIGITS` significant digits; None for NaN and infinity, which JSON does not have."""
    if value is None or isinstance(value, int):
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
