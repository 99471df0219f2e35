"""Large graphs: shards and recordings are jobs, tiles and frames are not, and no plan reads a file twice."""

import os
import subprocess
import sys

import pytest
import yaml
from checkouts import Checkout

COUNTING = """
import collections, json, sys
opened = collections.Counter()
def hook(event, arguments):
    if event == "open" and "/export/" in str(arguments[0]):
        opened[str(arguments[0])] += 1
sys.addaudithook(hook)
from snakemake.cli import main
try:
    main(sys.argv[1:])
finally:
    print(json.dumps([len(opened), max(opened.values(), default=0)]))
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large") / "checkout"
    folder.mkdir()
    return Checkout(folder).populate(whole=True)


def overlay(checkout, name, values):
    """Arguments that put a configuration on top of the demo preset."""
    (checkout.folder / name).write_text(yaml.safe_dump(values))
    return ("--configfile", "config/demo.yaml", name, "--")


def export(folder, side):
    """A map of side × side tiles, one JSON file each."""
    (folder / "export/dataset").mkdir(parents=True)
    for x in range(side):
        for y in range(side):
            (folder / f"export/dataset/Big_{x}_{y}.json").write_text(f"{x} {y}")
    return {"terrain": {"exports": [str(folder / "export")], "curate": {"unseen": []}}}


def jobs(checkout, *arguments):
    """How many jobs of each rule a dry run counts."""
    said = checkout.snakemake("-n", *arguments).stdout
    rows = said[said.rindex("Job stats:") :].partition("\ntotal ")
    table = {row.split()[0]: int(row.split()[1]) for row in rows[0].splitlines()[3:]}
    return table | {"total": int(rows[2].split()[0])}


def test_a_continent_of_4096_tiles_is_64_shards(checkout, tmp_path):
    counts = jobs(checkout, *overlay(checkout, "big.yaml", export(tmp_path, 64)), "terrain")
    assert counts["terrain_ingest"] == 64
    assert (
        counts["total"] == 64 + 20
    )  # base, curate, train, export, five variants and another's pictures, scores, package


def test_generated_maps_of_4096_tiles_are_shards_too(checkout):
    maps = [{"map": "Continent", "tiles": 3844}, {"map": "Island", "tiles": 252}]
    values = {"terrain": {"generate": maps, "curate": {"unseen": []}}}
    counts = jobs(checkout, *overlay(checkout, "maps.yaml", values), "terrain")
    assert counts["terrain_generate"] == 2
    assert counts["total"] < 100


def test_500_recordings_are_two_jobs_each(checkout):
    values = {"gameplay": {"generate": {"recordings": 500}}}
    counts = jobs(checkout, *overlay(checkout, "play.yaml", values), "gameplay")
    assert counts["gameplay_ingest"] == counts["gameplay_label"] == 500
    assert counts["total"] == 1000 + 22


def test_a_plan_reads_no_file_twice_and_the_next_one_none(checkout, tmp_path):
    side = 16
    arguments = overlay(checkout, "tiles.yaml", export(tmp_path, side))
    shards = [f"data/ingested/terrain/export/{x}_{y}/manifest.json" for x in (0, 1) for y in (0, 1)]
    assert len(checkout.build(*arguments, *shards)) == 4

    def opened():
        done = subprocess.run(
            [sys.executable, "-c", COUNTING, "-n", "--cores", "1", *arguments, *shards],
            cwd=checkout.folder,
            env=checkout.environment,
            capture_output=True,
            text=True,
        )
        assert "Nothing to be done" in done.stdout + done.stderr, done.stderr[-2000:]
        return yaml.safe_load(done.stdout.splitlines()[-1])

    assert opened() == [side * side, 1]  # read once, and remembered
    assert opened() == [0, 0]
    for path in (tmp_path / "export/dataset").iterdir():
        os.utime(path)
    assert opened() == [side * side, 1]
