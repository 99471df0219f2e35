"""Specialists behind MCP: the prompt's bytes, the grammar under llama.cpp, the router, execution, both transports."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from socket import create_connection

import anyio
import pytest
import yaml
from exported import stage
from mcp import Client, MCPError, StdioServerParameters
from mcp.types import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR
from tiny_models import CHAT_TEMPLATE, make_tokenizer, save_tiny

from scripts.lib.chat import prompt_text, render_text
from scripts.lib.cli import UserError
from scripts.lib.files import read_json, write_json
from scripts.lib.records import Message, Part, Record, text_message
from scripts.lib.tokenizer import TemplateTokenizer
from scripts.model import convert
from scripts.model.llama import Completion
from scripts.tools import serve
from scripts.tools.answers import parse
from scripts.tools.schema import load_schema
from scripts.tools.server.execute import OUTPUT_BYTES, read_allowed, run_call, run_calls
from scripts.tools.server.grammar import grammar, rules, value_rule, written
from scripts.tools.server.package import read_packages
from scripts.tools.server.results import Call
from scripts.tools.server.router import Router
from scripts.tools.server.specialist import Specialist, judge
from scripts.tools.validate import call_problems

PROJECT = Path(serve.__file__).resolve().parents[2]
REAL_SCHEMA = PROJECT / "data/raw/tools/schema.json"
GOOD = {"instruction": "Look at 0x7EF340 as hex"}
# A template in the manner of Hermes and Qwen: tools as JSON in the system turn, calls and results in tags.
TOOL_TEMPLATE = """\
{%- macro call(one) -%}
{"name": "{{ one.name }}", "arguments": {{ one.arguments | tojson }}}
{%- endmacro -%}
{%- if tools %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '\\n\\n# Tools\\n<tools>' }}
    {%- for tool in tools %}
        {{- '\\n' }}{{ tool | tojson }}
    {%- endfor %}
    {{- '\\n</tools><|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- endif %}
{% for message in messages %}
    {% if message.role == 'system' %}
        {% continue %}
    {% endif %}
    {%- if message.role == 'tool' %}
        {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{- '<|im_start|>user' }}{% endif %}
        {{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- '<|im_end|>\\n' }}{% endif %}
    {%- elif message.tool_calls %}
        {{- '<|im_start|>assistant' }}{% generation %}
        {%- if message.content %}{{- '\\n' + message.content }}{% endif %}
        {%- for one in message.tool_calls %}
            {{- '\\n<tool_call>\\n' + call(one.function) + '\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}{% endgeneration %}
    {%- elif message.role in ['user', 'assistant'] %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- else %}
        {{- raise_exception('unknown role ' + message.role) }}
    {%- endif %}
{% endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
{{- bos_token[:0] + eos_token[:0] }}"""


def tool(name, parameters=None, required=(), description="Looks."):
    schema = {"type": "object", "properties": parameters or {}, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


LOOK = tool(
    "look.at",
    {
        "address": {"type": "string", "format": "0xHHHHHH", "address_space": "snes"},
        "view": {"type": "string", "enum": ["hex", "ascii"]},
    },
    ["address"],
    'Zeigt "Bytes" <&> für 🧀.',
)
PAUSE = tool("look.pause", description="Pauses the game.")
# The grammar holds whole numbers to their bounds, decimal ones only to their number of digits.
RUN = tool("game.run", {"frames": {"type": "number", "minimum": 500, "maximum": 501}}, ["frames"], "Runs the game.")


@pytest.fixture(scope="module")
def gguf(converter, tmp_path_factory):
    """A tiny Llama whose layers do nothing, so that each token says what is likeliest next: after a line break "<t",
    after ">" the end of the turn; the rest is random."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("serve")
    base = save_tiny("llama", folder / "base")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), make_tokenizer()
    torch.set_num_threads(1)
    chain = {"\n": ("<", 7), "<": ("t", 7), ">": (tokenizer.eos_token, 1.5)}
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        for now, (following, logit) in chain.items():
            state = model.model.norm(model.model.embed_tokens.weight[only_id(tokenizer, now)])
            model.lm_head.weight[only_id(tokenizer, following)] = logit * state / (state @ state)
    model.save_pretrained(base)
    config = read_json(base / "config.json")
    write_json(base / "config.json", config | {"max_position_embeddings": 4096})
    stage(convert, "--model", base, "--out", folder / "model-f16.gguf", "--converter", converter)
    return folder / "model-f16.gguf"


def only_id(tokenizer, text):
    [token] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return token


def make_package(folder, gguf, name, tools, **changes):
    """A package that links the GGUF."""
    folder.mkdir(parents=True)
    os.link(gguf, folder / "tiny.gguf")
    write_json(folder / "deployment_config.json", {"default": "tiny.gguf", "context_length": 2048})
    config = {
        "name": name,
        "description": "Knows the console's memory.",
        "system_prompt": f"You are {name}, für 🧀.",
        "tools": tools,
        "focus": [one["function"]["name"] for one in tools],
        "phrases": ["Look at 0x7E0010 as hex", "Show memory at $7EF340", "Look at 0x7EF36D as ascii"],
        "max_new_tokens": 200,
        "chat_template": CHAT_TEMPLATE,
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "adapter": {"base": "../base/model-Q8_0.gguf", "file": "adapter.gguf"},
    }
    write_json(folder / "specialist_config.json", config | changes)
    return folder


@pytest.fixture(scope="module")
def packages(gguf, tmp_path_factory):
    """veran calls, farore calls with a number out of range, nayru talks."""
    root = tmp_path_factory.mktemp("dist")
    talks = CHAT_TEMPLATE.replace("assistant\\n' }}", "assistant:' }}")
    run = {"phrases": ["Run 500 frames", "Let the game run on turbo"], "description": "Runs the emulator."}
    code = {"phrases": ["Assemble RTL at 0x1234", "Patch the code"], "description": "Writes code."}
    return [
        make_package(root / "veran", gguf, "veran", [LOOK, PAUSE]),
        make_package(root / "farore", gguf, "farore", [RUN], **run),
        make_package(root / "nayru", gguf, "nayru", [PAUSE], chat_template=talks, max_new_tokens=40, **code),
    ]


# The prompt


def conversation():
    asked = {"type": "function", "function": {"name": "look.at", "arguments": {"address": "0x7EF340", "view": "für"}}}
    return [
        text_message("system", "You are veran.\n"),
        text_message("user", " Look <here> & there: für 🧀\n\n  then 'pause' "),
        Message(role="assistant", content=[Part(type="text", text="Looking.")], tool_calls=[asked, asked]),
        text_message("tool", '{"bytes": "A9 01"}'),
        text_message("tool", "ok"),
        text_message("assistant", "It is A9 01."),
        text_message("user", "And now?"),
    ]


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, TOOL_TEMPLATE], ids=["plain", "knows tools"])
@pytest.mark.parametrize("tools", [[], [LOOK, PAUSE]], ids=["no tools", "tools"])
def test_renders_the_bytes_that_transformers_renders(template, tools):
    theirs = make_tokenizer()
    theirs.chat_template = template
    ours = TemplateTokenizer(template, {"bos_token": theirs.bos_token, "eos_token": theirs.eos_token})
    messages = conversation()
    for length in range(2, len(messages) + 1):
        for prompt in (True, False):
            given = (messages[:length], tools)
            expected = render_text(theirs, *given, prompt=prompt)
            assert render_text(ours, *given, prompt=prompt).encode() == expected.encode()
    record = Record(id="a", group="a", messages=messages, tools=tools)
    assert prompt_text(ours, record, 2) == prompt_text(theirs, record, 2)
    assert ("für 🧀" in prompt_text(ours, record, 2)) and (not tools or "look.at" in prompt_text(ours, record, 2))


def test_a_template_that_breaks_or_refuses_is_named():
    with pytest.raises(UserError, match="cannot be read"):
        TemplateTokenizer("{% for %}", {})
    with pytest.raises(UserError, match="unknown role x"):
        TemplateTokenizer(TOOL_TEMPLATE, {}).apply_chat_template([{"role": "x", "content": ""}] * 2)
    with pytest.raises(UserError, match="refuses"):  # the sandbox
        TemplateTokenizer("{{ messages.append(1) }}", {}).apply_chat_template([])


def test_the_server_needs_no_transformers():
    code = "import sys, scripts.tools.serve, scripts.tools.server.app, scripts.tools.server.transport; "
    code += "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# The grammar


SAMPLE = """
import json, sys
from pathlib import Path
from scripts.model.llama import Server

with Server(Path(sys.argv[1]), slots=1, context=4096) as server:
    said = [vars(server.complete(**job)) for job in json.load(sys.stdin)]
json.dump(said, sys.stdout)
"""


PROMPT = "<|im_start|>user\nlook<|im_end|>\n<|im_start|>assistant\n"
ALL_KINDS = tool(
    'odd "name"',
    {
        "flag": {"type": "boolean"},
        "ratio": {"type": "number", "minimum": -0.5, "maximum": 99.5},
        "below": {"type": "integer", "minimum": -12, "maximum": -1},
        "free": {"type": "integer"},
        "rom": {"type": "string", "format": "0xHHHHHH", "address_space": "pc"},
        "short": {"type": "string", "format": "0xHHH"},
        "data": {"type": "string", "format": "hex-bytes"},
        "mixed": {"type": "string", "enum": ['a "quote"', "für", "b\\c"]},
        "names": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 9}},
        "more": {"type": "object"},
        "any": {"type": "array"},
        'ke"y': {"type": "string"},
    },
    ["ratio", "rom", "data"],
)


