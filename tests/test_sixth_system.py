"""A sixth system takes one folder, one line in the registry and an overlay: nothing else is edited.

The folder is written here, in a copy of the project; its stages are played by tests/standin.py.
"""

import json
import shutil
import textwrap

import pytest
from checkouts import Checkout

OVERLAY = """
toy:
  sources: [data/raw/toy]
  runs:
    one: {base: smollm2, system_prompt: You count.}
"""
FOLDER = {
    "__init__.py": '"""toy: lines of text to a model that counts them."""\n',
    "options.py": '''
        """Options of the toy stages."""

        from scripts.lib.options.strict import Options


        class ToyCurateOptions(Options):
            """From lines to records."""

            seed: int = 7
        ''',
    "system.py": '''
        """toy: lines of text to a model that counts them."""

        from __future__ import annotations

        from scripts.contract import LANGUAGE, PERPLEXITY, Baseline, Metric, Prediction, Stage, System
        from scripts.lib.options.run import LanguageOptions, RunOptions, gate_section
        from scripts.toy.options import ToyCurateOptions

        ToyGateOverrides = gate_section("toy", "right", ["base", "majority"])


        class ToyOptions(LanguageOptions):
            """toy: lines of text to a model that counts them."""

            sources: list[str] = []
            """files to count in"""
            curate: ToyCurateOptions = ToyCurateOptions()
            gate: ToyGateOverrides = ToyGateOverrides()
            runs: dict[str, RunOptions] = {}


        SYSTEM = System(
            name="toy",
            summary="A counter of lines.",
            family=LANGUAGE,
            options=ToyOptions,
            metrics={"right": Metric("right counts", "share of the lines counted right."), "perplexity": PERPLEXITY},
            baselines={"majority": Baseline("always one"), "told": Baseline("is given the count", oracle=True)},
            predictions={"swapped": Prediction("given another line", "--swap-questions")},
            score=Stage("scripts.toy.score"),
            deploy=Stage("scripts.toy.deploy"),
            rules="../scripts/toy/rules.smk",
        )
        ''',
    "curate.py": '"""Lines to records."""\nfrom scripts.toy.options import ToyCurateOptions\n',
    "score.py": '"""Scores counts."""\nfrom scripts.lib import scoring\nfrom scripts.toy.system import SYSTEM\n',
    "deploy.py": '"""Packs the counter."""\nfrom scripts.packaging.publish import publish_language\n',
    "rules.smk": '''
        rule toy_curate:
            """Makes records of lines. Config: `toy.{sources, curate}`."""
            input:
                sources=[str(path) for root in CONFIG.toy.sources for path in sorted(Path(root).glob("*.txt"))],
            output:
                [
                    f"data/curated/toy/{{run}}/{name}"
                    for name in ("train.jsonl", "val.jsonl", "test.jsonl", "stats.json", "quarantine.jsonl")
                ],
            params:
                folder=subpath(output[0], parent=True),
                options=as_json(CONFIG.toy.curate),
                code=code("scripts.toy.curate"),
            shell:
                "python -m scripts.toy.curate {input.sources:q} --out {params.folder:q} --params {params.options:q}"
        ''',
}
TRAINED = {"scripts.model.train", "scripts.model.merge", "scripts.model.convert", "scripts.model.quantize"}
JUDGED = {"scripts.model.certify", "scripts.model.predict", "scripts.toy.score", "scripts.packaging.gate"}
CONFIGURED = ("--configfile", "config/demo.yaml", "toy.yaml")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The project with its sixth system, built whole."""
    folder = tmp_path_factory.mktemp("sixth") / "original"
    folder.mkdir()
    checkout = Checkout(folder).populate()
    (folder / "scripts/toy").mkdir()
    for name, text in FOLDER.items():
        (folder / "scripts/toy" / name).write_text(textwrap.dedent(text).lstrip("\n"))
    checkout.edit("scripts/systems.py", '    "aerial",\n', '    "aerial",\n    "toy",\n')
    (folder / "toy.yaml").write_text(OVERLAY)
    (folder / "data/raw/toy").mkdir()
    (folder / "data/raw/toy/lines.txt").write_text("one\ntwo\n")
    checkout.first_build = checkout.build(*CONFIGURED)
    return checkout


@pytest.fixture
def checkout(original, tmp_path):
    shutil.copytree(original.folder, tmp_path / "checkout")
    return Checkout(tmp_path / "checkout")


def test_it_is_built_from_raw_data_to_package_and_page(original):
    modules = {line.split()[0] for line in original.first_build}
    assert {"scripts.toy.curate", *TRAINED, *JUDGED, "scripts.toy.deploy", "scripts.report"} <= modules
    predicted = [line.split()[1] for line in original.first_build if "scripts.model.predict reports/toy" in line]
    variants = {"base", "tuned", "f16", "Q4_K_M", "Q8_0", "swapped"}
    assert {name.rpartition("/")[2] for name in predicted} == {f"{variant}.jsonl" for variant in variants}
    for name in ("dist/toy/one/SHA256SUMS", "reports/toy/one/gate.json", "models/toy/one/gguf/certificate.json"):
        assert (original.folder / name).is_file(), name
    assert original.build(*CONFIGURED) == []


def test_its_five_targets_and_its_name_are_there(original):
    for target in ("toy", *(f"toy_one_{stage}" for stage in ("train", "validate", "convert", "deploy"))):
        assert original.planned(*CONFIGURED, "--", target) == set(), target
    assert original.modules(*CONFIGURED, "--", "toy_one_test") == {"scripts.packaging.verify"}


def test_an_edit_of_its_data_rebuilds_its_cone_alone(checkout):
    (checkout.folder / "data/raw/toy/lines.txt").write_text("one\ntwo\nthree\n")
    built = checkout.build(*CONFIGURED)
    assert {"scripts.toy.curate", "scripts.toy.deploy"} <= {line.split()[0] for line in built}
    assert not [line for line in built if "/dnd" in line]


def test_schema_doctor_and_dvc_stages_know_it(checkout):
    schema = json.loads(checkout.command("scripts.config", "--print"))
    assert schema["properties"]["toy"] and "ToyOptions" in schema["$defs"]
    assert "toy/one rows" in checkout.command("scripts.doctor", *CONFIGURED)
    checkout.command("scripts.sharing.dvcfile", *CONFIGURED)
    stages = (checkout.folder / "dvc.yaml").read_text()
    assert "  toy:\n" in stages and "- dist/toy:" in stages


def test_a_gate_that_names_its_oracle_is_refused(checkout):
    (checkout.folder / "toy.yaml").write_text(OVERLAY + "  gate: {beat: [base, told]}\n")
    said = checkout.command("snakemake", "-n", *CONFIGURED, code=1)
    assert (
        "toy.gate.beat: 'told' is an oracle (is given the count)" in said
        and "Choose among: majority, swapped, base" in said
    )


def test_rewording_a_declaration_plans_nothing(checkout):
    checkout.edit("scripts/toy/system.py", "share of the lines counted right.", "how often the count is right.")
    checkout.edit("scripts/dnd/system.py", '"call F1",', '"F1 of calls",')
    checkout.edit("scripts/contract.py", "exponential of the mean cross entropy", "exp of the mean cross entropy")
    assert checkout.build(*CONFIGURED) == []


def test_what_a_declaration_decides_is_noticed(checkout):
    right = 'Metric("right counts", "share of the lines counted right.")'
    checkout.edit("scripts/toy/system.py", right, right.replace('.")', '.", higher_is_better=False)'))
    built = checkout.build(*CONFIGURED)
    assert [line for line in built if line.startswith("scripts.toy.score")]
    assert not [line for line in built if "scripts.model" in line or "/dnd" in line]
