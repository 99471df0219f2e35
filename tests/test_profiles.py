"""What the profiles must agree on, and what makes the cluster's wait for ever."""

import re

import yaml
from checkouts import ROOT

DEFAULT, SLURM = (yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text()) for name in ("default", "slurm"))
RECORDINGS = 10_000  # shards that may be ready at a time


RULE = re.compile(r"^ *(?:rule|checkpoint) (\w+):(.*?)(?=^ *(?:rule|checkpoint) |\Z)", re.M | re.S)
TEXTS = {
    name: text
    for file in sorted((ROOT / "workflow/rules").glob("*.smk"))
    for name, text in RULE.findall(file.read_text())
}
TABLE = yaml.safe_load((ROOT / "profiles/resources.yaml").read_text())


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


def test_resources_of_every_rule_stand_once():
    assert set(TABLE) == {"default", *TEXTS} and len(TEXTS) > 30
    assert set(SLURM["slurm-array-jobs"].split(",")) <= set(TEXTS)
    for name, text in TEXTS.items():
        assert f'**resources("{name}")' in text, name
        assert not re.search(r"(mem_mb|runtime|disk_mb)=", text), f"{name} states what the table states"
    assert all(set(row) == {"mem_mb", "runtime", "disk_mb"} for row in TABLE.values())


def test_every_rule_has_a_docstring():
    for name, text in TEXTS.items():
        assert re.match(r'\s*"""[A-Z]', text), f"{name} does not say what it does"


def test_a_second_attempt_gets_more():
    """Of the rules by the function that reads the table; of what has no rule by the profile."""
    source = (ROOT / "workflow/common.smk").read_text()
    values = {"RESOURCES": TABLE}
    exec(re.search(r"^def resources.*?(?=^(?:@|def ))", source, re.M | re.S)[0], values)
    train = values["resources"]("train")
    assert [train["mem_mb"](None, attempt) for attempt in (1, 2)] == [16000, 32000]
    assert train["runtime"](None, 3) == 1800 and train["disk_mb"] == 4000
    assert all("* attempt" in SLURM["default-resources"][key] for key in ("mem_mb", "runtime"))
    assert SLURM["retries"] >= 1
