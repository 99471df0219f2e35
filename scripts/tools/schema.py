"""Loads tool schemas in four formats into one kind of definition.

The formats are: a list of OpenAI function definitions (``{"type": "function", "function": {...}}``, or the bare
function), a list of MCP tools (``inputSchema``), either list under a key ``tools``, and the nested format
``tools.<server>.tools.<tool>``, whose parameters stand beside a list ``required`` and whose calls name
``server.tool``. Sources: https://platform.openai.com/docs/guides/function-calling and
https://modelcontextprotocol.io/specification/2025-06-18/server/tools.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from scripts.lib.cli import UserError

TYPES = ("string", "integer", "number", "boolean", "array", "object")
# The keywords of JSON Schema that a parameter's rule keeps, and three of Questline's own: "format" with "0xHHHHHH" or
# "hex-bytes", and "address_space" ("pc": an offset in the ROM file, "snes": an address on the console's bus).
RULES = ("type", "format", "enum", "minimum", "maximum", "default", "description", "address_space", "items", "pattern")
FORMS = (
    "give a list of MCP or OpenAI function definitions, or {tools: {<server>: {tools: {<tool>: {parameters: ...}}}}}."
)


@dataclass(frozen=True)
class Tool:
    """One tool.

    Attributes:
        name: the name that a call uses, such as ``mesen2.run``.
        description: one sentence.
        parameters: the rule of each parameter by its name (JSON Schema, see `RULES`).
        required: the parameters that every call must have.
    """

    name: str
    description: str
    parameters: dict[str, dict[str, Any]]
    required: tuple[str, ...]

    def definition(self) -> dict[str, Any]:
        """The tool as an OpenAI function definition, the format that chat templates take."""
        schema = {"type": "object", "properties": self.parameters, "required": list(self.required)}
        function = {"name": self.name, "description": self.description, "parameters": schema}
        return {"type": "function", "function": function}


def load_schema(path: Path) -> dict[str, Tool]:
    """All tools of a schema file by name, in the file's order.

    Raises:
        UserError: not JSON, not a tool schema, a tool without a name or with an invalid parameter, a name twice.
    """
    try:
        content = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path of the tool schema.") from None
    except orjson.JSONDecodeError as error:  # a file that a person wrote: `read_json` would advise to build it again
        raise UserError(f"{path}: not valid JSON ({error}); mend it, or name another tool schema.") from error
    tools: dict[str, Tool] = {}
    try:
        for name, value in _definitions(content):
            if not isinstance(value, dict):
                raise ValueError(f"{name or 'a tool'} is no definition but {value!r:.60}; {FORMS}")
            if not name:
                raise ValueError(f"a tool has no name; {FORMS}")
            if name in tools:
                raise ValueError(f"{name} is defined twice; remove one of them.")
            tools[name] = _tool(name, value)
        if not tools:
            raise ValueError(f"defines no tool; {FORMS}")
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    return tools


def _definitions(content: Any) -> Iterator[tuple[str, Any]]:
    """Yields (name or "", definition) of every tool.

    Raises:
        ValueError: the content is in none of the formats.
    """
    inner = content.get("tools") if isinstance(content, dict) else content
    if isinstance(inner, list):
        for row in inner:
            function = row.get("function", row) if isinstance(row, dict) else row
            name = function.get("name") if isinstance(function, dict) else ""
            yield (name if isinstance(name, str) else ""), function
    elif isinstance(inner, dict):
        for server, part in inner.items():
            nested = part.get("tools") if isinstance(part, dict) else None
            if not isinstance(nested, dict):
                raise ValueError(f"tools.{server} has no `tools`; {FORMS}")
            for name, row in nested.items():
                yield f"{server}.{name}", row
    else:
        raise ValueError(f"not a tool schema; {FORMS}")


def _tool(name: str, value: dict[str, Any]) -> Tool:
    """The tool of a definition.

    Raises:
        ValueError: its parameters are invalid.
    """
    schema = value.get("parameters", value.get("inputSchema")) or {}
    if not isinstance(schema, dict):
        raise ValueError(f"{name}: `parameters` is no mapping; {FORMS}")
    if "properties" in schema or schema.get("type") == "object":
        parameters, required = schema.get("properties") or {}, schema.get("required") or []
    else:
        parameters, required = schema, value.get("required") or []
    if not isinstance(parameters, dict):
        raise ValueError(f"{name}: `properties` is no mapping of parameters to rules; {FORMS}")
    if not isinstance(required, list):
        raise ValueError(f"{name}: `required` is no list of parameters; write one.")
    rules = {key: _rule(f"{name}: parameter {key!r}", rule) for key, rule in parameters.items()}
    unknown = [key for key in required if key not in list(rules)]  # a list: an item of `required` may be unhashable
    if unknown:
        raise ValueError(f"{name}: required parameter {unknown[0]!r} is not defined; define it.")
    return Tool(name, str(value.get("description") or "").strip(), rules, tuple(required))


def _rule(where: str, rule: Any) -> dict[str, Any]:
    """The keywords of a parameter's rule that are in `RULES`, with its type.

    Raises:
        ValueError: no value could satisfy the rule.
    """
    kind = rule.get("type", "string" if "enum" in rule else None) if isinstance(rule, dict) else None
    if kind not in TYPES:
        raise ValueError(f"{where} has no type; give one of {', '.join(TYPES)}.")
    if "enum" in rule and not (isinstance(rule["enum"], list) and rule["enum"]):
        raise ValueError(f"{where}: its enum is no list of choices; write one.")
    bounds = [rule[name] for name in ("minimum", "maximum") if name in rule]
    if not all(type(bound) in (int, float) for bound in bounds):
        raise ValueError(f"{where}: its minimum or maximum is no number; write one, or leave it out.")
    if len(bounds) == 2 and bounds[0] > bounds[1]:
        raise ValueError(f"{where}: its minimum is above its maximum; exchange them.")
    try:
        re.compile(rule.get("pattern", ""))
    except (re.error, TypeError) as error:
        raise ValueError(f"{where}: its pattern is no regular expression ({error}); mend it.") from error
    kept = {name: rule[name] for name in RULES if name in rule}
    if rule.get("items", {}) != {}:  # an empty rule allows any items
        kept["items"] = _rule(f"{where}, items", rule["items"])
    return {"type": kind} | kept