def sample(gguf, seeds, grammar="", max_tokens=1500, prompt=PROMPT):
    """What the model says at temperature 1. In a process of its own: where torch is loaded, OpenMP's threads spin."""
    jobs = [{"prompt": prompt, "max_tokens": max_tokens, "temperature": 1.0, "seed": seed} for seed in seeds]
    jobs = [job | ({"grammar": grammar} if grammar else {}) for job in jobs]
    child = [sys.executable, "-c", SAMPLE, str(gguf)]
    run = subprocess.run(child, cwd=PROJECT, input=json.dumps(jobs), capture_output=True, text=True, check=True)
    return [Completion(**said) for said in json.loads(run.stdout)]


def from_root(tools, root):
    """The grammar, beginning at another of its rules; short strings, which a random model would never end."""
    short = {"string": r'"\"" char{0,12} "\""', "bytes": r'"\"" pair (" " pair){0,8} "\""'}
    return written(rules(tools) | short | {"root": root})


def form_problems(text, tools):
    """What is wrong with an answer's calls, apart from a decimal out of bounds, or a whole number beyond 64 bits."""
    answer = parse(text)
    said = [said for call in answer.calls for _, said in call_problems(call, tools)]
    wrong = [one for one in said if "ratio is" not in one and not re.search(r"free is .*e\+\d", one)]
    return [*wrong, *["broken"] * answer.broken, *["words beside"] * bool(answer.calls and answer.text)]


