"""Parameter values: whether one keeps its rule, and the one way of writing values that mean the same."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from typing import Any

ADDRESS_FORMAT, BYTES_FORMAT = "0xHHHHHH", "hex-bytes"
HEX_FORMAT = re.compile(r"0x(H+)")  # an address, or any other number of so many hex digits
ROM_END = 0x3FFFFF  # the last offset of the largest ROM file the console maps, 4 MiB
BUS_END = 0xFFFFFF  # the bus has 24 address lines
ADDRESS = re.compile(r"(?:0[xX]|\$)?(?:([0-9A-Fa-f]{1,2}):)?([0-9A-Fa-f]{1,6})", re.ASCII)
HEX_NUMBER = re.compile(r"(?:0[xX]|\$)?([0-9A-Fa-f]+)", re.ASCII)
NUMBER = re.compile(r"[+-]?(?:0x[0-9A-Fa-f]+|\d+)", re.ASCII)
HEX_BYTES = re.compile(r"[0-9A-Fa-f]{2}(?: [0-9A-Fa-f]{2})*", re.ASCII)


def problem_of(value: Any, rule: dict[str, Any]) -> str | None:
    """What is wrong with a value, as the end of a sentence, or None.

    A value has to be written as the rule says: `normalise` forgives more.
    """
    wrong = TYPE_CHECKS[rule["type"]](value)
    if wrong:
        return f"is {value!r:.60}, not {wrong}"
    if "enum" in rule and value not in rule["enum"]:
        return f"is {value!r:.60}; choose one of {', '.join(map(repr, rule['enum']))}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _out_of_range(value, rule)
    if isinstance(value, list):
        return _bad_item(value, rule.get("items"))
    return _bad_text(value, rule) if isinstance(value, str) else None


def _out_of_range(value: float, rule: dict[str, Any]) -> str | None:
    low, high = rule.get("minimum", -math.inf), rule.get("maximum", math.inf)
    return None if low <= value <= high else f"is {value}, outside {low} to {high}"


def _bad_item(values: list[Any], rule: dict[str, Any] | None) -> str | None:
    found = ((number, problem_of(value, rule)) for number, value in enumerate(values, 1)) if rule else ()
    return next((f"has an item {number} that {wrong}" for number, wrong in found if wrong), None)


def hex_digits(rule: dict[str, Any]) -> int:
    """The digits of a format such as ``0xHHHHHH``; 0 for any other."""
    form = rule.get("format")
    return _digits_of(str(form)) if form else 0


@functools.cache
def _digits_of(form: str) -> int:
    match = HEX_FORMAT.fullmatch(form)
    return len(match[1]) if match else 0


def _bad_text(value: str, rule: dict[str, Any]) -> str | None:
    if digits := hex_digits(rule):
        return _bad_hex(value, digits, rule.get("address_space"))
    if rule.get("format") == BYTES_FORMAT and not HEX_BYTES.fullmatch(value):
        return f"is {value!r:.60}, not bytes as two hex digits each with a space between"
    if "pattern" in rule and not re.search(rule["pattern"], value):
        return f"is {value!r:.60}, which does not match {rule['pattern']!r}"
    return None


def _bad_hex(value: str, digits: int, space: str | None) -> str | None:
    form = f"0x{'H' * digits}"
    if not re.fullmatch(rf"0x[0-9A-Fa-f]{{1,{digits}}}", value, re.ASCII):
        what = "an address" if form == ADDRESS_FORMAT else "a number"
        return f"is {value!r:.60}, not {what} of the form {form}"
    if space == "pc" and int(value, 16) > ROM_END:
        return f"is {value}, beyond the end of a ROM file (0x{ROM_END:06X}); is it an address on the console's bus?"
    return None


def _not(kind: str, *types: type) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        flag = isinstance(value, bool) and bool not in types
        return kind if flag or not isinstance(value, types) else None

    return check


TYPE_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "string": _not("a string", str),
    "integer": _not("an integer", int),
    "number": _not("a number", int, float),
    "boolean": _not("true or false", bool),
    "array": _not("a list", list),
    "object": _not("a mapping", dict),
}


def normalise(value: Any, rule: dict[str, Any] | None) -> Any:
    """The one way of writing what a value means: ``"16"`` as 16, ``$7e:f340`` as ``0x7EF340``, ``0a,ff`` as ``0A FF``.

    What does not mean anything under the rule stays as it is.
    """
    rule = rule or {}
    kind = rule.get("type")
    if kind in ("integer", "number"):
        return _number(value)
    if kind == "boolean" and isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if isinstance(value, list) and rule.get("items"):
        return [normalise(item, rule["items"]) for item in value]
    digits = hex_digits(rule)
    if not isinstance(value, str):
        return hex_text(value, digits) if digits and type(value) is int and value >= 0 else value
    text = value.strip()
    if digits:
        return _hex(text, digits)
    if rule.get("format") == BYTES_FORMAT:
        return _bytes(text)
    return text


def plain_test(rule: dict[str, Any]) -> Callable[[Any], bool]:
    """A quick test for values that keep a rule and that `normalise` leaves alone; it may miss some, it never errs."""
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


def hex_text(value: int, digits: int) -> str:
    """``0x7EF340``."""
    return f"0x{value:0{digits}X}"


def _hex(text: str, digits: int) -> str:
    """In an address a bank may stand before a colon: ``7E:40`` is ``0x7E0040``."""
    if digits != len("HHHHHH"):
        match = HEX_NUMBER.fullmatch(text)
        return hex_text(int(match[1], 16), digits) if match and len(match[1].lstrip("0")) <= digits else text
    match = ADDRESS.fullmatch(text)
    if not match or (match[1] and len(match[2]) > 4):
        return text
    return hex_text((int(match[1], 16) << 16 if match[1] else 0) | int(match[2], 16), digits)


def _number(value: Any) -> Any:
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        return int(value.strip(), 0) if "x" in value.lower() else int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _bytes(text: str) -> str:
    digits = re.sub(r"0x|\$|[\s,]", "", text)
    if len(digits) % 2 or not re.fullmatch(r"[0-9A-Fa-f]+", digits, re.ASCII):
        return text
    return " ".join(digits[at : at + 2] for at in range(0, len(digits), 2)).upper()
