"""A specialist's finished run in miniature: bases that know tools and bases that do not, records, a package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from package_fixtures import CERTIFICATE, TRAINING, gate, score, write_gguf, write_json
from tiny_models import make_model, make_tokenizer
from tokenizers import AddedToken
from transformers import AutoTokenizer

from scripts.lib.records import Record, write_records
from scripts.model.weights import describe_base
from scripts.tools import deploy, specialist
from scripts.tools.curate import make_record
from scripts.tools.examples import Source, parsed
from scripts.tools.system import METRICS

WINDOW = 2048
SYSTEM = "You are veran, für 🧀.\nAnswer with calls."
# What Qwen2.5's template does, in our own words: tools as JSON in the system turn (with a system turn of its own where
# the conversation has none), calls in tags that are single tokens, results gathered in a user's turn.
QWEN_LIKE = """\
{%- set first = messages[0] %}
{{- '<|im_start|>system\\n' + (first.content if first.role == 'system' else 'You are helpful.') }}
{%- if tools %}
    {{- '\\n\\n# Tools\\n\\n<tools>' }}
    {%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}
    {{- '\\n</tools>\\n\\nCall one as <tool_call>\\n{"name": <name>, "arguments": <object>}\\n</tool_call>' }}
{%- endif %}
{{- '<|im_end|>\\n' }}
{%- for message in (messages[1:] if first.role == 'system' else messages) %}
    {%- if message.role == 'tool' %}
        {%- if loop.previtem.role != 'tool' %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}
        {%- if loop.last or loop.nextitem.role != 'tool' %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- elif message.tool_calls %}
        {{- '<|im_start|>assistant' + ('\\n' + message.content if message.content else '') }}
        {%- for call in message.tool_calls %}
            {%- set call = call.function if call.function is defined else call %}
            {{- '\\n<tool_call>\\n{"name": "' + call.name + '", "arguments": ' }}
            {{- call.arguments | tojson }}{{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""


def definition(name: str, description: str, parameters: dict[str, Any], *required: str) -> dict[str, Any]:
    """An OpenAI function definition."""
    schema = {"type": "object", "properties": parameters, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


READ = definition(
    "mesen2.read_memory",
    'Reads "bytes" <&> für 🧀.',
    {
        "address": {"type": "string", "format": "0xHHHHHH", "address_space": "snes"},
        "length": {"type": "integer", "minimum": 1, "maximum": 256},
        "view": {"type": "string", "enum": ["hex", "ascii"]},
    },
    "address",
)
PAUSE = definition("mesen2.pause", "Pauses the game.", {})
DEFINITIONS = [READ, PAUSE]


def raw(name: str, instruction: str, **more: Any) -> dict[str, Any]:
    """A raw example without calls."""
    return {"id": name, "instruction": instruction, "tool_calls": [], "difficulty": "simple", **more}


def call(tool: str, **parameters: Any) -> dict[str, Any]:
    """A call of a raw example."""
    return {"tool": tool, "parameters": parameters}


TWO_STEPS = raw(
    "a-two-steps",
    " Look at $7E0010 <now> & pause: für 🧀\n\n  if it is 'A9'. ",
    context={"room": "0x012"},
    turns=[
        {
            "tool_calls": [call("mesen2.read_memory", address="0x7E0010", length=2)],
            "results": [{"content": '{"bytes": "A9 01"}\n'}],
        },
        {"tool_calls": [call("mesen2.pause")], "results": [{"content": "paused"}]},
    ],
    answer="It was A9, and the game stands still.",
)
EXAMPLES = [
    TWO_STEPS,
    raw("b-look", "Show 0x7EF340 as hex", tool_calls=[call("mesen2.read_memory", address="0x7EF340", view="hex")]),
    raw("c-decline", "Write a poem", answer="I only read memory."),
    raw("d-pause", "Halt the game", tool_calls=[call("mesen2.pause")]),
]


def records(prompt: str = SYSTEM) -> list[Record]:
    """The examples as curation makes them into records."""
    lines = [json.dumps(example).encode() for example in EXAMPLES]
    read = [parsed(Source("examples.jsonl", number), line, len(line)) for number, line in enumerate(lines, 1)]
    return [make_record(example, example.id, DEFINITIONS, prompt) for example in read]


def save_base(folder: Path, *, native: bool) -> Path:
    """A random base with room for tools: a Qwen2 whose template knows them, or a Llama whose template does not."""
    tokenizer = make_tokenizer()
    tokenizer.model_max_length = WINDOW
    if native:
        tokenizer.chat_template = QWEN_LIKE
        tokenizer.add_tokens([AddedToken(text, normalized=False) for text in ("<tool_call>", "</tool_call>")])
    model = make_model("qwen2" if native else "llama", tokenizer)
    model.config.max_position_embeddings = WINDOW
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    write_json(folder / "base.json", describe_base(folder, name="tiny", source="recipe:tiny", licence="cc0-1.0"))
    return folder


def make_tools_run(root: Path, *, base: Path | None = None, gguf: Path | None = None, **gate_changes: Any) -> Path:
    """Writes what the stages before deploy leave of the run tools/veran under ``root`` and returns it."""
    if base is None:
        make_tokenizer().save_pretrained(root / "base")
        card = {"name": "tiny", "source": "recipe:tiny", "licence": "cc0-1.0", "context_length": WINDOW}
        write_json(root / "base/base.json", {**card, "architecture": "llama", "parameters": 9, "files": []})
    (root / "gguf").mkdir(parents=True)
    if gguf is None:
        write_gguf(root / "gguf/model-Q8_0.gguf", window=WINDOW)
    else:
        (root / "gguf/model-Q8_0.gguf").hardlink_to(gguf)
    write_json(root / "gguf/certificate.json", CERTIFICATE)
    row = {name: score(0.5) for name in METRICS if name != "perplexity"}
    write_json(
        root / "metrics.json",
        {
            "system": "tools",
            "run": "veran",
            "scope": "learning",
            "confidence": 0.95,
            "cases": 9,
            "variants": {"base": row, "tuned": row, "Q8_0": row},
            "baselines": {"none": row},
            "higher_is_better": {name: name != "perplexity" for name in METRICS},
            "speed": {},
        },
    )
    write_json(root / "gate.json", gate(variant="Q8_0", **gate_changes))
    write_json(root / "training.json", TRAINING | {"system_prompt": SYSTEM})
    (root / "loss.jsonl").write_text("")
    write_json(root / "stats.json", {"rows_in": 4, "records": {"train": 4, "val": 0, "test": 4}})
    for side in ("train", "test"):
        write_records(root / f"{side}.jsonl", records())
    return root


def deploy_package(root: Path, out: Path, base: Path | None = None, **params: Any) -> Path:
    """Runs the last two stages on a run that `make_tools_run` wrote; returns the package."""
    card = str((base or root / "base") / "base.json")
    config = root / "specialist_config.json"
    words = ["--run", "veran", "--description", "Reads the console's memory.", "--base-json", card]
    words += ["--training", str(root / "training.json"), "--train", str(root / "train.jsonl"), "--out", str(config)]
    specialist.main(specialist.parser().parse_args(words))
    named = {
        "gate": "gate.json", "metrics": "metrics.json", "gguf": "gguf", "certificate": "gguf/certificate.json",
        "training": "training.json", "stats": "stats.json", "specialist": config.name, "records": "test.jsonl",
    }  # fmt: skip
    words = [word for name, path in named.items() for word in (f"--{name}", str(root / path))]
    words += ["--base-json", card, "--system-prompt", SYSTEM, "--out", str(out)]
    words += ["--params", json.dumps({"smoke_prompts": 2, "smoke_tokens": 8} | params)]
    deploy.main(deploy.parser().parse_args(words))
    return out
