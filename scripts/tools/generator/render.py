"""Renders a template: draws its values, and writes the request, the calls, the tools' results and the answer."""

from __future__ import annotations

import random
from typing import Any

from scripts.tools.generator import contents, kinds, normalise, values
from scripts.tools.generator.intents import FREE_SLOTS, SLOT, Argument, Step, Template
from scripts.tools.generator.tables import wording, words
from scripts.tools.generator.values import Drawn

PREFIX_RATE, ENDING_RATE = 0.18, 0.06

Values = dict[str, Drawn]


def draw_values(template: Template, rng: random.Random) -> Values:
    """A value for each slot of the template; slots of one kind get different values."""
    drawn: Values = {}
    for slot in dict.fromkeys(slot for slot, _ in template.references):
        if slot == "free2":  # the first address after the code at {free}
            end = int(drawn["free"].value, 16) + contents.code_size(drawn["snippet"].value)
            drawn[slot] = values.bus(rng, end)
        elif slot not in FREE_SLOTS:
            drawn[slot] = _draw(template, slot, drawn, rng)
    return drawn


def _draw(template: Template, slot: str, drawn: Values, rng: random.Random) -> Drawn:
    kind = "place" if slot == "address" and "label" in template.slots else slot
    same_kind = [other for other in drawn if kinds.kind_of(other) == kinds.kind_of(slot)]
    used = {drawn[other].value for other in same_kind}
    while True:
        value = kinds.draw(rng, kind)
        # A code block reads well only at the end of a sentence.
        broken = "\n" in value.text and not template.phrase.endswith(f"{{{slot}}}")
        if value.value not in used and not broken:
            return value


def request(template: Template, drawn: Values, rng: random.Random) -> str:
    """The instruction: the phrase with each value as a person spells it."""

    def spell(slot: str) -> str:
        if slot == "label":
            return drawn["address"].label
        value = drawn[slot]
        named = value.label and "label" not in template.slots and rng.random() < values.LABEL_RATE
        return f"{value.text} ({value.label})" if named else value.text

    text = SLOT.sub(lambda match: spell(match[1]), template.phrase)
    if template.phrase.startswith(("{routine}", "{label}")):
        text = text[0].upper() + text[1:]
    return text


def dressed(text: str, template: Template, specialist: str, rng: random.Random) -> str:
    """The request, sometimes with a remark before it or thanks after it; commands and declines stay unchanged."""
    if not text[0].isupper() or template.kind == "decline":
        return text
    if rng.random() < PREFIX_RATE:
        text = f"{rng.choice(words().prefixes[specialist])} {text}"
    if rng.random() < ENDING_RATE and text[-1] in ".?!":
        text = f"{text} {rng.choice(words().endings)}"
    return text


def call(step: Step, drawn: Values) -> dict[str, Any]:
    """``{"tool": ..., "parameters": {...}}`` of a step."""
    parameters = {argument.name: _argument(argument, drawn) for argument in step.arguments}
    return {"tool": step.tool, "parameters": parameters}


def _argument(argument: Argument, drawn: Values) -> Any:
    if not argument.slot:
        return argument.constant
    value = drawn[argument.slot].value
    return formed(value, argument.form) if argument.form else value


def formed(value: Any, form: str) -> str:
    """A value in a result's format: ``le3`` little-endian bytes, ``low`` the low word, ``hex``, ``byte``."""
    number = value if isinstance(value, int) else int(value, 16)
    if form.startswith("le"):
        return (number & (1 << 8 * int(form[2:])) - 1).to_bytes(int(form[2:]), "little").hex(" ").upper()
    return {"low": f"0x{number & 0xFFFF:04X}", "hex": f"0x{number:02X}", "byte": f"{number:02X}"}[form]


def filled(text: str, drawn: Values, specialist: str, dump: bytes, rng: random.Random) -> str:
    """A result or an answer with its values; ``dump`` supplies the bytes that a memory read returns."""

    def fill(slot: str, form: str | None) -> str:
        if slot == "scope":
            return rng.choice(wording().scope[specialist])
        if slot == "dump":
            return normalise.hex_bytes(dump[: drawn[str(form)].value].hex())
        value = drawn[slot].value
        return formed(value, form) if form else str(value)

    return SLOT.sub(lambda match: fill(match[1], match[2]), text)