def test_a_random_model_under_the_grammar_writes_nothing_but_valid_calls(gguf):
    tools = load_schema(REAL_SCHEMA)
    finished = [said for said in sample(gguf, range(30), from_root(tools, "calls")) if said.finish == "stop"]
    assert len(finished) > 25
    for said in finished:
        calls = parse(said.text).calls
        assert 1 <= len(calls) <= 5 and not form_problems(said.text, tools), said.text
    assert len({call[0] for said in finished for call in parse(said.text).calls}) > 10
    assert max(len(parse(said.text).calls) for said in finished) > 1


def test_every_kind_of_parameter(gguf, tmp_path):
    write_json(tmp_path / "schema.json", [ALL_KINDS])
    tools = load_schema(tmp_path / "schema.json")
    seen = set()
    finished = [said for said in sample(gguf, range(50), from_root(tools, "call")) if said.finish == "stop"]
    assert finished
    for said in finished:
        assert not form_problems(said.text, tools), said.text
        [(_, given)] = parse(said.text).calls
        assert list(given) == [key for key in tools['odd "name"'].parameters if key in given]
        inside = re.search(r"<tool_call>\n?(.*?)\n?</tool_call>", said.text, re.DOTALL)[1]
        if "\\u" not in inside and "." not in inside and "-0" not in inside:
            assert json.dumps(json.loads(inside), ensure_ascii=False) == inside
        seen |= set(given)
    assert len(finished) > 30 and seen == set(tools['odd "name"'].parameters)


BOUNDS = [
    (None, None),
    (0, 0),
    (0, 9),
    (1, 36),
    (1, 4096),
    (7, 7),
    (19, 203),
    (95, 1005),
    (100, 999),
    (-12, -1),
    (-130, 47),
]


@pytest.mark.parametrize(("low", "high"), [*BOUNDS, (None, 15), (None, -3), (12, None), (-5, None)])
def test_whole_numbers_keep_their_bounds(low, high):
    bounds = {key: value for key, value in {"minimum": low, "maximum": high}.items() if value is not None}
    form = value_rule({"type": "integer", **bounds})
    pattern = re.compile(re.sub(r'"([^"]*)"', r"\1", form).replace(" ", ""))
    for number in range(-1200, 5000):
        due = (low is None or low <= number) and (high is None or number <= high)
        assert bool(pattern.fullmatch(str(number))) == due, (number, form)
    assert not any(pattern.fullmatch(text) for text in ("", "-", "-0", "007", "1.5"))


