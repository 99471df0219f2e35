"""The gate: the smallest file that is good enough, limits that hold or not, and the certificate above all."""

import hashlib
import json
import subprocess
import sys

import pytest

from scripts.lib.cli import UserError
from scripts.packaging import gate


def estimate(value, width=0.05):
    bounds = (None, None) if value is None else (value - width, value + width)
    return {"value": value, "low": bounds[0], "high": bounds[1], "n": 100}


def all_pairs(scores, sizes):
    """A difference on the same cases of each file and rival; its interval has the width of the two scores'."""
    rivals = {"base": scores["base"], "majority": 0.1}
    values = {(name, rival): None if scores[name] is None else scores[name] - rivals[rival]
              for name in sizes for rival in rivals}  # fmt: skip
    return [
        {"metric": "call_f1", "variant": name, "against": rival, **estimate(value, 0.1)}
        for (name, rival), value in values.items()
    ]


@pytest.fixture
def run_gate(tmp_path):
    def run(scores, sizes=None, certificate=None, paired=(), evidence=(), **options):
        sizes = sizes or {"Q4_K_M": 400, "Q8_0": 800}
        options = {"metric": "call_f1", "beat": ["base", "majority"]} | options
        command, files = ["--quant"], []
        for name, size in sizes.items():
            path = tmp_path / f"model-{name}.gguf"
            path.write_bytes(name.encode() * size)
            files.append({"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
            command.append(f"{name}={path}")
        metrics = {
            "variants": {
                name: {"call_f1": estimate(value), "perplexity": estimate(9.0)} for name, value in scores.items()
            },
            "baselines": {"majority": {"call_f1": estimate(0.1)}, "told": {"call_f1": estimate(0.9)}},
            "higher_is_better": {"call_f1": True, "perplexity": False},
            "oracles": ["told"],
            "not_applicable": {"misled": "one goal"},
            "paired": list(paired) or all_pairs(scores, sizes),
        }
        (tmp_path / "metrics.json").write_text(json.dumps(metrics))
        (tmp_path / "certificate.json").write_text(json.dumps({"passed": True, "files": files} | (certificate or {})))
        command += ["--metrics", str(tmp_path / "metrics.json"), "--certificate", str(tmp_path / "certificate.json")]
        for number, checks in enumerate(evidence):
            (tmp_path / f"evidence{number}.json").write_text(json.dumps({"gate_checks": checks}))
        command += ["--evidence", *(str(tmp_path / f"evidence{number}.json") for number in range(len(evidence)))]
        command += ["--out", str(tmp_path / "gate.json"), "--params", json.dumps(options)]
        run.command = command
        gate.main(gate.parser().parse_args(command))
        return json.loads((tmp_path / "gate.json").read_text())

    return run


def test_the_smaller_file_is_shipped_within_the_tolerance(run_gate):
    got = run_gate({"base": 0.0, "Q4_K_M": 0.49, "Q8_0": 0.5}, tolerance=0.02)
    assert (got["variant"], got["passed"]) == ("Q4_K_M", True)
    assert got["candidates"][0] == {"name": "Q4_K_M", "bytes": 2400, "score": estimate(0.49)}
    assert "Q8_0" in got["why"] and "within 0.02" in got["why"]


def test_the_better_file_is_shipped_beyond_it(run_gate):
    got = run_gate({"base": 0.0, "Q4_K_M": 0.45, "Q8_0": 0.5}, tolerance=0.02)
    assert (got["variant"], got["why"]) == ("Q8_0", "Q8_0 (0.0 MB, call_f1 0.500) is the best file.")


def test_the_choice_turns_where_less_is_better(tmp_path):
    options = gate.GateOptions(metric="perplexity", tolerance=0.5)
    values = {"small": (9.9, 1), "large": (9.0, 9), "mid": (9.4, 5)}
    files = {}
    for name, (_, size) in values.items():
        files[name] = tmp_path / name
        files[name].write_bytes(b"x" * size)
    metrics = {"variants": {name: {"perplexity": estimate(value)} for name, (value, _) in values.items()}}
    metrics |= {"baselines": {}, "higher_is_better": {"perplexity": False}}
    assert gate.choose(metrics, files, options, tmp_path)[0] == "mid"


@pytest.mark.parametrize(("low", "high", "better"), [(-0.4, -0.1, True), (-0.4, 0.1, False), (0.1, 0.4, False)])
def test_where_less_is_better_the_whole_interval_must_lie_below_zero(tmp_path, low, high, better):
    metrics = {"variants": {"Q8_0": {"rmse": estimate(1.0)}}, "baselines": {"mean": {"rmse": estimate(1.2)}}}
    row = {"metric": "rmse", "variant": "Q8_0", "against": "mean", "value": -0.2, "low": low, "high": high}
    metrics |= {"higher_is_better": {"rmse": False}, "paired": [row]}
    assert gate.beat_check(metrics, "Q8_0", "mean", "rmse", tmp_path)["passed"] is better


def test_evidence_without_checks_is_one_sentence(run_gate, tmp_path):
    run_gate({"base": 0.1, "Q4_K_M": 0.5, "Q8_0": 0.5}, evidence=[[]])
    (tmp_path / "evidence0.json").write_text("{}")
    with pytest.raises(UserError, match=r"evidence0\.json: has no list `gate_checks`"):
        gate.main(gate.parser().parse_args(run_gate.command))


def test_an_undefined_score_never_wins(run_gate):
    assert run_gate({"base": 0.0, "Q4_K_M": None, "Q8_0": 0.5})["variant"] == "Q8_0"
    got = run_gate({"base": 0.0, "Q4_K_M": None, "Q8_0": None})
    assert (got["variant"], got["passed"]) == ("Q4_K_M", False)
    assert "undefined" in got["why"]


def test_a_difference_that_may_be_chance_beats_nothing(run_gate):
    got = run_gate({"base": 0.42, "Q4_K_M": 0.5, "Q8_0": 0.5})
    checks = {row["name"]: row["passed"] for row in got["checks"]}
    assert checks == {"integrity": True, "beats base": False, "beats majority": True}
    assert not got["passed"] and "beats base" in got["why"]


def test_the_difference_on_the_same_cases_decides(run_gate):
    """Cases that are hard for both make each interval wide, and the difference's narrow."""
    scores = {"base": 0.42, "Q4_K_M": 0.5, "Q8_0": 0.5}
    row = {"metric": "call_f1", "variant": "Q4_K_M", "against": "base"}
    clear = row | {"value": 0.08, "low": 0.01, "high": 0.15, "n": 100}
    given = [row | {"metric": "other", "low": -1, "high": 1}, clear]
    got = run_gate(scores, paired=given, beat=["base"])
    assert got["passed"] and "difference on the same cases 0.080 [0.010, 0.150]" in str(got["checks"])
    for bounds in ({"low": -0.01}, {"low": None, "high": None}):
        assert not run_gate(scores, paired=[clear | bounds], beat=["base"])["passed"]
    assert not run_gate({**scores, "base": 0.2}, paired=[clear | {"low": -0.3}], beat=["base"])["passed"]
    for lacking in (clear | {"variant": "Q8_0"}, clear | {"metric": "other"}):
        with pytest.raises(UserError, match=r"no paired difference of call_f1 .*--gate-metric call_f1"):
            run_gate(scores, paired=[lacking], beat=["base"])


def test_an_oracle_is_never_gated_on(run_gate):
    scores = {"base": 0.0, "Q4_K_M": 0.5, "Q8_0": 0.5}
    with pytest.raises(UserError, match="'told', an oracle: it is given information that the model is not given"):
        run_gate(scores, beat=["base", "told"])
    assert run_gate(scores, on_miss="stop")["passed"]  # though the oracle's score is far above


def test_what_does_not_apply_neither_passes_nor_misses(run_gate):
    got = run_gate({"base": 0.0, "Q4_K_M": 0.5, "Q8_0": 0.5}, beat=["base", "misled"])
    assert got["passed"]
    assert got["checks"][-1] == {"name": "beats misled", "passed": None, "detail": "does not apply: one goal"}


def test_further_evidence_is_judged(run_gate):
    scores = {"base": 0.0, "Q4_K_M": 0.5, "Q8_0": 0.5}
    held, missed = ({"name": "goal reached: beats random", "passed": way, "detail": "0.8"} for way in (True, False))
    assert run_gate(scores, evidence=[[held]])["checks"][-1] == held
    got = run_gate(scores, evidence=[[held], [missed]])
    assert not got["passed"] and "goal reached: beats random" in got["why"]


def test_a_minimum_is_a_ceiling_where_less_is_better(run_gate):
    scores = {"base": 0.0, "Q4_K_M": 0.5, "Q8_0": 0.5}
    assert run_gate(scores, minimum={"call_f1": 0.5, "perplexity": 9.5})["passed"]
    assert not run_gate(scores, minimum={"perplexity": 8.5})["passed"]
    assert not run_gate(scores, minimum={"call_f1": 0.51})["passed"]


def test_a_missed_limit_marks_or_stops(run_gate, capsys, tmp_path):
    scores = {"base": 0.5, "Q4_K_M": 0.5, "Q8_0": 0.5}
    assert run_gate(scores, on_miss="mark")["passed"] is False
    assert "MISSED, package marked" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"gate\.on_miss"):
        run_gate(scores, on_miss="stop")
    done = subprocess.run(
        [sys.executable, "-m", "scripts.packaging.gate", *run_gate.command], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert json.loads((tmp_path / "gate.json").read_text())["on_miss"] == "stop"


def test_integrity_stops_even_where_limits_only_mark(run_gate):
    scores = {"base": 0.0, "Q4_K_M": 0.5, "Q8_0": 0.5}
    failed = {"passed": False, "checks": [{"name": "logits:f16", "kind": "integrity", "passed": False}]}
    with pytest.raises(UserError, match="logits:f16"):
        run_gate(scores, certificate=failed, on_miss="mark")
    with pytest.raises(UserError, match="not about"):
        run_gate(scores, certificate={"files": [{"name": "model-Q8_0.gguf", "sha256": "0" * 64}]})


def test_the_same_input_gives_the_same_bytes(run_gate, tmp_path):
    scores = {"base": 0.0, "Q4_K_M": 0.5, "Q8_0": 0.5}
    run_gate(scores)
    first = (tmp_path / "gate.json").read_bytes()
    run_gate(scores)
    assert (tmp_path / "gate.json").read_bytes() == first
    assert str(tmp_path).encode() not in first


def test_unknown_names_are_one_sentence_each(run_gate):
    scores = {"base": 0.0, "Q4_K_M": 0.5, "Q8_0": 0.5}
    with pytest.raises(UserError, match="scores no 'nearset'"):
        run_gate(scores, beat=["nearset"])
    with pytest.raises(UserError, match="no metric 'f1'"):
        run_gate(scores, metric="f1")
    with pytest.raises(UserError, match="NAME=FILE"):
        gate.named_quants(["model.gguf"])
    with pytest.raises(UserError, match="no such file"):
        gate.named_quants(["Q8_0=nowhere.gguf"])
