"""Chooses the file that is shipped, by the task's own score, and judges it against the quality limits.

The smallest file is shipped whose score is within ``tolerance`` of the best file's. Limits: ``minimum`` values; the
trivial answers and variants that it must ``beat``, by the interval of the paired difference on the same cases; and the
checks of further evidence, such as success in the game. An oracle, a baseline that is given information that the model
is not given, is never gated on. The certificate is asked as well: an integrity limit stops every run, a quality limit
stops it or marks the package (``on_miss``).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.lib.cli import StageParser, UserError, load_params, run
from scripts.lib.files import json_object, named_files, read_json, sha256_file, write_json
from scripts.lib.metrics import shown, shown_estimate
from scripts.lib.options.deploy import GateOptions
from scripts.lib.tables import aligned

Check = dict[str, Any]  # name, detail, and passed: None where the limit does not apply
EVEN = 1e-9  # rounding must not decide what is within the tolerance


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--metrics", type=Path, required=True, help="metrics.json")
    stage.add_argument("--certificate", type=Path, required=True, help="certificate.json")
    stage.add_argument("--quant", nargs="+", required=True, metavar="NAME=FILE", help="the files to choose among")
    stage.add_argument(
        "--evidence", type=Path, nargs="*", default=[], help="JSON files with `gate_checks` of their own"
    )
    stage.add_argument("--out", type=Path, required=True, help="gate.json")
    return stage


def main(args: argparse.Namespace) -> None:
    """Writes gate.json and prints the checks.

    Raises:
        UserError: the certificate has not passed, evidence has no checks, or a limit is missed and ``on_miss`` is stop.
    """
    options = GateOptions.parse(load_params(args.params))
    quants = named_quants(args.quant)
    metrics, certificate = read_json(args.metrics), read_json(args.certificate)
    shipped, choice = choose(metrics, quants, options, args.metrics)
    integrity = integrity_check(certificate, quants)
    checks = [integrity, *quality_checks(metrics, shipped, options, args.metrics)]
    for file in args.evidence:
        evidence = json_object(file) or {}
        if not isinstance(evidence.get("gate_checks"), list):
            raise UserError(f"{file}: has no list `gate_checks`; make it again, or leave it out of --evidence.")
        checks += evidence["gate_checks"]
    missed = [f"{check['name']} ({check['detail']})" for check in checks if check["passed"] is False]
    gate = {
        "passed": not missed,
        "on_miss": options.on_miss,
        "variant": shipped,
        "why": choice + (f" Limits missed: {'; '.join(missed)}." if missed else ""),
        "checks": checks,
        "metric": options.metric,
        "tolerance": options.tolerance,
        "candidates": [
            {
                "name": name,
                "bytes": quants[name].stat().st_size,
                "score": metric_of(metrics, name, options.metric, args.metrics),
            }
            for name in sorted(quants)
        ],
    }
    write_json(args.out, gate)
    print(report(gate))
    if not integrity["passed"]:
        raise UserError(
            f"{args.certificate}: {integrity['detail']}; an integrity limit stops every run: certify again."
        )
    if missed and options.on_miss == "stop":
        raise UserError(f"{args.metrics}: {gate['why']} Train better, change the limits, or set gate.on_miss: mark.")


def named_quants(arguments: Sequence[str]) -> dict[str, Path]:
    """``NAME=FILE`` arguments by name.

    Raises:
        UserError: an argument has another form, a name is given twice, or there is no such file.
    """
    quants = named_files("--quant", arguments, "Q8_0=model-Q8_0.gguf")
    for file in quants.values():
        if not file.is_file():
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


def choose(metrics: dict[str, Any], quants: dict[str, Path], options: GateOptions, source: Path) -> tuple[str, str]:
    """The file to ship, and a sentence that says why. Among equal sizes the better one, then the first by name.

    Args:
        quants: the files to choose among, by variant.
        source: of the metrics, for messages.
    """
    sizes = {name: path.stat().st_size for name, path in quants.items()}
    scores = {name: metric_of(metrics, name, options.metric, source)["value"] for name in quants}
    sign = 1 if higher_is_better(metrics, options.metric) else -1
    values = {name: sign * score for name, score in scores.items() if score is not None}
    if not values:
        smallest = min(sizes, key=lambda name: (sizes[name], name))
        return smallest, f"{smallest} is the smallest file; {options.metric} is undefined for every one."
    best = max(values, key=lambda name: (values[name], -sizes[name], name))
    near = [name for name, value in values.items() if value >= values[best] - options.tolerance - EVEN]
    shipped = min(near, key=lambda name: (sizes[name], -values[name], name))
    figure = f"{options.metric} {shown(scores[shipped])}"
    if shipped == best:
        others = "the best file" if len(scores) > 1 else "the only file"
        return shipped, f"{shipped} ({sizes[shipped] / 1e6:.1f} MB, {figure}) is {others}."
    return shipped, (
        f"{shipped} ({sizes[shipped] / 1e6:.1f} MB, {figure}) is the smallest file within {options.tolerance:g} of the "
        f"best, {best} ({sizes[best] / 1e6:.1f} MB, {shown(scores[best])})."
    )


def integrity_check(certificate: dict[str, Any], quants: dict[str, Path]) -> Check:
    """Whether the certificate has passed, and is about these very files."""
    if not certificate.get("passed", False):
        checks = certificate.get("checks", [])
        missed = [row["name"] for row in checks if row.get("kind") == "integrity" and not row.get("passed", True)]
        detail = "the certificate has not passed" + (f": {', '.join(missed)}" if missed else "")
        return {"name": "integrity", "passed": False, "detail": detail}
    known = {row["name"]: row["sha256"] for row in certificate.get("files", [])}
    strange = [path.name for path in quants.values() if known.get(path.name) != sha256_file(path)]
    if strange:
        detail = f"the certificate is not about {', '.join(strange)} as it is now"
        return {"name": "integrity", "passed": False, "detail": detail}
    return {"name": "integrity", "passed": True, "detail": "certificate passed, files as certified"}


def quality_checks(metrics: dict[str, Any], shipped: str, options: GateOptions, source: Path) -> list[Check]:
    """The limits in the configuration's order: minimum values, then what to beat.

    Raises:
        UserError: ``beat`` names an oracle.
    """
    checks = [
        limit_check(metric, metric_of(metrics, shipped, metric, source), limit, higher_is_better(metrics, metric))
        for metric, limit in options.minimum.items()
    ]
    for name in options.beat:
        if name in metrics.get("oracles", []):
            raise UserError(
                f"{source}: gate.beat names {name!r}, an oracle: it is given information that the model is not given. "
                "Leave it out."
            )
        if reason := metrics.get("not_applicable", {}).get(name):
            checks.append({"name": f"beats {name}", "passed": None, "detail": f"does not apply: {reason}"})
        else:
            checks.append(beat_check(metrics, shipped, name, options.metric, source))
    return checks


def limit_check(metric: str, estimate: dict[str, Any], limit: float, upward: bool) -> Check:
    """A value against its limit: a floor, or, where less is better, a ceiling. An undefined value misses it."""
    value = estimate["value"]
    held = value is not None and (value >= limit if upward else value <= limit)
    detail = f"{shown(value)}, must be {'at least' if upward else 'at most'} {limit:g}"
    return {"name": f"minimum {metric}", "passed": held, "detail": detail}


def beat_check(metrics: dict[str, Any], shipped: str, name: str, metric: str, source: Path) -> Check:
    """The shipped file better than another variant or a baseline: the interval of the paired difference excludes 0.

    An undefined interval (one group of cases alone) misses the limit.

    Raises:
        UserError: the scorer has not taken the difference.
    """
    ours, theirs = (metric_of(metrics, variant, metric, source) for variant in (shipped, name))
    sought = {"metric": metric, "variant": shipped, "against": name}
    difference = next((row for row in metrics.get("paired", []) if sought.items() <= row.items()), None)
    if difference is None:
        raise UserError(
            f"{source}: has no paired difference of {metric} between {shipped} and {name}: the scorer takes none, or "
            f"was run with another --gate-metric. Score with --gate-metric {metric}, or take {name} out of gate.beat."
        )
    detail = f"{metric} {shown_estimate(ours)} against {shown_estimate(theirs)}"
    detail += f", difference on the same cases {shown_estimate(difference)}"
    if difference["low"] is None:
        return {"name": f"beats {name}", "passed": False, "detail": f"{detail}: its interval is undefined"}
    better = difference["low"] > 0 if higher_is_better(metrics, metric) else difference["high"] < 0
    return {"name": f"beats {name}", "passed": better, "detail": detail + ("" if better else ": not clearly better")}


def report(gate: dict[str, Any]) -> str:
    """The checks as a table, and the verdict."""
    words = {True: "pass", False: "MISS", None: "n/a"}
    rows = [["check", "", "detail"], *([row["name"], words[row["passed"]], row["detail"]] for row in gate["checks"])]
    outcome = "passed" if gate["passed"] else "MISSED" if gate["on_miss"] == "stop" else "MISSED, package marked"
    return f"{aligned(rows)}\ngate {outcome}: {gate['why']}"


if __name__ == "__main__":
    run(parser, main)
