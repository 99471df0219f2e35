"""The one canonical form of a call, in which calls are learnt, expected and compared.

``[name: argument, argument]`` with the registry's spelling of the name, arguments in the order of its parameters,
characters spelled as in the party list, everything else in lower case, dice without blanks (``1d20+5``), modifiers with
their sign (``-6``), spell levels and difficulty classes as plain numbers (a cantrip is 0).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from scripts.dnd.calls import Call, find_calls
from scripts.dnd.registry import Registry, Tool

ABILITIES = {
    "str": "strength", "dex": "dexterity", "con": "constitution", "int": "intelligence", "wis": "wisdom",
    "cha": "charisma",
}  # fmt: skip
SKILLS = frozenset(ABILITIES.values()) | {
    "acrobatics", "animal handling", "arcana", "athletics", "deception", "history", "insight", "intimidation",
    "investigation", "medicine", "nature", "perception", "performance", "persuasion", "religion", "sleight of hand",
    "stealth", "survival", "initiative", "thieves tools", "death",
}  # fmt: skip
ACTIONS = frozenset({
    "add", "remove", "use", "gain", "lose", "give", "take", "drop", "equip", "unequip", "buy", "sell", "spend",
    "consume", "receive", "transfer", "store", "steal",
})  # fmt: skip
DICE = re.compile(r"\d*d\d+(?:\s*[+-]\s*(?:\d+d\d+|\d+))*", re.IGNORECASE)
LEVEL = re.compile(r"(?:(?:at\s+)?(?:level|lvl)\s*)?(\d+)(?:st|nd|rd|th)?(?:[\s-]*(?:level|lvl|slot))*", re.IGNORECASE)
SPELL_WITH_LEVEL = re.compile(
    r"(?P<spell>.+?)\s*(?:\(|\bat\s+|-\s+)?\s*(?P<level>(?:level|lvl)\s*\d+|\d+(?:st|nd|rd|th)[\s-]*(?:level|slot)|cantrip)\)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Canonical:
    """A call in canonical form; ``standard`` where each parameter of its tool has a fitting argument and no more."""

    name: str
    args: tuple[str, ...]
    standard: bool

    @property
    def text(self) -> str:
        """The call as it is written in training text."""
        return written(self.name, self.args)


def written(name: str, args: Sequence[str]) -> str:
    """``check, (stealth, Pip)`` as ``[check: stealth, Pip]``."""
    return f"[{name}: {', '.join(args)}]" if args else f"[{name}]"


def canonical(call: Call, registry: Registry, names: Collection[str] = ()) -> Canonical:
    """The canonical form of a call; ``names`` are the characters of the scenario, the party first.

    Tools that the registry does not know keep their arguments' order and wording.
    Example: ``[spellcast: Cure Wounds, 2nd level, Dax]`` gives ``[spellcast: Dax, cure wounds, 2]``.
    """
    tool = registry.get(call.name)
    args = [re.sub(r"\s+", " ", arg).strip().rstrip(".!") for arg in call.args]
    args = [arg for arg in args if arg]
    if tool is None or not tool.known or not tool.parameters:
        return Canonical(call.name, tuple(args), tool is not None)
    args = _split_single(args, tool, names)
    slots, extra = assign(args, tool, names)
    kinds = {position: parameter.type for position, parameter in enumerate(tool.parameters)}
    values = [_write(kinds[position], slots[position], names) for position in sorted(slots)]
    fitting = not extra and all(position in slots and _fits(kind, slots[position]) for position, kind in kinds.items())
    return Canonical(tool.name, tuple(values + [resolve(arg, names) or arg for arg in extra]), fitting)


def rewrite(text: str, registry: Registry, names: Collection[str] = (), speakers: Collection[str] = ()) -> str:
    """The text with every call in canonical form; all else is left as it stands."""
    pieces, position = [], 0
    for call in find_calls(text, registry, speakers):
        if call.start < position:  # a call inside a call: the outer one is rewritten
            continue
        pieces += [text[position : call.start], canonical(call, registry, names).text]
        position = call.end
    return "".join(pieces) + text[position:]


def expected(text: str, registry: Registry, names: Collection[str] = (), speakers: Collection[str] = ()) -> list[list]:
    """The calls of a text as records and scorers hold them: ``[["check", ["stealth", "Pip"]], ...]``."""
    forms = (canonical(call, registry, names) for call in find_calls(text, registry, speakers))
    return [[form.name, list(form.args)] for form in forms]


def resolve(text: str, names: Collection[str]) -> str | None:
    """The character that a text names: the whole name, or a part of it that no other has; None for nobody known."""
    wanted = _key(text)
    whole = [name for name in names if _key(name) == wanted]
    if whole:
        return whole[0]
    parts = [name for name in names if wanted in _key(name).split()]
    return parts[0] if len(parts) == 1 else None


def _key(name: str) -> str:
    return re.sub(r"[^\w]+", " ", name.lower().replace("_", " ")).strip()


def assign(args: list[str], tool: Tool, names: Collection[str]) -> tuple[dict[int, str], list[str]]:
    """Which argument fills which parameter (by position), and the arguments that are left over.

    Named arguments (``dc=13``) are assigned first, then those of a recognisable type (known characters, numbers,
    abilities, actions); the rest fills the free parameters in the order written. Where a spell and an unknown character
    are left, the spell is the one with a lower-case first letter, else the place of the level decides: ``spell, level,
    character``.
    """
    slots: dict[int, str] = {}
    rest = _take_named(args, tool, slots)
    level_at = next((index for index, arg in enumerate(rest) if is_level(arg)), None)
    kinds = [parameter.type for parameter in tool.parameters]
    recognised = [position for position, kind in enumerate(kinds) if kind in RECOGNISED and position not in slots]
    for position in sorted(recognised, key=lambda position: list(RECOGNISED).index(kinds[position])):
        kind = kinds[position]
        for index, arg in enumerate(rest):
            if resolve(arg, names) is not None if kind == "character" else RECOGNISED[kind](arg):
                slots[position] = rest.pop(index)
                break
    free = [position for position, kind in enumerate(kinds) if position not in slots and kind not in NUMERIC]
    if [kinds[position] for position in free] == ["character", "spell"] and len(rest) == 2:
        lower = [arg[:1].islower() for arg in rest]
        if level_at == 1 if lower[0] == lower[1] else lower[0]:
            rest.reverse()
    # With fewer arguments than parameters, an argument of unknown type is no character: fill from the back.
    skip = max(0, len(free) - len(rest)) if len(free) > 1 and kinds[free[0]] == "character" else 0
    filled = dict(zip(free[skip:], rest, strict=False))
    return slots | filled, rest[len(filled) :]


def _take_named(args: list[str], tool: Tool, slots: dict[int, str]) -> list[str]:
    keys = {_key(parameter.name): position for position, parameter in enumerate(tool.parameters)}
    rest = []
    for arg in args:
        key, mark, value = re.match(r"([^:=]*)([:=]?)\s*(.*)", arg).groups()  # type: ignore[union-attr]
        position = keys.get(_key(key)) if mark and value else None
        if position is None or position in slots:
            rest.append(arg)
        else:
            slots[position] = value
    return rest


def _split_single(args: list[str], tool: Tool, names: Collection[str]) -> list[str]:
    """``[check stealth Pip]``, ``[health: Pip -6]``: one argument that holds several is split at names and numbers."""
    if len(args) != 1 or len(tool.parameters) == 1 or " " not in args[0]:
        return _split_level(args, tool)
    text, tail = args[0], []
    numeric = NUMERIC & {parameter.type for parameter in tool.parameters}
    if numeric and (match := re.fullmatch(r"(.+?)\s+((?:DC\s*)?[+−–-]?\d+(?:\s*HP)?)", text, re.IGNORECASE)):
        text, tail = match[1], [match[2]]
    spellings = {spelling for name in names for spelling in (name, *name.split())}
    for known in sorted(spellings, key=lambda spelling: (-len(spelling), spelling)):
        name = re.escape(known)
        if match := re.fullmatch(rf"({name})\s+(.+)|(.+?)\s+({name})", text, re.IGNORECASE):
            return [group for group in match.groups() if group] + tail
    return [text, *tail]


def _split_level(args: list[str], tool: Tool) -> list[str]:
    """``fireball at 3rd level`` is two arguments where the tool takes a level and none is given."""
    if not any(parameter.type == "level" for parameter in tool.parameters) or any(is_level(arg) for arg in args):
        return args
    pieces: list[str] = []
    for arg in args:
        match = SPELL_WITH_LEVEL.fullmatch(arg)
        pieces += [match["spell"], match["level"]] if match else [arg]
    return pieces


def is_level(text: str) -> bool:
    """Whether a text is a spell level: ``3``, ``2nd level``, ``level 2``, ``cantrip``."""
    return bool(LEVEL.fullmatch(text.strip())) or text.strip().lower() == "cantrip"


def _modifier(text: str) -> str:
    plain = re.sub(r"\s*(?:hp|hit points?|damage)$", "", text.strip(), flags=re.IGNORECASE)
    plain = re.sub(r"\s+|(?<=\d),(?=\d{3})", "", plain).replace("−", "-").replace("–", "-").lower()
    return plain if plain[:1] in "+-" else f"+{plain}"


def is_modifier(text: str) -> bool:
    """Whether a text is a change of hit points: ``-6``, ``+2d4+2``, ``6 HP``."""
    return bool(re.fullmatch(r"[+-](?:\d+|" + DICE.pattern + ")", _modifier(text), re.IGNORECASE))


def skill(text: str) -> str:
    """An ability or skill in canonical spelling: ``Dex saving throw`` gives ``dexterity``."""
    plain = re.sub(r"[\s_]+", " ", text.lower()).replace("thieves' ", "thieves ").strip()
    plain = re.sub(r"^(?:for|an?) ", "", plain)
    plain = re.sub(r"(?<=\w) (?:saving throw|check|roll|save|test)$", "", plain)
    return ABILITIES.get(plain, plain)


def _level(text: str) -> str:
    number = re.search(r"\d+", text)
    return str(int(number[0])) if number else "0"


def _dice_or_skill(text: str) -> str:
    if not DICE.fullmatch(text.strip()):
        return skill(text)
    plain = re.sub(r"\s+", "", text).lower()
    return re.sub(r"(?<!\d)d(?=\d)", "1d", plain)


NUMERIC = frozenset({"modifier", "level", "dc", "number"})
# In the order of certainty: known characters, then numbers, then words out of a list.
RECOGNISED: dict[str, Callable[[str], bool]] = {
    "character": lambda text: not re.fullmatch(r"[\W\d]*", text),
    "modifier": is_modifier,
    "level": is_level,
    "dc": lambda text: bool(re.fullmatch(r"(?:dc\s*)?\d+", text.strip(), re.IGNORECASE)),
    "number": lambda text: bool(re.fullmatch(r"[+-]?\d+", text.strip())),
    "ability": lambda text: skill(text) in SKILLS,
    "action": lambda text: text.strip().lower() in ACTIONS,
}
WRITERS: dict[str, Callable[[str], str]] = {
    "modifier": _modifier,
    "level": _level,
    "dc": _level,
    "ability": skill,
    "dice_or_skill": _dice_or_skill,
    "action": str.lower,
    "item": str.lower,
    "spell": str.lower,
}


def _fits(kind: str, text: str) -> bool:
    return RECOGNISED.get(kind, bool)(text)


def _write(kind: str, text: str, names: Collection[str]) -> str:
    if kind == "character":
        return resolve(text, names) or text
    if kind not in WRITERS or (kind in NUMERIC and not _fits(kind, text)):
        return text
    return WRITERS[kind](text)
