"""The form of an answer as a grammar in GBNF, the notation of llama.cpp: a constrained model writes a readable answer.

The grammar does not exclude a name that occurs twice.
"""

from __future__ import annotations

from scripts.terrain.answer import DIGITS
from scripts.terrain.options import MOST, AnswerOptions


def grammar(options: AnswerOptions) -> str:
    """The grammar of answers, compact JSON with keys in the order in which `scripts.terrain.answer` writes them."""
    cells = options.cells
    rules = {
        "root": (
            r'"{\"heights\":" heights ",\"lowest\":" yards ",\"rise\":" yards ",\"textures\":" textures'
            r' ",\"liquids\":" liquids ",\"holes\":" holes ",\"objects\":" objects "}"'
        ),
        "yards": rf'"\"" [0-9]{{{options.scale.digits}}} "\""',
        "heights": _list_of("steps", cells, cells),
        "steps": rf'"\"" step{{{cells}}} "\""',
        "step": _below(options.levels),
        "textures": _mapping_to("percent", options.textures),
        "percent": '"100" | [1-9] [0-9]? | "0"',
        "liquids": _mapping_to("mask", options.liquids),
        "mask": _list_of("bits", cells, cells),
        "bits": rf'"\"" [01]{{{cells}}} "\""',
        "holes": 'mask | "[]"',
        "objects": _mapping_to("placed", options.kinds),
        "placed": '"[" count "," places "]"',
        "count": f'"0" | [1-9] [0-9]{{0,{len(str(MOST)) - 1}}}',
        "places": _list_of("cell", 0, options.places),
        "cell": rf'"\"" [{DIGITS[:cells]}]{{2}} "\""',
        "name": rf'"\"" [a-z0-9_.-]{{1,{options.name_length}}} "\""',
    }
    return "\n".join(f"{name} ::= {rule}" for name, rule in rules.items())


def _below(levels: int) -> str:
    """One or two digits below ``levels``, from 10 to 100."""
    if levels == 10:
        return "[0-9]"
    tens, ones = divmod(levels, 10)
    whole = f"[0-{tens - 1}] [0-9]"
    return f'{whole} | "{tens}" [0-{ones - 1}]' if ones else whole


def _list_of(item: str, least: int, most: int) -> str:
    inner = f'{item} ("," {item}){{{max(least - 1, 0)},{most - 1}}}'
    return f'"[" {inner} "]"' if least else f'"[" ({inner})? "]"'


def _mapping_to(value: str, most: int) -> str:
    """A mapping of at most so many names."""
    if not most:
        return '"{}"'
    pair = f'name ":" {value}'
    return f'"{{" ({pair} ("," {pair}){{0,{most - 1}}})? "}}"'
