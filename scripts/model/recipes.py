"""Base models made here instead of fetched. A recipe is a module with ``make(steps)``.

The modules are imported by name: which base is made decides which code it depends on, so that a change in one recipe
leaves all other bases as they are.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from scripts.lib.cli import UserError


class Recipe(NamedTuple):
    """Where a recipe is, and whether it is trained, for as many steps as its reference says."""

    module: str
    trained: bool


RECIPES = {
    "tiny-llama": Recipe("scripts.model.tiny_llama", trained=False),
    "sketch-rooms": Recipe("scripts.model.sketch.finder", trained=True),
    "sketch-vl": Recipe("scripts.model.sketch.standin", trained=True),
}


class Made(NamedTuple):
    """A model in float32, its tokenizer, and the settings of its image processor where it has one."""

    model: Any
    tokenizer: Any
    pictures: dict[str, Any] | None


def recipe_of(reference: str) -> tuple[Recipe, int]:
    """The recipe behind ``tiny-llama`` or ``sketch-vl@300``, and its steps.

    Raises:
        UserError: there is no such recipe, or the steps are no number.
    """
    name, _, steps = reference.partition("@")
    if name not in RECIPES:
        known = ", ".join(f"{name}@<steps>" if one.trained else name for name, one in sorted(RECIPES.items()))
        raise UserError(f"recipe:{reference}: no such recipe; known: {known}.")
    recipe = RECIPES[name]
    if recipe.trained != steps.isdigit():
        how = f"say for how many steps it is trained, such as recipe:{name}@300" if recipe.trained else "leave @ out"
        raise UserError(f"recipe:{reference}: {how}.")
    return recipe, int(steps or 0)


def make(reference: str) -> Made:
    """What a recipe makes; the same bytes every time."""
    recipe, steps = recipe_of(reference)
    return Made(*importlib.import_module(recipe.module).make(steps))
