"""Draws bytes, code, conditions and file names."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from scripts.tools.generator import normalise
from scripts.tools.generator.tables import words
from scripts.tools.generator.values import WORD_OF, Drawn, drawn


def byte(rng: random.Random) -> Drawn:
    """One byte."""
    value = rng.randrange(256)
    forms = [f"0x{value:02X}", f"${value:02X}", f"0x{value:02x}", f"{value} (decimal)"]
    return drawn(normalise.hex_bytes, f"{value:02X}", rng.choice(forms))


def data(rng: random.Random) -> Drawn:
    """Some bytes, or a word or pointer whose bytes are in reverse order."""
    raw = rng.randbytes(rng.choice((2, 2, 3, 3, 4, 4, 5, 6, 8)))
    each = [f"{value:02X}" for value in raw]
    forms = [" ".join(each), " ".join(f"${value}" for value in each), ", ".join(f"0x{value}" for value in each)]
    forms += [" ".join(each).lower(), "".join(each), ", ".join(f"${value}" for value in each)]
    if len(raw) in (2, 3):
        kind = {2: "word", 3: "24-bit pointer"}[len(raw)]
        order = rng.choice(("little-endian", "low byte first"))
        forms += [f"the {kind} {rng.choice(('0x', '$'))}{raw[::-1].hex().upper()} ({order})"] * 2
    return drawn(normalise.hex_bytes, raw.hex(" ").upper(), rng.choice(forms))


def filler(rng: random.Random, names: tuple[str, ...] = ("zero bytes", "zero bytes", "FF bytes")) -> Drawn:
    """One byte repeated, such as ``three zero bytes``."""
    text = f"{WORD_OF[rng.randint(2, 8)]} {rng.choice(names)}"
    return drawn(normalise.hex_bytes, normalise.hex_bytes(text), text)


def snippet(rng: random.Random) -> Drawn:
    """A few 65816 instructions, with one of the usual separators."""
    value = rng.choice(words().snippets)
    joint = rng.choice((" : ", " : ", "; ", " / ", "\n"))
    text = value.replace(" : ", joint)
    text = text.lower() if rng.random() < 0.35 else text
    return drawn(normalise.code, value, f"```\n{text}\n```" if joint == "\n" and " : " in value else f"`{text}`")


def code_size(code: str) -> int:
    """The size of canonical 65816 code in bytes: one per opcode, and one per two hex digits of its operand."""
    return sum(1 + sum(map(len, re.findall(r"\$([0-9A-F]+)", line))) // 2 for line in code.split(" : "))


def condition(rng: random.Random) -> Drawn:
    """A condition on a register, such as ``A == 0x05``."""
    value, register = rng.randrange(1, 0x80), rng.choice("AXY")
    name = rng.choice((register, register, "the accumulator")) if register == "A" else register
    written = rng.choice((f"0x{value:02X}", f"${value:02X}", f"0x{value:02x}"))
    text = f"{name} {rng.choice(('is', 'equals', 'holds', '=='))} {written}"
    return drawn(normalise.condition, f"{register} == 0x{value:02X}", text)


def quoted(rng: random.Random, path: str) -> Drawn:
    """A path, sometimes in backticks or quotes."""
    mark = rng.choice(("", "", "", "`", '"'))
    return drawn(normalise.file_name, path, f"{mark}{path}{mark}")


def new_file(rng: random.Random, names: Sequence[str], ending: str) -> Drawn:
    """The path of an output file: folder, name, sometimes a number."""
    number = rng.choice(("", "", "_2", "_b", "_07", "_new"))
    folder = rng.choice(("", "", *words().folders))
    return quoted(rng, f"{folder}{rng.choice(names)}{number}{ending}")


def asset(rng: random.Random, kind: str) -> Drawn:
    """The path of a file to import, such as graphics."""
    files = words().assets[kind]
    folder = rng.choice(("", "assets/", f"{kind}/", "in/", "art/" if kind in ("graphics", "palette") else "data/"))
    number = rng.choice(("", "", "_v2", "_final", "_03"))
    return quoted(rng, f"{folder}{rng.choice(files.names)}{number}{rng.choice(files.endings)}")
