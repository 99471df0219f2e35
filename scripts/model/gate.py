"""Chooses the quant that is shipped, by the task's own score, and judges it against the quality limits.

The smallest file is shipped whose score is within ``tolerance`` of the best quant's. Limits: ``minimum`` values, and
the trivial answers and variants it must ``beat``: by the interval of the difference on the same cases where the scorer
takes it, else with the two intervals apart. The certificate is asked as well: an integrity limit stops every run, a
quality limit stops it or marks the package (``on_miss``).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.lib.cli import StageParser, UserError, load_params, run
from scripts.lib.files import read_json, sha256_file, write_json
from scripts.lib.metrics import shown, shown_estimate
from scripts.lib.options.deploy import GateOptions
from scripts.lib.tables import aligned

Check = dict[str, Any]
EVEN = 1e-9  # rounding must not decide what is within the tolerance


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--metrics", type=Path, required=True, help="metrics.json")
    stage.add_argument("--certificate", type=Path, required=True, help="certificate.json")
    stage.add_argument("--quant", nargs="+", required=True, metavar="NAME=FILE", help="the quants to choose among")
    stage.add_argument("--out", type=Path, required=True, help="gate.json")
    return stage


def main(args: argparse.Namespace) -> None:
    """Writes gate.json and prints the checks.

    Raises:
        UserError: the certificate has not passed, or a limit is missed and ``on_miss`` is stop.
    """
    options = GateOptions.parse(load_params(args.params))
    quants = named_quants(args.quant)
    metrics, certificate = read_json(args.metrics), read_json(args.certificate)
    sizes = {name: path.stat().st_size for name, path in quants.items()}
    scores = {name: metric_of(metrics, name, options.metric, args.metrics) for name in quants}
    shipped, choice = choose(scores, sizes, options, higher_is_better(metrics, options.metric))
    integrity = integrity_check(certificate, quants)
    checks = [integrity, *quality_checks(metrics, shipped, options, args.metrics)]
    gate = verdict(shipped, choice, checks, options, sizes, scores)
    write_json(args.out, gate)
    print(report(gate))
    if not integrity["passed"]:
        raise UserError(
            f"{args.certificate}: {integrity['detail']}; an integrity limit stops every run: certify again."
        )
    if not gate["passed"] and options.on_miss == "stop":
        raise UserError(f"{args.metrics}: {gate['why']} Train better, change the limits, or set gate.on_miss: mark.")


def named_quants(arguments: Sequence[str]) -> dict[str, Path]:
    """``NAME=FILE`` arguments by name.

    Raises:
        UserError: an argument is of another form, a name stands twice, or there is no such file.
    """
    quants: dict[str, Path] = {}
    for argument in arguments:
        name, sign, file = argument.partition("=")
        if not (name and sign and file):
            raise UserError(f"--quant {argument}: write it as NAME=FILE, such as Q4_K_M=model-Q4_K_M.gguf.")
        if name in quants:
            raise UserError(f"--quant {argument}: {name} stands twice; name each quant once.")
        quants[name] = Path(file)
        if not quants[name].is_file():
            raise UserError(f"{file}: no such file; quantise the model first, or check the path.")
    return quants


def metric_of(metrics: dict[str, Any], name: str, metric: str, source: Path) -> dict[str, Any]:
    """A variant's or baseline's estimate of a metric.

    Raises:
        UserError: neither is known; it names what there is.
    """
    rows = {**metrics["baselines"], **metrics["variants"]}
    if name not in rows:
        raise UserError(f"{source}: scores no {name!r}, only {', '.join(rows)}; change gate.beat, or predict it first.")
    if metric not in rows[name]:
        known = ", ".join(rows[name])
        raise UserError(f"{source}: {name} has no metric {metric!r}, only {known}; change gate.metric or gate.minimum.")
    return rows[name][metric]


def higher_is_better(metrics: dict[str, Any], metric: str) -> bool:
    """Which way a metric points; up unless the scorer says otherwise."""
    return metrics.get("higher_is_better", {}).get(metric, True)


def choose(
    scores: dict[str, dict[str, Any]], sizes: dict[str, int], options: GateOptions, upward: bool
) -> tuple[str, str]:
    """The quant to ship, and a sentence that says why. Among equal sizes the better one, then the first by name."""
    sign = 1 if upward else -1
    values = {name: sign * row["value"] for name, row in scores.items() if row["value"] is not None}
    if not values:
        smallest = min(sizes, key=lambda name: (sizes[name], name))
        return smallest, f"{smallest} is the smallest file; {options.metric} is undefined for every one."
    best = max(values, key=lambda name: (values[name], -sizes[name], name))
    near = [name for name, value in values.items() if value >= values[best] - options.tolerance - EVEN]
    shipped = min(near, key=lambda name: (sizes[name], -values[name], name))
    figure = f"{options.metric} {shown(scores[shipped]['value'])}"
    if shipped == best:
        others = "the best file" if len(scores) > 1 else "the only file"
        return shipped, f"{shipped} ({sizes[shipped] / 1e6:.1f} MB, {figure}) is {others}."
    return shipped, (
        f"{shipped} ({sizes[shipped] / 1e6:.1f} MB, {figure}) is the smallest file within {options.tolerance:g} of the "
        f"best, {best} ({sizes[best] / 1e6:.1f} MB, {shown(scores[best]['value'])})."
    )


def integrity_check(certificate: dict[str, Any], quants: dict[str, Path]) -> Check:
    """Whether the certificate has passed, and is about these very files."""
    known = {row["name"]: row["sha256"] for row in certificate.get("files", [])}
    strange = [path.name for path in quants.values() if known.get(path.name) != sha256_file(path)]
    if not certificate.get("passed", False):
        missed = [row["name"] for row in certificate.get("checks", []) if _integrity_missed(row)]
        return _check(
            "integrity", False, "the certificate has not passed" + (f": {', '.join(missed)}" if missed else "")
        )
    if strange:
        return _check("integrity", False, f"the certificate is not about {', '.join(strange)} as it is now")
    return _check("integrity", True, "certificate passed, files as certified")


def _integrity_missed(row: dict[str, Any]) -> bool:
    return row.get("kind") == "integrity" and not row.get("passed", True)


def quality_checks(metrics: dict[str, Any], shipped: str, options: GateOptions, source: Path) -> list[Check]:
    """The limits in the configuration's order: minimum values, then whom to beat."""
    checks = []
    for metric, limit in options.minimum.items():
        estimate = metric_of(metrics, shipped, metric, source)
        checks.append(limit_check(metric, estimate["value"], limit, higher_is_better(metrics, metric)))
    ours = metric_of(metrics, shipped, options.metric, source)
    for name in options.beat:
        theirs = metric_of(metrics, name, options.metric, source)
        upward = higher_is_better(metrics, options.metric)
        difference = difference_of(metrics, shipped, name, options.metric)
        checks.append(beat_check(options.metric, name, ours, theirs, upward, difference))
    return checks