def test_no_value_is_cut_by_the_grammar():
    assert not re.search(r"\{\d+,\d+\}", "".join(rules({})[name] for name in ("string", "bytes", "list")))


def test_text_or_calls_never_both(gguf):
    tools = load_schema(REAL_SCHEMA)
    calling = sample(gguf, range(6), grammar(tools))
    finished = [parse(said.text) for said in calling if said.finish == "stop"]
    assert finished and all(parsed.calls and not parsed.text for parsed in finished)
    assert [said.text.startswith("<tool_call>") for said in calling] == [True] * 6
    talking = sample(gguf, range(12), grammar(tools), 60, prompt=PROMPT.replace("assistant\n", "assistant:"))
    talking += sample(gguf, range(6), from_root(tools, "text"), 60)
    for said in talking:
        assert parse(said.text).declines and said.text.strip() and "<t" not in said.text


def test_the_same_model_without_the_grammar_writes_no_valid_call(gguf):
    tools = load_schema(REAL_SCHEMA)
    said = sample(gguf, range(30), max_tokens=300)
    begun = [one.text for one in said if one.text.startswith("<t")]
    assert begun and not any(parse(text).calls for text in begun)
    assert not any(call for one in said for call in parse(one.text).calls if not [*call_problems(call, tools)])


def test_what_the_model_says_is_judged(packages):
    tools = read_packages([packages[0]])[0].tools | read_packages([packages[1]])[0].tools

    def judged(text, finish="stop"):
        return judge("veran", Completion(text, 9, finish, 1), tools)

    call = '<tool_call>\n{"name": "look.at", "arguments": {"view": "hex", "address": "0x7ef340"}}\n</tool_call>'
    good = judged(call)
    assert not good.declined and good.calls == [Call(name="look.at", arguments={"address": "0x7EF340", "view": "hex"})]
    for text, reason in [
        (call.replace("hex", "oct"), "choose one of 'hex', 'ascii'"),
        (call + call.replace("look.at", "look.up"), "no tool 'look.up'"),
        ('<tool_call>{"name": "game.run", "arguments": {"frames": 999}}</tool_call>', "999, outside 500 to 501"),
        (call[:-30], "no JSON of a call"),
        ("Which address?", "Which address?"),
        ("", "The model said nothing."),
    ]:
        reply = judged(text)
        assert reply.declined and not reply.calls and reason in reply.reason
    assert "cut off after 9 tokens" in judged(call, "length").reason
    assert judged("Which add", "length").reason == "Which add ..."


# The router

TOY = {
    "veran": [
        "Read 16 bytes at 0x7EF340", "Inspect the header of zelda3.sfc", "Dump room 12 to room.bin",
        "Show me what is stored at 0x7E0010", "Extract 512 bytes at offset 0x1000 from hack.sfc",
        "Which sprites are in room 0x01A?", "Read the bytes at $7EF36D as decimal",
    ],
    "farore": [
        "Load hack.sfc in the emulator", "Run 600 frames on turbo", "Take a screenshot to bug.png",
        "Let the game run for 60 frames", "Start zelda3.sfc with the patch fix.ips", "Save a picture of the screen",
        "Advance 10 frames and take a screenshot",
    ],
    "nayru": [
        "Write A9 01 at 0x7E0010", "Assemble LDA #$01 : RTL at 0x008000", "Import the palette pal.bin into hack.sfc",
        "Check hack.sfc for bad pointers", "Validate the checksum of zelda3.sfc", "Insert new graphics into slot 5",
        "Overwrite the bytes at 0x7EF340 with EA EA",
    ],
}  # fmt: skip
HELD_OUT = [
    ("Read 4 bytes at 0x7E0022", "veran"),
    ("Inspect room 3 of mine.sfc", "veran"),
    ("Extract bytes at offset 0x20 to a.bin", "veran"),
    ("Run the game for 300 frames", "farore"),
    ("Take a screenshot of the screen", "farore"),
    ("Load mine.sfc with the patch b.bps", "farore"),
    ("Assemble RTL at 0x00FFEE", "nayru"),
    ("Validate the pointers of mine.sfc", "nayru"),
    ("Write FF FF at 0x7E0F00", "nayru"),
    ("Import the graphics gfx.bin into mine.sfc", "nayru"),
]


