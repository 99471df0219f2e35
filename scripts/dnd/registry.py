"""The tool registry: which calls a dungeon master can write, with which arguments.

As JSON::

    {"tools": [{"name": "check", "known": true, "form": "[check: ability, character]",
                "parameters": [{"name": "ability", "type": "ability"}, {"name": "character", "type": "character"}],
                "description": "...", "seen": 83, "shapes": [{"arguments": ["text", "name"], "count": 83}],
                "example": {"call": "[check: stealth, Pip]", "file": "combat/bridge.md", "line": 12}}]}

``known`` tools are the six of the format and a user's own; the others were met in scenarios.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from scripts.lib.cli import UserError
from scripts.lib.files import read_json, write_json

NAME = re.compile(r"[a-z][a-z0-9]*(?:[ _-][a-z0-9]+)*")


class Parameter(BaseModel):
    """One argument: its name, and its type (how it is recognised and written).

    Types: character, ability, dice_or_skill, modifier, action, item, spell, level, dc, number, text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    type: str = "text"


class Tool(BaseModel):
    """One tool, with what was seen of it in scenarios."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    name: str
    known: bool = True
    parameters: tuple[Parameter, ...] = ()
    description: str = ""
    seen: int = Field(default=0, ge=0)
    shapes: tuple[dict[str, Any], ...] = ()
    example: dict[str, Any] | None = None

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        name = name.strip().lower()
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no tool name; use letters, digits and underscores")
        return name

    @field_validator("parameters", mode="before")
    @classmethod
    def _names_will_do(cls, value: Any) -> Any:
        """``["character", "item"]`` is short for parameters whose type is their name."""
        if not isinstance(value, list):
            return value
        types = {name: name if name in TYPES else "text" for name in value if isinstance(name, str)}
        return [{"name": row, "type": types[row]} if isinstance(row, str) else row for row in value]

    @property
    def form(self) -> str:
        """How the call is written: ``[check: ability, character]``."""
        arguments = ", ".join(parameter.name for parameter in self.parameters)
        return f"[{self.name}: {arguments}]" if arguments else f"[{self.name}]"

    def to_json(self) -> dict[str, Any]:
        """The entry as registry.json holds it."""
        return {"name": self.name, "known": self.known, "form": self.form, **self.model_dump(mode="json")}


TYPES = (
    "character", "ability", "dice_or_skill", "modifier", "action", "item", "spell", "level", "dc", "number", "text",
)  # fmt: skip


def _tool(name: str, description: str, *parameters: tuple[str, str], known: bool = True) -> Tool:
    rows = tuple(Parameter(name=key, type=kind) for key, kind in parameters)
    return Tool(name=name, known=known, parameters=rows, description=description)


KNOWN = (
    _tool("roll", "Dice or a skill are rolled.", ("dice or skill", "dice_or_skill")),
    _tool("health", "Hit points change.", ("character", "character"), ("modifier", "modifier")),
    _tool(
        "inventory",
        "An item changes hands or is used.",
        ("character", "character"),
        ("action", "action"),
        ("item", "item"),
    ),
    _tool("spellcast", "A spell is cast.", ("character", "character"), ("spell", "spell"), ("level", "level")),
    _tool("check", "An ability or skill is put to the test.", ("ability", "ability"), ("character", "character")),
    _tool("save", "A saving throw.", ("type", "ability"), ("character", "character"), ("dc", "dc")),
)
# Met in the wild without a published form: recognised wherever they stand, trained on where a scenario uses them.
WILD = (
    _tool("add_to_inventory", "Items are given to the player.", ("item", "text"), known=False),
    _tool("add_to_party", "Someone joins the party.", ("member", "text"), known=False),
    _tool("award_exp", "Experience is awarded.", ("amount", "text"), known=False),
    _tool("charge", "Money is paid.", ("amount", "text"), known=False),
    _tool("generate character", "A character is made.", ("class and level", "text"), known=False),
    _tool("transition", "The scene changes.", ("scene", "text"), known=False),
)


def key_of(name: str) -> str:
    """What two spellings of one tool share: ``Generate-Character`` and ``generate character`` are the same."""
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


class Registry:
    """Tools by name; spelling of case, blanks, hyphens and underscores does not matter when looking one up."""

    def __init__(self, tools: tuple[Tool, ...] | list[Tool] = KNOWN + WILD) -> None:
        self.tools = sorted(tools, key=lambda tool: (not tool.known, tool.name))
        self.by_key = {key_of(tool.name): tool for tool in self.tools}

    def get(self, name: str) -> Tool | None:
        """The tool of this name, or None."""
        return self.by_key.get(key_of(name))

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches the name of any tool at the start of a bracket's content, longest first."""
        names = sorted((tool.name for tool in self.tools), key=len, reverse=True)
        spelled = [r"[\s_-]+".join(map(re.escape, re.split(r"[ _-]", name))) for name in names]
        return re.compile(r"(?P<name>" + "|".join(spelled) + r")(?![\w'’-])", re.IGNORECASE)

    def merged(self, tools: list[Tool]) -> Registry:
        """This registry with ``tools`` over it: what was seen of a tool is kept."""
        rows = dict(self.by_key)
        for tool in tools:
            old = rows.get(key_of(tool.name))
            kept = {"seen": old.seen, "shapes": old.shapes, "example": old.example} if old else {}
            rows[key_of(tool.name)] = tool.model_copy(update=kept)
        return Registry(list(rows.values()))

    def in_use(self) -> list[Tool]:
        """Tools a model should know of: the known ones, and the others that scenarios use."""
        return [tool for tool in self.tools if tool.known or tool.seen]

    def write(self, path: Path) -> None:
        """Writes registry.json, known tools first, then by name."""
        write_json(path, {"tools": [tool.to_json() for tool in self.tools]})


def load_tools(path: Path) -> list[Tool]:
    """Tools of a registry JSON, or of a user's own list ``{"tools": [{"name": ..., "parameters": [...]}]}``.

    Raises:
        UserError: no such file, not JSON, or an entry is no tool; it names the entry.
    """
    value = read_json(path)
    rows = value.get("tools") if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise UserError(f'{path}: expected {{"tools": [...]}}; see `tools.md` for the shape of an entry.')
    tools = []
    for number, row in enumerate(rows, 1):
        try:
            tools.append(Tool.model_validate(row))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "entry"
            raise UserError(f"{path}: tool {number}: {where}: {first['msg']}; mend this entry.") from error
    return tools


def load_registry(path: Path | None) -> Registry:
    """A registry from its JSON; the built-in tools where no path is given.

    Raises:
        UserError: as `load_tools`.
    """
    return Registry() if path is None else Registry(load_tools(path))


def system_preamble(system_prompt: str, registry: Registry) -> str:
    """What stands in front of every scenario's own SYSTEM text: the run's prompt, and the forms of the tools.

    Training, prediction and the shipped package all use this text.
    """
    forms = "Tools: " + " ".join(tool.form for tool in registry.in_use())
    return f"{system_prompt.strip()}\n{forms}".strip()