def difference_of(metrics: dict[str, Any], variant: str, other: str, metric: str) -> dict[str, Any] | None:
    """The estimate of ``variant`` minus ``other`` on the same cases, where the scorer has taken it."""
    sought = {"metric": metric, "variant": variant, "against": other}
    return next((row for row in metrics.get("paired", []) if sought.items() <= row.items()), None)


def limit_check(metric: str, value: float | None, limit: float, upward: bool) -> Check:
    """A value against its limit: a floor, or, where less is better, a ceiling. An undefined value misses it."""
    held = value is not None and (value >= limit if upward else value <= limit)
    kind = "at least" if upward else "at most"
    return _check(f"minimum {metric}", held, f"{shown(value)}, must be {kind} {limit:g}")


def beat_check(
    metric: str,
    name: str,
    ours: dict[str, Any],
    theirs: dict[str, Any],
    upward: bool,
    difference: dict[str, Any] | None = None,
) -> Check:
    """Ours better than theirs by more than chance.

    With a ``difference`` on the same cases its interval leaves out 0; else the two intervals are apart, which asks for
    more than it has to where cases are easy or hard for both. Without these intervals it is missed.
    """
    detail = f"{metric} {shown_estimate(ours)} against {shown_estimate(theirs)}"
    judged = [difference] if difference else [ours, theirs]
    if any(row[bound] is None for row in judged for bound in ("low", "high")):
        return _check(f"beats {name}", False, f"{detail}: an interval is undefined")
    if difference:
        better = difference["low"] > 0 if upward else difference["high"] < 0
        said = f", difference on the same cases {shown_estimate(difference)}"
        return _check(f"beats {name}", better, detail + said + ("" if better else ": not clearly better"))
    apart = ours["low"] > theirs["high"] if upward else ours["high"] < theirs["low"]
    return _check(f"beats {name}", apart, detail + ("" if apart else ": the intervals are not apart in our favour"))


def _check(name: str, passed: bool, detail: str) -> Check:
    return {"name": name, "passed": passed, "detail": detail}


def verdict(
    shipped: str,
    choice: str,
    checks: list[Check],
    options: GateOptions,
    sizes: dict[str, int],
    scores: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """What gate.json holds."""
    missed = [f"{check['name']} ({check['detail']})" for check in checks if not check["passed"]]
    return {
        "passed": not missed,
        "on_miss": options.on_miss,
        "variant": shipped,
        "why": choice + (f" Limits missed: {'; '.join(missed)}." if missed else ""),
        "checks": checks,
        "metric": options.metric,
        "tolerance": options.tolerance,
        "candidates": [{"name": name, "bytes": sizes[name], "score": scores[name]} for name in sorted(sizes)],
    }


def report(gate: dict[str, Any]) -> str:
    """The checks as a table, and the verdict."""
    rows = [["check", "", "detail"]]
    rows += [[row["name"], "pass" if row["passed"] else "MISS", row["detail"]] for row in gate["checks"]]
    outcome = "passed" if gate["passed"] else "MISSED" if gate["on_miss"] == "stop" else "MISSED, package marked"
    return f"{aligned(rows)}\ngate {outcome}: {gate['why']}"


if __name__ == "__main__":
    run(parser, main)
