"""Tool schemas in every form that is in use, as one kind of definition.

Read are: a list of OpenAI function definitions (``{"type": "function", "function": {...}}`` or the bare function), a
list of MCP tools (``inputSchema``), either under a key ``tools``, and the nested form
``tools.<server>.tools.<tool>`` whose parameters stand beside a list ``required``; there a call's name is
``server.tool``.
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
    for name, value in _found(_content(path), path):
        if not isinstance(value, dict):
            raise UserError(f"{path}: {name or 'a tool'} is no definition but {value!r:.60}; {FORMS}")
        tool = _tool(name, value, path)
        if tool.name in tools:
            raise UserError(f"{path}: {tool.name} is defined twice; remove one of them.")
        tools[tool.name] = tool
    if not tools:
        raise UserError(f"{path}: defines no tool; {FORMS}")
    return tools


def _content(path: Path) -> Any:
    """The file's JSON. It is somebody's own, which is to be mended, not built again."""
    try:
        return orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path of the tool schema.") from None
    except orjson.JSONDecodeError as error:
        raise UserError(f"{path}: not valid JSON ({error}); mend it, or name another tool schema.") from error


FORMS = (
    "give a list of MCP or OpenAI function definitions, or {tools: {<server>: {tools: {<tool>: {parameters: ...}}}}}."
)


def _found(value: Any, path: Path) -> Iterator[tuple[str, Any]]:
    """(name where the form gives it outside, definition) of every tool."""
    inner = value.get("tools") if isinstance(value, dict) else value
    if isinstance(inner, list):
        for row in inner:
            function = row.get("function", row) if isinstance(row, dict) else row
            name = function.get("name") if isinstance(function, dict) else ""
            yield (name if isinstance(name, str) else ""), function
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
    if not isinstance(parameters, dict):
        raise UserError(f"{path}: {name}: `properties` is no mapping of parameters to rules; {FORMS}")
    if not isinstance(required, list):
        raise UserError(f"{path}: {name}: `required` is no list of parameters; write one.")
    rules = {key: _rule(path, f"{name}: parameter {key!r}", rule) for key, rule in parameters.items()}
    unknown = [key for key in required if key not in list(rules)]  # a list: what is required may be anything
    if unknown:
        raise UserError(f"{path}: {name}: required parameter {unknown[0]!r} is not defined; define it.")
    return Tool(name, str(value.get("description") or "").strip(), rules, tuple(required))


def _rule(path: Path, where: str, rule: Any) -> dict[str, Any]:
    """The part of a parameter's rule that `RULES` names, with its type.

    Raises:
        UserError: no value could be held against it.
    """
    kind = rule.get("type", "string" if "enum" in rule else None) if isinstance(rule, dict) else None
    if kind not in TYPES:
        raise UserError(f"{path}: {where} has no type; give one of {', '.join(TYPES)}.")
    if wrong := _wrong_rule(rule):
        raise UserError(f"{path}: {where}: {wrong}")
    kept = {name: rule[name] for name in RULES if name in rule}
    if rule.get("items", {}) != {}:  # an empty rule: items may be anything
        kept["items"] = _rule(path, f"{where}, items", rule["items"])
    return {"type": kind} | kept


def _wrong_rule(rule: dict[str, Any]) -> str | None:
    """What no value can be held against, or None."""
    if "enum" in rule and not (isinstance(rule["enum"], list) and rule["enum"]):
        return "its enum is no list of choices; write one."
    bounds = [rule[name] for name in ("minimum", "maximum") if name in rule]
    if not all(type(bound) in (int, float) for bound in bounds):
        return "its minimum or maximum is no number; write one, or leave it out."
    if len(bounds) == 2 and bounds[0] > bounds[1]:
        return "its minimum is above its maximum; exchange them."
    try:
        re.compile(rule.get("pattern", ""))
    except (re.error, TypeError) as error:
        return f"its pattern is no regular expression ({error}); mend it."
    return None
