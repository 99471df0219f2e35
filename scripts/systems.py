"""The registry of systems: a line each, in the order in which they are shown."""

from __future__ import annotations

from importlib import import_module

from scripts.contract import LANGUAGE, Family, System

NAMES = (
    "dnd",
    "tools",
    "terrain",
    "gameplay",
    "aerial",
)
SYSTEMS: dict[str, System] = {name: import_module(f"scripts.{name}.system").SYSTEM for name in NAMES}


def family_of(system: str) -> Family:
    """The model family of a system; a report of a system that is not registered here is read as a language model's."""
    return SYSTEMS[system].family if system in SYSTEMS else LANGUAGE
