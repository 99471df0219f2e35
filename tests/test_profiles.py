"""What the profiles must agree on, and what makes the cluster's wait for ever."""

import re

import yaml
from checkouts import ROOT

DEFAULT, SLURM = (yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text()) for name in ("default", "slurm"))
RECORDINGS = 10_000  # shards that may be ready at a time


def rules():
    """The memory and run time that each rule states."""
    found = {}
    for file in (ROOT / "workflow/rules").glob("*.smk"):
        for name, text in re.findall(
            r"^(?:rule|checkpoint) (\w+):(.*?)(?=^(?:rule|checkpoint) |\Z)", file.read_text(), RULE
        ):
            found[name] = {key: int(value) for key, value in re.findall(r"^        (mem_mb|runtime)=(\d+)", text, re.M)}
    return found


RULE = re.M | re.S
RULES = rules()


def test_both_record_checksums_of_every_size_and_look_at_the_same():
    for key in ("max-checksum-file-size", "rerun-triggers"):
        assert SLURM[key] == DEFAULT[key], key
    assert SLURM["max-checksum-file-size"] >= 10**12


def test_arrays_are_never_cut_by_how_many_jobs_may_be_sent():
    """The executor drops jobs of an array that is not complete, and waits for them (its issue 473)."""
    assert SLURM["slurm-array-jobs"]
    assert SLURM["jobs"] >= RECORDINGS
    count, _, seconds = SLURM["max-jobs-per-timespan"].partition("/")
    assert int(count) >= RECORDINGS and seconds == "1s"


def test_every_rule_stands_in_the_profile_with_no_less_than_it_states():
    """A rule's own numbers do not grow with the attempt."""
    assert set(SLURM["set-resources"]) == set(RULES)
    assert set(SLURM["slurm-array-jobs"].split(",")) <= set(RULES)
    for name, stated in RULES.items():
        for key, value in stated.items():
            assert int(SLURM["set-resources"][name][key].split()[0]) >= value, (name, key)


def test_a_second_attempt_gets_more():
    for resources in (SLURM["default-resources"], *SLURM["set-resources"].values()):
        assert all("* attempt" in resources[key] for key in ("mem_mb", "runtime")), resources
    assert SLURM["retries"] >= 1
