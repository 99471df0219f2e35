"""Draws addresses, amounts and numbers, each with one of the spellings that people use."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scripts.tools.generator import normalise
from scripts.tools.generator.tables import words

WORD_OF = {value: word for word, value in normalise.NUMBER_WORDS.items() if not word.startswith("a")}
LENGTHS = (*range(1, 9), 10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128, 192, 256, 512, 1024, 2048)
BLOCKS = (32, 64, 96, 128, 160, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 8192, 16384, 32768)
FRAMES = (15, 20, 30, 45, 60, 90, 100, 120, 150, 200, 240, 300, 400, 600, 900)
FEW_FRAMES = (*range(1, 13), 15, 16, 20, 24, 30, 32)  # of a frame advance
ROOMS, SHEETS = 296, 223
LABEL_RATE = 0.3


@dataclass(frozen=True)
class Drawn:
    """A value as in the call, its spelling in the instruction, and the name of the address, if it has one."""

    value: Any
    text: str
    label: str = ""


def drawn(parse: Callable[[str], Any], value: Any, text: str, label: str = "") -> Drawn:
    """A `Drawn` whose text, parsed, gives the value.

    Raises:
        ValueError: it gives another value.
    """
    if parse(text) != value:
        raise ValueError(f"{text!r} reads as {parse(text)!r}, not {value!r}")
    return Drawn(value, text, label)


def bus(rng: random.Random, where: int, label: str = "") -> Drawn:
    """A SNES bus address, in one of the usual notations."""
    bank, low = divmod(where, 0x10000)
    forms = [f"0x{where:06X}", f"0x{where:06x}", f"${where:06X}", f"${where:06x}", f"{bank:02X}:{low:04X}"]
    forms += [f"${bank:02X}:{low:04X}", f"${where:06X}", f"{where:06X}h", f"bank ${bank:02X}, address ${low:04X}"]
    return drawn(normalise.address, f"0x{where:06X}", rng.choice(forms), label)


def ram(rng: random.Random, *, named: bool = False) -> Drawn:
    """An address in work RAM (banks 7E and 7F): in 70 percent of draws, or always if ``named``, one with a name."""
    if named or rng.random() < 0.7:
        where, label = rng.choice(list(words().ram.items()))
        return bus(rng, where, label)
    return bus(rng, rng.choice((0x7E0000, 0x7E0000, 0x7F0000)) + rng.randrange(0x200, 0x10000))


def rom_address(rng: random.Random, first: int = 0x00, last: int = 0x1F) -> Drawn:
    """A LoROM address: the upper half of a bank between the first and the last."""
    return bus(rng, rng.randint(first, last) * 0x10000 + rng.randrange(0x8000, 0xFFA0))


def free_space(rng: random.Random) -> Drawn:
    """A multiple of 0x40 in the banks that an expanded ROM adds."""
    return bus(rng, rng.randint(0x20, 0x3F) * 0x10000 + rng.randrange(0x8000, 0x10000, 0x40))


def pc(rng: random.Random) -> Drawn:
    """An offset in the ROM file (a "PC" offset), with or without leading zeros."""
    where = rng.randrange(0x0200, 0x200000, rng.choice((1, 2, 0x10, 0x100)))
    forms = [f"0x{where:06X}", f"0x{where:06x}", f"0x{where:X}", f"0x{where:x}", f"${where:06X}", f"0x{where:05X}"]
    return drawn(normalise.address, f"0x{where:06X}", rng.choice(forms))


def amount(rng: random.Random, value: int, unit: str, hexadecimal: bool = True) -> Drawn:
    """A number of bytes, frames or instructions in digits, hex or words."""
    plural = "" if value == 1 else "s"
    forms = [f"{value} {unit}{plural}"] * 2
    if value in WORD_OF:
        forms.append(f"{WORD_OF[value]} {unit}{plural}")
    if hexadecimal and value >= 16:
        forms += [f"0x{value:X} {unit}s", f"${value:X} {unit}s"]
    return drawn(normalise.count, value, rng.choice(forms))


def length(rng: random.Random, choices: tuple[int, ...] = LENGTHS) -> Drawn:
    """A number of bytes to read; some numbers also have a name, such as ``a word``."""
    value = rng.choice(choices)
    special = {1: ("a single byte", "one byte"), 2: ("a word", "a 16-bit word"), 3: ("a 24-bit pointer",)}
    special |= {8: ("four words",), 512: ("half a kilobyte", "half a KB")}
    special |= {size: (f"{size // 1024} KB",) for size in (1024, 2048, 4096, 8192, 16384, 32768)}
    if value in special and rng.random() < 0.5:
        return drawn(normalise.count, value, rng.choice(special[value]))
    return amount(rng, value, "byte")


def frames(rng: random.Random) -> Drawn:
    """A time in frames or seconds."""
    if rng.random() < 0.5:
        return amount(rng, rng.choice(FRAMES), "frame", False)
    text = rng.choice(words().times)
    return drawn(normalise.count, normalise.count(text), text)


def instructions(rng: random.Random) -> Drawn:
    """A number of instructions to step."""
    steps = rng.choice((*range(2, 21), 24, 32, 40, 50, 64, 100, 128, 200))
    return amount(rng, steps, "instruction", rng.random() < 0.3)


def entry(rng: random.Random, last: int = ROOMS - 1) -> Drawn:
    """The number of a room, a map, a sprite, a message or a palette."""
    value = rng.randint(0, last)
    forms = [f"0x{value:02X}", f"0x{value:02x}", f"${value:02X}", f"0x{value:03X}", f"{value} (decimal)"]
    return drawn(normalise.entry, f"0x{value:03X}", rng.choice(forms))


def slot(rng: random.Random, last: int = SHEETS - 1) -> Drawn:
    """The number of a graphics sheet, palette or message to replace."""
    value = rng.randint(0, last)
    return drawn(normalise.slot, value, rng.choice((str(value), str(value), f"0x{value:02X}", f"${value:02X}")))


def scale(rng: random.Random) -> Drawn:
    """The scale factor of a screenshot."""
    value = rng.choice((2, 3, 4))
    return drawn(normalise.slot, value, rng.choice((str(value), WORD_OF[value])))
