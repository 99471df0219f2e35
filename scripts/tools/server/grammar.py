"""A GBNF grammar of a specialist's tools, with which llama.cpp restricts the output to valid calls or plain text.

GBNF is llama.cpp's grammar format: https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md. A tool ``run``
with an integer ``n`` from 1 to 36 gives the rules::

    tool0 ::= "{\"name\": \"run\", \"arguments\": {" (tool0-0) "}}"
    tool0-0 ::= "\"n\": " ([1-9] | ([1-2] [0-9]{1} | "3" [0-6]))

Calls are written exactly as in the training data: JSON with a space after ``:`` and ``,``, parameters in the schema's
order, one call after the other, with or without the line breaks that Qwen's template writes inside the tags.

Strings have no maximum length: the grammar would close a long string early, and the cut value would look complete (a
float has at most 17 significant digits). A grammar cannot express the bounds of a decimal number or a pattern in a few
rules; those are checked after parsing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from scripts.lib.tool_prompt import CALL_CLOSE, CALL_OPEN
from scripts.tools.schema import Tool
from scripts.tools.validate import MAX_CALLS
from scripts.tools.values import BYTES_FORMAT, hex_digits

# Characters as ranges, without control characters, surrogates and others that JSON does not allow.
ABOVE_ASCII = r"\u00A0-\uD7FF\uE000-\U0010FFFF"
SHARED = {
    "nl": r'"\n"?',
    "hex": "[0-9A-Fa-f]",
    "pair": "hex hex",
    "bytes": r'"\"" pair (" " pair)* "\""',
    "char": rf'[\x20-\x21\x23-\x5B\x5D-\x7E{ABOVE_ASCII}] | "\\" (["\\bfnrt] | "u00" [01] hex)',
    "boolean": '"true" | "false"',
    "string": r'"\"" char* "\""',
    "number": '"-"? ("0" | [1-9] [0-9]*) ("." [0-9]{1,17})?',
    "list": '"[" (value (", " value)*)? "]"',
    "object": '"{" (string ": " value (", " string ": " value)*)? "}"',
    "value": 'object | list | string | number | boolean | "null"',
    # A text never contains "<t", so that every call is written by the rules of calls; nor does it start like JSON or
    # like a code fence.
    "text": "first (other | lt)*",
    "first": rf"[\x21-\x3B\x3D-\x5A\x5C-\x5F\x61-\x7A\x7C-\x7E{ABOVE_ASCII}]",
    "other": rf"[\t\n\x20-\x3B\x3D-\x7E{ABOVE_ASCII}]",
    "lt": rf'"<"+ [\t\n\x20-\x3B\x3D-\x73\x75-\x7E{ABOVE_ASCII}]',
}


def grammar(tools: Mapping[str, Tool]) -> str:
    """The GBNF text for 1 to `MAX_CALLS` calls of these tools, or a text without calls."""
    return written(rules(tools))


def written(named: Mapping[str, str]) -> str:
    """Rules by name as GBNF text."""
    return "".join(f"{name} ::= {body}\n" for name, body in named.items())


def rules(tools: Mapping[str, Tool]) -> dict[str, str]:
    """The grammar's rules by name, ``root`` first: one rule per tool, and one per parameter with its key."""
    result = {"root": "text", **SHARED}
    if tools:
        names = " | ".join(f"tool{index}" for index in range(len(tools)))
        call = f"{literal(CALL_OPEN)} nl ({names}) nl {literal(CALL_CLOSE)}"
        calls = f"call (nl call){{0,{MAX_CALLS - 1}}}"
        result = {"root": "calls | text", "calls": calls, "call": call, **SHARED}
    for number, tool in enumerate(tools.values()):
        opening = f'{{"name": {_dumps(tool.name)}, "arguments": {{'
        result[f"tool{number}"] = f"{literal(opening)} {_arguments(f'tool{number}', tool)} {literal('}}')}"
        for index, (key, rule) in enumerate(tool.parameters.items()):
            result[f"tool{number}-{index}"] = f"{literal(_dumps(key) + ': ')} {value_rule(rule)}"
    return result


