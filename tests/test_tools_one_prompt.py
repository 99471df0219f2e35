"""One rendering: the prompt that training learns from is, byte for byte, what llama.cpp is sent in every later stage.

The prompts are taken where they leave this process, from the bodies of the HTTP requests to llama.cpp.
"""

from __future__ import annotations

import http.client
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from exported import stage
from package_fixtures import write_gguf
from tools_fixtures import (
    EXAMPLES,
    SYSTEM,
    TWO_STEPS,
    WINDOW,
    deploy_package,
    make_tools_run,
    records,
    save_base,
)

from scripts.lib.chat import answer_spans, prompt_text
from scripts.lib.files import read_json, write_json
from scripts.lib.records import write_records
from scripts.lib.tool_prompt import knows_tools
from scripts.model import convert, engine, predict
from scripts.model.dataset import IGNORED, load_examples
from scripts.tools.examples import with_context
from scripts.tools.server.package import read_packages
from scripts.tools.server.specialist import Specialist

INSTRUCTION = with_context(TWO_STEPS["instruction"], TWO_STEPS["context"])
Prompt = tuple[bytes, list[int]]


@dataclass
class Sent:
    """What was posted to llama.cpp, in order."""

    texts: list[bytes] = field(default_factory=list)
    ids: list[list[int]] = field(default_factory=list)

    def prompts(self) -> list[Prompt]:
        """Each prompt as the text that was made into tokens, and as the tokens that were completed."""
        return list(zip(self.texts, self.ids, strict=True))


@pytest.fixture
def sent(monkeypatch):
    found = Sent()
    plain = http.client.HTTPConnection.request

    def request(connection, method, url, body=None, headers=(), **more):
        if url == "/tokenize":
            found.texts.append(json.loads(body)["content"].encode())
        elif url == "/completion":
            prompt = json.loads(body)["prompt"]
            found.ids += prompt if isinstance(prompt[0], list) else [prompt]
        return plain(connection, method, url, body, headers, **more)

    monkeypatch.setattr(http.client.HTTPConnection, "request", request)
    return found


@dataclass(frozen=True)
class Road:
    """A base, its GGUF, and the package made from both."""

    base: Path
    gguf: Path
    package: Path


@pytest.fixture(scope="module")
def roads(converter, tmp_path_factory):
    """One GGUF by the converter, to which the tokens of tags are new; the other written without it, for speed."""
    root = tmp_path_factory.mktemp("one_prompt")
    found = {}
    for name in ("native", "fallback"):
        base, gguf = save_base(root / name, native=name == "native"), root / f"{name}.gguf"
        if name == "native":
            stage(convert, "--model", base, "--out", gguf, "--converter", converter)
        else:
            write_gguf(gguf, window=WINDOW)
        run = make_tools_run(root / f"{name}-run", base=base, gguf=gguf)
        found[name] = Road(base, gguf, deploy_package(run, root / f"{name}-package", base))
    return found


@pytest.fixture(params=["native", "fallback"])
def road(request, roads):
    return roads[request.param]


def trained(road: Road, folder: Path) -> list[Prompt]:
    """What training shows of the two-step record before each of its answers: the text, and the ids without loss."""
    tokenizer = engine.load_tokenizer(road.base)
    record = records()[0]
    write_records(folder / "train.jsonl", [record])
    rows, _ = load_examples(folder / "train.jsonl", tokenizer, WINDOW)
    ids, labels = rows[0]["input_ids"], rows[0]["labels"]
    starts = [at for at in range(1, len(ids)) if labels[at] != IGNORED and labels[at - 1] == IGNORED]
    text, spans = answer_spans(tokenizer, record)
    assert tokenizer.decode(ids) == text
    return [(text[:start].encode(), ids[:at]) for (start, _), at in zip(spans, starts, strict=True)]


def predicted(road: Road, folder: Path) -> None:
    """Predicts the two-step record with the GGUF."""
    write_records(folder / "test.jsonl", records()[:1])
    options = {"max_new_tokens": 4, "perplexity_records": 0}
    arguments = ("--variant", "f16", "--model", road.gguf, "--tokenizer", road.base)
    files = ("--records", folder / "test.jsonl", "--out", folder / "f16.jsonl")
    stage(predict, *arguments, *files, "--params", json.dumps(options))


def test_predict_sends_what_training_showed(road, sent, tmp_path):
    wanted = trained(road, tmp_path)
    assert len(wanted) == 3  # a call, a call after a result, and the report
    predicted(road, tmp_path)
    assert sent.prompts() == wanted


def package_with(road: Road, folder: Path, **changes) -> Path:
    """A copy of the package whose specialist is configured otherwise."""
    shutil.copytree(road.package, folder)
    path = folder / "specialist_config.json"
    write_json(path, read_json(path) | changes)
    return folder


def test_the_server_sends_what_training_showed(road, sent, tmp_path):
    specialist = Specialist(read_packages([package_with(road, tmp_path / "package", max_new_tokens=4)])[0])
    try:
        specialist.answer(INSTRUCTION)
    finally:
        specialist.close()
    assert sent.prompts() == trained(road, tmp_path)[:1]


def test_the_packages_transcript_asks_what_training_showed(road, tmp_path):
    asked = {case["id"]: case for case in read_json(road.package / "test_results.json")["cases"]}
    [(text, ids), *_] = trained(road, tmp_path)
    assert asked[TWO_STEPS["id"]]["prompt"].encode() == text
    assert asked[TWO_STEPS["id"]]["prompt_tokens"] == len(ids)


def test_the_prompts_hold_all_that_was_said_and_the_bases_differ(roads, tmp_path):
    texts = {name: [text.decode() for text, _ in trained(road, tmp_path)] for name, road in roads.items()}
    for name, (first, second, third) in texts.items():
        assert SYSTEM in first and INSTRUCTION in first and first.count("mesen2.pause") == 1, name
        assert first in second and second in third and '{"bytes": "A9 01"}' in second and "paused" in third, name
        assert second.count('"address": "0x7E0010"') == 1 and '\\"address' not in second, name
    assert '"enum": ["hex", "ascii"]' in texts["native"][0]  # JSON, by the template
    assert 'view?: "hex" or "ascii"' in texts["fallback"][0]  # our lines
    templates = {name: engine.load_tokenizer(road.base).chat_template for name, road in roads.items()}
    assert {name: knows_tools(template) for name, template in templates.items()} == {"native": True, "fallback": False}


def test_without_a_system_prompt_too(road, tmp_path):
    """A template may put words of its own where no system turn is; an empty system turn would take their place."""
    package = package_with(road, tmp_path / "package", system_prompt="")
    tokenizer = engine.load_tokenizer(road.base)
    for example, record in zip(EXAMPLES[1:], records("")[1:], strict=True):
        assert record.messages[0].role == "user"
        prompt = prompt_text(tokenizer, record, record.answers[0])
        assert Specialist(read_packages([package])[0]).prompt(example["instruction"]) == prompt
