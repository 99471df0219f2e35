"""Tools in prompts: through a template that knows them, and as text for one that does not."""

import json

import pytest
from tiny_models import save_tiny

from scripts.lib.chat import encode, prompt_text, render, render_text, template_input
from scripts.lib.records import Message, Part, Record, text_message
from scripts.lib.tool_prompt import knows_tools, signature
from scripts.tools.answers import parse

TOOL = {
    "type": "function",
    "function": {
        "name": "mesen2.run",
        "description": "Runs the game.",
        "parameters": {
            "type": "object",
            "properties": {
                "frames": {"type": "integer", "minimum": 1, "maximum": 600},
                "speed": {"type": "string", "enum": ["normal", "turbo"]},
                "to": {"type": "string", "format": "0xHHHHHH"},
            },
            "required": ["frames"],
        },
    },
}
ARGUMENTS = {"frames": 120, "to": "0x7E0010", "note": 'a "quoted" café'}
# As Hermes and Qwen templates do it, in our own words.
KNOWING = (
    "{%- if tools %}{{- '<|im_start|>system\\n' }}{%- if messages[0].role == 'system' %}{{- messages[0].content }}"
    "{%- endif %}{%- for tool in tools %}{{- '\\n' + (tool | tojson) }}{%- endfor %}{{- '<|im_end|>\\n' }}{%- endif %}"
    "{%- for message in messages %}{%- if not (tools and loop.first and message.role == 'system') %}"
    "{{- '<|im_start|>' + message.role }}{%- if message.content %}{{- '\\n' + message.content }}{%- endif %}"
    "{%- for call in message.tool_calls or [] %}"
    '{{- \'\\n<tool_call>\\n{"name": "\' + call.function.name + \'", "arguments": \' }}'
    "{{- call.function.arguments | tojson }}{{- '}\\n</tool_call>' }}{%- endfor %}{{- '<|im_end|>\\n' }}{%- endif %}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def call(name, arguments):
    calls = [{"type": "function", "function": {"name": name, "arguments": arguments}}]
    return Message(role="assistant", content=[Part(type="text", text="")], tool_calls=calls)


RECORD = Record(
    id="one",
    group="one",
    messages=[
        text_message("system", "You call tools."),
        text_message("user", "Two seconds, please."),
        call("mesen2.run", ARGUMENTS),
        text_message("tool", "ran 120 frames"),
        text_message("assistant", "It ran."),
    ],
    tools=[TOOL],
)


@pytest.fixture(scope="module", params=["text", "native", "gpt2"])
def tokenizer(request, tmp_path_factory):
    from transformers import AutoTokenizer

    arch = "gpt2" if request.param == "gpt2" else "llama"
    loaded = AutoTokenizer.from_pretrained(save_tiny(arch, tmp_path_factory.mktemp(arch)))
    if request.param == "native":
        loaded.chat_template = KNOWING
    return loaded


def test_training_sees_what_serving_sends(tokenizer):
    rendered = render(tokenizer, RECORD)
    for index in RECORD.answers:
        prompt = encode(tokenizer, prompt_text(tokenizer, RECORD, index))
        assert rendered.ids[: len(prompt)] == prompt
    learnt = tokenizer.decode([i for i, keep in zip(rendered.ids, rendered.mask, strict=True) if keep])
    assert "<tool_call>" in learnt
    assert "It ran." in learnt
    assert "ran 120 frames" not in learnt


def test_arguments_are_encoded_once_and_read_back(tokenizer):
    text = render_text(tokenizer, RECORD.messages, RECORD.tools, prompt=False)
    start = text.index("assistant")
    answer = text[text.index("<tool_call>", start) : text.index("</tool_call>", start) + len("</tool_call>")]
    assert parse(answer).calls == (("mesen2.run", ARGUMENTS),)
    assert '\\\\"' not in answer
    assert "café" in answer


def test_every_definition_is_in_the_prompt(tokenizer):
    prompt = prompt_text(tokenizer, RECORD, 2)
    assert "You call tools." in prompt
    assert prompt.count("mesen2.run") == 1
    assert "turbo" in prompt


def test_who_knows_tools():
    assert knows_tools(KNOWING)
    assert not knows_tools("{% for message in messages %}{{ message['content'] }}{% endfor %} tools")
    assert not knows_tools("{{ messages[0].tools }}{{ 'tools' }}")
    rows, native = template_input(KNOWING, RECORD.messages, RECORD.tools)
    assert native == RECORD.tools
    assert rows[2]["tool_calls"][0]["function"]["arguments"] == ARGUMENTS


def test_a_definition_in_one_line():
    assert signature(TOOL) == (
        'mesen2.run(frames: integer 1 to 600, speed?: "normal" or "turbo", to?: 0xHHHHHH): Runs the game.'
    )


@pytest.mark.parametrize(
    ("text", "calls", "broken", "words"),
    [
        ('<tool_call>{"name": "a", "arguments": {"x": 1}}</tool_call>', 1, 0, ""),
        ('<tool_call>\n{"name": "a", "arguments": {}}\n</tool_call>\n<tool_call>{"name": "b"}</tool_call>', 2, 0, ""),
        ('Sure. <tool_call>{"name": "a", "arguments": "{\\"x\\": 1}"}</tool_call>', 1, 0, "Sure."),
        ('<tool_call>{"name": "a", "arguments": {"x": 1}', 0, 1, ""),
        ('<tool_call>{"name": "a"}<tool_call>{"name": 3}</tool_call>', 1, 1, ""),
        ('{"name": "a", "parameters": {"x": 1}}', 1, 0, ""),
        ('[{"name": "a"}, {"name": "b"}]', 2, 0, ""),
        ("I can't do that.", 0, 0, "I can't do that."),
        ("{oops", 0, 1, ""),
        ("", 0, 0, ""),
    ],
)
def test_answers_in_every_form(text, calls, broken, words):
    answer = parse(text)
    assert (len(answer.calls), answer.broken, answer.text) == (calls, broken, words)
    assert answer.declines == (not calls and not broken)
    json.dumps(answer.calls)