def accuracy(router, cases):
    return sum(router.choose(text).name == name for text, name in cases) / len(cases)


def test_the_router_is_right_on_instructions_it_has_not_seen():
    router = Router(TOY)
    assert accuracy(router, HELD_OUT) >= 0.9
    assert accuracy(router, [(text, "farore") for text, _ in HELD_OUT]) == pytest.approx(0.3, abs=0.15)
    sure = router.choose("Take a screenshot to c.png")
    assert sure.name == "farore" and sure.confidence > 0.6
    assert sum(sure.shares.values()) == pytest.approx(1)


def test_the_router_says_when_nothing_matches():
    router = Router(TOY)
    strange = router.choose("Wie wird morgen das Wetter?")
    assert strange.confidence == 0 and strange.known == 0
    assert list(strange.shares.values()) == pytest.approx([1 / 3] * 3)
    assert router.choose("!!!").confidence == 0
    assert router.choose("bytes and more").confidence < router.choose("Read the bytes at 0x7E0010").confidence
    alone = Router({"veran": TOY["veran"]})
    assert alone.choose("Order a pizza").confidence < 0.3 < alone.choose("Read 8 bytes at 0x7E0000").confidence


def test_the_routers_shares_are_no_surer_than_it_is_right():
    """Words that always come together make a plain naive Bayes sure of coin tosses."""
    filler = "one two three four five six seven eight nine ten"
    phrases = {"a": [f"{filler} a{n % 3}" for n in range(30)], "b": [f"{filler} a{n % 3}" for n in range(30)]}
    assert Router(phrases).choose(f"{filler} a1").shares["a"] == pytest.approx(0.5, abs=0.1)
    assert Router({"a": [], "b": []}).choose("hello").confidence == 0


# Execution


@pytest.fixture
def tools(packages):
    return read_packages([packages[0]])[0].tools | read_packages([packages[1]])[0].tools


def allow_file(tmp_path, commands):
    path = tmp_path / "allow.yaml"
    path.write_text(commands if isinstance(commands, str) else yaml.safe_dump(commands), encoding="utf-8")
    return path


def python(code, *words):
    return [sys.executable, "-c", code, *words]


ECHO = "import sys; print(sys.argv[1:])"


@pytest.mark.parametrize(
    ("commands", "sentence"),
    [
        ({"look.up": ["ls"]}, "no specialist has a tool 'look.up'"),
        ({"look.at": ["ls", "{frames}"]}, "no parameter 'frames'"),
        ({"look.at": ["{address}"]}, "cannot be a placeholder"),
        ({"look.at": ["no-such-program-here"]}, "no program"),
        ({"look.at": "ls {address}"}, "no list of texts"),
        ({"look.at": ["ls", 1]}, "no list of texts"),
        ("[1", "not valid YAML"),
        ("- a", "no mapping"),
    ],
)
def test_a_bad_list_is_one_sentence(tmp_path, tools, commands, sentence):
    with pytest.raises(UserError, match=sentence):
        read_allowed(allow_file(tmp_path, commands), tools)


def test_runs_what_is_listed_in_order_and_nothing_else(tmp_path, tools):
    look = python(ECHO, "{address}", ["--view", "{view}"], "a;b {address} $(c)")
    allowed = read_allowed(allow_file(tmp_path, {"look.at": look}), tools)
    calls = [
        Call(name="look.at", arguments={"address": "0x7EF340"}),
        Call(name="look.at", arguments={"address": "0x000001", "view": "hex"}),
        Call(name="look.pause", arguments={}),
        Call(name="look.at", arguments={"address": "0x000002"}),
    ]
    results = run_calls(calls, allowed)
    assert [result.ran for result in results] == [True, True, False, False]
    assert results[0].output.strip() == "['0x7EF340', 'a;b 0x7EF340 $(c)']" and results[0].exit_code == 0
    assert results[1].output.strip() == "['0x000001', '--view', 'hex', 'a;b 0x000001 $(c)']"
    assert results[2].reason == "look.pause is not on the list of allowed tools"
    assert results[3].reason == "not run, because call 3 did not succeed"


