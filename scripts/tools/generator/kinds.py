"""The value that is drawn for a slot such as ``{address}`` or ``{rom2}`` of a phrase."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from scripts.tools.generator import contents, values
from scripts.tools.generator.tables import words
from scripts.tools.generator.values import Drawn


def unchanged(value: Any) -> Drawn:
    """A value whose spelling in the instruction or in a tool's result is that of the call."""
    return Drawn(value, str(value))


def checksum(rng: random.Random) -> Drawn:
    """Complement and checksum as in the ROM header: four bytes, both little-endian."""
    total = rng.randrange(0x10000)
    return unchanged(((total ^ 0xFFFF).to_bytes(2, "little") + total.to_bytes(2, "little")).hex(" ").upper())


def pointer_bytes(rng: random.Random) -> Drawn:
    """A ROM pointer as in a table: three bytes, low byte first."""
    address = bytes((rng.randrange(256), rng.randrange(0x80, 256), rng.randrange(0x20)))
    return unchanged(address.hex(" ").upper())


KINDS: dict[str, Callable[[random.Random], Drawn]] = {
    "address": values.ram,
    "spot": lambda rng: values.bus(rng, 0x7E0000 + rng.randrange(0x40, 0x2000)),
    "place": lambda rng: values.ram(rng, named=True),
    "code": values.rom_address,
    "target": lambda rng: rng.choice((values.rom_address, values.ram))(rng),
    "routine": lambda rng: unchanged(rng.choice(words().routines)),
    "free": values.free_space,
    "handler": lambda rng: values.rom_address(rng, 0, 0),
    "stack": lambda rng: values.bus(rng, rng.randrange(0x0180, 0x0200)),
    "offset": values.pc,
    "length": values.length,
    "short": lambda rng: values.length(rng, (2, 4, 6, 8, 10, 12, 16, 20, 24)),
    "block": lambda rng: values.length(rng, values.BLOCKS),
    "size": lambda rng: unchanged(rng.randint(12, 600)),
    "frames": values.frames,
    "advance": lambda rng: values.amount(rng, rng.choice(values.FEW_FRAMES), "frame", False),
    "timer": lambda rng: unchanged(rng.randint(9, 250)),
    "count": values.instructions,
    "byte": contents.byte,
    "data": contents.data,
    "filler": contents.filler,
    "nops": lambda rng: contents.filler(rng, ("NOPs",)),
    "checksum": checksum,
    "entry": pointer_bytes,
    "snippet": contents.snippet,
    "condition": contents.condition,
    "room": values.entry,
    "map": lambda rng: values.entry(rng, 0x9F),
    "sprite": lambda rng: values.entry(rng, 0xF2),
    "message": lambda rng: values.entry(rng, 0x18C),
    "palette": lambda rng: values.entry(rng, 0x3F),
    "sheet": values.slot,
    "line": lambda rng: values.slot(rng, 396),
    "colours": lambda rng: values.slot(rng, 63),
    "roomslot": lambda rng: values.slot(rng, 295),
    "mapslot": lambda rng: values.slot(rng, 159),
    "scale": values.scale,
    "rom": lambda rng: contents.quoted(rng, rng.choice(words().roms)),
    "patch": lambda rng: contents.quoted(rng, rng.choice(words().patches)),
    "shot": lambda rng: contents.new_file(rng, words().shots, ".png"),
    "out": lambda rng: contents.new_file(rng, words().dumps, ".bin"),
    "gfx": lambda rng: contents.asset(rng, "graphics"),
    "pal": lambda rng: contents.asset(rng, "palette"),
    "text": lambda rng: contents.asset(rng, "message"),
    "roomfile": lambda rng: contents.asset(rng, "room"),
    "mapfile": lambda rng: contents.asset(rng, "map"),
    "city": lambda rng: unchanged(rng.choice(words().cities)),
    "theme": lambda rng: unchanged(rng.choice(words().themes)),
    "othergame": lambda rng: unchanged(rng.choice(words().other_games)),
}


def kind_of(slot: str) -> str:
    """The kind of a slot: its name without the digit that distinguishes slots of one kind."""
    return slot.rstrip("0123456789")


def draw(rng: random.Random, slot: str) -> Drawn:
    """A value for a slot."""
    return KINDS[kind_of(slot)](rng)
