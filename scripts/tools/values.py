"""Parameter values: validation against a rule, and normalisation of equivalent spellings."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

ADDRESS_FORMAT, BYTES_FORMAT = "0xHHHHHH", "hex-bytes"
HEX_FORMAT = re.compile(r"0x(H+)")  # an address, or any other number with this many hex digits
ROM_END = 0x3FFFFF  # the last offset of the largest ROM file that the console maps, 4 MiB
ADDRESS = re.compile(r"(?:0[xX]|\$)?(?:([0-9A-Fa-f]{1,2}):)?([0-9A-Fa-f]{1,6})", re.ASCII)
HEX_NUMBER = re.compile(r"(?:0[xX]|\$)?([0-9A-Fa-f]+)", re.ASCII)
NUMBER = re.compile(r"[+-]?(?:0x[0-9A-Fa-f]+|\d+)", re.ASCII)
HEX_BYTES = re.compile(r"[0-9A-Fa-f]{2}(?: [0-9A-Fa-f]{2})*", re.ASCII)
PYTHON_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "string": ("a string", (str,)),
    "integer": ("an integer", (int,)),
    "number": ("a number", (int, float)),
    "boolean": ("true or false", (bool,)),
    "array": ("a list", (list,)),
    "object": ("a mapping", (dict,)),
}


def problem_of(value: Any, rule: dict[str, Any]) -> str | None:
    """The error of a value, as the end of a sentence; None if the value is valid.

    The value must be written as the rule says: `normalise` accepts more spellings.
    """
    description, types = PYTHON_TYPES[rule["type"]]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        return f"is {value!r:.60}, not {description}"
    if "enum" in rule and value not in rule["enum"]:
        return f"is {value!r:.60}; choose one of {', '.join(map(repr, rule['enum']))}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = rule.get("minimum", -math.inf), rule.get("maximum", math.inf)
        return None if low <= value <= high else f"is {value}, outside {low} to {high}"
    if isinstance(value, list) and rule.get("items"):
        problems = ((number, problem_of(item, rule["items"])) for number, item in enumerate(value, 1))
        return next((f"has an item {number} that {problem}" for number, problem in problems if problem), None)
    return _text_problem(value, rule) if isinstance(value, str) else None


def _text_problem(value: str, rule: dict[str, Any]) -> str | None:
    if digits := hex_digits(rule):
        if not re.fullmatch(rf"0x[0-9A-Fa-f]{{1,{digits}}}", value, re.ASCII):
            noun = "an address" if rule["format"] == ADDRESS_FORMAT else "a number"
            return f"is {value!r:.60}, not {noun} of the form 0x{'H' * digits}"
        if rule.get("address_space") == "pc" and int(value, 16) > ROM_END:
            return f"is {value}, beyond the end of a ROM file (0x{ROM_END:06X}); is it an address on the console's bus?"
    elif rule.get("format") == BYTES_FORMAT and not HEX_BYTES.fullmatch(value):
        return f"is {value!r:.60}, not bytes as two hex digits each with a space between"
    elif "pattern" in rule and not re.search(rule["pattern"], value):
        return f"is {value!r:.60}, which does not match {rule['pattern']!r}"
    return None


def hex_digits(rule: dict[str, Any]) -> int:
    """The number of digits in a format such as ``0xHHHHHH``; 0 for any other format."""
    match = HEX_FORMAT.fullmatch(str(rule.get("format")))
    return len(match[1]) if match else 0


def normalise(value: Any, rule: dict[str, Any] | None) -> Any:
    """The canonical spelling of a value: ``"16"`` as 16, ``$7e:f340`` as ``0x7EF340``, ``0a,ff`` as ``0A FF``.

    A value that has no meaning under the rule is returned unchanged.
    """
    rule = rule or {}
    kind, digits = rule.get("type"), hex_digits(rule)
    if kind in ("integer", "number"):
        return _number(value)
    if kind == "boolean" and isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if isinstance(value, list) and rule.get("items"):
        return [normalise(item, rule["items"]) for item in value]
    if digits and type(value) is int and value >= 0:
        return f"0x{value:0{digits}X}"
    if not isinstance(value, str):
        return value
    text = value.strip()
    if digits:
        return _hex(text, digits)
    if rule.get("format") == BYTES_FORMAT:
        pairs = re.sub(r"0x|\$|[\s,]", "", text)
        valid = len(pairs) % 2 == 0 and re.fullmatch(r"[0-9A-Fa-f]+", pairs, re.ASCII)
        return bytes.fromhex(pairs).hex(" ").upper() if valid else text
    return text


def _number(value: Any) -> Any:
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        return int(value.strip(), 0) if "x" in value.lower() else int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _hex(text: str, digits: int) -> str:
    """A hex number with as many digits; an address (six digits) may give its bank, as ``7E:40`` for ``0x7E0040``."""
    number = None
    if digits == len("HHHHHH"):
        match = ADDRESS.fullmatch(text)
        if match and not (match[1] and len(match[2]) > 4):
            number = (int(match[1] or "0", 16) << 16) | int(match[2], 16)
    else:
        match = HEX_NUMBER.fullmatch(text)
        if match and len(match[1].lstrip("0")) <= digits:
            number = int(match[1], 16)
    return text if number is None else f"0x{number:0{digits}X}"


def plain_test(rule: dict[str, Any]) -> Callable[[Any], bool]:
    """A fast test for values that are valid and canonical; True is certain, False is not."""
    kind, digits = rule["type"], hex_digits(rule)
    if "enum" in rule:
        plain = frozenset(
            value for value in rule["enum"] if normalise(value, rule) == value and not problem_of(value, rule)
        )
        return lambda value: type(value) is str and value in plain
    if kind == "integer":
        low, high = rule.get("minimum", -math.inf), rule.get("maximum", math.inf)
        return lambda value: type(value) is int and low <= value <= high
    if kind == "string" and digits:
        matches = _matcher(re.compile(rf"0x[0-9A-F]{{{digits}}}", re.ASCII))
        inside = rule.get("address_space") == "pc"
        return (lambda value: matches(value) and int(value, 16) <= ROM_END) if inside else matches
    if kind == "string" and rule.get("format") == BYTES_FORMAT:
        return _matcher(re.compile("[0-9A-F]{2}(?: [0-9A-F]{2})*", re.ASCII))
    if kind == "string" and "pattern" not in rule:
        return lambda value: type(value) is str and value == value.strip()
    return lambda value: False


def _matcher(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: type(value) is str and pattern.fullmatch(value) is not None
