"""A specialist's package: what is in it, what serves from it, the same bytes each time, one sentence where it fails."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters
from package_fixtures import TRAINING
from tools_fixtures import DEFINITIONS, EXAMPLES, SYSTEM, deploy_package, make_tools_run

from scripts.lib.cli import UserError
from scripts.packaging import verify
from scripts.tools import serve
from scripts.tools.server.package import read_packages
from scripts.tools.validate import call_problems

PROJECT = Path(serve.__file__).resolve().parents[2]
FILES = {
    "Modelfile", "README.md", "SHA256SUMS", "deployment_config.json", "mcp.json", "model-Q8_0.gguf",
    "run-llama-server.sh", "specialist_config.json", "test_results.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_tools_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def package(root):
    return deploy_package(root, root / "dist/tools/veran")


def test_holds_exactly_the_expected_files(package):
    assert {path.name for path in package.iterdir()} == FILES
    assert verify.main(verify.parser().parse_args([str(package)])) == 0


def test_specialist_config_says_all_that_serving_needs(package):
    config = json.loads((package / "specialist_config.json").read_text(encoding="utf-8"))
    assert (config["name"], config["description"]) == ("veran", "Reads the console's memory.")
    assert (config["system_prompt"], config["tools"]) == (SYSTEM, DEFINITIONS)
    assert config["focus"] == ["mesen2.read_memory", "mesen2.pause"]
    assert config["training"] == TRAINING["settings"]
    asked = [example["instruction"].strip() for example in EXAMPLES if example["id"] != "c-decline"]
    assert len(config["phrases"]) == 3
    assert all(any(text in phrase for phrase in config["phrases"]) for text in asked)
    assert "im_start" in config["chat_template"] and config["eos_token"] == "<|im_end|>"


def test_the_card_explains_the_metrics_and_names_no_machine(package, root):
    card = (package / "README.md").read_text(encoding="utf-8")
    assert "exact match" in card and "decline recall" in card
    assert "python -m scripts.tools.serve THIS_FOLDER" in card
    for path in package.iterdir():
        assert path.suffix == ".gguf" or str(root).encode() not in path.read_bytes(), path.name


def test_same_inputs_give_the_same_bytes_wherever_they_lie(package, tmp_path):
    again = deploy_package(make_tools_run(tmp_path / "elsewhere"), tmp_path / "out")
    assert (again / "SHA256SUMS").read_bytes() == (package / "SHA256SUMS").read_bytes()


@pytest.mark.parametrize("name", ["train.jsonl", "gate.json", "training.json", "base/base.json"])
def test_a_missing_input_is_one_sentence_and_writes_nothing(name, tmp_path):
    root = make_tools_run(tmp_path / "run")
    (root / name).unlink()
    with pytest.raises(UserError) as error:
        deploy_package(root, tmp_path / "dist/veran")
    assert str(root / name) in str(error.value) and "no such file; build it first" in str(error.value)
    assert "\n" not in str(error.value)
    assert not [path for path in tmp_path.rglob("*") if "veran" in path.name]


def test_mcp_json_starts_a_server_that_answers(package, root):
    """As a client in the project's folder would start it, ``dist`` among the others there."""
    (entry,) = json.loads((package / "mcp.json").read_text())["mcpServers"].values()
    env = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(PROJECT)}
    tools = read_packages([package])[0].tools
    seen = []

    async def ask() -> None:
        async with Client(StdioServerParameters(**entry, cwd=root, env=env)) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == {"veran", "route"}
            for name in ("veran", "route"):
                result = await client.call_tool(name, {"instruction": EXAMPLES[1]["instruction"]})
                assert not result.is_error
                seen.append(result.structured_content)

    anyio.run(ask)
    reply, routed = seen
    assert routed["answer"] == reply and routed["specialist"] == "veran"
    assert reply["declined"] == (not reply["calls"]) == bool(reply["reason"])
    for call in reply["calls"]:
        assert not list(call_problems((call["name"], call["arguments"]), tools))