@pytest.mark.parametrize("value", ["-rf", "--help", -5, "a\0b"])
def test_values_cannot_become_options(value):
    result = run_call(Call(name="t", arguments={"a": value}), {"t": python(ECHO, "{a}")})
    assert not result.ran and result.reason.startswith("not run: a ")
    missing = run_call(Call(name="t", arguments={}), {"t": python(ECHO, "{a}")})
    assert not missing.ran and "needs a" in missing.reason


def test_programs_are_bounded(tmp_path):
    mark = tmp_path / "mark"
    child = f"import time, pathlib; time.sleep(3); pathlib.Path({str(mark)!r}).touch()"
    forks = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]); print('early', flush=True)"
    started = time.monotonic()
    late = run_call(Call(name="t", arguments={}), {"t": python(forks)}, timeout=1.5)
    assert time.monotonic() - started < 2.8 and "stopped after 1.5 s" in late.reason and "early" in late.output
    assert late.exit_code is None  # although the first process had ended well
    then = run_calls([Call(name="t", arguments={})] * 2, {"t": python("import time; time.sleep(9)")}, 0.3)
    assert [result.ran for result in then] == [True, False]
    closes = "import os, time; os.close(1); os.close(2); time.sleep(9)"
    assert "stopped" in run_call(Call(name="t", arguments={}), {"t": python(closes)}, timeout=0.5).reason
    loud = run_call(Call(name="t", arguments={}), {"t": python("print('ü' * 10**6); raise SystemExit(3)")})
    assert loud.exit_code == 3 and len(loud.output.encode()) < OUTPUT_BYTES + 50 and "cut after" in loud.output
    assert "could not be started" in run_call(Call(name="t", arguments={}), {"t": [str(tmp_path)]}).reason
    time.sleep(max(0.0, started + 3.5 - time.monotonic()))
    assert not mark.exists()  # what a stopped program had started was stopped with it


# Packages


