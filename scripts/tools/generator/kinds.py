"""Which value stands behind a slot such as ``{address}`` or ``{rom2}`` of a phrase."""

from __future__ import annotations

import random
from collections.abc import Callable

from scripts.tools.generator import contents, values, words
from scripts.tools.generator.values import Drawn

Draw = Callable[[random.Random], Drawn]


def word(choices: list[str] | tuple[str, ...]) -> Draw:
    """A name that no call holds (a routine, a town), or a file among known ones."""

    def draw(rng: random.Random) -> Drawn:
        text = rng.choice(choices)
        return Drawn(text, text)

    return draw


def known_file(choices: list[str]) -> Draw:
    """One of the known files, in quotes or not."""
    return lambda rng: contents.quoted(rng, rng.choice(choices))


def checksum(rng: random.Random) -> Drawn:
    """Complement and checksum as the header holds them: four bytes, both little-endian."""
    total = rng.randrange(0x10000)
    raw = (total ^ 0xFFFF).to_bytes(2, "little") + total.to_bytes(2, "little")
    text = raw.hex(" ").upper()
    return Drawn(text, text)


def pointer_bytes(rng: random.Random) -> Drawn:
    """A ROM pointer as a table holds it: three bytes, low byte first."""
    low = bytes((rng.randrange(256), rng.randrange(0x80, 256), rng.randrange(0x20))).hex(" ").upper()
    return Drawn(low, low)


def hidden_count(low: int, high: int) -> Draw:
    """A number that only a tool's result tells."""

    def draw(rng: random.Random) -> Drawn:
        number = rng.randint(low, high)
        return Drawn(number, str(number))

    return draw


KINDS: dict[str, Draw] = {
    "address": values.ram,
    "spot": lambda rng: values.bus(rng, 0x7E0000 + rng.randrange(0x40, 0x2000)),
    "place": lambda rng: values.ram(rng, named=True),
    "code": values.rom_address,
    "target": lambda rng: rng.choice((values.rom_address, values.ram))(rng),
    "routine": word(words.ROUTINES),
    "free": values.free_space,
    "handler": lambda rng: values.rom_address(rng, 0, 0),
    "stack": lambda rng: values.bus(rng, rng.randrange(0x0180, 0x0200)),
    "offset": values.pc,
    "length": values.length,
    "short": lambda rng: values.length(rng, (2, 4, 6, 8, 10, 12, 16, 20, 24)),
    "block": lambda rng: values.length(rng, values.BLOCKS),
    "size": hidden_count(12, 600),
    "frames": values.frames,
    "advance": values.few_frames,
    "timer": hidden_count(9, 250),
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
    "rom": known_file(words.ROMS),
    "patch": known_file(words.PATCHES),
    "shot": lambda rng: contents.new_file(rng, words.SHOTS, ".png"),
    "out": lambda rng: contents.new_file(rng, words.DUMPS, ".bin"),
    "gfx": lambda rng: contents.asset(rng, "graphics"),
    "pal": lambda rng: contents.asset(rng, "palette"),
    "text": lambda rng: contents.asset(rng, "message"),
    "roomfile": lambda rng: contents.asset(rng, "room"),
    "mapfile": lambda rng: contents.asset(rng, "map"),
    "city": word(words.CITIES),
    "theme": word(words.THEMES),
    "othergame": word(words.OTHER_GAMES),
}


def draw(rng: random.Random, slot: str) -> Drawn:
    """A value for a slot; a digit at its end tells it from another slot of the same kind."""
    return KINDS[slot.rstrip("0123456789")](rng)
