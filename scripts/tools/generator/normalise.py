"""Parses a person's spelling of a value into the form of a call.

The generator parses every spelling that it draws, so that a call contains only values that the instruction gives.
All functions raise `ValueError` if the text is not such a value.
"""

from __future__ import annotations

import re
from fractions import Fraction

ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
NUMBER_WORDS = {word: value for value, word in enumerate(ONES)}
NUMBER_WORDS |= {word: 10 * value for value, word in enumerate(TENS, 2)}
NUMBER_WORDS |= {f"{ten}-{one}": 10 * i + j for i, ten in enumerate(TENS, 2) for j, one in enumerate(ONES[1:10], 1)}
NUMBER_WORDS |= {"a": 1, "an": 1, "a single": 1, "a dozen": 12}
# The bytes, frames or instructions in a unit; the SNES (NTSC) draws 60 frames per second.
UNITS = {"byte": 1, "word": 2, "16-bit word": 2, "24-bit pointer": 3, "KB": 1024, "kilobyte": 1024}
UNITS |= {"frame": 1, "second": 60, "s": 60, "minute": 3600, "instruction": 1}
NOP = "EA"


def number(text: str) -> Fraction:
    """``16``, ``0x10``, ``$10``, ``sixteen``, ``half a``, ``1.5`` as a number."""
    text = text.strip()
    if text == "half a":
        return Fraction(1, 2)
    if text in NUMBER_WORDS:
        return Fraction(NUMBER_WORDS[text])
    if match := re.fullmatch(r"(?:0x|\$)([0-9A-Fa-f]+)", text):
        return Fraction(int(match[1], 16))
    return Fraction(text)


def count(text: str) -> int:
    """A number with its unit: ``a word`` is 2 (bytes), ``two seconds`` 120 (frames), ``0x10 instructions`` 16."""
    for unit in sorted(UNITS, key=len, reverse=True):
        if match := re.fullmatch(rf"(.+?)\s+{unit}s?", text.strip()):
            value = number(match[1]) * UNITS[unit]
            if value.denominator == 1:
                return int(value)
    raise ValueError(f"{text!r}: not a number with a unit")


def address(text: str) -> str:
    """``$7EF340``, ``7E:F340``, ``7EF340h``, ``bank $7E, address $F340 (the bow)``: all ``0x7EF340``."""
    plain = re.sub(r"\s*\(.*\)$", "", text)
    groups = re.findall(r"(?<![0-9A-Za-z])(?:0x)?([0-9A-Fa-f]{1,6})h?\b", plain)
    digits = "".join(groups)
    if not 0 < len(digits) <= 6:
        raise ValueError(f"{text!r}: not an address")
    return f"0x{int(digits, 16):06X}"


def entry(text: str) -> str:
    """The number of a room, map, sprite, message or palette: ``$1A``, ``0x1a`` and ``26 (decimal)`` are ``0x01A``."""
    if match := re.fullmatch(r"(\d+) \(decimal\)", text):
        return f"0x{int(match[1]):03X}"
    if match := re.fullmatch(r"(?:0x|\$)([0-9A-Fa-f]{1,3})", text):
        return f"0x{int(match[1], 16):03X}"
    raise ValueError(f"{text!r}: not an entry number")


def hex_bytes(text: str) -> str:
    """Bytes in memory order, as two digits each with spaces: ``$63, $00`` is ``63 00``, ``three NOPs`` ``EA EA EA``.

    ``the word 0x0190 (low byte first)`` is ``90 01``, ``99 (decimal)`` is ``63``, ``four zero bytes`` ``00 00 00 00``.
    """
    if match := re.fullmatch(r"(.+) NOPs?", text):
        return " ".join([NOP] * int(number(match[1])))
    if match := re.fullmatch(r"(.+) (zero|FF) bytes", text):
        return " ".join([{"zero": "00"}.get(match[2], match[2])] * int(number(match[1])))
    if match := re.fullmatch(r"(\d+) \(decimal\)", text):
        return f"{int(match[1]):02X}"
    if match := re.fullmatch(r"the (?:word|24-bit pointer) (?:0x|\$)((?:[0-9A-Fa-f]{2})+) \(.*\)", text):
        return bytes.fromhex(match[1])[::-1].hex(" ").upper()
    return bytes.fromhex(re.sub(r"0x|[$,\s]", "", text)).hex(" ").upper()


def code(text: str) -> str:
    """Assembly as ``LDA #$01 : STA $7EF359``: upper case, with one separator."""
    parts = re.split(r"\s*(?:\n|:|/|;)\s*", text.strip("` \n"))
    return " : ".join(" ".join(part.upper().split()) for part in parts if part)


def condition(text: str) -> str:
    """``A is $05``, ``X equals 0x05``, ``the accumulator holds 5``: ``A == 0x05``."""
    match = re.fullmatch(r"(the accumulator|[AXY]) (?:is|equals|holds|==|=) (\S+)", text)
    if not match:
        raise ValueError(f"{text!r}: not a condition on a register")
    register = "A" if match[1] == "the accumulator" else match[1]
    return f"{register} == 0x{int(number(match[2])):02X}"


def file_name(text: str) -> str:
    """A path without the quotes or backticks around it."""
    return text.strip("`\"'")


def slot(text: str) -> int:
    """A number without a unit: ``12``, ``0x0C``, ``twelve``."""
    return int(number(text))