def test_bad_packages_are_one_sentence(packages, gguf, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        read_packages([tmp_path / "none"])[0]
    with pytest.raises(UserError, match="both hold a specialist named 'veran'"):
        read_packages([packages[0], packages[0]])
    for number, (name, text, sentence) in enumerate(
        [
            ("tiny.gguf", None, r"tiny\.gguf: no such file"),
            ("tiny.gguf", "GUFF", "not a GGUF"),
            ("specialist_config.json", None, r"specialist_config\.json"),
            ("specialist_config.json", "{", "JSON"),
            ("specialist_config.json", "{}", "name: Field required"),
            ("deployment_config.json", None, r"deployment_config\.json"),
            ("deployment_config.json", '{"default": "model.safetensors"}', "names no GGUF"),
            ("deployment_config.json", '{"default": "../veran/tiny.gguf"}', "leaves"),
        ]
    ):
        folder = make_package(tmp_path / str(number), gguf, "veran", [LOOK])
        (folder / name).unlink()
        if text is not None:
            (folder / name).write_text(text)
        with pytest.raises(UserError, match=sentence):
            read_packages([folder])[0]
    for name, tools, changes, sentence in [
        ("route", [LOOK], {}, "cannot be named 'route'"),
        ("a b", [LOOK], {}, "name: "),
        ("a", [tool("t", {"x": {"description": "?"}})], {}, "has no type"),
        ("a", [LOOK], {"chat_template": "{% if %}"}, "cannot be read"),
    ]:
        folder = make_package(tmp_path / f"{sentence[:6]}{name}", gguf, name, tools, **changes)
        with pytest.raises(UserError, match=sentence):
            Specialist(read_packages([folder])[0])


def test_the_prompt_is_the_one_function(packages):
    package = read_packages([packages[0]])[0]
    record = Record(
        id="x", group="x", messages=[text_message("system", "You are veran, für 🧀."), text_message("user", "Look.")],
        tools=[LOOK, PAUSE],
    )  # fmt: skip
    assert Specialist(package).prompt("Look.") == prompt_text(make_tokenizer(), record, 2)
    assert [*package.phrases[-3:]] == ["Knows the console's memory.", 'Zeigt "Bytes" <&> für 🧀.', "Pauses the game."]


# The server


def command(*words):
    return [sys.executable, "-m", "scripts.tools.serve", *map(str, words)]


def test_mcp_json(packages, tmp_path):
    def printed(*words):
        run = subprocess.run(command(*words, "--mcp-json"), cwd=PROJECT, capture_output=True, text=True, check=False)
        return run.returncode, run.stdout, run.stderr

    code, out, _ = printed(
        packages[0].relative_to(PROJECT, walk_up=True) if sys.version_info >= (3, 12) else packages[0]
    )
    entry = json.loads(out)["mcpServers"]["questline-tools"]
    assert code == 0 and entry["args"] == ["-m", "scripts.tools.serve", str(packages[0].resolve())]
    assert entry["env"] == {"PYTHONPATH": str(PROJECT)} and entry["command"] == sys.executable
    assert json.loads(printed(packages[0], "--http", 8765)[1])["mcpServers"]["questline-tools"] == {
        "type": "http",
        "url": "http://127.0.0.1:8765/mcp",
    }
    assert (printed(tmp_path / "none")[0], printed(tmp_path / "none")[1]) == (2, "")
    code, _, said = printed(packages[0], "--http", 0)
    assert code == 2 and "name one" in said


@contextmanager
def http_server(*words):
    """The address of a server on a free port."""
    process = subprocess.Popen(
        command(*words, "--http", 0), cwd=PROJECT, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    said = []
    try:
        for line in process.stderr:
            said.append(line.decode())
            if found := re.search(r"listening on (\S+)", said[-1]):
                yield found[1]
                break
        else:
            raise AssertionError("".join(said))
    finally:
        process.terminate()
        out, _ = process.communicate(timeout=20)
    assert out == b""


def as_client(server, check, **settings):
    """Runs ``check(client)`` against a URL, or a command whose environment a client would clear."""

    async def run():
        if isinstance(server, str):
            await check_in(Client(server, **settings))
        else:
            await check_in(Client(StdioServerParameters(command=server[0], args=server[1:], cwd=PROJECT)))

    async def check_in(client):
        async with client as opened:
            await check(opened)

    anyio.run(run)


async def answers_everything(client):
    """What every transport must do, good requests after bad ones."""
    listed = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(listed) == {"veran", "farore", "nayru", "route"}
    assert listed["veran"].input_schema["properties"]["instruction"]["maxLength"] == 4000
    assert "look.at" in listed["veran"].description and listed["veran"].annotations.read_only_hint

    async def structured(name, arguments=GOOD):
        result = await client.call_tool(name, arguments)
        assert not result.is_error and json.loads(result.content[0].text) == result.structured_content
        return result.structured_content

    good = await structured("veran")
    assert not good["declined"] and good["specialist"] == "veran" and good["results"] == []
    assert {call["name"] for call in good["calls"]} <= {"look.at", "look.pause"} and good["calls"]
    for name, arguments in [
        ("veran", {"instruction": "x" * 5000}),
        ("veran", {"instruction": 7}),
        ("veran", {"instruction": "  "}),
        ("veran", {}),
        ("veran", GOOD | {"more": 1}),
        ("nobody", GOOD),
        ("route", {"instruction": ["a"]}),
    ]:
        with pytest.raises(MCPError) as caught:
            await client.call_tool(name, arguments)
        assert caught.value.code == INVALID_PARAMS and "xxx" not in str(caught.value)
    assert await structured("veran") == good
    beyond = await structured("farore")
    assert beyond["declined"] and not beyond["calls"] and "outside 500 to 501" in beyond["reason"]
    talk = await structured("nayru")
    assert talk["declined"] and not talk["calls"] and talk["reason"]
    routed = await structured("route")
    assert routed["specialist"] == "veran" and routed["answer"] == good
    assert sum(routed["scores"].values()) == pytest.approx(1) and 0.3 < routed["confidence"] <= 1
    lost = await structured("route", {"instruction": "Wetter morgen?"})
    assert lost["confidence"] == 0 and lost["answer"]["declined"]
    assert "No specialist was trained" in lost["answer"]["reason"]
    long = await client.call_tool("veran", {"instruction": "🧀" * 4000})  # 16000 tokens
    assert long.is_error and "shorten the prompt" in long.content[0].text
    together = {}

    async def one(key, name):
        together[key] = await structured(name)

    async with anyio.create_task_group() as tasks:
        for key in range(9):
            tasks.start_soon(one, key, ("veran", "farore", "nayru")[key % 3])
    assert [together[key] for key in range(9)] == [good, beyond, talk] * 3


def test_over_stdio_with_the_sdks_client(packages):
    as_client(command(*packages), answers_everything)


def test_over_http_with_the_sdks_client(packages):
    with http_server(*packages) as url:
        as_client(url, answers_everything)
        as_client(url, answers_everything, mode="legacy")  # the handshake of 2025, which clients of today use
        port = int(re.search(r":(\d+)/", url)[1])
        refused_on_http(port)
        with pytest.raises(ConnectionRefusedError):  # every address of 127/8 is this machine: it listens on one only
            create_connection(("127.0.0.2", port), 2)
        as_client(url, answers_everything)
        taken = subprocess.run(command(packages[0], "--http", port), cwd=PROJECT, capture_output=True, check=False)
        assert taken.returncode == 2 and b"choose another port" in taken.stderr and not taken.stdout


def refused_on_http(port):
    """Garbage, a foreign page and a large body are refused."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
    for data, headers, wanted in [
        (b"\x00\xff garbage", {}, 400),
        (b'{"jsonrpc": "2.0", "id":', {}, 400),
        (b"[]", {}, 400),
        (b'{"jsonrpc": "2.0", "id": {"a": 1}, "method": "tools/list"}', {}, 400),
        (body, {"Content-Type": "text/plain"}, 400),
        (body, {"Host": "evil.example"}, 421),
        (body, {"Origin": "http://evil.example"}, 403),
        (body, {"Host": "localhost:1", "Origin": "http://localhost:1"}, 200),
        (b" " * (1 << 20) + body, {}, 413),
    ]:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        usual = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        connection.request("POST", "/mcp", data, usual | headers)
        answer = connection.getresponse()
        status = answer.status
        assert status == wanted if wanted != 200 else status not in (403, 421), (data[:30], headers, status)
        if b'"id": {' in data:
            assert json.loads(answer.read())["error"]["code"] == INVALID_REQUEST
        connection.close()
    with create_connection(("127.0.0.1", port), 5) as raw:
        raw.sendall(b"\x16\x03\x01 no HTTP at all\r\n\r\n")
        assert b"400" in raw.recv(100)


def test_executes_only_what_is_listed(packages, tmp_path):
    path = allow_file(tmp_path, {"look.at": python(ECHO, "{address}")})

    async def check(client):
        result = (await client.call_tool("veran", GOOD)).structured_content
        assert [row["name"] for row in result["results"]] == [call["name"] for call in result["calls"]]
        for call, row in zip(result["calls"], result["results"], strict=True):
            if call["name"] == "look.at":
                assert row["ran"] and row["output"].strip() == str([call["arguments"]["address"]])
            else:
                assert not row["ran"] and "not on the list" in row["reason"]
        tools = (await client.list_tools()).tools
        assert tools[0].annotations.read_only_hint is False and "look.at are executed" in tools[0].description

    as_client(command(packages[0], "--allow", path), check)


def test_stdout_is_nothing_but_json_rpc_and_garbage_gets_an_error(packages):
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    lines = [
        b"garbage \xff\x00",
        b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": ' + json.dumps(hello).encode() + b"}",
        b'{"jsonrpc": "2.0", "method": "notifications/initialized"}',
        b"[[[",
        b'{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "veran", "arguments": '
        b'{"instruction": "\\ud800"}}}',
        b'{"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": 1}}',
        b'{"jsonrpc": "2.0", "id": 4, "method": "no/such"}',
        b'{"jsonrpc": "2.0", "id": 6, "method": "tools/call", "params": {"name": "veran", "arguments": '
        b'{"instruction": "' + b"x" * 5_000_000 + b'"}}}',
        b"x" * 5_000_000,
        b"[" * 100_000,
        b'{"jsonrpc": "2.0", "id": {"a": 1}, "method": "tools/list"}',
        b'{"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "veran", "arguments": '
        + json.dumps(GOOD).encode()
        + b"}}",
    ]
    process = subprocess.Popen(
        command(packages[0]), cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdin.write(b"\n".join(lines) + b"\n")
    process.stdin.flush()
    answers = []
    while not any(answer.get("id") == 5 for answer in answers):
        answers.append(json.loads(process.stdout.readline()))
    rest, said = process.communicate(timeout=20)
    assert rest == b"" and process.returncode == 0 and b"Traceback" not in said
    assert all(answer["jsonrpc"] == "2.0" for answer in answers)
    codes = {answer["id"]: answer["error"]["code"] for answer in answers if "error" in answer and answer["id"]}
    assert set(codes) == {3, 4, 6} and codes[6] == INVALID_PARAMS
    nameless = [answer["error"]["code"] for answer in answers if answer["id"] is None]
    assert nameless == [PARSE_ERROR] * 5 + [INVALID_REQUEST]
    assert not answers[-1]["result"]["structuredContent"]["declined"]
