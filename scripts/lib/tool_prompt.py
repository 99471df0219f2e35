"""Tools for a chat template without tools: definitions in the system turn, calls and results as tagged text.

This is the fallback for models whose template does not read ``tools`` (SmolLM2-135M, GPT-2)::

    system     <the system prompt>

               Tools:
               mesen2.run(frames: integer 1 to 3600, speed?: "normal" or "turbo"): Runs the emulator.
               Call a tool with <tool_call>{"name": ..., "arguments": {...}}</tool_call>
    assistant  <tool_call>{"name": "mesen2.run", "arguments": {"frames": 120}}</tool_call>
    user       <tool_response>ok</tool_response>

The tags are those of the Hermes and Qwen templates, so that one parser suffices for all models. Results are user turns,
which every template accepts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

CALL_OPEN, CALL_CLOSE = "<tool_call>", "</tool_call>"
RESULT_OPEN, RESULT_CLOSE = "<tool_response>", "</tool_response>"
HOW_TO_CALL = f'Call a tool with {CALL_OPEN}{{"name": ..., "arguments": {{...}}}}{CALL_CLOSE}'


def knows_tools(template: str) -> bool:
    """Whether a chat template (Jinja) reads the variable ``tools``."""
    statements = re.findall(r"\{[%{].*?[%}]\}", template, re.DOTALL)
    return any(re.search(r"(?<![\w.'\"])tools\b(?!['\"])", statement) for statement in statements)


def call_text(name: str, arguments: dict[str, Any]) -> str:
    """One call as tagged text; the arguments are a JSON object, not a string."""
    value = {"name": name, "arguments": arguments}
    return f"{CALL_OPEN}{json.dumps(value, ensure_ascii=False)}{CALL_CLOSE}"


def as_text(rows: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages for a template, with tools, calls and results as text.

    Args:
        rows: messages with ``role``, ``content`` (a string) and, for a call, ``tool_calls`` in OpenAI's form.
        tools: OpenAI function definitions.
    """
    described = "\n".join(["Tools:", *map(signature, tools), HOW_TO_CALL])
    system = rows[0]["content"] if rows and rows[0]["role"] == "system" else ""
    rest = rows[1:] if rows and rows[0]["role"] == "system" else rows
    return [{"role": "system", "content": f"{system}\n\n{described}".strip()}, *map(_message, rest)]


def _message(row: dict[str, Any]) -> dict[str, Any]:
    if row["role"] == "tool":
        return {"role": "user", "content": f"{RESULT_OPEN}{row['content']}{RESULT_CLOSE}"}
    functions = [call["function"] for call in row.get("tool_calls") or []]
    calls = [call_text(function["name"], function["arguments"]) for function in functions]
    return {"role": row["role"], "content": "\n".join([*filter(None, [row["content"]]), *calls])}


def signature(tool: dict[str, Any]) -> str:
    """A definition in one line: name, parameters with type, range or choices (``?`` where optional), description."""
    function = tool["function"]
    schema = function.get("parameters") or {}
    required = schema.get("required") or []
    parameters = ", ".join(
        f"{name}{'' if name in required else '?'}: {_kind(rule)}"
        for name, rule in (schema.get("properties") or {}).items()
    )
    return f"{function['name']}({parameters}): {function.get('description', '').strip()}"


def _kind(rule: dict[str, Any]) -> str:
    if rule.get("enum"):
        return " or ".join(json.dumps(value, ensure_ascii=False) for value in rule["enum"])
    words = [str(rule.get("format") or rule.get("type", "any"))]
    if "minimum" in rule or "maximum" in rule:
        words.append(f"{rule.get('minimum', '')} to {rule.get('maximum', '')}".strip())
    return " ".join(words)