def _arguments(prefix: str, tool: Tool) -> str:
    """The parameters in order, as alternatives by the first one that is present: only optional ones may be absent.

    An optional parameter 0 and a required parameter 1 give ``(tool0-0 ", " tool0-1 | tool0-1)``.
    """
    keys = list(tool.parameters)
    later = [
        f'", " {prefix}-{index}' if key in tool.required else f'(", " {prefix}-{index})?'
        for index, key in enumerate(keys)
    ]
    alternatives = []
    for index, key in enumerate(keys):
        alternatives.append(" ".join([f"{prefix}-{index}", *later[index + 1 :]]))
        if key in tool.required:
            break
    if not tool.required:
        alternatives.append('""')
    return f"({' | '.join(alternatives)})"


def value_rule(rule: dict[str, Any]) -> str:
    """The values that a parameter's rule allows, as the right side of a GBNF rule."""
    if "enum" in rule:
        return f"({' | '.join(literal(_dumps(choice)) for choice in rule['enum'])})"
    kind, digits = rule["type"], hex_digits(rule)
    if kind == "integer":
        return _integer(rule)
    if kind == "number":
        return _number(rule)
    if kind == "array" and isinstance(rule.get("items"), dict) and "type" in rule["items"]:
        item = value_rule(rule["items"])
        return f'"[" ({item} (", " {item})*)? "]"'
    if kind == "string" and rule.get("format") == BYTES_FORMAT:
        return "bytes"
    if kind == "string" and digits == 6 and rule.get("address_space") == "pc":
        return r'"\"0x" [0-3] hex{5} "\""'  # offsets in a ROM file end at 0x3FFFFF
    if kind == "string" and digits:
        return rf'"\"0x" hex{{{digits}}} "\""'
    return "list" if kind == "array" else kind


def _integer(rule: dict[str, Any]) -> str:
    """Integers between the bounds, both included, without leading zeros."""
    low, high = _whole(rule.get("minimum"), math.ceil), _whole(rule.get("maximum"), math.floor)
    forms = _span(max(low or 0, 0), high) if high is None or high >= 0 else []
    if low is None or low < 0:
        least = -high if high is not None and high < 0 else 1
        forms.append(f'"-" ({" | ".join(_span(least, None if low is None else -low))})')
    return f"({' | '.join(forms)})"


def _span(low: int, high: int | None) -> list[str]:
    """Alternatives for the integers from ``low`` (0 or more) to ``high`` (None: unbounded), by number of digits."""
    forms = ['"0"'] if low == 0 else []
    first, last = str(max(low, 1)), None if high is None else str(high)
    if last is None:
        return [*forms, _alike(first, "9" * len(first)), f"[1-9] [0-9]{{{len(first)},}}"]
    for size in range(len(first), len(last) + 1):
        least = first if size == len(first) else "1" + "0" * (size - 1)
        most = last if size == len(last) else "9" * size
        forms += [_alike(least, most)] if least <= most else []
    return forms


def _alike(low: str, high: str) -> str:
    """The numbers from ``low`` to ``high``, which have equally many digits.

    Splits off the first digit: ``19`` to ``36`` gives ``("1" [9-9] | [2-2] [0-9]{1} | "3" [0-6])``.
    """
    if len(low) == 1:
        return f"[{low}-{high}]"
    zeros, nines = "0" * (len(low) - 1), "9" * (len(low) - 1)
    first, last = int(low[0]), int(high[0])
    if first == last:
        return f'"{first}" {_alike(low[1:], high[1:])}'
    forms, top = [], []
    if low[1:] != zeros:
        forms.append(f'"{first}" {_alike(low[1:], nines)}')
        first += 1
    if high[1:] != nines:
        top.append(f'"{last}" {_alike(zeros, high[1:])}')
        last -= 1
    if first <= last:
        forms.append(f"[{first}-{last}] [0-9]{{{len(zeros)}}}")
    return f"({' | '.join(forms + top)})"


def _number(rule: dict[str, Any]) -> str:
    """Decimal numbers with at most as many digits before the point as the bounds have."""
    low, high = _whole(rule.get("minimum"), math.floor), _whole(rule.get("maximum"), math.ceil)
    sign = '"-"? ' if low is None or low < 0 else ""
    more = "*" if low is None or high is None else f"{{0,{max(len(str(abs(low))), len(str(abs(high)))) - 1}}}"
    return f'{sign}("0" | [1-9] [0-9]{more}) ("." [0-9]{{1,17}})?'


def _whole(bound: float | None, rounded: Any) -> int | None:
    return None if bound is None else int(rounded(bound))


def literal(text: str) -> str:
    """A GBNF literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
