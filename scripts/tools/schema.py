"""Tool schemas in every form that is in use, as one kind of definition.

Read are: a list of OpenAI function definitions (``{"type": "function", "function": {...}}`` or the bare function), a
list of MCP tools (``inputSchema``), either under a key ``tools``, and the nested form
``tools.<server>.tools.<tool>`` whose parameters stand beside a list ``required``; there a call's name is
``server.tool``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError
from scripts.lib.files import read_json

TYPES = ("string", "integer", "number", "boolean", "array", "object")
# What a parameter's rule may hold of JSON Schema, and three keys of our own kind of data: "format" with "0xHHHHHH" or
# "hex-bytes", and "address_space" ("pc": an offset in the ROM file, "snes": an address on the console's bus).
RULES = ("type", "format", "enum", "minimum", "maximum", "default", "description", "address_space", "items", "pattern")


@dataclass(frozen=True)
class Tool:
    """One tool.

    Attributes:
        name: as a call names it, such as ``mesen2.run``.
        description: one sentence.
        parameters: rule by parameter name (JSON Schema, see `RULES`).
        required: parameters that every call gives.
    """

    name: str
    description: str
    parameters: dict[str, dict[str, Any]]
    required: tuple[str, ...]

    def definition(self) -> dict[str, Any]:
        """The tool as an OpenAI function definition, the form that chat templates take."""
        schema = {"type": "object", "properties": self.parameters, "required": list(self.required)}
        function = {"name": self.name, "description": self.description, "parameters": schema}
        return {"type": "function", "function": function}


def load_schema(path: Path) -> dict[str, Tool]:
    """All tools of a schema file by name, in the file's order.

    Raises:
        UserError: not JSON, no tool schema, a tool without a name or with a parameter that is no rule, a name twice.
    """
    tools: dict[str, Tool] = {}
    for name, value in _found(read_json(path), path):
        if not isinstance(value, dict):
            raise UserError(f"{path}: {name or 'a tool'} is no definition but {value!r:.60}; {FORMS}")
        tool = _tool(name, value, path)
        if tool.name in tools:
            raise UserError(f"{path}: {tool.name} is defined twice; remove one of them.")
        tools[tool.name] = tool
    if not tools:
        raise UserError(f"{path}: defines no tool; {FORMS}")
    return tools


FORMS = (
    "give a list of MCP or OpenAI function definitions, or {tools: {<server>: {tools: {<tool>: {parameters: ...}}}}}."
)


def _found(value: Any, path: Path) -> Iterator[tuple[str, Any]]:
    """(name where the form gives it outside, definition) of every tool."""
    inner = value.get("tools") if isinstance(value, dict) else value
    if isinstance(inner, list):
        for row in inner:
            function = row.get("function", row) if isinstance(row, dict) else row
            yield (str(function.get("name", "")) if isinstance(function, dict) else ""), function
    elif isinstance(inner, dict):
        for server, part in inner.items():
            nested = part.get("tools") if isinstance(part, dict) else None
            if not isinstance(nested, dict):
                raise UserError(f"{path}: tools.{server} has no `tools`; {FORMS}")
            for name, row in nested.items():
                yield f"{server}.{name}", row
    else:
        raise UserError(f"{path}: not a tool schema; {FORMS}")


def _tool(name: str, value: dict[str, Any], path: Path) -> Tool:
    if not name:
        raise UserError(f"{path}: a tool has no name; {FORMS}")
    schema = value.get("parameters", value.get("inputSchema")) or {}
    if not isinstance(schema, dict):
        raise UserError(f"{path}: {name}: `parameters` is no mapping; {FORMS}")
    if "properties" in schema or schema.get("type") == "object":
        parameters, required = schema.get("properties") or {}, schema.get("required") or []
    else:
        parameters, required = schema, value.get("required") or []
    rules = {key: _rule(path, name, key, rule) for key, rule in parameters.items()}
    unknown = [key for key in required if key not in rules]
    if unknown:
        raise UserError(f"{path}: {name}: required parameter {unknown[0]!r} is not defined; define it.")
    return Tool(name, str(value.get("description", "")).strip(), rules, tuple(required))


def _rule(path: Path, tool: str, key: str, rule: Any) -> dict[str, Any]:
    kind = rule.get("type", "string" if "enum" in rule else None) if isinstance(rule, dict) else None
    if kind not in TYPES:
        raise UserError(f"{path}: {tool}: parameter {key!r} has no type; give one of {', '.join(TYPES)}.")
    if "enum" in rule and not (isinstance(rule["enum"], list) and rule["enum"]):
        raise UserError(f"{path}: {tool}: the enum of parameter {key!r} is no list of choices.")
    return {"type": kind} | {name: rule[name] for name in RULES if name in rule}
