"""A specialist's tools as a GBNF grammar, by which llama.cpp lets a model write valid calls or plain text only.

Calls are written exactly as training shows them: JSON with a blank after ``:`` and ``,``, parameters in the schema's
order, one call after the other, with or without the line breaks that Qwen's template has inside the tags.

A text may be as long as the answer has tokens: a limit of the grammar's own would close it early, and a value that is
cut would look whole (no float has more than 17 digits that count). What a grammar cannot say in a few rules (the bounds
of a decimal number, a pattern) is checked after the parse.
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

# Characters are listed by range: control characters, surrogates and whatever else JSON cannot hold stay out.
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
    # A text never holds "<t", and so no call that the rules of calls have not seen; nor does it begin as JSON or as a
    # code fence would.
    "text": "first (other | lt)*",
    "first": rf"[\x21-\x3B\x3D-\x5A\x5C-\x5F\x61-\x7A\x7C-\x7E{ABOVE_ASCII}]",
    "other": rf"[\t\n\x20-\x3B\x3D-\x7E{ABOVE_ASCII}]",
    "lt": rf'"<"+ [\t\n\x20-\x3B\x3D-\x73\x75-\x7E{ABOVE_ASCII}]',
}


def grammar(tools: Mapping[str, Tool]) -> str:
    """The GBNF text for 1 to `MAX_CALLS` calls of these tools, or a text that calls nothing."""
    return written(rules(tools))


def written(named: Mapping[str, str]) -> str:
    """Rules by name as GBNF text."""
    return "".join(f"{name} ::= {body}\n" for name, body in named.items())


def rules(tools: Mapping[str, Tool]) -> dict[str, str]:
    """The grammar's rules by name, ``root`` first."""
    names = [f"tool{index}" for index in range(len(tools))]
    found = {
        "root": "calls | text" if tools else "text",
        "calls": f"call (nl call){{0,{MAX_CALLS - 1}}}",
        "call": f"{literal(CALL_OPEN)} nl ({' | '.join(names)}) nl {literal(CALL_CLOSE)}",
        **SHARED,
    }
    if not tools:
        del found["calls"], found["call"]
    for name, tool in zip(names, tools.values(), strict=True):
        found |= _tool_rules(name, tool)
    return found


def _tool_rules(prefix: str, tool: Tool) -> dict[str, str]:
    """One rule for the call, one for each parameter with its key."""
    opening = f'{{"name": {_dumps(tool.name)}, "arguments": {{'
    result = {prefix: f"{literal(opening)} {_arguments(prefix, tool)} {literal('}}')}"}
    for index, (key, rule) in enumerate(tool.parameters.items()):
        result[f"{prefix}-{index}"] = f"{literal(_dumps(key) + ': ')} {value_rule(rule)}"
    return result


def _arguments(prefix: str, tool: Tool) -> str:
    """Parameters in order, as alternatives by which of them comes first: only optional ones may be passed over."""
    keys = list(tool.parameters)
    alternatives = []
    for index, key in enumerate(keys):
        rest = "".join(f" {_later(f'{prefix}-{n}', keys[n] in tool.required)}" for n in range(index + 1, len(keys)))
        alternatives.append(f"{prefix}-{index}{rest}")
        if key in tool.required:
            break
    if not tool.required:
        alternatives.append('""')
    return f"({' | '.join(alternatives)})"


def _later(name: str, required: bool) -> str:
    return f'", " {name}' if required else f'(", " {name})?'


def value_rule(rule: dict[str, Any]) -> str:
    """What a value under a parameter's rule may look like, as the right side of a GBNF rule."""
    if "enum" in rule:
        return f"({' | '.join(literal(_dumps(choice)) for choice in rule['enum'])})"
    kind = rule["type"]
    if kind == "string":
        return _string(rule)
    if kind == "integer":
        return _integer(rule)
    if kind == "number":
        return _number(rule)
    if kind == "array" and isinstance(rule.get("items"), dict) and "type" in rule["items"]:
        item = value_rule(rule["items"])
        return f'"[" ({item} (", " {item})*)? "]"'
    return {"array": "list", "object": "object", "boolean": "boolean"}[kind]


def _string(rule: dict[str, Any]) -> str:
    form = str(rule.get("format", ""))
    if form == BYTES_FORMAT:
        return "bytes"
    digits = hex_digits(rule)
    if not digits:
        return "string"
    # Offsets in a ROM file end at 0x3FFFFF.
    first, others = ("[0-3]", digits - 1) if rule.get("address_space") == "pc" and digits == 6 else ("", digits)
    return rf'"\"0x" {first} hex{{{others}}} "\""'


def _integer(rule: dict[str, Any]) -> str:
    """Whole numbers from one bound to the other, both included, without leading zeros."""
    low, high = _whole(rule.get("minimum"), math.ceil), _whole(rule.get("maximum"), math.floor)
    forms = _span(max(low or 0, 0), high) if high is None or high >= 0 else []
    if low is None or low < 0:
        least = -high if high is not None and high < 0 else 1
        forms.append(f'"-" ({" | ".join(_span(least, None if low is None else -low))})')
    return f"({' | '.join(forms)})"


def _span(low: int, high: int | None) -> list[str]:
    """Alternatives for the whole numbers from ``low`` (0 or more) to ``high``; None: without end."""
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
    """The numbers between two of as many digits."""
    if len(low) == 1:
        return f"[{low}-{high}]"
    zeros, nines = "0" * (len(low) - 1), "9" * (len(low) - 1)
    first, last = int(low[0]), int(high[0])
    if first == last:
        return f'"{first}" {_alike(low[1:], high[1:])}'
    forms = []
    if low[1:] != zeros:
        forms.append(f'"{first}" {_alike(low[1:], nines)}')
        first += 1
    top = []
    if high[1:] != nines:
        top.append(f'"{last}" {_alike(zeros, high[1:])}')
        last -= 1
    if first <= last:
        forms.append(f"[{first}-{last}] [0-9]{{{len(zeros)}}}")
    return f"({' | '.join(forms + top)})"


def _number(rule: dict[str, Any]) -> str:
    """Decimal numbers with no more digits before the point than the bounds have."""
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
