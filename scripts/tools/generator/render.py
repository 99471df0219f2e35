"""Fills a template: draws its values, writes the request, the calls, and what tools and assistant say."""

from __future__ import annotations

import random
from typing import Any

from scripts.tools.generator import contents, kinds, normalise, values, words
from scripts.tools.generator.intents import SLOT, Argument, Step, Template
from scripts.tools.generator.values import Drawn
from scripts.tools.generator.wording import SCOPE

PREFIX_SHARE, ENDING_SHARE = 0.18, 0.06
FREE_SLOTS = ("label", "scope", "dump")

Values = dict[str, Drawn]


def draw_values(template: Template, rng: random.Random) -> Values:
    """A value for every slot of the template, different ones for slots of one kind."""
    texts = [template.phrase, *template.answers, *(text for step in template.steps for text in step.results)]
    named = [match[1] for text in texts for match in SLOT.finditer(text)]
    named += [argument.slot for step in template.steps for argument in step.arguments if argument.slot]
    found: Values = {}
    for slot in dict.fromkeys(named):
        if slot not in FREE_SLOTS:
            found[slot] = _draw(template, slot, found, rng)
    return found


def _draw(template: Template, slot: str, found: Values, rng: random.Random) -> Drawn:
    if slot == "free2":
        return _behind(found["free"], found["snippet"], rng)
    kind = "place" if slot == "address" and "label" in template.slots else slot
    same = {value.value for name, value in found.items() if name.rstrip("0123456789") == slot.rstrip("0123456789")}
    while True:
        value = kinds.draw(rng, kind)
        # A code block reads well only at the end of a sentence.
        broken = "\n" in value.text and not template.phrase.endswith(f"{{{slot}}}")
        if value.value not in same and not broken:
            return value


def _behind(start: Drawn, code: Drawn, rng: random.Random) -> Drawn:
    """The first address behind assembled code."""
    return values.bus(rng, int(start.value, 16) + contents.code_size(code.value))


def request(template: Template, found: Values, rng: random.Random) -> str:
    """The instruction: the phrase with its values as a person spells them."""

    def spell(slot: str) -> str:
        if slot == "label":
            return found["address"].label
        value = found[slot]
        named = value.label and "label" not in template.slots and rng.random() < values.LABEL_SHARE
        return f"{value.text} ({value.label})" if named else value.text

    text = SLOT.sub(lambda match: spell(match[1]), template.phrase)
    if template.phrase.startswith(("{routine}", "{label}")):
        text = text[0].upper() + text[1:]
    return text


def dressed(text: str, template: Template, specialist: str, rng: random.Random) -> str:
    """Now and then a remark before the request, or thanks after it; commands and declines stay bare."""
    if not text[0].isupper() or template.kind == "decline":
        return text
    if rng.random() < PREFIX_SHARE:
        text = f"{rng.choice(words.PREFIXES[specialist])} {text}"
    if rng.random() < ENDING_SHARE and text[-1] in ".?!":
        text = f"{text} {rng.choice(words.ENDINGS)}"
    return text


def call(step: Step, template: Template, found: Values) -> dict[str, Any]:
    """``{"tool": ..., "parameters": {...}}`` of a step.

    Raises:
        ValueError: the phrase does not tell a value that the call needs.
    """
    return {"tool": step.tool, "parameters": {a.name: _argument(a, template, found) for a in step.arguments}}


def _argument(argument: Argument, template: Template, found: Values) -> Any:
    if not argument.slot:
        return argument.constant
    if not argument.hidden and argument.slot not in template.slots:
        raise ValueError(f"{template.id}: the phrase has no {{{argument.slot}}}")
    value = found[argument.slot].value
    return formed(value, argument.form) if argument.form else value


def formed(value: Any, form: str) -> str:
    """A value as a tool's result shows it: ``le3`` little-endian bytes, ``low`` the low word, ``hex``, ``byte``."""
    number = value if isinstance(value, int) else int(value, 16)
    if form.startswith("le"):
        return (number & (1 << 8 * int(form[2:])) - 1).to_bytes(int(form[2:]), "little").hex(" ").upper()
    return {"low": f"0x{number & 0xFFFF:04X}", "hex": f"0x{number:02X}", "byte": f"{number:02X}"}[form]


def told(text: str, found: Values, specialist: str, dump: bytes, rng: random.Random) -> str:
    """A result or an answer with the values in it; ``dump`` supplies the bytes that a read returns."""

    def fill(slot: str, form: str | None) -> str:
        if slot == "scope":
            return rng.choice(SCOPE[specialist])
        if slot == "dump":
            return normalise.hex_bytes(dump[: found[str(form)].value].hex())
        value = found[slot].value
        return formed(value, form) if form else str(value)

    return SLOT.sub(lambda match: fill(match[1], match[2]), text)
